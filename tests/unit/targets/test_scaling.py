"""Workloads of others are scaled on a real API server, and nothing of them changes but their replicas."""

import copy
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey
from tests.spec_cases import metric
from tests.unit.targets.scene import Scene, container

pytestmark = pytest.mark.process


async def running(scene: Scene, kind: str = "Deployment", pods: int = 2, **app: Any) -> AppKey:
    """A workload with an app that scales it, its pods, and a load on target."""
    owner = made = scene.make(kind, replicas=pods)
    if kind == "Deployment":
        owner = scene.replica_set(made)
    scene.run({"kind": kind, **owner} if kind != "Deployment" else owner, pods)
    if kind == "Farm":
        scene.count(kind, size=pods, pods="app=web")
    else:
        scene.count(kind, replicas=pods, readyReplicas=pods, updatedReplicas=pods)
    key = scene.app(kind, **app)
    await scene.known(key, pods)
    return key


def without_replicas(body: Any) -> Any:
    """What is left of a workload when all that a change of replicas may change is taken away."""
    rest = copy.deepcopy(body)
    rest["spec"].pop("replicas", None)
    for name in ("generation", "resourceVersion", "managedFields"):
        rest["metadata"].pop(name, None)
    return rest


NOW = {"stabilizationWindowSeconds": 0}
KINDS = ["Deployment", "StatefulSet", "ReplicaSet"]


@pytest.mark.parametrize("kind", KINDS)
async def test_replicas_follow_60_percent_of_what_all_containers_request(scene: Scene, kind: str) -> None:
    key = await running(scene, kind)
    before = scene.get(kind)
    scene.use(key, web=0.6, proxy=0.12)
    await scene.tick(2)
    assert scene.get(kind)["spec"]["replicas"] == 4  # 2 pods x 0.72 of 0.36 cores
    assert without_replicas(scene.get(kind)) == without_replicas(before)
    (metric_,) = scene.status(key)["metrics"]
    assert (metric_["current"], metric_["target"]) == ("720m", "360m")
    assert scene.status(key)["selector"] == "app=web"


