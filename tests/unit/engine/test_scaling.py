"""Replicas: when they are changed, when not, and how that is told."""

import copy
from datetime import timedelta

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.errors import Rejected
from scalableapp.ports import PodAnswer, QueryAnswer
from tests.unit.engine.fakes import START
from tests.unit.engine.world import SPEC, World, with_scaling, with_spec


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


async def test_status_event_log_and_conditions_use_the_same_messages(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    key = await world.running(spec=with_scaling(horizontal={**SPEC["scaling"]["horizontal"], "maxReplicas": 3}))
    world.load(key, 100)
    with caplog.at_level("INFO"):
        await world.tick()
    (event,) = world.cluster.events
    decision = world.status(key)["decision"]
    assert event.message == f"2 -> 3 replicas ({decision['reason']}): {decision['message']}"
    assert f"{key}: {event.message}" in caplog.messages
    assert world.message(key, "ScalingLimited") == decision["message"]
    assert all(step["message"] in decision["message"] for step in decision["steps"])


async def test_a_scaling_is_reported_once(world: World) -> None:
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


async def test_a_refused_scaling_is_reported_once_and_tried_again_at_each_look(world: World) -> None:
    key = await world.running()
    world.cluster.failures["scale"] = Rejected("403 admission webhook says no")
    world.load(key, 100)
    await world.tick(24)
    assert [event.reason for event in world.cluster.events] == ["FailedRescale"]
    assert world.condition(key, "Ready") == ("False", "FailedRescale")
    assert "2 -> 4 replicas failed: 403 admission webhook says no" in world.message(key, "Ready")
    assert world.condition(key, "ScalingActive") == ("False", "FailedRescale")
    assert 24 <= world.cluster.verbs().count("scale") <= 40
    assert world.cluster.verbs().count("status") <= 4
    world.cluster.failures.clear()
    await world.tick()
    assert world.replicas(key) == 4
    assert world.condition(key, "Ready")[0] == "True"


async def test_what_else_fails_is_not_tried_at_each_look(world: World) -> None:
    key = await world.running()
    world.cluster.failures |= {verb: Rejected("policy says no") for verb in ("scale", "apply")}
    world.change(key, with_spec(image="web:2"))
    world.load(key, 100)
    await world.tick(36)
    assert world.cluster.verbs().count("scale") >= 36
    assert world.cluster.verbs().count("apply") <= 20
    world.cluster.failures.clear()
    await world.tick(4)
    assert world.replicas(key) == 4
    assert world.condition(key, "Ready")[0] == "True"


async def test_a_changed_spec_is_applied_at_once_while_a_scaling_fails(world: World) -> None:
    key = await world.running()
    world.cluster.failures["scale"] = Rejected("policy says no")
    world.load(key, 100)
    await world.tick(10)
    world.change(key, with_spec(image="web:2"))
    await world.settle()
    container = world.cluster.objects["Deployment", key]["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], world.status(key)["observedGeneration"]) == ("web:2", 2)


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


async def test_a_rollout_that_surges_holds_the_way_down(world: World) -> None:
    key = await world.running()
    deployment = world.cluster.objects["Deployment", key]
    deployment["status"] |= {"replicas": 3, "updatedReplicas": 1}
    world.cluster.put(deployment)
    world.load(key, 5)
    await world.tick(100)
    assert world.status(key)["decision"]["reason"] == "RolloutInProgress"
    assert "scale" not in world.cluster.verbs()


async def test_requests_add_pods_during_a_rollout_up_to_the_policies(world: World) -> None:
    key = await world.running()
    deployment = world.cluster.objects["Deployment", key]
    deployment["status"] |= {"replicas": 3, "updatedReplicas": 1}
    world.cluster.put(deployment)
    world.load(key, 120)
    await world.tick(2)
    assert world.replicas(key) == 5  # 240 requests/s at 50 a pod


async def test_after_a_rollout_no_single_reading_cuts(world: World) -> None:
    key = await world.running()
    await world.cluster.scale(key, 8)
    await world.run_pods(key, rps_each=50)
    await world.tick(3)
    deployment = world.cluster.objects["Deployment", key]
    deployment["status"] |= {"replicas": 10, "updatedReplicas": 2}
    world.cluster.put(deployment)
    await world.tick(120)
    await world.run_pods(key, rps_each=5)
    await world.tick(50)
    assert world.replicas(key) == 8
    await world.tick(12)
    assert world.replicas(key) == 2


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


async def test_what_a_pod_carried_that_is_gone_still_counts_while_prometheus_has_it() -> None:
    at_once = {"policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}], "stabilizationWindowSeconds": 0}
    scaling = {"horizontal": SPEC["scaling"]["horizontal"] | {"behavior": {"scaleDown": at_once}}}
    world = World()
    key = await world.running(spec=with_spec(scaling=scaling))
    await world.cluster.scale(key, 10)
    await world.run_pods(key, rps_each=40)
    world.registry.pod_gone(key, "web-8")
    world.registry.pod_gone(key, "web-9")
    await world.cluster.scale(key, 8)
    await world.tick(8)
    assert world.replicas(key) == 8  # 10 x 40 requests/s
    del world.metrics.pods[MetricType.REQUESTS_PER_SECOND].values[key.namespace, "web-9"]  # type: ignore[attr-defined] # a dict
    await world.tick(8)
    assert world.replicas(key) == 8  # 9 x 40 requests/s are 7.2 pods
