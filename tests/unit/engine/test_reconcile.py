"""One app brought in line: children, replicas, status, events."""

import copy
from datetime import timedelta

import pytest

from scalableapp.core.model import AppKey, DataProblem
from scalableapp.core.scaling import MetricType
from scalableapp.errors import NotFound, Rejected, Terminating
from scalableapp.ports import Manifest, PodAnswer, QueryAnswer
from tests.unit.engine.world import BROKEN, NAMESPACE, SPEC, START, FakeCluster, World, app_labels, foreign


def with_spec(**changes: object) -> dict[str, object]:
    return {**copy.deepcopy(SPEC), **changes}


def with_scaling(**changes: object) -> dict[str, object]:
    return with_spec(scaling={**copy.deepcopy(SPEC["scaling"]), **changes})


async def test_a_new_app_gets_its_children_and_its_least_replicas(world: World) -> None:
    key = world.create()
    await world.settle()
    kinds = [what for verb, what in world.cluster.writes if verb == "apply"]
    assert kinds == ["Deployment", "Service", "Ingress", "PodDisruptionBudget"]
    assert world.replicas(key) == 2


async def test_nothing_changes_nothing_is_written(world: World) -> None:
    await world.running()
    await world.tick(100)
    assert (world.cluster.writes, world.cluster.events) == ([], [])


async def test_a_restart_writes_nothing_and_reads_nothing(world: World) -> None:
    key = await world.running()
    reads = world.cluster.reads
    restarted = World(world.cluster, world.clock.seconds)
    restarted.registry._record(key).pods = world.registry._record(key).pods
    restarted.metrics.pods = world.metrics.pods
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    restarted.deliver()
    await restarted.loop.tick()
    await restarted.settle()
    await restarted.tick(3)
    assert (world.cluster.writes, world.cluster.reads) == ([], reads)


async def test_a_restart_forgets_no_recommendation_that_holds_a_scale_down_back(world: World) -> None:
    key = await world.running(rps_each=200)
    await world.run_pods(key, rps_each=50)
    high = world.replicas(key)
    world.load(key, 1)
    await world.tick(2)
    assert world.status(key)["decision"]["reason"] == "ScaleDownStabilized"

    restarted = World(world.cluster, world.clock.seconds)
    restarted.registry._record(key).pods = world.registry._record(key).pods
    restarted.metrics.pods = world.metrics.pods
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    await restarted.tick(50)
    assert restarted.replicas(key) == high
    await restarted.tick(20)
    assert restarted.replicas(key) < high


@pytest.mark.parametrize("kind", ["Deployment", "Service", "Ingress", "PodDisruptionBudget"])
async def test_a_deleted_child_comes_back(world: World, kind: str) -> None:
    key = await world.running()
    world.cluster.remove(kind, key)
    await world.settle()
    assert ("apply", kind) in world.cluster.writes
    assert (kind, key) in world.cluster.objects


async def test_a_deleted_deployment_comes_back_with_its_least_replicas(world: World) -> None:
    key = await world.running()
    world.cluster.remove("Deployment", key)
    await world.settle()
    assert world.replicas(key) == 2


async def test_an_edited_child_is_mended_with_one_write(world: World) -> None:
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
        assert "changed by somebody else" in world.message(key, "Ready")


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


