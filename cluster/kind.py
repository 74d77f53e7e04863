"""The kind cluster itself: created, repaired, deleted."""

import re
import socket
import tempfile
from pathlib import Path

from . import docker, kube, node_image, programs
from .console import ClusterError, say
from .settings import CLUSTER_NAME, CONTEXT, KIND_CONFIG, NODE, log_file
from .shell import run, run_with_progress, succeeds

_CREATE_SECONDS = 420.0
_REPAIR_SECONDS = 90.0
_READY_SECONDS = 120.0
_CLUSTER_DISK_BYTES = 5 * 10**9


def ensure() -> None:
    """Makes the cluster run: nothing to do, a restart, or a new one. Raises ClusterError when all of that fails."""
    node = docker.inspect("container", NODE)
    if node is None:
        _create()
    elif _usable(node["State"]["Running"]):
        say("cluster", f"{CLUSTER_NAME} runs ({node['Config']['Image'].partition('@')[0]})")
    elif not _restart():
        say("cluster", "the node does not recover; making a new cluster")
        delete()
        _create()


def _usable(running: bool) -> bool:
    if not running:
        return False
    if not kube.has_context(CONTEXT):
        _export_kubeconfig()
    return kube.wait_until_ready(timeout=5)


def _restart() -> bool:
    say("cluster", "the node is there but does not work; restarting it")
    if not succeeds("docker", "restart", "--time", "5", NODE, timeout=_REPAIR_SECONDS):
        return False
    # Docker may have given the API server another port.
    _export_kubeconfig()
    return kube.wait_until_ready(_REPAIR_SECONDS)


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
    programs.keep_kubectl_of(NODE)
    say("cluster", f"created; kubectl context {CONTEXT}")


def wait_until_ready() -> None:
    """Waits for a node that was just made; meanwhile it can already be given images."""
    if not kube.wait_until_ready(_READY_SECONDS):
        raise ClusterError(
            f"the node is not ready after {_READY_SECONDS:.0f} s; `kubectl --context {CONTEXT} describe node {NODE}`"
            " says what it lacks. `down`, then `up` makes a new one."
        )


def for_built_image(config: str) -> str:
    """kind-config.yaml for the image we build: its network is in the image, kind's own is not."""
    ours = "  disableDefaultCNI: true"
    if re.search(r"^networking:\s*$", config, re.MULTILINE):
        return re.sub(r"^networking:\s*$", f"networking:\n{ours}", config, count=1, flags=re.MULTILINE)
    return f"{config.rstrip()}\nnetworking:\n{ours}\n"


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
                    f"port {port} of 127.0.0.1 is in use by another program; end it (`ss -ltnp sport = :{port}` names"
                    f" it) or change hostPort in {KIND_CONFIG.name}."
                ) from None


def delete() -> None:
    """Removes the cluster, its volumes, its kubeconfig entries and, when no other cluster uses it, its network."""
    if docker.inspect("container", NODE) is not None:
        say("cluster", f"deleting {CLUSTER_NAME}")
        run(programs.kind(), "delete", "cluster", "--name", CLUSTER_NAME, timeout=120)
    succeeds("docker", "network", "rm", "kind")
