from collections.abc import Callable
from typing import Any

import pytest
import yaml

from cluster import docker, ingress
from cluster.console import ClusterError
from cluster.settings import KIND_CONFIG

BUILT, PULLED = "scalableapp-node:v1.20.2-0123456789ab", "kindest/node:v1.36.4@sha256:0123"
Cluster = Callable[..., list[tuple[str, ...]]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster whose kubectl only remembers; says which workloads it has."""

    def made(node: str | None, *, registry: bool, has: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        calls: list[tuple[str, ...]] = []

        def kubectl(*arguments: str, **_: Any) -> str:
            calls.append(arguments)
            return next((name for name in has if "get" in arguments and name in arguments), "")

        monkeypatch.setattr(ingress, "kubectl", kubectl)
        monkeypatch.setattr(docker, "registry_answers", lambda: registry)
        monkeypatch.setattr(docker, "inspect", lambda *_: {"Config": {"Image": node}} if node else None)
        return calls

    return made


def applied(calls: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [call for call in calls if call[0] == "apply"]


@pytest.mark.parametrize(
    ("node", "registry", "has", "expected"),
    [
        pytest.param(PULLED, True, (), ingress.UPSTREAM, id="upstream's node that can pull: upstream's controller"),
        pytest.param(PULLED, False, (), ingress.OURS, id="upstream's node from the cache, no registry: ours"),
        pytest.param(BUILT, True, (), ingress.OURS, id="the built node is too old for upstream's, registry or not"),
        pytest.param(BUILT, False, (), ingress.OURS, id="built node, no registry: ours"),
        pytest.param(PULLED, True, (ingress.OURS.workload,), ingress.OURS, id="ours that is there stays"),
        pytest.param(PULLED, False, (ingress.UPSTREAM.workload,), ingress.UPSTREAM, id="upstream's stays, too"),
    ],
)
def test_one_controller_is_applied_and_waited_for(
    cluster: Cluster, node: str, registry: bool, has: tuple[str, ...], expected: ingress.Controller
) -> None:
    calls = cluster(node, registry=registry, has=has)
    ingress.ensure()
    assert applied(calls) == [("apply", expected.option, str(expected.path))]
    assert calls[-1][:5] == ("--namespace", expected.namespace, "rollout", "status", expected.workload)


def test_without_a_node_nothing_is_applied(cluster: Cluster) -> None:
    calls = cluster(None, registry=True)
    with pytest.raises(ClusterError, match="there is no node"):
        ingress.ensure()
    assert applied(calls) == []


@pytest.mark.parametrize("controller", [ingress.UPSTREAM, ingress.OURS], ids=lambda controller: controller.name)
def test_what_is_applied_and_waited_for_is_in_the_repository(controller: ingress.Controller) -> None:
    files = controller.path.glob("*.yaml") if controller.path.is_dir() else [controller.path]
    documents = [found for file in files for found in yaml.safe_load_all(file.read_text())]
    kind, _, name = controller.workload.partition("/")
    assert [found for found in documents if found["kind"].lower() == kind and found["metadata"]["name"] == name]


def test_the_published_ports_of_the_node_are_those_of_upstreams_controller() -> None:
    daemon_set = yaml.safe_load((ingress.UPSTREAM.path / "daemon-set.yaml").read_text())
    pod = daemon_set["spec"]["template"]["spec"]
    host_ports = {port["hostPort"] for port in pod["containers"][0]["ports"] if "hostPort" in port}
    nodes = yaml.safe_load(KIND_CONFIG.read_text())["nodes"]
    (published,) = (node for node in nodes if node.get("extraPortMappings"))
    assert {mapping["containerPort"] for mapping in published["extraPortMappings"]} == host_ports
    assert published["labels"]["ingress-ready"] == pod["nodeSelector"]["ingress-ready"]


def test_upstreams_images_are_used_where_upstreams_controller_runs(cluster: Cluster) -> None:
    cluster(PULLED, registry=True, has=(ingress.UPSTREAM.workload,))
    assert ingress.runs_upstream()
    cluster(BUILT, registry=False, has=(ingress.OURS.workload,))
    assert not ingress.runs_upstream()
