"""The ingress controller of the local cluster: applied and waited for."""

from pathlib import Path

from .console import say
from .kube import kubectl

URL = "http://127.0.0.1:8080"
_NAMESPACE = "ingress-nginx"
_MANIFEST = Path(__file__).parent / "ingress" / "ingress-controller.yaml"
_READY_SECONDS = 120


def ensure() -> None:
    """Applies the controller and waits until it is ready. Raises ClusterError when that takes too long."""
    kubectl("apply", "--filename", str(_MANIFEST))
    wait = ("rollout", "status", "deployment", f"--timeout={_READY_SECONDS}s")
    kubectl("--namespace", _NAMESPACE, *wait, timeout=_READY_SECONDS + 10)
    say("ingress", f"nginx answers on {URL}")