async def test_load_over_target_scales_up_and_says_so(world: World) -> None:
    key = await world.running()
    world.load(key, 100)
    await world.tick()
    assert world.replicas(key) == 4
    event = world.cluster.events[0]
    assert (event.type, event.reason) == ("Normal", "SuccessfulRescale")
    assert event.message.startswith("2 -> 4 replicas")
    assert world.status(key)["desiredReplicas"] == 4
    assert world.status(key)["lastScaleTime"] == (START + timedelta(seconds=15)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_scaling_is_told_once(world: World) -> None:
    key = await world.running()
    world.load(key, 100)
    await world.tick()
    await world.run_pods(key, rps_each=50)
    await world.tick(20)
    assert [event.reason for event in world.cluster.events] == ["SuccessfulRescale"]


async def test_an_event_from_before_a_scaling_does_not_scale_again(world: World) -> None:
    key = await world.running()
    late = copy.deepcopy(world.cluster.objects["Deployment", key])
    world.load(key, 100)
    await world.tick()
    late["status"]["readyReplicas"] = 1
    world.cluster.news.append(("MODIFIED", late))
    await world.settle()
    assert world.cluster.verbs().count("scale") == 1


async def test_a_refused_scaling_is_told_once_and_tried_again_with_back_off(world: World) -> None:
    key = await world.running()
    world.cluster.failures["scale"] = Rejected("quota exceeded")
    world.load(key, 100)
    await world.tick(12)
    assert [event.reason for event in world.cluster.events] == ["FailedRescale"]
    assert world.condition(key, "Ready") == ("False", "FailedRescale")
    assert 4 <= world.cluster.verbs().count("scale") <= 8
    world.cluster.failures.clear()
    await world.tick(12)
    assert world.replicas(key) == 4
    assert world.condition(key, "Ready")[0] == "True"


async def test_a_child_that_cannot_be_applied_does_not_stop_the_scaling(world: World) -> None:
    key = await world.running()
    world.cluster.failures["apply Service"] = Rejected("admission webhook says no")
    world.cluster.remove("Service", key)
    await world.settle()
    assert world.condition(key, "Ready") == ("False", "ApplyFailed")
    world.load(key, 100)
    await world.tick()
    assert world.replicas(key) == 4


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"image": "web:1", "prot": 80}, "spec.prot"),
        (with_scaling(horizontal={"minReplicas": 5, "maxReplicas": 2}), "minReplicas"),
        (with_scaling(horizontal={"metrics": [{"type": "Prometheus", "target": "1", "query": "sum(x)"}]}), "query"),
        ({}, "spec.image"),
    ],
    ids=["unknown field", "bounds crossed", "query of another's metrics", "image missing"],
)
async def test_a_wrong_spec_is_named_and_leaves_the_running_app_alone(
    world: World, spec: dict[str, object], field: str
) -> None:
    key = await world.running()
    world.change(key, spec)
    world.load(key, 500)
    await world.tick(20)
    assert [verb for verb in world.cluster.verbs() if verb != "status"] == []
    assert world.condition(key, "Ready") == ("False", "InvalidSpec")
    assert world.condition(key, "ScalingActive") == ("False", "InvalidSpec")
    assert field in world.message(key, "Ready")
    assert [event.reason for event in world.cluster.events] == ["InvalidSpec"]


async def test_a_mended_spec_goes_on_at_once(world: World) -> None:
    key = await world.running()
    world.change(key, {"image": "web:1", "prot": 80})
    await world.tick()
    world.change(key, with_spec(image="web:2"))
    await world.settle()
    assert world.condition(key, "Ready")[0] == "True"
    assert ("apply", "Deployment") in world.cluster.writes


