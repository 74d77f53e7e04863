"""What only the tests' cluster has: metrics-server, for a real HorizontalPodAutoscaler, and kube-router.

kube-router enforces NetworkPolicies. The manifests and Dockerfiles are in tests/cluster/parts.
"""

from . import bases, docker, images, modules
from .console import say
from .kube import kubectl
from .settings import REPOSITORY

_FOLDER = "tests/cluster/parts"
_NAMESPACE = "kube-system"
_WORKLOADS = ("daemonset/kube-router", "deployment/metrics-server")
_READY_SECONDS = 300  # a node may have to pull the images first


def _part(name: str, module: str) -> images.Image:
    dockerfile = f"{_FOLDER}/{name.rpartition('/')[2]}.Dockerfile"
    reference = f"{name}:{modules.version('tests', module)}"
    return images.Image(reference, dockerfile, _FOLDER, programs="tests")


IMAGES = (
    _part("cloudnativelabs/kube-router", "github.com/cloudnativelabs/kube-router/v2"),
    _part("registry.k8s.io/metrics-server/metrics-server", "sigs.k8s.io/metrics-server"),
)


def ensure() -> None:
    """Brings both up, and waits until metrics are served and policies are enforced.

    Raises ClusterError when an image cannot be built or it takes too long.
    """
    if not docker.registry_answers():
        bases.ensure("debian:bookworm-slim")
        # kube-router runs on every node.
        images.load(images.build(IMAGES), control_plane=True)
    kubectl("apply", "--kustomize", str(REPOSITORY / _FOLDER))
    for workload in _WORKLOADS:
        wait = ("rollout", "status", workload, f"--timeout={_READY_SECONDS}s")
        kubectl("--namespace", _NAMESPACE, *wait, timeout=_READY_SECONDS + 10)
    available = ("--for=condition=Available", f"--timeout={_READY_SECONDS}s")
    kubectl("wait", *available, "apiservice/v1beta1.metrics.k8s.io", timeout=_READY_SECONDS + 10)
    say("tests", "kube-router enforces NetworkPolicies, and metrics-server serves metrics to HorizontalPodAutoscalers")


if __name__ == "__main__":
    ensure()
