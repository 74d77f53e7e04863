"""Pods that the watch has not reported, and pods without samples: told, and no pod goes for them."""

from dataclasses import replace
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, PodState
from scalableapp.core.status.conditions import AppProblem
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.record import AppRecord, Child
from tests.unit.engine.fakes import START
from tests.unit.engine.test_scrapes import four_pods, names
from tests.unit.engine.world import World

RPS = MetricType.REQUESTS_PER_SECOND
AS_COUNTED = DeploymentFacts(1, 4, running=4, updated=4, ready=4)
REFUSED = AppProblem("ReplicaFailure", "pods cannot be created: exceeded quota")


def pod(number: int, **changes: Any) -> PodState:
    return replace(PodState(f"web-{number}", "Running", True, False, START), **changes)


@pytest.mark.parametrize(
    ("facts", "pods", "unseen"),
    [
        pytest.param(AS_COUNTED, [pod(n) for n in range(4)], 0, id="all are known"),
        pytest.param(AS_COUNTED, [pod(0)], 3, id="pods were created"),
        pytest.param(AS_COUNTED, [pod(n, ready=n < 3, phase="Pending") for n in range(4)], 1, id="one became ready"),
        pytest.param(replace(AS_COUNTED, ready=1), [pod(n) for n in range(4)], 3, id="the known ones were replaced"),
        pytest.param(replace(AS_COUNTED, running=1, ready=1), [pod(0)], 3, id="pods are to come"),
        pytest.param(replace(AS_COUNTED, running=1, ready=1, problem=REFUSED), [pod(0)], 0, id="pods are refused"),
        pytest.param(AS_COUNTED, [pod(n) for n in range(6)], 0, id="others of the same label run beside"),
        pytest.param(
            replace(AS_COUNTED, replicas=2), [pod(0), pod(1), pod(2, deleting=True)], 0, id="surplus pods leave"
        ),
    ],
)
def test_known_pods_are_compared_with_what_the_deployment_counts(
    facts: DeploymentFacts, pods: list[PodState], unseen: int
) -> None:
    record = AppRecord(AppKey("shop", "web"), uid="u", deployment=facts, pods={pod.name: pod for pod in pods})
    record.children[record.deployment_id] = Child("u", 0, None)
    assert record.unseen == unseen


async def test_pods_that_the_watch_has_not_reported_hold_the_replicas_and_are_told(world: World) -> None:
    key = await four_pods(world)
    record = world.registry.get(key)
    assert record
    for name in ("web-2", "web-3"):
        del record.pods[name]
    world.load(key, 20)
    await world.tick(4)
    assert world.replicas(key) == 4
    assert world.condition(key, "MetricsAvailable") == ("False", "PartialData")
    assert world.condition(key, "ScalingLimited") == ("True", "PartialData")
    assert "2 of 4 replicas" in world.message(key, "MetricsAvailable")


async def test_pods_without_samples_are_counted_in_the_condition_and_in_the_decision(world: World) -> None:
    key = await four_pods(world)
    del world.metrics.pods[RPS].values[names(world, key)[0]]  # type: ignore[attr-defined] # a dict
    await world.tick(2)
    assert world.replicas(key) == 4
    assert world.condition(key, "MetricsAvailable") == ("True", "PodsWithoutSamples")
    assert "RequestsPerSecond has no sample of 1 of 4 pods" in world.message(key, "MetricsAvailable")
    assert "1 pod without a sample counted as on target" in world.status(key)["decision"]["message"]
