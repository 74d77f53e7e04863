"""What the tests of the operator on a real cluster share: kubectl, patience, and a namespace with an app."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from itertools import groupby
from typing import IO, Any, TypeVar
from urllib.parse import urlencode

from kubernetes import config

from cluster import settings

_T = TypeVar("_T")

CONTEXT = os.environ.get("SCALABLEAPP_TEST_CONTEXT", settings.CONTEXT)
SYSTEM = "scalableapp-system"
OPERATOR = "deployment/scalableapp-operator"
_PATHS = {
    "sapp": "apis/scalableapp.io/v1alpha1/scalableapps",
    "deployment": "apis/apps/v1/deployments",
    "deployment.apps": "apis/apps/v1/deployments",
    "hpa": "apis/autoscaling/v2/horizontalpodautoscalers",
    "httproute.gateway.networking.k8s.io": "apis/gateway.networking.k8s.io/v1/httproutes",
    "ingress.networking.k8s.io": "apis/networking.k8s.io/v1/ingresses",
    "poddisruptionbudget.policy": "apis/policy/v1/poddisruptionbudgets",
    "event": "api/v1/events",
    "pod": "api/v1/pods",
    "service": "api/v1/services",
}
CHILDREN = ("deployment.apps", "service", "ingress.networking.k8s.io", "poddisruptionbudget.policy")
# Long, for a busy machine; what is waited for takes a second or two.
PATIENCE_SECONDS = 150.0
# Pods that run, but take little of a small machine.
SMALL = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"cpu": "500m", "memory": "192Mi"}}
# The Gateway of the cluster, and the kinds of objects that lead to an app.
GATEWAY = {"name": "contour", "namespace": "projectcontour", "sectionName": "http"}
ENTRY_POINTS = ("Ingress", "HTTPRoute")
# A failed try comes again within a minute at the latest.
BACK_OFF_SECONDS = 180.0


def answer(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """How kubectl ended, and what it said."""
    command = ["kubectl", "--context", CONTEXT, "--request-timeout=30s", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=180, check=False)


def kubectl(*arguments: str, text: str | None = None, check: bool = True) -> str:
    """Output of kubectl; raises AssertionError with its complaint."""
    done = answer(*arguments, text=text)
    assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
    return done.stdout


def refusal(*arguments: str, text: str | None = None) -> str:
    """Why the API server refuses it; AssertionError where it does not."""
    done = answer(*arguments, text=text)
    assert done.returncode, f"{' '.join(arguments)}: {done.stdout}"
    return done.stderr


@cache
def _api() -> Any:
    """The library's client, which has no types."""
    return config.new_client_from_config(context=CONTEXT)  # type: ignore[no-untyped-call]


def read(path: str, **query: str) -> dict[str, Any]:
    """What the API server answers to a GET, at a fraction of a kubectl's cost; AssertionError with its refusal."""
    url = f"{_api().configuration.host}/{path}?{urlencode(query)}"
    reply = _api().call_api("GET", url, {"Accept": "application/json"}, _request_timeout=30)
    found: dict[str, Any] = json.loads(reply.read())
    assert reply.status == HTTPStatus.OK, found
    return found


