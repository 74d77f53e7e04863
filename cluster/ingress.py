"""The way into the local cluster: Contour with Envoy, applied and waited for."""

from . import custom_resources
from .console import say
from .kube import kubectl
from .settings import REPOSITORY

URL = "http://127.0.0.1:8080"
COMPONENT = REPOSITORY / "manifests" / "components" / "contour"
WORKLOADS = ("deployment/contour", "daemonset/envoy")
_READY_SECONDS = 300  # a node may have to pull the images first


def ensure() -> None:
    """Applies Contour and waits until its Envoy has a configuration. Raises ClusterError when that takes too long."""
    custom_resources.apply()
    kubectl("apply", "--kustomize", str(COMPONENT))
    for workload in WORKLOADS:
        wait = ("rollout", "status", workload, f"--timeout={_READY_SECONDS}s")
        kubectl("--namespace", "projectcontour", *wait, timeout=_READY_SECONDS + 10)
    say("ingress", f"Envoy answers on {URL}: Ingresses of class contour, HTTPRoutes to Gateway projectcontour/contour")
