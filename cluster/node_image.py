"""Which image the nodes are made of: upstream's where it can be had, else one built on this machine."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import bases, docker, fingerprint, gobuild, images, modules
from .console import ClusterError, say
from .settings import KIND_CONFIG, REPOSITORY, cache_dir
from .shell import run, succeeds

# In this order they are compiled: tests without a cluster ask for Prometheus.
PROGRAMS = ("prometheus", "kubernetes", "node", "contour")

_PULL_SECONDS = 300.0
_BUILD_DISK_BYTES = 12 * 10**9
_SAVE_SECONDS = 300.0
_FOLDER = Path(__file__).parent / "node-image"
# Images of the control plane that hold one program and nothing else -> the group that it is compiled in.
_PLAIN = {
    "kube-apiserver": "kubernetes",
    "kube-controller-manager": "kubernetes",
    "kube-scheduler": "kubernetes",
    "etcd": "node",
    "coredns": "node",
}
# Images of the control plane that are stages of the node image's Dockerfile.
_STAGES = ("kube-proxy", "pause")


def upstream() -> str:
    """The pinned image named in kind-config.yaml."""
    match = re.search(r"^\s*image:\s*(?:&\w+\s+)?([^\s*&]\S*)", KIND_CONFIG.read_text(), re.MULTILINE)
    if not match:
        raise ClusterError(f"{KIND_CONFIG} names no node image; put `image: kindest/node:...` under its nodes.")
    return match[1]


def ensure() -> str:
    """Makes a node image available and returns its name. Raises ClusterError when neither way works."""
    if not must_be_built():
        if docker.has_image(upstream()):
            say("node image", f"{upstream()} is in the cache")
            return upstream()
        say("node image", f"pulling {upstream()}")
        try:
            docker.pull(upstream(), timeout=_PULL_SECONDS)
        except ClusterError as error:
            say("node image", f"{error} Building our own instead")
        else:
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


def must_be_built() -> bool:
    """Whether upstream's image cannot serve here, as far as can be known without pulling it."""
    if modules.kubernetes() != modules.default_kubernetes():
        return True
    if not _runs_cgroup_v2():
        say("node image", "the upstream image needs cgroup v2, which this machine does not have; using our own")
        return True
    return not docker.has_image(upstream()) and not docker.registry_answers()


def _runs_cgroup_v2() -> bool:
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def built_name() -> str:
    """`scalableapp-node:VERSION-HASH`, the hash over everything that the image is made of."""
    programs = " ".join(gobuild.folder(group).name for group in PROGRAMS)
    folders = (_FOLDER, *(REPOSITORY / part.context for part in images.PARTS))
    return f"scalableapp-node:{modules.kubernetes()}-{fingerprint.of(*folders, extra=programs)}"


def prepare() -> None:
    """Builds what of the node image needs no compiled program, to be called while they are compiled."""
    bases.ensure(*bases.DEBIAN, bases.PYTHON)
    for stage in ("pause", "proxy-system", "node-system"):
        docker.build(f"scalableapp-node-stage:{stage}", _FOLDER, topic="node image", target=stage)


def _build(name: str) -> None:
    docker.refuse_small_disk(_BUILD_DISK_BYTES, "building the node image")
    gobuild.compile_all(PROGRAMS)
    say("node image", f"building {name} from Debian packages and the compiled programs (once; about a minute)")
    prepare()
    parts = list(images.build(images.PARTS))
    with _context() as context:
        names = control_plane_names()
        for program, reference in names.items():
            _build_control_plane(program, reference, context)
        say("node image", "putting the images into the node")
        saved = ("docker", "save", "--output", str(context / "images.tar"), *names.values(), *parts)
        run(*saved, timeout=_SAVE_SECONDS)
        docker.build(name, context, topic="node image", target="node", arguments={"PAUSE": names["pause"]})
    _forget_older(name)


def control_plane_names() -> dict[str, str]:
    """Program -> name of its image, as this version's kubeadm wants it, such as registry.k8s.io/etcd:3.7.0-0."""
    kubeadm = gobuild.folder("kubernetes") / "kubeadm"
    listed = run(str(kubeadm), "config", "images", "list", "--kubernetes-version", modules.kubernetes()).split()
    names = {reference.rpartition("/")[2].partition(":")[0]: reference for reference in listed}
    if lacking := {*_PLAIN, *_STAGES} ^ names.keys():
        raise ClusterError(f"kubeadm {modules.kubernetes()} and cluster/node_image.py differ in {', '.join(lacking)}.")
    return names


def _build_control_plane(program: str, reference: str, context: Path) -> None:
    if program in _STAGES:
        docker.build(reference, context, topic="node image", target=program)
        return
    # kubeadm's manifests name the command, but for CoreDNS, of which they give the arguments only.
    changes = ["ENV PATH=/usr/local/bin", f'ENTRYPOINT ["/usr/local/bin/{program}"]']
    if program != "coredns":
        changes.pop()
    docker.import_program(context / _PLAIN[program] / program, reference, changes)


@contextmanager
def _context() -> Iterator[Path]:
    """The build context: this repository's files, and the programs by hard links."""
    with tempfile.TemporaryDirectory(prefix="scalableapp-node-", dir=cache_dir()) as scratch:
        context = Path(scratch) / "context"
        shutil.copytree(_FOLDER, context, symlinks=True)
        for group in ("kubernetes", "node"):
            shutil.copytree(gobuild.folder(group), context / group, copy_function=os.link)
        yield context


def _forget_older(name: str) -> None:
    """Removes earlier node images; one that a cluster still runs on, or of another Kubernetes, stays."""
    version = name.partition(":")[2].partition("-")[0]
    for reference in run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "scalableapp-node").split():
        if reference != name and reference.startswith(f"scalableapp-node:{version}-"):
            succeeds("docker", "rmi", reference)