def eventually(check: Callable[[], _T], seconds: float = PATIENCE_SECONDS) -> _T:
    """What `check` returns, as soon as it raises no AssertionError and misses no field any more."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except (AssertionError, LookupError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


class Shop:
    """A namespace of a test, and the app `web` in it."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        return kubectl("-n", self.namespace, *arguments, text=text, check=check)

    def apply(self, name: str = "web", **spec: Any) -> None:
        """Apply a ScalableApp; unless told otherwise, with 0 replicas so that it costs nothing."""
        app = {
            "apiVersion": "scalableapp.io/v1alpha1",
            "kind": "ScalableApp",
            "metadata": {"name": name},
            "spec": {"image": "web:none", "replicas": 0, "ingress": {"host": f"{name}.{self.namespace}.test"}, **spec},
        }
        self.kubectl("apply", "-f", "-", text=json.dumps(app))

    def get(self, kind: str, name: str = "web") -> dict[str, Any]:
        return read(f"{self._path(kind)}/{name}")

    def find(self, kind: str, **query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = read(self._path(kind), **query)["items"]
        return items

    def exists(self, kind: str) -> bool:
        return bool(self.find(kind, fieldSelector="metadata.name=web"))

    def _path(self, kind: str) -> str:
        group, _, plural = _PATHS[kind].rpartition("/")
        return f"{group}/namespaces/{self.namespace}/{plural}"

    def condition(self, type_: str, name: str = "web") -> tuple[str, str, str]:
        """Status, reason and message."""
        for entry in self.get("sapp", name).get("status", {}).get("conditions", ()):
            if entry["type"] == type_:
                return entry["status"], entry["reason"], entry["message"]
        raise AssertionError(f"no condition {type_} yet")

    def wait_for(
        self, type_: str, status: str, reason: str, seconds: float = PATIENCE_SECONDS, name: str = "web"
    ) -> str:
        """The message of a condition, once it has that status and reason."""

        def check() -> str:
            found = self.condition(type_, name)
            assert found[:2] == (status, reason), found
            return found[2]

        return eventually(check, seconds)

    def wait_until_deployed(self, name: str = "web") -> None:
        self.wait_for("Ready", "True", "InSync", name=name)

    def wait_for_event(self, reason: str, seconds: float = PATIENCE_SECONDS) -> str:
        """The message of an Event with that reason, once there is one."""

        def check() -> str:
            return str(self.events(reason)[0]["message"])

        return eventually(check, seconds)

    def events(self, reason: str) -> list[dict[str, Any]]:
        selector = f"involvedObject.kind=ScalableApp,reason={reason}"
        return self.find("event", fieldSelector=selector)

    @contextmanager
    def replicas_seen(self, field: str = ".spec.replicas") -> Iterator[list[int]]:
        """Every number that this field of the Deployment has meanwhile, in turn; filled in at the end."""
        command = ["kubectl", "--context", CONTEXT, "-n", self.namespace, "get", "deployment", "web", "--watch"]
        numbers: list[int] = []
        with tempfile.TemporaryFile("w+") as output:
            watch = subprocess.Popen([*command, "-o", f"jsonpath={{{field}}} "], stdout=output)
            try:
                yield numbers
                eventually(lambda: _caught_up(output, int(self._read(field))))
            finally:
                watch.terminate()
                watch.wait(10)
            numbers += [number for number, _ in groupby(_numbers(output))]

    def _read(self, field: str) -> str:
        return self.kubectl("get", "deployment", "web", "-o", f"jsonpath={{{field}}}")

    def versions(self) -> dict[str, str]:
        """resourceVersion of the app and of its children."""
        return {kind: self.get(kind)["metadata"]["resourceVersion"] for kind in ("sapp", *CHILDREN)}


def entry_point(kind: str, shop: Shop) -> dict[str, Any]:
    """The fields of the app `web` that make it answer as web.NAMESPACE.test, by an object of that kind."""
    host = f"web.{shop.namespace}.test"
    if kind == "HTTPRoute":
        return {"ingress": None, "route": {"parentRefs": [GATEWAY], "hostnames": [host]}}
    return {"ingress": {"className": "contour", "host": host}, "route": None}


def pods(shop: Shop) -> list[dict[str, Any]]:
    """The pods of the app `web` that are to stay."""
    listed = shop.find("pod", labelSelector="scalableapp.io/app=web")
    return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _numbers(output: IO[str]) -> list[int]:
    output.seek(0)
    return [int(number) for number in output.read().split()]


def _caught_up(output: IO[str], replicas: int) -> None:
    assert _numbers(output)[-1:] == [replicas]
