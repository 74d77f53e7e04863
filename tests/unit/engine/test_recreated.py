"""A Deployment that was deleted in error comes back as it was, not as small as it may be."""

import copy
from typing import Any

import pytest

from scalableapp.core.model import AppKey
from scalableapp.errors import Rejected, Unavailable
from tests.unit.engine.test_sizes import SPEC as SIZED
from tests.unit.engine.test_sizes import OneApp
from tests.unit.engine.world import SPEC, World, with_scaling, with_spec

NINE = {**SPEC["scaling"]["horizontal"], "maxReplicas": 20}
FREEZES = {"paused": {"paused": True}, "dry run": {"dryRun": True}, "mode Vertical": {"mode": "Vertical"}}


async def at_nine(world: World, **scaling: Any) -> AppKey:
    """An app that load has brought to nine replicas."""
    key = await world.running(spec=with_scaling(horizontal=NINE))
    world.load(key, 210)
    await world.tick(10)
    await world.run_pods(key, rps_each=50)
    if scaling:
        world.change(key, with_scaling(horizontal=NINE, **scaling))
    await world.tick(2)
    assert world.replicas(key) == 9
    world.cluster.events.clear()
    return key


@pytest.mark.parametrize("scaling", [{}, *FREEZES.values()], ids=["scales", *FREEZES])
async def test_it_has_the_replicas_of_before_at_once_and_says_so(world: World, scaling: dict[str, Any]) -> None:
    key = await at_nine(world, **scaling)
    world.cluster.numbers.clear()
    world.cluster.remove("Deployment", key)
    await world.settle()
    assert set(world.cluster.numbers) == {9}
    assert [event.reason for event in world.cluster.events] == ["Recreated"]
    assert (
        "Deployment shop/web was deleted and has been recreated with the 9 replicas" in world.cluster.events[0].message
    )
    await world.tick(3)
    assert world.replicas(key) == 9


async def test_so_it_has_when_it_was_deleted_while_the_operator_was_away(world: World) -> None:
    key = await at_nine(world)
    del world.cluster.objects["Deployment", key]
    restarted = World(world.cluster, world.clock.seconds)
    restarted.metrics.pods = world.metrics.pods
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    restarted.cluster.numbers.clear()
    await restarted.tick()
    assert set(restarted.cluster.numbers) == {9}


async def test_so_it_has_when_a_change_of_the_spec_comes_before_the_news_of_its_deletion(world: World) -> None:
    key = await at_nine(world)
    del world.cluster.objects["Deployment", key]
    world.change(key, with_scaling(horizontal=NINE) | {"image": "web:2"})
    await world.settle()
    assert world.replicas(key) == 9


async def changes_of_the_spec_keep(world: World, key: AppKey, replicas: int) -> None:
    world.cluster.numbers.clear()
    for image in ("web:2", "web:3"):
        world.change(key, world.cluster.apps[key]["spec"] | {"image": image})
        await world.settle()
    assert set(world.cluster.numbers) == {replicas}


async def test_what_is_applied_later_leaves_its_replicas(world: World) -> None:
    key = await at_nine(world)
    world.cluster.remove("Deployment", key)
    await world.settle()
    await changes_of_the_spec_keep(world, key, 9)


async def test_what_is_applied_after_a_restart_leaves_its_replicas(world: World) -> None:
    key = await at_nine(world)
    world.cluster.remove("Deployment", key)
    await world.settle()
    restarted = World(world.cluster, world.clock.seconds)
    restarted.metrics.pods = world.metrics.pods
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    await restarted.settle()
    await changes_of_the_spec_keep(restarted, key, 9)


async def test_nothing_is_applied_while_its_replicas_could_be_lost(world: World) -> None:
    key = await at_nine(world)
    world.cluster.remove("Deployment", key)
    await world.settle()
    world.cluster.failures["keep"] = Unavailable("504")
    world.change(key, with_scaling(horizontal=NINE) | {"image": "web:2"})
    await world.settle()
    assert world.replicas(key) == 9
    world.cluster.failures.clear()
    await changes_of_the_spec_keep(world, key, 9)


async def test_a_maximum_that_was_lowered_meanwhile_counts(world: World) -> None:
    key = await at_nine(world)
    del world.cluster.objects["Deployment", key]
    world.cluster.apps[key]["spec"]["scaling"]["horizontal"]["maxReplicas"] = 5
    restarted = World(world.cluster, world.clock.seconds)
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    await restarted.tick()
    assert restarted.replicas(key) == 5


async def test_a_pin_that_was_set_meanwhile_counts(world: World) -> None:
    key = await at_nine(world)
    world.cluster.remove("Deployment", key)
    world.change(key, with_spec(replicas=3))
    await world.settle()
    assert world.replicas(key) == 3


async def test_an_app_at_zero_stays_at_zero(world: World) -> None:
    key = await world.running(spec=with_spec(replicas=0))
    world.cluster.remove("Deployment", key)
    await world.tick()
    assert world.replicas(key) == 0


async def test_an_app_that_was_made_again_under_its_name_begins_small(world: World) -> None:
    key = await at_nine(world)
    world.delete(key)
    await world.settle()
    world.create(spec=with_scaling(horizontal=NINE), uid="another")
    await world.tick()
    assert world.replicas(key) == 2


async def test_while_the_api_server_is_away_it_is_tried_again(world: World) -> None:
    key = await at_nine(world)
    world.cluster.failures["replicas 9"] = Unavailable("504")
    world.cluster.remove("Deployment", key)
    await world.tick(4)
    world.cluster.failures.clear()
    await world.tick(2)
    assert world.replicas(key) == 9


async def test_where_a_policy_refuses_that_many_the_app_goes_on_with_fewer(world: World) -> None:
    key = await at_nine(world)
    world.cluster.failures |= dict.fromkeys(("replicas 9", "scale 9"), Rejected("policy: at most 5"))
    world.cluster.remove("Deployment", key)
    await world.tick()
    assert world.replicas(key) == 2


async def test_a_later_change_by_hand_on_the_recreated_one_is_noticed(world: World) -> None:
    key = await at_nine(world)
    world.cluster.remove("Deployment", key)
    await world.settle()
    by_hand = copy.deepcopy(world.cluster.objects["Deployment", key])
    by_hand["spec"]["replicas"] = 1
    by_hand["metadata"]["generation"] += 1
    world.cluster.put(by_hand)
    world.deliver()
    record = world.registry.get(key)
    assert record
    assert record.deployment
    assert record.deployment.replicas == 1


async def test_pods_have_the_size_in_status_when_it_was_deleted_while_the_operator_was_away() -> None:
    app = await OneApp().start(SIZED)
    grown = {"cpu": {"request": "150m", "limit": "300m"}, "memory": {"request": "200Mi", "limit": "400Mi"}}
    app.world.cluster.apps[app.key]["status"]["resources"] = {"current": grown}
    del app.world.cluster.objects["Deployment", app.key]
    restarted = World(app.world.cluster, app.world.clock.seconds)
    bodies = (*app.world.cluster.objects.values(), app.world.cluster.apps[app.key])
    restarted.cluster.news = [("ADDED", body) for body in bodies]
    await restarted.tick()
    (container,) = restarted.cluster.objects["Deployment", app.key]["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "150m", "memory": "200Mi"},
        "limits": {"cpu": "300m", "memory": "400Mi"},
    }
