"""Status is kept as it should be, whoever changes it; the echo of our own writes is no change."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from scalableapp.core.children.contest import MOST, status_contested
from scalableapp.core.model import AppKey
from scalableapp.ports import Manifest
from tests.unit.engine.fakes import START
from tests.unit.engine.world import FakeCluster, World, with_spec


def told(world: World, key: AppKey) -> dict[str, Any]:
    """The status but for the recommendations, which each decision adds to."""
    return {name: copy.deepcopy(value) for name, value in world.status(key).items() if name != "recommendations"}


@pytest.mark.parametrize(
    "change",
    [
        {"desiredReplicas": 7},
        {"conditions": None},
        {"conditions": [{"type": "Ready", "status": "True", "reason": "Fine", "message": "all is well"}]},
        {"decision": {"message": "nothing to see"}},
        {"outage": {"time": "2026-01-05T12:00:00Z", "replicas": 1}},
        {"observedGeneration": 99, "replicas": None},
    ],
    ids=["a number", "removed", "a list", "inside", "added", "several"],
)
async def test_a_status_that_somebody_changed_is_written_again_at_once(world: World, change: dict[str, Any]) -> None:
    key = await world.running()
    before = told(world, key)
    world.change_status(key, change)
    await world.settle()
    assert told(world, key) == before
    assert world.cluster.verbs() == ["status"]
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")
    await world.tick(10)
    assert world.cluster.verbs() == ["status"]


async def test_a_status_that_is_wiped_keeps_its_history(world: World) -> None:
    key = await world.running()
    world.load(key, 100)
    await world.tick()
    before = told(world, key)
    world.change_status(key, dict.fromkeys(world.status(key)))
    await world.settle()
    assert told(world, key) == before


async def test_a_huge_status_is_put_right_without_being_held(world: World) -> None:
    key = await world.running()
    before = told(world, key)
    world.change_status(key, {"url": "x" * 1_000_000, "decision": {"message": "x" * 1_000_000}})
    world.deliver()
    record = world.registry.get(key)
    assert record
    assert len(str(record.own_status.altered)) < 1000
    await world.settle()
    assert told(world, key) == before


async def test_our_own_writes_are_no_change_however_late_their_echoes_come(world: World) -> None:
    key = await world.running()
    late, world.cluster.news = world.cluster.news, []
    for load in (100, 25, 100, 25):
        await world.run_pods(key, rps_each=load)
        late += [event for event in world.cluster.news if event[1]["kind"] == "ScalableApp"]
        await world.tick(4)
    world.cluster.writes.clear()
    world.cluster.news = [*late, ("MODIFIED", copy.deepcopy(world.cluster.apps[key]))]
    await world.settle()
    assert world.cluster.verbs() == []


async def test_the_echo_of_a_write_may_come_before_the_answer_to_it(world: World) -> None:
    key = await world.running()
    record = world.registry.get(key)
    assert record

    async def echoed(key: AppKey, status: Mapping[str, Any]) -> Manifest:
        answer = await FakeCluster.patch_status(world.cluster, key, status)
        world.deliver()
        return answer

    world.cluster.patch_status = echoed  # type: ignore[method-assign] # the watch is faster than the answer
    world.change(key, with_spec(image="web:2"))
    await world.settle()
    assert world.cluster.verbs().count("status") == 1
    assert record.own_status.changes == ()


async def test_a_crd_that_does_not_know_a_field_yet_is_not_written_to_again_and_again(world: World) -> None:
    world.cluster.kept = lambda status: {name: value for name, value in status.items() if name != "decision"}
    key = await world.running()
    assert "decision" not in world.status(key)
    await world.tick(10)
    assert world.cluster.writes == []


async def test_who_insists_is_not_fought_at_full_speed_and_is_named(world: World) -> None:
    key = await world.running()

    async def contested(key: AppKey, status: Mapping[str, Any]) -> Manifest:
        answer = await FakeCluster.patch_status(world.cluster, key, status)
        world.change_status(key, {"desiredReplicas": 7}, "argocd-controller")
        return answer

    world.cluster.patch_status = contested  # type: ignore[method-assign]
    world.change_status(key, {"desiredReplicas": 7}, "argocd-controller")
    await world.tick(60)
    assert world.cluster.verbs().count("status") <= 20
    assert set(world.cluster.verbs()) == {"status"}
    assert world.condition(key, "Conflicted") == ("True", "StatusContested")
    assert "'argocd-controller' changed the status of ScalableApp shop/web" in world.message(key, "Conflicted")
    assert [event.reason for event in world.cluster.events] == ["StatusContested"]


async def test_it_still_scales_meanwhile(world: World) -> None:
    key = await world.running()
    for _ in range(6):
        world.change_status(key, {"desiredReplicas": 1, "recommendations": None})
        world.load(key, 100)
        await world.tick()
    assert world.replicas(key) == 4


async def test_a_flood_of_changes_is_no_flood_of_turns(world: World, caplog: pytest.LogCaptureFixture) -> None:
    key = await world.running()
    for number in range(500):
        world.change_status(key, {"desiredReplicas": number})
        await world.settle()
    assert world.cluster.verbs().count("status") <= 10
    assert len(caplog.records) <= 20
    record = world.registry.get(key)
    assert record
    assert len(record.own_status.changes) <= MOST + 1
    assert "at least 50 times in the last 10 minutes" in status_contested(record.own_status.changes, key, START)
