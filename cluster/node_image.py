"""Which image the nodes are made of: upstream's where it can be had, else one built on this machine."""

import hashlib
import re
import shutil
import tempfile
from pathlib import Path

from . import bases, docker
from .console import ClusterError, say
from .settings import BUILT_KUBERNETES, KIND_CONFIG, REPOSITORY, cache_dir
from .shell import run, succeeds

_PULL_SECONDS = 300.0
_BUILD_DISK_BYTES = 15 * 10**9
_FOLDER = Path(__file__).parent / "node-image"
_DNS_FOLDER = Path(__file__).parent / "dns"
# Image name that kubeadm's manifests use -> stage of our Dockerfile.
_CONTROL_PLANE = {
    f"k8s.gcr.io/kube-apiserver:{BUILT_KUBERNETES}": "kube-apiserver",
    f"k8s.gcr.io/kube-controller-manager:{BUILT_KUBERNETES}": "kube-controller-manager",
    f"k8s.gcr.io/kube-scheduler:{BUILT_KUBERNETES}": "kube-scheduler",
    f"k8s.gcr.io/kube-proxy:{BUILT_KUBERNETES}": "kube-proxy",
    "k8s.gcr.io/etcd:3.4.13-0": "etcd",
    "k8s.gcr.io/pause:3.2": "pause",
}
# CoreDNS is not in Debian; our own cluster DNS takes its place, under its name.
_DNS_IMAGE = "k8s.gcr.io/coredns:1.7.0"


def upstream() -> str:
    """The pinned image named in kind-config.yaml."""
    match = re.search(r"^\s*image:\s*(?:&\w+\s+)?([^\s*&]\S*)", KIND_CONFIG.read_text(), re.MULTILINE)
    if not match:
        raise ClusterError(f"{KIND_CONFIG} names no node image; put `image: kindest/node:...` under its nodes.")
    return match[1]


def ensure() -> str:
    """Makes a node image available and returns its name. Raises ClusterError when neither way works."""
    if _usable_upstream():
        return upstream()
    built = built_name()
    if docker.has_image(built):
        say("node image", f"{built} is in the cache")
    else:
        _build(built)
    return built


def is_built(image: str) -> bool:
    """Whether the image is one we build, not upstream's."""
    return image.startswith("scalableapp-node:")


def _usable_upstream() -> bool:
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        say("node image", "upstream's needs cgroup v2, which this machine does not run; taking our own")
        return False
    if docker.has_image(upstream()):
        say("node image", f"{upstream()} is in the cache")
        return True
    if not docker.registry_answers():
        return False
    say("node image", f"pulling {upstream()}")
    try:
        docker.pull(upstream(), timeout=_PULL_SECONDS)
    except ClusterError as error:
        say("node image", f"{error} Building our own instead")
        return False
    return True


def built_name() -> str:
    """`scalableapp-node:VERSION-HASH`, the hash over everything in the repository that the image is made of."""
    digest = hashlib.sha256()
    for folder in (_FOLDER, _DNS_FOLDER):
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{file.relative_to(REPOSITORY)} {file.stat().st_mode & 0o111:o}\0".encode())
            digest.update(file.read_bytes())
    return f"scalableapp-node:{BUILT_KUBERNETES}-{digest.hexdigest()[:12]}"


def _build(name: str) -> None:
    docker.refuse_small_disk(_BUILD_DISK_BYTES, "building the node image")
    say("node image", f"building {name} from Debian's packages and Kubernetes source (once; about 10 minutes)")
    bases.ensure(*bases.DEBIAN, bases.PYTHON)
    for reference, stage in _CONTROL_PLANE.items():
        say("node image", f"building {stage}")
        docker.build(reference, _FOLDER, topic="node image", target=stage)
    say("node image", "building cluster DNS")
    docker.build(_DNS_IMAGE, _DNS_FOLDER, topic="node image")
    _assemble(name)


def _assemble(name: str) -> None:
    say("node image", "putting the images into the node")
    with tempfile.TemporaryDirectory(prefix="scalableapp-node-", dir=cache_dir()) as scratch:
        context = Path(scratch) / "context"
        shutil.copytree(_FOLDER, context, symlinks=True)
        run("docker", "save", "--output", str(context / "images.tar"), *_CONTROL_PLANE, _DNS_IMAGE, timeout=300)
        docker.build(name, context, topic="node image", target="node")
    _forget_older(name)


def _forget_older(name: str) -> None:
    """Removes earlier node images; one that a cluster still runs on stays."""
    for reference in run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "scalableapp-node").split():
        if reference != name:
            succeeds("docker", "rmi", reference)
