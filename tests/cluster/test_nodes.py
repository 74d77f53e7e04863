"""Nodes: apps spread over them, survive the drain of one, and outlive the loss of one."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.shop import (
    CONTEXT,
    ENTRY_POINTS,
    SMALL,
    SYSTEM,
    Shop,
    entry_point,
    eventually,
    is_ready,
    kubectl,
    pods,
)
from tests.cluster.steady_load import SteadyLoad, steady_load_on

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

REPLICAS = 4
OPERATOR_PODS = "app.kubernetes.io/name=scalableapp-operator"
# A node is missed after 24 s on the cluster we make, after 40 to 50 s on others; then Kubernetes looks every 5 s.
LOST_SECONDS = 150.0
# Long enough for the five minutes after which Kubernetes replaces lost pods on clusters that others made.
RETURNED_SECONDS = 360.0
# In which the operator might decide wrongly.
THREE_LOOKS_SECONDS = 15.0


def app(shop: Shop, kind: str = "Ingress") -> dict[str, Any]:
    """An app that a queue holds at four replicas, while its requests alone would ask for fewer."""
    metrics = [
        {"type": "Prometheus", "name": "queue", "query": "vector(40)", "target": "10"},
        {"type": "RequestsPerSecond", "target": "20"},
    ]
    at_once = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    horizontal = {"minReplicas": 1, "maxReplicas": 8, "metrics": metrics, "behavior": at_once}
    spec = {"image": "sample-app:0.1.0", "replicas": None, "resources": SMALL, "scaling": {"horizontal": horizontal}}
    return spec | entry_point(kind, shop)


@pytest.fixture(scope="module")
def workers() -> list[str]:
    """The nodes that take apps, two or more."""
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    names = [node["metadata"]["name"] for node in nodes if not node["spec"].get("taints")]
    if len(names) < 2:
        pytest.skip(f"{CONTEXT} has {len(names)} node(s) for apps; spread, drain and loss need two")
    return names


@pytest.fixture
def spare(workers: list[str]) -> Iterator[str]:
    """A worker without the operator, usable again afterwards."""
    busy = kubectl("get", "pods", "-n", SYSTEM, "-l", OPERATOR_PODS, "-o", "jsonpath={.items[0].spec.nodeName}")
    name = next(worker for worker in workers if worker != busy)
    yield name
    kubectl("uncordon", name)


@pytest.fixture
def losable(spare: str) -> Iterator[str]:
    """A worker whose container can be frozen: with neither operator nor Prometheus on it; thawed afterwards."""
    if not docker("inspect", spare, check=False):
        pytest.skip(f"{spare} is no container of this machine, so it cannot be lost on purpose")
    drain(spare)
    for name in ("prometheus", "scalableapp-operator"):
        kubectl("rollout", "status", f"deployment/{name}", "-n", SYSTEM, "--timeout=150s")
    kubectl("uncordon", spare)
    yield spare
    docker("unpause", spare, check=False)
    eventually(lambda: node_is(spare, "True"))


def docker(*arguments: str, check: bool = True) -> bool:
    """Whether the engine did it; raises CalledProcessError unless told not to."""
    return not subprocess.run(["docker", *arguments], capture_output=True, timeout=60, check=check).returncode


def drain(node: str) -> None:
    kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=150s")


def node_is(name: str, ready: str) -> None:
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    assert kubectl("get", "node", name, "-o", f"jsonpath={path}") == ready


def all_ready(shop: Shop) -> list[str]:
    """Where the app's pods run, once all of them are ready."""
    found = pods(shop)
    assert [is_ready(pod) for pod in found] == [True] * REPLICAS
    assert shop.condition("Available")[1] == "PodsReady"
    return [pod["spec"]["nodeName"] for pod in found]


@pytest.mark.parametrize("kind", ENTRY_POINTS)
def test_pods_are_spread_and_a_drain_costs_no_request_and_keeps_the_disruption_budget(
    shop: Shop, workers: list[str], spare: str, kind: str
) -> None:
    shop.apply(**app(shop, kind))
    assert set(eventually(lambda: all_ready(shop))) == set(workers)
    with steady_load_on(shop) as load, shop.replicas_seen(".status.availableReplicas") as available:
        drain(spare)
        assert spare not in eventually(lambda: all_ready(shop))
    assert load.failed == []
    assert load.answered > 20
    assert min(available) == REPLICAS - 1
    assert shop.condition("Ready")[:2] == ("True", "InSync")


def test_the_loss_of_a_node_is_reported_and_survived_without_a_wrong_decision(shop: Shop, losable: str) -> None:
    shop.apply(**app(shop))
    lost = eventually(lambda: all_ready(shop)).count(losable)
    assert lost
    with shop.replicas_seen() as seen, steady_load_on(shop):
        docker("pause", losable)
        message = eventually(lambda: ready_pods(shop, REPLICAS - lost), LOST_SECONDS)
        assert "kubectl get nodes" in message
        node_is(losable, "Unknown")
        time.sleep(THREE_LOOKS_SECONDS)
        # When the lost pods get successors is Kubernetes' business: it may take five minutes.
        docker("unpause", losable)
        eventually(lambda: node_is(losable, "True"), RETURNED_SECONDS)
        eventually(lambda: only_pods(shop, REPLICAS), RETURNED_SECONDS)
        eventually(lambda: all_ready(shop), RETURNED_SECONDS)
    assert seen == [REPLICAS]
    with steady_load_on(shop) as load:
        eventually(lambda: answered(load, 20))
    assert load.failed == []


def ready_pods(shop: Shop, count: int) -> str:
    """What `Available` says, once it counts so many ready pods."""
    message = shop.condition("Available")[2]
    assert message.startswith(f"{count} of {REPLICAS} pods are ready")
    assert shop.get("sapp")["status"]["readyReplicas"] == count
    return message


def only_pods(shop: Shop, count: int) -> None:
    """No pod is left over from the lost node."""
    assert len(shop.kubectl("get", "pods", "-o", "name").split()) == count


def answered(load: SteadyLoad, count: int) -> None:
    assert load.answered + len(load.failed) >= count
