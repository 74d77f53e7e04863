"""The kind cluster itself: created, repaired, deleted."""

import re
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import docker, kube, node_image, programs
from .console import ClusterError, say
from .settings import CLUSTER_NAME, CONTEXT, CONTROL_PLANE, KIND_CONFIG, log_file
from .shell import run, run_with_progress, succeeds

_CREATE_SECONDS = 420.0
_REPAIR_SECONDS = 150.0
_READY_SECONDS = 120.0
_CLUSTER_DISK_BYTES = 5 * 10**9
# For the node image that is built here: it runs without systemd's cgroup driver, and on cgroup v1 too.
_FOR_BUILT_IMAGE = """\
  - |
    kind: KubeletConfiguration
    apiVersion: kubelet.config.k8s.io/v1beta1
    cgroupDriver: cgroupfs
    failCgroupV1: false
"""
_PATCHES = re.compile(r"^kubeadmConfigPatches:\n", re.MULTILINE)


@dataclass(frozen=True)
class Node:
    """A node's container: its state in Docker's words, its image without the digest."""

    name: str
    state: str
    image: str


def nodes() -> list[Node]:
    """The cluster's nodes, the control plane first; none when there is no cluster."""
    label = f"label=io.x-k8s.kind.cluster={CLUSTER_NAME}"
    listed = run("docker", "ps", "--all", "--filter", label, "--format", "{{.Names}} {{.State}} {{.Image}}")
    found = [Node(name, state, image.partition("@")[0]) for name, state, image in map(str.split, listed.splitlines())]
    return sorted(found, key=lambda node: node.name)


def ensure() -> None:
    """Makes the cluster run: nothing to do, a restart, or a new one. Raises ClusterError when all of that fails."""
    found = nodes()
    if not found:
        _create()
    elif _usable(found):
        say("cluster", f"{CLUSTER_NAME} runs ({len(found)} x {found[0].image})")
        if len(found) != (wanted := node_count(KIND_CONFIG.read_text())):
            say("cluster", f"{KIND_CONFIG.name} requests {wanted} nodes; run `down`, then `up` to create them")
    elif not _restart(found):
        say("cluster", "the nodes do not recover; creating a new cluster")
        delete()
        _create()


def _usable(found: list[Node]) -> bool:
    if any(node.state != "running" for node in found):
        return False
    if not kube.has_context(CONTEXT):
        _export_kubeconfig()
    return kube.wait_until_ready(timeout=5)


def _restart(found: list[Node]) -> bool:
    broken = [node.name for node in found if node.state != "running"] or [node.name for node in found]
    say("cluster", f"it exists but does not work; restarting {', '.join(broken)}")
    succeeds("docker", "unpause", *broken)
    succeeds("docker", "stop", "--time", "5", *broken, timeout=_REPAIR_SECONDS)
    # The control plane first: the others ask it.
    if not all(succeeds("docker", "start", node, timeout=_REPAIR_SECONDS) for node in broken):
        return False
    # Docker may have given the API server another port.
    _export_kubeconfig()
    # For some time the API server reports a node as it was before it stopped; its kubelet knows better.
    return all(_kubelet_answers(node) for node in broken) and kube.wait_until_ready(_REPAIR_SECONDS)


def _kubelet_answers(node: str) -> bool:
    patient = (
        f"--retry={_REPAIR_SECONDS:.0f} --retry-delay=1 --retry-max-time={_REPAIR_SECONDS:.0f} --retry-connrefused"
    )
    command = ("curl", "--silent", "--fail", *patient.split(), "http://127.0.0.1:10248/healthz")
    return succeeds("docker", "exec", node, *command, timeout=_REPAIR_SECONDS + 10)


def _export_kubeconfig() -> None:
    run(programs.kind(), "export", "kubeconfig", "--name", CLUSTER_NAME)


def _create() -> None:
    _refuse_busy_ports()
    docker.refuse_small_disk(_CLUSTER_DISK_BYTES, "a cluster")
    image = node_image.ensure()
    text = KIND_CONFIG.read_text()
    with tempfile.TemporaryDirectory(prefix="scalableapp-kind-") as scratch:
        config = Path(scratch) / "kind-config.yaml"
        config.write_text(for_built_image(text) if node_image.is_built(image) else text)
        say("cluster", f"creating {CLUSTER_NAME} from {image.partition('@')[0]}")
        options = ("--name", CLUSTER_NAME, "--config", str(config), "--image", image)
        command = (programs.kind(), "create", "cluster", *options)
        try:
            run_with_progress("cluster", *command, log=log_file("kind-create"), timeout=_CREATE_SECONDS)
        except BaseException:
            # Half a cluster is of no use; the next run would spend its time on repairing it.
            delete()
            raise
    programs.keep_kubectl_of(CONTROL_PLANE)
    say("cluster", f"created; kubectl context {CONTEXT}")


def wait_until_ready() -> None:
    """Waits for nodes that were just made; meanwhile they can already be given images."""
    if not kube.wait_until_ready(_READY_SECONDS):
        raise ClusterError(
            f"not all nodes are ready after {_READY_SECONDS:.0f} s; `kubectl --context {CONTEXT} describe nodes` says"
            " what they lack. Run `down`, then `up` to create a new cluster."
        )


def for_built_image(config: str) -> str:
    """kind-config.yaml with what the node image that is built here needs."""
    if not _PATCHES.search(config):
        return f"{config.rstrip()}\nkubeadmConfigPatches:\n{_FOR_BUILT_IMAGE}"
    return _PATCHES.sub(lambda found: found[0] + _FOR_BUILT_IMAGE, config, count=1)


def node_count(config: str) -> int:
    """How many nodes kind-config.yaml asks for; one where it lists none."""
    return len(re.findall(r"^\s*- role:", config, re.MULTILINE)) or 1


def host_ports(config: str) -> list[int]:
    """The ports of this machine that kind-config.yaml publishes."""
    return [int(port) for port in re.findall(r"^[^#\n]*hostPort:\s*(\d+)", config, re.MULTILINE)]


def _refuse_busy_ports() -> None:
    for port in host_ports(KIND_CONFIG.read_text()):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise ClusterError(
                    f"port {port} of 127.0.0.1 is in use by another program; stop it (`ss -ltnp sport = :{port}` names"
                    f" it) or change hostPort in {KIND_CONFIG.name}."
                ) from None


def delete() -> None:
    """Removes the cluster, its volumes, its kubeconfig entries and, when no other cluster uses it, its network."""
    if nodes():
        say("cluster", f"deleting {CLUSTER_NAME}")
        run(programs.kind(), "delete", "cluster", "--name", CLUSTER_NAME, timeout=120)
    succeeds("docker", "network", "rm", "kind")
