"""Somebody who sets `replicas` again and again is named."""

import copy
from typing import Any

import pytest

from scalableapp.core.children.contest import setter_of
from scalableapp.core.model import AppKey
from tests.unit.engine.world import World, with_scaling


def fields(manager: str, time: str = "2026-01-05T12:00:00Z", name: str = "f:replicas") -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "time": time, "fieldsV1": {"f:spec": {name: {}}}}


async def somebody_sets(world: World, key: AppKey, replicas: int, manager: str = "argocd-controller") -> None:
    deployment = copy.deepcopy(world.cluster.objects["Deployment", key])
    deployment["spec"]["replicas"] = replicas
    deployment["metadata"]["generation"] += 1
    deployment["metadata"]["managedFields"] = [fields("scalableapp-operator-scale"), fields(manager)]
    world.cluster.put(deployment)
    await world.settle()
    await world.tick()


async def test_who_sets_replicas_three_times_in_ten_minutes_is_named(world: World) -> None:
    key = await world.running()
    for times in range(3):
        assert world.condition(key, "Conflicted") == ("False", "NoConflict")
        await somebody_sets(world, key, 7 + times)
        await world.tick(12)
    assert world.condition(key, "Conflicted") == ("True", "ReplicasContested")
    assert "'argocd-controller' set the replicas of Deployment shop/web 3 times" in world.message(key, "Conflicted")
    warnings = [event for event in world.cluster.events if event.reason == "ReplicasContested"]
    assert [event.type for event in warnings] == ["Warning"]
    assert "argocd-controller" in warnings[0].message


async def test_they_are_forgotten_after_ten_quiet_minutes(world: World) -> None:
    key = await world.running()
    for times in range(3):
        await somebody_sets(world, key, 7 + times)
    await world.tick(130)
    world.queue.add(key, world.clock())  # as a resync does
    await world.settle()
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")


async def test_once_in_a_while_is_no_contest(world: World) -> None:
    key = await world.running()
    for times in range(4):
        await somebody_sets(world, key, 7 + times)
        await world.tick(70)
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")


async def test_our_own_scaling_is_no_contest(world: World) -> None:
    key = await world.running()
    for load in (100, 25, 100, 25, 100):
        await world.run_pods(key, rps_each=load)
        await world.tick(70)
    record = world.registry.get(key)
    assert record
    assert record.replica_settings == ()


async def test_the_echo_of_our_own_scaling_may_come_before_the_answer_to_it(world: World) -> None:
    key = await world.running()
    record = world.registry.get(key)
    assert record
    scale = world.cluster.scale

    async def echoed(key: AppKey, replicas: int) -> None:
        await scale(key, replicas)
        world.deliver()

    world.cluster.scale = echoed  # type: ignore[method-assign] # the watch is faster than the answer
    for load in (100, 25, 100, 25):
        await world.run_pods(key, rps_each=load)
        await world.tick(70)
    assert "scale" in world.cluster.verbs()
    assert record.replica_settings == ()


async def test_who_leaves_no_trace_in_managed_fields_is_counted_too(world: World) -> None:
    key = await world.running()
    for times in range(3):
        await somebody_sets(world, key, 7 + times, "scalableapp-operator-scale")
    assert world.condition(key, "Conflicted") == ("True", "ReplicasContested")
    assert "a user of the scale subresource" in world.message(key, "Conflicted")


async def test_while_scaling_is_paused_others_may_set_replicas(world: World) -> None:
    key = await world.running()
    world.change(key, with_scaling(paused=True))
    await world.settle()
    for times in range(4):
        await somebody_sets(world, key, 7 + times)
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")


@pytest.mark.parametrize(
    ("entries", "who"),
    [
        ([], ""),
        ([fields("scalableapp-operator-scale")], ""),
        ([fields("helm", name="f:template")], ""),
        ([fields("helm", "2026-01-05T11:00:00Z"), fields("kubectl", "2026-01-05T12:00:00Z")], "kubectl"),
        ([{"manager": "odd"}], ""),
        ([fields("scalableapp-operator-scale"), fields("helm")], "helm"),
    ],
)
def test_the_manager_is_the_last_who_set_replicas(entries: list[dict[str, Any]], who: str) -> None:
    assert setter_of({"metadata": {"managedFields": entries}}, "scalableapp-operator") == who