async def test_a_spec_that_changes_during_the_work_is_reported_only_once_it_is_applied(world: World) -> None:
    key = await world.running()
    world.change(key, with_spec(image="web:2"))
    apply = world.cluster.apply

    async def interrupted(manifest: Manifest) -> Manifest:
        world.cluster.apply = apply  # type: ignore[method-assign]
        world.change(key, with_spec(image="web:3"))
        world.deliver()
        return await apply(manifest)

    world.cluster.apply = interrupted  # type: ignore[method-assign]
    world.deliver()
    record = world.registry.get(key)
    assert record
    assert world.queue.take(world.clock()) == key
    await world.loop.work(record)
    assert world.status(key)["observedGeneration"] == 1
    await world.settle()
    container = world.cluster.objects["Deployment", key]["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], world.status(key)["observedGeneration"]) == ("web:3", 3)


async def test_an_app_deleted_during_the_work_is_not_written_to(world: World) -> None:
    key = await world.running()
    world.change(key, with_spec(image="web:2"))
    apply = world.cluster.apply

    async def interrupted(manifest: Manifest) -> Manifest:
        applied = await apply(manifest)
        world.registry.app_gone(key)
        return applied

    world.cluster.apply = interrupted  # type: ignore[method-assign]
    await world.settle()
    assert "status" not in world.cluster.verbs()


async def test_a_name_that_no_service_can_bear_is_told_and_nothing_is_made(world: World) -> None:
    key = world.create("web.shop")
    await world.settle()
    assert world.condition(key, "Ready") == ("False", "InvalidSpec")
    assert "metadata.name" in world.message(key, "Ready")
    assert world.cluster.objects == {}


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


async def test_a_deleted_app_is_forgotten_and_written_no_more(world: World) -> None:
    key = await world.running()
    world.delete(key)
    await world.tick(3)
    assert (world.cluster.writes, world.cluster.objects, len(world.registry)) == ([], {}, 0)
    for name in ("web-0", "web-1"):
        world.registry.pod_gone(key, name)
    assert world.registry._records == {}


async def test_an_app_being_deleted_gets_its_children_not_back(world: World) -> None:
    key = await world.running()
    app = copy.deepcopy(world.cluster.apps[key])
    app["metadata"] |= {"deletionTimestamp": "2026-01-05T12:00:00Z", "generation": 2}
    world.cluster.news.append(("MODIFIED", app))
    await world.settle()
    world.cluster.remove("Deployment", key)
    await world.tick(3)
    assert world.cluster.writes == []


async def test_an_app_whose_namespace_is_being_deleted_is_left_to_go(world: World) -> None:
    key = await world.running()
    world.cluster.failures["apply"] = Terminating("namespace shop is going")
    world.cluster.remove("Deployment", key)
    world.cluster.remove("Service", key)
    await world.tick(20)
    assert world.cluster.verbs() == ["apply", "apply"]
    assert world.cluster.events == []


async def test_an_app_whose_deletion_was_missed_is_dropped_on_the_first_404(world: World) -> None:
    key = await world.running()
    del world.cluster.apps[key]
    world.load(key, 100)
    await world.tick()
    assert world.registry.get(key) is None
    world.cluster.writes.clear()
    await world.tick(5)
    assert world.cluster.writes == []


async def test_a_deployment_that_vanished_unseen_is_made_again(world: World) -> None:
    key = await world.running()
    del world.cluster.objects["Deployment", key]
    world.load(key, 100)
    await world.tick(3)
    assert ("Deployment", key) in world.cluster.objects


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"scaling": {**SPEC["scaling"], "paused": True}}, "Paused"), ({"replicas": 5}, "Pinned")],
    ids=["paused", "pinned by kubectl scale"],
)
async def test_a_pause_is_a_condition(world: World, changes: dict[str, object], reason: str) -> None:
    key = await world.running()
    world.change(key, with_spec(**changes))
    await world.tick()
    assert world.condition(key, "Paused") == ("True", reason)
    assert world.condition(key, "ScalingActive") == ("False", reason)
    assert world.replicas(key) == int(str(changes.get("replicas", 2)))


async def test_a_dry_run_changes_no_replicas(world: World) -> None:
    key = await world.running(spec=with_scaling(dryRun=True))
    world.load(key, 500)
    await world.tick(2)
    assert "scale" not in world.cluster.verbs()
    assert world.status(key)["decision"]["reason"] == "DryRun"


async def test_prometheus_down_holds_and_says_so_once(world: World) -> None:
    key = await world.running()
    answer = PodAnswer(problem=DataProblem.UNREACHABLE, message="connection refused")
    world.metrics.pods[MetricType.REQUESTS_PER_SECOND] = answer
    await world.tick(20)
    assert world.replicas(key) == 2
    assert world.condition(key, "MetricsAvailable") == ("False", "PrometheusUnreachable")
    assert "connection refused" in world.message(key, "MetricsAvailable")
    assert [event.reason for event in world.cluster.events] == ["PrometheusUnreachable"]
    assert world.cluster.verbs() == ["status"]