async def test_only_the_field_replicas_is_ours_and_that_through_the_scale_subresource(scene: Scene) -> None:
    key = await running(scene)
    before = {entry["manager"]: entry for entry in scene.get("Deployment")["metadata"]["managedFields"]}
    scene.use(key, web=0.6, proxy=0.12)
    await scene.tick(2)
    after = {entry["manager"]: entry for entry in scene.get("Deployment")["metadata"]["managedFields"]}
    ours = after.pop("scalableapp-operator-scale")
    assert (ours["subresource"], ours["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})
    del before["owner"]["fieldsV1"]["f:spec"]["f:replicas"]
    assert after == before


async def test_a_kind_nobody_has_heard_of_is_scaled_by_its_scale_subresource(scene: Scene) -> None:
    key = await running(scene, "Farm", horizontal={"metrics": [metric(target="300m")]})
    scene.use(key, web=0.6)
    await scene.tick(2)
    assert scene.get("Farm")["spec"] == {"size": 4}


async def test_one_container_is_measured_where_it_is_named(scene: Scene) -> None:
    named = metric(target="60%", container="web")
    key = await running(scene, horizontal={"metrics": [named]})
    scene.use(key, web=0.3, proxy=9.0)
    await scene.tick(2)
    assert scene.get("Deployment")["spec"]["replicas"] == 2
    assert scene.status(key)["metrics"][0]["target"] == "300m"


async def test_the_percentage_follows_the_template(scene: Scene) -> None:
    key = await running(scene)
    larger = [container("web", cpu="1"), container("proxy", cpu="200m")]
    scene.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": larger}}}})
    await scene.until(lambda: scene.record(key).metrics[0].target == "720m")


async def test_a_missing_request_is_named_and_nothing_is_written(scene: Scene) -> None:
    key = await running(scene)
    scene.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": [container("web")]}}}})
    await scene.until(lambda: scene.record(key).spec is None)
    await scene.tick(2)
    status, reason, message = scene.condition(key, "ScalingActive")
    assert (status, reason) == ("False", "InvalidTarget")
    assert "container web has none in the workload's template" in message
    assert scene.get("Deployment")["spec"]["replicas"] == 2


async def test_pods_that_only_look_like_the_targets_are_not_counted(scene: Scene) -> None:
    key = await running(scene)
    scene.add_pod({"kind": "Job", "metadata": {"name": "job", "uid": "other"}}, "job-1", {"app": "web"})
    other = scene.make(name="other")
    scene.run(scene.replica_set(other), 1, labels={"app": "other", "scalableapp.io/app": "web"})
    late = scene.make(name="late")
    scene.run(scene.replica_set(late), 1, "late")
    late_key = scene.app(target="late", name="late")
    await scene.known(late_key, 1)
    assert sorted(scene.record(key).pods) == ["web-abc12-0", "web-abc12-1"]


@pytest.mark.parametrize(
    ("ref", "reason", "words"),
    [
        ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "gone"}, "TargetNotFound", "does not exist"),
        ({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web"}, "InvalidTarget", "has no scale subresource"),
        ({"apiVersion": "acme.io/v1alpha1", "kind": "Farm", "name": "web"}, "InvalidTarget", "no scale subresource"),
        ({"apiVersion": "acme.io/v9", "kind": "Farm", "name": "web"}, "InvalidTarget", "does not serve kind Farm"),
    ],
    ids=["no such object", "a kind that is not scaled", "a version without scale", "no such kind"],
)
async def test_what_cannot_be_scaled_is_told(scene: Scene, ref: dict[str, str], reason: str, words: str) -> None:
    key = scene.app(ref=ref)
    await scene.until(lambda: (found := scene.record(key).target) and found.problem and words in found.problem.message)
    await scene.tick()
    assert scene.condition(key, "Ready")[1] == reason
    assert words in scene.condition(key, "ScalingActive")[2]


async def test_the_younger_of_two_apps_leaves_the_workload_alone(scene: Scene) -> None:
    key = await running(scene)
    scene.registry.get(key).created = "2020-01-01T00:00:00Z"  # type: ignore[union-attr] # it is there
    younger = scene.app(name="again")
    await scene.until(lambda: (found := scene.record(younger).target) and found.conflict)
    scene.use(key, web=0.6, proxy=0.12)
    await scene.tick(2)
    assert scene.condition(younger, "Conflicted")[:2] == ("True", "Conflicted")
    assert f"ScalableApp {key} is older" in scene.condition(younger, "Conflicted")[2]
    assert scene.condition(key, "Conflicted")[0] == "False"
    assert scene.get("Deployment")["spec"]["replicas"] == 4


async def test_a_deleted_app_leaves_the_workload_as_it_runs_and_says_so(scene: Scene) -> None:
    key = await running(scene)
    before = scene.get("Deployment")
    scene.registry.app_gone(key)
    await scene.until(lambda: "TargetLeft" in scene.events())
    assert "keeps the 2 replicas that it has" in scene.events()["TargetLeft"]
    assert scene.get("Deployment") == before


@pytest.mark.parametrize(
    ("allowed", "load", "replicas"),
    [("Hold", 0.72, 2), ("UpOnly", 0.72, 4), ("UpOnly", 0.01, 2), ("Scale", 0.72, 4), ("Scale", 0.01, 1)],
)
async def test_what_a_rollout_allows_is_as_stated(scene: Scene, allowed: str, load: float, replicas: int) -> None:
    key = await running(scene, duringRollout=allowed, horizontal={"behavior": {"scaleDown": NOW}})
    scene.count("Deployment", replicas=2, readyReplicas=2, updatedReplicas=1)
    await scene.until(lambda: scene.record(key).deployment.updated == 1)  # type: ignore[union-attr] # it is known
    scene.use(key, web=load, proxy=0.0)
    await scene.tick(3 if replicas > 1 else 70)  # a new operator has not seen which pods left before
    assert scene.get("Deployment")["spec"]["replicas"] == replicas, scene.status(key)["decision"]


@pytest.mark.parametrize(
    "used",
    [{"web": 0.01}, {"proxy": 0.01}, {"web": 0.0, "proxy": 0.0}, {}],
    ids=["a container without samples", "the other one", "nothing but zeros", "no samples"],
)
async def test_no_pod_is_removed_on_samples_that_are_missing(scene: Scene, used: dict[str, float]) -> None:
    key = await running(scene, pods=3, horizontal={"behavior": {"scaleDown": NOW}})
    scene.use(key, MetricType.CPU, **used)
    await scene.tick(70)
    assert scene.get("Deployment")["spec"]["replicas"] == 3
    assert scene.condition(key, "MetricsAvailable")[:2] == ("False", "NoData")


async def test_a_workload_that_is_deleted_is_missed_and_found_again(scene: Scene) -> None:
    key = await running(scene)
    scene.plane.ask("DELETE", scene.path("Deployment", "web"))
    await scene.until(lambda: scene.record(key).deployment is None)
    await scene.tick()
    assert scene.condition(key, "Available")[:2] == ("Unknown", "TargetNotFound")
    scene.run(scene.replica_set(scene.make(replicas=1), "def34"), 1)
    scene.count("Deployment", replicas=1, readyReplicas=1, updatedReplicas=1)
    await scene.known(key, 1)
    await scene.tick(2)
    assert scene.condition(key, "Ready")[0] == "True"
    assert scene.get("Deployment")["spec"]["replicas"] == 1
