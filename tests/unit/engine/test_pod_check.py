"""Pods that an author shapes and that are refused: the app stays as it is, and goes on being scaled."""

import copy
from typing import Any

import pytest

from scalableapp.core.children.pod_policy import PodTemplatePolicy
from scalableapp.core.children.resources import ClusterFeatures
from scalableapp.core.model import AppKey
from scalableapp.errors import Rejected
from scalableapp.ports import Manifest
from tests.unit.engine.world import SPEC, World, app_labels, foreign

SHAPED = SPEC | {"podTemplate": {"spec": {"restartPolicy": "Never"}}}
REFUSAL = Rejected("PATCH /deployments/web: 422 spec.template.spec.restartPolicy: Unsupported value")


def ready(world: World, key: AppKey) -> dict[str, Any]:
    return next(entry for entry in world.status(key)["conditions"] if entry["type"] == "Ready")


async def test_what_a_dry_run_refuses_changes_nothing_and_is_told_in_the_servers_words(world: World) -> None:
    key = await world.running()
    before = copy.deepcopy(world.cluster.objects)
    world.cluster.failures["check"] = REFUSAL
    world.change(key, SHAPED | {"ingress": {"host": "other.test"}})
    await world.settle()
    assert world.cluster.objects == before
    assert "apply" not in world.cluster.verbs()
    assert ready(world, key)["reason"] == "InvalidSpec"
    assert "422 spec.template.spec.restartPolicy: Unsupported value" in ready(world, key)["message"]
    assert [event.reason for event in world.cluster.events] == ["InvalidSpec"]


async def test_an_app_whose_new_template_is_refused_is_still_scaled(world: World) -> None:
    key = await world.running()
    world.cluster.failures["check"] = REFUSAL
    world.change(key, SHAPED)
    await world.settle()
    world.load(key, 200)
    await world.tick(3)
    assert world.cluster.objects["Deployment", key]["spec"]["replicas"] > 2
    assert ready(world, key)["reason"] == "InvalidSpec"


async def test_it_is_tried_again_less_and_less_often_and_applied_once_it_is_taken(world: World) -> None:
    key = await world.running()
    world.cluster.failures["check"] = REFUSAL
    world.change(key, SHAPED)
    await world.tick(24)
    checks = world.cluster.writes.count(("check", "Deployment"))
    assert 2 <= checks <= 24
    del world.cluster.failures["check"]
    await world.tick(60)
    assert ("apply", "Deployment") in world.cluster.writes
    assert ready(world, key)["status"] == "True"


async def test_a_missing_right_of_the_operators_is_not_put_down_to_the_author(world: World) -> None:
    key = await world.running()
    world.cluster.failures["check"] = Rejected(
        '403 deployments.apps "web" is forbidden: User "x" cannot patch resource'
    )
    world.change(key, SHAPED)
    await world.settle()
    assert ready(world, key)["reason"] == "ApplyFailed"


@pytest.mark.parametrize("labels", [{}, app_labels()], ids=["unlabelled", "labelled as ours"])
async def test_a_deployment_of_somebody_else_is_a_conflict_and_no_wrong_spec(
    world: World, labels: dict[str, str]
) -> None:
    world.cluster.put(foreign("Deployment", labels=labels))
    world.cluster.failures["check"] = REFUSAL
    key = world.create(spec=SHAPED)
    await world.settle()
    assert ready(world, key)["reason"] == "Conflicted"


async def test_apps_without_a_template_of_their_own_cost_no_dry_run(world: World) -> None:
    key = await world.running()
    world.change(key, SPEC | {"image": "web:2", "health": {"port": 8081}})
    await world.settle()
    assert "check" not in world.cluster.verbs()


async def test_a_template_in_force_is_not_checked_again(world: World) -> None:
    key = await world.running(spec=SHAPED)
    await world.tick(5)
    assert "check" not in world.cluster.verbs()
    assert world.status(key)["podTemplate"] == ["spec.restartPolicy"]
    world.change(key, SPEC)
    await world.settle()
    assert "podTemplate" not in world.status(key)


async def test_what_the_policy_refuses_never_reaches_the_api_server() -> None:
    world = World(features=ClusterFeatures(pod_template=PodTemplatePolicy.SAFE))
    key = await world.running()
    world.change(key, SPEC | {"serviceAccountName": "cluster-admin"})
    await world.settle()
    assert not {"check", "apply"} & set(world.cluster.verbs())
    assert ready(world, key)["reason"] == "InvalidSpec"
    assert "serviceAccountName cluster-admin" in ready(world, key)["message"]
    world.change(key, SPEC)
    await world.settle()
    assert ready(world, key)["status"] == "True"


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_values_that_the_api_server_writes_in_its_own_way_are_no_drift(world: World, restarted: bool) -> None:
    shaped = SPEC | {"podTemplate": {"spec": {"hostNetwork": False, "containers": [_SIDECAR]}}}
    normal = world.cluster.apply

    async def apply(manifest: Manifest) -> Manifest:
        applied = await normal(manifest)
        if manifest["kind"] == "Deployment":
            pod = applied["spec"]["template"]["spec"]
            pod.pop("hostNetwork", None)
            pod["containers"][-1]["resources"]["requests"]["cpu"] = "500m"
            world.cluster.put(applied)
        return copy.deepcopy(applied)

    world.cluster.apply = apply  # type: ignore[method-assign] # as the API server does
    key = await world.running(spec=shaped)
    if restarted:
        old, world = world, World(world.cluster)
        world.cluster.news = [("ADDED", copy.deepcopy(app)) for app in old.cluster.apps.values()]
        world.cluster.news += [("ADDED", copy.deepcopy(found)) for found in old.cluster.objects.values()]
        await world.settle()
        world.cluster.writes.clear()
    live = copy.deepcopy(world.cluster.objects["Deployment", key])
    live["metadata"]["annotations"]["theirs"] = "1"
    world.cluster.put(live)
    await world.settle()
    assert "apply" not in world.cluster.verbs()
    assert world.cluster.events == []

    live["spec"]["template"]["spec"]["containers"][-1]["resources"]["requests"]["cpu"] = "2"
    world.cluster.put(live)
    await world.settle()
    assert ("apply", "Deployment") in world.cluster.writes
    assert [event.reason for event in world.cluster.events] == ["Reverted"]


_SIDECAR = {"name": "nginx", "image": "nginx", "resources": {"requests": {"cpu": "0.5"}}}