async def test_answers_that_have_grown_old_are_not_acted_on(world: World) -> None:
    key = await world.running()
    world.load(key, 500)
    await world.loop.tick()
    world.queue.forget(key)
    world.clock.seconds += 30
    world.change(key, with_spec(image="web:2"))
    await world.settle()
    assert "scale" not in world.cluster.verbs()
    assert world.condition(key, "MetricsAvailable") == ("False", "StaleData")


async def test_a_rollout_that_surges_holds_the_replicas(world: World) -> None:
    key = await world.running()
    deployment = world.cluster.objects["Deployment", key]
    deployment["status"] |= {"replicas": 3, "updatedReplicas": 1}
    world.cluster.put(deployment)
    world.load(key, 500)
    await world.tick(2)
    assert world.status(key)["decision"]["reason"] == "RolloutInProgress"
    assert "scale" not in world.cluster.verbs()


async def test_a_rollout_that_is_stuck_does_not_hold_the_replicas_for_ever(world: World) -> None:
    key = await world.running()
    deployment = world.cluster.objects["Deployment", key]
    stuck = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    deployment["status"] |= {"replicas": 3, "updatedReplicas": 1, "conditions": stuck}
    world.cluster.put(deployment)
    world.load(key, 500)
    await world.tick()
    assert "scale" in world.cluster.verbs()


async def test_a_users_query_is_asked_for_the_apps_own_namespace_and_acted_on(world: World) -> None:
    query = {"type": "Prometheus", "name": "queue", "target": "10", "query": 'sum(depth{namespace="$namespace"})'}
    key = await world.running(spec=with_scaling(horizontal={"metrics": [query]}))
    (asked,) = world.metrics.asked[-1].queries
    assert 'namespace="shop"' in asked
    world.metrics.queries[asked] = QueryAnswer(value=35.0)
    await world.tick()
    assert world.replicas(key) == 4


async def test_a_fault_of_ours_is_reported_on_that_app_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key, other = await world.running(), await world.running("api")
    monkeypatch.setattr("scalableapp.reconcile.children", _failing_for(key))
    world.change(key, with_spec(image="web:2"))
    world.load(other, 100)
    await world.tick(2)
    assert world.condition(key, "Ready") == ("False", "InternalError")
    assert world.replicas(other) == 4


def _failing_for(broken: AppKey) -> object:
    from scalableapp.core.resources import children  # noqa: PLC0415 - the true one, before it is replaced

    def failing(key: AppKey, *rest: object) -> object:
        if key == broken:
            raise ZeroDivisionError
        return children(key, *rest)  # type: ignore[arg-type]

    return failing


async def test_the_api_server_down_is_survived_with_back_off(world: World) -> None:
    key = await world.running()
    for verb in ("apply", "scale", "status", "delete"):
        world.cluster.failures[verb] = BROKEN
    world.load(key, 100)
    await world.tick(24)
    assert len(world.cluster.writes) < 30
    world.cluster.failures.clear()
    await world.tick(13)
    assert world.replicas(key) == 4


async def test_a_status_that_is_gone_while_it_is_written_means_the_app_is_gone(world: World) -> None:
    key = world.create()
    world.cluster.failures["status"] = NotFound("gone")
    await world.settle()
    assert world.registry.get(key) is None


async def test_two_hundred_apps_at_once(world: World) -> None:
    keys = [world.create(f"app-{number}") for number in range(200)]
    for _ in range(10):
        world.deliver()
        while (key := world.queue.take(world.clock())) is not None:
            record = world.registry.get(key)
            assert record
            await world.loop.work(record)
    assert all(world.replicas(key) == 2 for key in keys)
    assert len(world.cluster.objects) == 800
    world.cluster.writes.clear()
    world.clock.seconds += 5
    await world.loop.tick()
    assert (world.cluster.writes, len(world.queue)) == ([], 0)
    assert world.metrics.asked[-1].namespaces == {NAMESPACE}
