import socket
from typing import Any

import pytest
import yaml

from cluster import kind, kube, node_image
from cluster.console import ClusterError
from cluster.settings import KIND_CONFIG, REPOSITORY

CONTOUR = REPOSITORY / "manifests/components/contour"


def patches(config: str, api_version: str) -> list[dict[str, Any]]:
    """The patches of a kind configuration for one API version."""
    found = [yaml.safe_load(text) for text in yaml.safe_load(config)["kubeadmConfigPatches"]]
    return [patch for patch in found if patch["apiVersion"] == api_version]


@pytest.mark.parametrize("config", ["kind: Cluster\n", KIND_CONFIG.read_text()], ids=["without patches", "ours"])
def test_the_variant_for_the_built_image_runs_on_cgroup_v1_and_without_systemds_driver(config: str) -> None:
    (kubelet,) = patches(kind.for_built_image(config), "kubelet.config.k8s.io/v1beta1")
    assert (kubelet["cgroupDriver"], kubelet["failCgroupV1"]) == ("cgroupfs", False)


def test_the_variant_keeps_everything_of_the_configuration() -> None:
    ours, variant = (
        yaml.safe_load(text) for text in (KIND_CONFIG.read_text(), kind.for_built_image(KIND_CONFIG.read_text()))
    )
    assert variant["nodes"] == ours["nodes"]
    assert set(ours["kubeadmConfigPatches"]) < set(variant["kubeadmConfigPatches"])


def test_both_apis_of_kubeadm_get_the_same() -> None:
    config = KIND_CONFIG.read_text()
    (newer,) = patches(config, "kubeadm.k8s.io/v1beta4")
    (older,) = patches(config, "kubeadm.k8s.io/v1beta3")
    for part in ("controllerManager", "apiServer"):
        listed = {each["name"]: each["value"] for each in newer[part]["extraArgs"]}
        assert older[part]["extraArgs"].items() <= listed.items()
    assert older["controllerManager"]["extraArgs"] == {"node-monitor-grace-period": "24s"}


def test_the_repositorys_configuration_has_workers_and_one_image_for_all_nodes() -> None:
    nodes = yaml.safe_load(KIND_CONFIG.read_text())["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    assert kind.node_count(KIND_CONFIG.read_text()) == 3
    assert {node["image"] for node in nodes} == {node_image.upstream()}


@pytest.mark.parametrize("file", ["deployment.yaml", "daemon-set.yaml"])
def test_contour_and_envoy_run_where_the_ports_are_published(file: str) -> None:
    published = [n for n in yaml.safe_load(KIND_CONFIG.read_text())["nodes"] if "extraPortMappings" in n]
    workload = next(
        o for o in yaml.safe_load_all((CONTOUR / file).read_text()) if o["kind"] in {"Deployment", "DaemonSet"}
    )
    pod = workload["spec"]["template"]["spec"]
    assert [node["labels"] for node in published] == [pod["nodeSelector"]]
    assert "node-role.kubernetes.io/control-plane" in {toleration["key"] for toleration in pod["tolerations"]}


def test_the_published_ports_are_envoys() -> None:
    (envoy,) = yaml.safe_load_all((CONTOUR / "daemon-set.yaml").read_text())
    containers = envoy["spec"]["template"]["spec"]["containers"]
    host_ports = {port["hostPort"] for each in containers for port in each.get("ports", []) if "hostPort" in port}
    mappings = [m for n in yaml.safe_load(KIND_CONFIG.read_text())["nodes"] for m in n.get("extraPortMappings", [])]
    assert {mapping["containerPort"] for mapping in mappings} == host_ports


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Docker with three nodes, the second of them stopped; the list gets what it is told."""
    commands: list[str] = []
    listed = "c-worker running node:1\nc-worker2 exited node:1\nc-control-plane running node:1@sha256:ab\n"
    monkeypatch.setattr(kind, "run", lambda *_: listed)

    def succeed(*command: str, timeout: float = 0.0) -> bool:
        commands.append(" ".join(command))
        return True

    monkeypatch.setattr(kind, "succeeds", succeed)
    monkeypatch.setattr(kind, "_export_kubeconfig", lambda: commands.append("export"))
    monkeypatch.setattr(kube, "wait_until_ready", lambda timeout: True)
    return commands


@pytest.mark.usefixtures("docker")
def test_the_control_plane_is_the_first_of_the_nodes() -> None:
    assert [node.name for node in kind.nodes()] == ["c-control-plane", "c-worker", "c-worker2"]
    assert {node.image for node in kind.nodes()} == {"node:1"}


def test_only_the_node_that_is_stopped_is_started_again(docker: list[str]) -> None:
    kind.ensure()
    assert "docker start c-worker2" in docker
    assert not any("c-worker " in f"{command} " for command in docker)


def test_published_ports_are_read_from_the_configuration_but_not_from_its_comments() -> None:
    config = "# hostPort: 1\n  - {containerPort: 80, hostPort: 8080}\n  - containerPort: 443\n    hostPort: 8443\n"
    assert kind.host_ports(config) == [8080, 8443]


def test_the_repositorys_configuration_publishes_the_ingress_on_loopback_only() -> None:
    text = KIND_CONFIG.read_text()
    assert kind.host_ports(text) == [8080, 8443]
    assert text.count("listenAddress: 127.0.0.1") == 2


def test_upstreams_node_image_is_pinned_by_digest() -> None:
    assert node_image.upstream().startswith("kindest/node:v1.")
    assert "@sha256:" in node_image.upstream()


@pytest.mark.process
def test_a_busy_port_is_refused_with_a_way_to_find_who_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(kind, "host_ports", lambda config: [port])
        with pytest.raises(ClusterError, match=f"port {port} of 127.0.0.1 is in use.*ss -ltnp"):
            kind._refuse_busy_ports()
