"""The ingress controller of the local cluster: chosen, applied and waited for."""

from dataclasses import dataclass
from pathlib import Path

from . import docker, node_image
from .console import ClusterError, say
from .kube import kubectl
from .settings import CONTROL_PLANE, REPOSITORY

URL = "http://127.0.0.1:8080"


@dataclass(frozen=True)
class Controller:
    """One ingress controller: how it is applied, and the workload that has to become ready."""

    name: str
    option: str
    path: Path
    namespace: str
    workload: str
    ready_seconds: int


UPSTREAM = Controller(
    "F5's NGINX Ingress Controller",
    "--kustomize",
    REPOSITORY / "manifests" / "components" / "ingress-controller",
    "nginx-ingress",
    "daemonset/nginx-ingress",
    ready_seconds=300,  # the node pulls its image first
)
OURS = Controller(
    "our own for clusters without a registry",
    "--filename",
    Path(__file__).parent / "ingress" / "ingress-controller.yaml",
    "ingress-nginx",
    "deployment/ingress-controller",
    ready_seconds=120,
)


def ensure() -> None:
    """Applies the controller and waits until it is ready. Raises ClusterError when that takes too long."""
    chosen = _chosen()
    kubectl("apply", chosen.option, str(chosen.path))
    wait = ("rollout", "status", chosen.workload, f"--timeout={chosen.ready_seconds}s")
    kubectl("--namespace", chosen.namespace, *wait, timeout=chosen.ready_seconds + 10)
    say("ingress", f"nginx answers on {URL}: {chosen.name}")


def runs_upstream() -> bool:
    """Whether upstream's controller is there, and so the cluster pulls images: its own of everything then."""
    return _is_there(UPSTREAM)


def _chosen() -> Controller:
    """Upstream's where the node is upstream's and can pull it. One that is there stays: both want the same ports."""
    for controller in (UPSTREAM, OURS):
        if _is_there(controller):
            return controller
    node = docker.inspect("container", CONTROL_PLANE)
    if node is None:
        raise ClusterError(f"there is no node {CONTROL_PLANE} to run an ingress controller on; `up` makes one.")
    if node_image.is_built(node["Config"]["Image"]) or not docker.registry_answers():
        return OURS
    return UPSTREAM


def _is_there(controller: Controller) -> bool:
    found = ("get", controller.workload, "--ignore-not-found", "--output", "name")
    return bool(kubectl("--namespace", controller.namespace, *found).strip())
