"""What is known of each app, from events in any order."""

import copy
from typing import Any

import pytest

from scalableapp.core.model import AppKey, PodState
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.registry import Registry
from tests.unit.engine.fakes import START
from tests.unit.engine.world import NAMESPACE, World, app_labels

KEY = AppKey(NAMESPACE, "web")
APP: dict[str, Any] = {
    "kind": "ScalableApp",
    "metadata": {"namespace": NAMESPACE, "name": "web", "uid": "u1", "generation": 1},
    "spec": {"image": "web:1"},
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "namespace": NAMESPACE,
        "name": "web",
        "labels": app_labels(),
        "generation": 1,
        "resourceVersion": "1",
        "managedFields": [{"manager": "x"}],
        "ownerReferences": [{"controller": True, "uid": "u1", "kind": "ScalableApp", "name": "web"}],
    },
    "spec": {"replicas": 3},
    "status": {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 2, "observedGeneration": 1},
}


def changed(body: dict[str, Any], **parts: dict[str, Any]) -> dict[str, Any]:
    copied = copy.deepcopy(body)
    for part, values in parts.items():
        copied[part].update(values)
    return copied


def test_a_spec_is_parsed_once_per_generation() -> None:
    registry = Registry()
    assert registry.app_seen(APP) == KEY
    spec = registry._record(KEY).spec
    assert registry.app_seen(changed(APP, metadata={"resourceVersion": "2"})) is None
    assert registry._record(KEY).spec is spec
    assert registry.app_seen(changed(APP, metadata={"generation": 2}, spec={"image": "web:2"})) == KEY
    assert registry._record(KEY).spec is not spec


def test_a_child_seen_before_its_app_is_kept_for_it() -> None:
    registry = Registry()
    registry.child_seen(DEPLOYMENT)
    assert (registry.get(KEY), len(registry)) == (None, 0)
    registry.app_seen(APP)
    record = registry.get(KEY)
    assert record
    assert record.own_deployment == DeploymentFacts(generation=1, replicas=3, running=3, updated=3, ready=2)


@pytest.mark.parametrize(
    ("parts", "due"),
    [
        ({"metadata": {"resourceVersion": "2", "managedFields": []}}, None),
        ({"status": {"observedGeneration": 2, "conditions": [{"type": "Available"}]}}, None),
        ({"status": {"readyReplicas": 3}}, KEY),
        ({"spec": {"replicas": 4}}, KEY),
        ({"spec": {"paused": True}}, KEY),
        ({"metadata": {"labels": app_labels() | {"more": "x"}}}, KEY),
        ({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}}}, None),
        ({"metadata": {"ownerReferences": []}}, KEY),
    ],
    ids=["bookkeeping", "conditions", "ready count", "replicas", "spec", "labels", "revision", "owner"],
)
def test_only_what_matters_makes_the_app_due(parts: dict[str, Any], due: AppKey | None) -> None:
    registry = Registry()
    registry.app_seen(APP)
    registry.child_seen(DEPLOYMENT)
    assert registry.child_seen(changed(DEPLOYMENT, **parts)) == due


def test_a_labelled_object_of_another_name_is_no_child() -> None:
    registry = Registry()
    assert registry.child_seen(changed(DEPLOYMENT, metadata={"name": "copy-of-web"})) is None
    assert registry._records == {}


def test_the_counts_of_a_deployment_of_others_do_not_count() -> None:
    registry = Registry()
    registry.app_seen(APP)
    registry.child_seen(changed(DEPLOYMENT, metadata={"ownerReferences": []}))
    record = registry.get(KEY)
    assert record
    assert record.own_deployment is None


def test_an_app_made_again_under_its_name_starts_anew() -> None:
    registry = Registry()
    registry.app_seen(changed(APP) | {"status": {"replicas": 3}})
    registry._record(KEY).ready = "True"
    again = changed(APP, metadata={"uid": "u2"})
    assert registry.app_seen(again) == KEY
    record = registry.get(KEY)
    assert record
    assert (record.uid, record.status, record.ready, record.history) == ("u2", {}, "Unknown", None)


def test_what_is_left_after_an_app_is_gone_leaves_no_record() -> None:
    registry = Registry()
    registry.app_seen(APP)
    registry.child_seen(DEPLOYMENT)
    registry.app_gone(KEY)
    registry.child_seen(changed(DEPLOYMENT, status={"readyReplicas": 0}))
    registry.pod_seen(KEY, PodState("web-1", "Running", True, False, START))
    registry.child_gone(DEPLOYMENT)
    registry.pod_gone(KEY, "web-1")
    assert registry._records == {}


def test_a_list_that_lacks_an_app_known_before_forgets_it() -> None:
    registry = Registry()
    registry.app_seen(APP)
    registry.app_seen(changed(APP, metadata={"name": "new"}))
    assert registry.keep_only(set(), [KEY]) == [KEY]
    assert [record.key.name for record in registry.apps()] == ["new"]


@pytest.mark.parametrize(
    ("facts", "rollout"),
    [
        (DeploymentFacts(1, 3, running=3, updated=3), False),
        (DeploymentFacts(1, 5, running=3, updated=3), False),
        (DeploymentFacts(1, 3, running=4, updated=1), True),
        (DeploymentFacts(1, 3, running=4, updated=1, stuck=True), False),
    ],
    ids=["calm", "scaling up", "surge", "stuck surge"],
)
def test_a_rollout_is_a_surge_that_moves(facts: DeploymentFacts, rollout: bool) -> None:
    assert facts.rollout is rollout


async def test_a_record_is_small(world: World) -> None:
    key = await world.running()
    record = world.registry.get(key)
    assert record
    assert all(child.compared for child in record.children.values())
