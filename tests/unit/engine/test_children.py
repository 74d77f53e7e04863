"""The app's objects: made, put right, left alone where they are somebody else's."""

import copy
from typing import Any

import pytest

from scalableapp.core.children.contest import additions
from scalableapp.core.children.resources import LABEL_APP, MANAGED_BY
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


async def test_one_that_is_deleted_while_a_write_to_it_is_answered_comes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await world.running()
    apply = world.cluster.apply

    async def deleted_meanwhile(manifest: Manifest) -> Manifest:
        answer = await apply(manifest)
        monkeypatch.undo()
        world.cluster.remove("Service", key)
        world.deliver()
        return answer

    monkeypatch.setattr(world.cluster, "apply", deleted_meanwhile)
    world.cluster.objects["Service", key]["spec"]["ports"] = []
    world.cluster.put(world.cluster.objects["Service", key])
    await world.settle()
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


RESTART: dict[str, Any] = {"f:kubectl.kubernetes.io/restartedAt": {}}


def managed(manager: str, fields: dict[str, Any], **entry: str) -> dict[str, Any]:
    return {"manager": manager, "time": "2026-01-05T12:00:00Z", "fieldsV1": {"f:spec": fields}, **entry}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("paused", True),
        ("minReadySeconds", 300),
        ("revisionHistoryLimit", 0),
        ("strategy", {"type": "Recreate"}),
    ],
)
async def test_what_stops_or_breaks_a_rollout_is_reverted_and_told(world: World, field: str, value: object) -> None:
    key = await world.running()
    before = copy.deepcopy(world.cluster.objects["Deployment", key]["spec"])
    deployment = copy.deepcopy(world.cluster.objects["Deployment", key])
    deployment["spec"][field] = value
    deployment["metadata"]["managedFields"] = [managed("kubectl-rollout", {f"f:{field}": {}})]
    world.cluster.put(deployment)
    await world.settle()
    assert world.cluster.objects["Deployment", key]["spec"] == before
    (event,) = world.cluster.events
    assert (event.type, event.reason) == ("Normal", "Reverted")
    assert f"Deployment shop/web: a change of spec.{field}" in event.message
    assert "last by 'kubectl-rollout' has been reverted" in event.message


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
@pytest.mark.parametrize("label", [LABEL_APP, "app.kubernetes.io/name"])
@pytest.mark.parametrize("value", ["other", None], ids=["another value", "removed"])
async def test_a_changed_label_is_reverted(world: World, kind: str, label: str, value: str | None) -> None:
    key = await world.running()
    await world.running("other")
    world.cluster.writes.clear()
    child = copy.deepcopy(world.cluster.objects[kind, key])
    before = dict(child["metadata"]["labels"])
    child["metadata"]["labels"] = {n: v for n, v in (before | {label: value}).items() if v is not None}
    world.cluster.put(child)
    await world.settle()
    assert world.cluster.objects[kind, key]["metadata"]["labels"] == before
    assert world.cluster.writes == [("apply", kind)]


async def test_what_others_add_to_the_deployment_is_told_and_stays(world: World) -> None:
    key = await world.running()
    deployment = copy.deepcopy(world.cluster.objects["Deployment", key])
    deployment["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    fields: dict[str, Any] = {"f:template": {"f:spec": {"f:nodeSelector": {".": {}, "f:disk": {}}}}}
    deployment["metadata"]["managedFields"] = [managed("kubectl-edit", fields)]
    world.cluster.put(deployment)
    await world.settle()
    assert "apply" not in world.cluster.verbs()
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")
    assert "'kubectl-edit' set spec.template.spec.nodeSelector in the Deployment" in world.message(key, "Conflicted")
    assert world.condition(key, "Ready")[0] == "True"


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([], ""),
        ([managed("scalableapp-operator", {"f:paused": {}})], ""),
        ([managed("x", {"f:paused": {}}), managed("scalableapp-operator", {"f:paused": {}})], ""),
        ([managed("x", {"f:replicas": {}}), managed("x", {"f:replicas": {}}, subresource="scale")], ""),
        ([managed("kubectl-rollout", {"f:template": {"f:metadata": {"f:annotations": {".": {}, **RESTART}}}})], ""),
        ([managed("kubectl-rollout", {"f:template": {"f:metadata": {"f:annotations": RESTART}}})], ""),
        ([managed("x", {"f:template": {"f:spec": {"f:hostNetwork": {}}}})], "'x' set spec.template.spec.hostNetwork"),
        (
            [managed("x", {"f:template": {"f:spec": {"f:containers": {'k:{"name":"side"}': {".": {}}}}}})],
            "'x' set spec.template.spec.containers",
        ),
        ([{"manager": "x"}], ""),
    ],
    ids=["nobody", "we", "both", "replicas", "the first restart", "a restart", "a field", "a side-car", "no fields"],
)
def test_additions_are_read_from_managed_fields(entries: list[dict[str, Any]], told: str) -> None:
    assert additions({"metadata": {"managedFields": entries}}, MANAGED_BY) == told
