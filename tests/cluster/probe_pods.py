"""Pods that try to connect, to find out what NetworkPolicies let through."""

import json
from dataclasses import dataclass
from typing import Any

from tests.cluster.shop import SMALL, eventually, kubectl

PORT = 8000
# Connects and says how that went; what is not answered within 3 s was dropped on its way.
_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("open")
except OSError as error:
    print("closed:", error)
"""
_FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
_IMAGE = "sample-app:0.1.0"
# A container that the policy "restricted" of Pod Security lets in.
_CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class ProbePod:
    """A place to connect from: a pod, or a workload's pod, with Python in its container."""

    namespace: str
    name: str
    python: str = "python"

    def run(self, code: str, *arguments: str) -> str:
        """What that program prints there."""
        return kubectl("exec", "-n", self.namespace, self.name, "--", self.python, "-c", code, *arguments).strip()

    def reaches(self, host: str, port: int) -> bool:
        """Whether a TCP connection to there is let through and accepted."""
        return self.run(_CONNECT, host, str(port)) == "open"

    def fetch(self, url: str) -> str:
        """What an HTTP server answers there."""
        return self.run(_FETCH, url)


def probe_pod(namespace: str, name: str, labels: dict[str, str] | None = None) -> ProbePod:
    """Starts a pod that answers on PORT. It is never ready, so that no Service whose labels it bears sends to it."""
    container = {
        "name": "probe",
        "image": _IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "http.server", str(PORT)],
        "resources": SMALL,
        "securityContext": _CONFINED,
    }
    spec = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "readinessGates": [{"conditionType": "scalableapp.io/never"}],
    }
    metadata = {"namespace": namespace, "name": name, "labels": labels or {}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    kubectl("apply", "-f", "-", text=json.dumps(pod))
    return ProbePod(namespace, name)


def address(of: ProbePod) -> str:
    """The pod's IP address, as soon as its container answers."""

    def check() -> str:
        found: dict[str, Any] = json.loads(kubectl("get", "pod", "-n", of.namespace, of.name, "-o", "json"))
        assert found["status"].get("containerStatuses", [{}])[0].get("started"), found["status"]
        assert of.reaches("127.0.0.1", PORT)
        return str(found["status"]["podIP"])

    return eventually(check)
