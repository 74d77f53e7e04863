"""The Redis of an app comes, is kept in line and goes with its spec, and is never mistaken for the app's own."""

import copy

import pytest

from scalableapp.core.model import AppKey, ChildId
from tests.unit.engine.world import NAMESPACE, World, foreign, with_spec

REDIS = with_spec(cache={"backend": "Redis"})
KINDS = ("Deployment", "Service", "NetworkPolicy")
CACHE = AppKey(NAMESPACE, "web-cache")


def redis_of(world: World) -> set[str]:
    return {kind for kind, key in world.cluster.objects if key == CACHE}


async def test_it_is_made_beside_the_app(world: World) -> None:
    key = await world.running(spec=REDIS)
    assert redis_of(world) == set(KINDS)
    assert ("Deployment", key) in world.cluster.objects


async def test_switching_to_redis_and_back_makes_and_removes_it(world: World) -> None:
    key = await world.running()
    world.change(key, REDIS)
    await world.settle()
    assert redis_of(world) == set(KINDS)
    world.change(key, with_spec(cache={"backend": "Memory"}))
    await world.settle()
    assert redis_of(world) == set()
    assert ("Deployment", key) in world.cluster.objects
    assert ("Service", key) in world.cluster.objects


async def test_a_paused_one_is_resumed(world: World) -> None:
    await world.running(spec=REDIS)
    cache = copy.deepcopy(world.cluster.objects["Deployment", CACHE])
    cache["spec"]["paused"] = True
    world.cluster.put(cache)
    await world.settle()
    assert "paused" not in world.cluster.objects["Deployment", CACHE]["spec"]
    assert [event.reason for event in world.cluster.events] == ["Reverted"]


async def test_with_everything_in_sync_nothing_is_written(world: World) -> None:
    await world.running(spec=REDIS)
    await world.tick(20)
    assert "apply" not in world.cluster.verbs()
    assert "delete" not in world.cluster.verbs()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_deleted_of_it_comes_back(world: World, kind: str) -> None:
    await world.running(spec=REDIS)
    world.cluster.remove(kind, CACHE)
    await world.settle()
    assert world.cluster.writes == [("apply", kind)]


async def test_its_replicas_are_ours_though_the_apps_are_not(world: World) -> None:
    await world.running(spec=REDIS)
    scaled = copy.deepcopy(world.cluster.objects["Deployment", CACHE])
    scaled["spec"]["replicas"] = 0
    world.cluster.put(scaled)
    await world.settle()
    assert world.cluster.objects["Deployment", CACHE]["spec"]["replicas"] == 1


async def test_its_counts_are_not_the_apps(world: World) -> None:
    key = await world.running(spec=REDIS)
    changed = copy.deepcopy(world.cluster.objects["Deployment", CACHE])
    changed["status"] = {"replicas": 7, "readyReplicas": 7, "updatedReplicas": 7}
    world.cluster.put(changed)
    await world.tick()
    assert world.status(key)["replicas"] == 2
    assert world.replicas(key) == 2


async def test_the_loss_of_its_deployment_is_not_the_loss_of_the_apps(world: World) -> None:
    key = await world.running(spec=REDIS)
    record = world.registry.get(key)
    assert record
    world.registry.child_lost(key, ChildId("Deployment", "web-cache"))
    assert record.own_deployment


async def test_a_deployment_of_somebody_else_in_its_place_does_not_stop_the_scaling(world: World) -> None:
    world.cluster.put(foreign("Deployment", "web-cache"))
    key = await world.running(spec=REDIS, rps_each=500)
    assert "Deployment shop/web-cache exists" in world.message(key, "Conflicted")
    assert world.cluster.objects["Deployment", CACHE]["spec"] == {"replicas": 1}
    assert world.replicas(key) > 2


async def test_an_app_that_bears_the_name_of_the_redis_is_left_alone(world: World) -> None:
    other = await world.running("web-cache")
    key = await world.running(spec=REDIS)
    assert "belongs to ScalableApp web-cache" in world.message(key, "Ready")
    assert world.cluster.objects["Deployment", other]["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"


async def test_a_name_that_leaves_no_room_is_reported_with_its_fix(world: World) -> None:
    key = world.create("a" * 60, REDIS)
    await world.settle()
    assert world.condition(key, "Ready") == ("False", "InvalidSpec")
    assert "use at most 57 characters, or another spec.cache.backend" in world.message(key, "Ready")
    assert world.cluster.objects == {}


async def test_a_deleted_app_takes_it_along(world: World) -> None:
    key = await world.running(spec=REDIS)
    world.delete(key)
    await world.settle()
    assert world.cluster.objects == {}
    assert world.registry._records == {}
