"""The app's objects: made, put right, left alone where they are somebody else's."""

import copy

import pytest

from scalableapp.ports import Manifest
from tests.unit.engine.world import (
    FakeCluster,
    World,
    app_labels,
    foreign,
    with_spec,
)


@pytest.mark.parametrize("kind", ["Deployment", "Service", "Ingress", "PodDisruptionBudget"])
async def test_a_deleted_child_comes_back(world: World, kind: str) -> None:
    key = await world.running()
    world.cluster.remove(kind, key)
    await world.settle()
    assert ("apply", kind) in world.cluster.writes
    assert (kind, key) in world.cluster.objects


async def test_an_edited_child_is_restored_with_one_write(world: World) -> None:
    key = await world.running()
    service = copy.deepcopy(world.cluster.objects["Service", key])
    service["spec"]["ports"] = []
    world.cluster.put(service)
    await world.settle()
    assert world.cluster.writes == [("apply", "Service")]
    assert world.cluster.objects["Service", key]["spec"]["ports"]


async def test_what_others_add_to_a_child_stays(world: World) -> None:
    key = await world.running()
    service = copy.deepcopy(world.cluster.objects["Service", key])
    service["metadata"]["annotations"]["team"] = "shop"
    world.cluster.put(service)
    await world.settle()
    assert world.cluster.writes == []


@pytest.mark.parametrize("told_apart", [False, True], ids=["by a webhook", "by a controller"])
async def test_a_child_that_somebody_insists_on_changing_is_not_fought_over_at_full_speed(
    world: World, told_apart: bool
) -> None:
    key = await world.running()

    async def stubborn(manifest: Manifest) -> Manifest:
        applied = await FakeCluster.apply(world.cluster, manifest)
        if not told_apart:
            world.cluster.news.pop()
        theirs = copy.deepcopy(applied)
        theirs["spec"]["type"] = "NodePort"
        world.cluster.put(theirs)
        return applied if told_apart else copy.deepcopy(theirs)

    world.cluster.apply = stubborn  # type: ignore[method-assign]
    world.cluster.remove("Service", key)
    await world.settle()
    applied = [what for verb, what in world.cluster.writes if verb == "apply"]
    assert len(applied) == (6 if told_apart else 1)
    if told_apart:
        assert "is changed again each time" in world.message(key, "Ready")


async def test_a_changed_spec_rolls_the_app_and_moves_observed_generation(world: World) -> None:
    key = await world.running()
    world.change(key, with_spec(image="web:2"))
    await world.settle()
    container = world.cluster.objects["Deployment", key]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "web:2"
    assert world.status(key)["observedGeneration"] == 2
    assert [what for verb, what in world.cluster.writes if verb == "apply"] == ["Deployment"]


async def test_an_ingress_that_is_switched_off_is_deleted(world: World) -> None:
    key = await world.running()
    world.change(key, with_spec(ingress={"enabled": False}))
    await world.settle()
    assert ("Ingress", key) not in world.cluster.objects


async def test_an_ingress_of_somebody_else_is_not_deleted_when_ours_is_switched_off(world: World) -> None:
    key = await world.running(spec=with_spec(ingress={"enabled": False}))
    world.cluster.put(foreign("Ingress", labels=app_labels()))
    await world.settle()
    assert ("Ingress", key) in world.cluster.objects


@pytest.mark.parametrize("labels", [{}, app_labels()], ids=["unlabelled", "labelled as ours"])
async def test_a_deployment_of_somebody_else_is_left_alone(world: World, labels: dict[str, str]) -> None:
    theirs = foreign("Deployment", labels=labels)
    world.cluster.put(theirs)
    before = copy.deepcopy(theirs)
    key = world.create()
    await world.tick(5)
    assert world.cluster.objects["Deployment", key] == before
    assert world.condition(key, "Conflicted") == ("True", "Conflicted")
    assert world.condition(key, "Ready") == ("False", "Conflicted")
    assert "Deployment shop/web exists" in world.message(key, "Conflicted")
    assert "Conflicted" in {event.reason for event in world.cluster.events}


async def test_an_app_goes_on_when_what_was_in_its_way_is_gone(world: World) -> None:
    world.cluster.put(foreign("Deployment"))
    key = world.create()
    await world.tick()
    world.cluster.remove("Deployment", key)
    await world.tick(13)
    assert world.replicas(key) == 2
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")


async def test_an_autoscaler_of_others_on_our_deployment_makes_us_let_go(world: World) -> None:
    key = await world.running()
    world.registry.autoscalers = {key: "HorizontalPodAutoscaler shop/theirs scales Deployment web"}
    world.load(key, 500)
    await world.tick(3)
    assert "scale" not in world.cluster.verbs()
    assert world.condition(key, "Conflicted") == ("True", "Conflicted")
    world.registry.autoscalers = {}
    await world.tick()
    assert world.replicas(key) > 2


async def test_the_leavings_of_a_deleted_app_of_the_same_name_are_waited_for(world: World) -> None:
    key = await world.running()
    children = dict(world.cluster.objects)
    world.delete(key)
    world.cluster.objects = dict(children)
    world.cluster.news = [item for item in world.cluster.news if item[1]["kind"] == "ScalableApp"]
    world.create(uid="another")
    await world.settle()
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")
    assert world.condition(key, "Ready") == ("False", "Deploying")
    for kind, name in children:
        world.cluster.remove(kind, name)
    await world.settle()
    owners = {child["metadata"]["ownerReferences"][0]["uid"] for child in world.cluster.objects.values()}
    assert owners == {"another"}
