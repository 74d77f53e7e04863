"""Objective mode in the operator: what Prometheus is asked, and what its answers come to."""

import math
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.ports import LatencyAnswer, PodAnswer
from tests.unit.engine.world import World

OBJECTIVE = {"latency": {"quantile": 0.95, "seconds": 0.25}}
RPS, CPU = MetricType.REQUESTS_PER_SECOND, MetricType.CPU
PODS = [("shop", "web-0"), ("shop", "web-1")]
UNREACHABLE = "Prometheus does not answer"


@pytest.fixture
def world() -> World:
    return World()


def spec(**horizontal: Any) -> dict[str, Any]:
    return {"image": "web:1", "scaling": {"horizontal": {"minReplicas": 2, "objective": OBJECTIVE, **horizontal}}}


def serve(world: World, per_pod: float, slow: float = 0.01, failing: float = 0.0) -> None:
    """Two pods that answer so many requests per second, a share of them slowly; others of the cluster do, too."""
    histogram = {0.1: per_pod * (1 - slow) / 2, 0.25: per_pod * (1 - slow), math.inf: per_pod}
    strangers = {("shop", "other-0"): 9e9, ("elsewhere", "web-0"): 9e9}
    world.metrics.latencies = LatencyAnswer({**dict.fromkeys(PODS, histogram), ("elsewhere", "web-0"): {math.inf: 9e9}})
    world.metrics.bursts[20] = PodAnswer({**dict.fromkeys(PODS, per_pod), **strangers})
    world.metrics.failures = PodAnswer(dict.fromkeys(PODS, failing))
    world.metrics.pods[CPU] = PodAnswer({**dict.fromkeys(PODS, 0.2), **strangers})


def slow_share(world: World, key: AppKey) -> str:
    return str(world.cluster.apps[key]["status"]["metrics"][0]["current"])


async def test_an_objective_asks_for_requests_latencies_failures_and_cpu(world: World) -> None:
    await world.running(spec=spec())
    wanted = world.metrics.asked[-1]
    assert wanted.kinds == {RPS, CPU}
    assert (wanted.latencies, wanted.failures, set(wanted.bursts)) == (True, True, {20})


async def test_apps_without_one_ask_for_none_of_it(world: World) -> None:
    await world.running()
    wanted = world.metrics.asked[-1]
    assert (wanted.latencies, wanted.failures) == (False, False)


async def test_a_latency_metric_asks_for_histograms_only(world: World) -> None:
    metrics = [{"type": "Latency", "target": "100ms"}]
    key = await world.running(spec={"image": "web:1", "scaling": {"horizontal": {"metrics": metrics}}})
    serve(world, 20.0, slow=0.5)
    await world.tick()
    wanted = world.metrics.asked[-1]
    assert (wanted.kinds, wanted.latencies, wanted.failures) == (frozenset(), True, False)
    assert world.replicas(key) == 3  # one ready pod takes 2.5 times too long


async def test_the_objective_scales_the_app_and_says_why(world: World) -> None:
    key = await world.running(spec=spec(), rps_each=20.0)
    serve(world, 20.0, slow=0.5)
    await world.tick(25)
    assert world.replicas(key) > 2
    said = "40 requests/s on 2 ready pods, 50 % slower than 0.25 s or failed"
    assert any(said in event.message for event in world.cluster.events)


async def test_failed_requests_are_bad_ones(world: World) -> None:
    key = await world.running(spec=spec())
    serve(world, 20.0, slow=0.01, failing=10.0)
    await world.tick()
    assert slow_share(world, key) == "0.51"


async def test_without_failures_in_prometheus_nothing_has_failed(world: World) -> None:
    key = await world.running(spec=spec())
    serve(world, 20.0, slow=0.02)
    world.metrics.failures = PodAnswer({}, DataProblem.EMPTY, "no such series")
    await world.tick()
    assert slow_share(world, key) == "0.02"


async def test_where_scrapes_are_too_far_apart_the_longer_window_shows_the_load(world: World) -> None:
    key = await world.running(spec=spec(), rps_each=20.0)
    serve(world, 20.0, slow=0.5)
    world.metrics.bursts[20] = PodAnswer({}, DataProblem.EMPTY, "nothing in 20 s")
    world.metrics.pods[RPS] = PodAnswer(dict.fromkeys(PODS, 20.0))
    await world.tick(25)
    assert world.replicas(key) > 2


async def test_without_histograms_the_cpu_request_decides(world: World) -> None:
    key = await world.running(spec=spec())
    serve(world, 20.0)
    world.metrics.latencies = LatencyAnswer({}, DataProblem.EMPTY, "Prometheus has no histogram")
    await world.tick()
    status = world.cluster.apps[key]["status"]
    assert [metric["name"] for metric in status["metrics"]] == ["Objective", "CPU"]
    assert "Prometheus has no histogram" in status["decision"]["message"]


async def test_when_prometheus_is_lost_replicas_are_held(world: World) -> None:
    key = await world.running(spec=spec())
    serve(world, 20.0, slow=0.5)
    await world.tick()
    before = world.replicas(key)
    lost = DataProblem.UNREACHABLE, UNREACHABLE
    world.metrics.bursts[20] = world.metrics.pods[RPS] = world.metrics.pods[CPU] = PodAnswer({}, *lost)
    world.metrics.latencies, world.metrics.failures = LatencyAnswer({}, *lost), PodAnswer({}, *lost)
    await world.tick()
    assert world.replicas(key) == before
    assert world.condition(key, "MetricsAvailable")[:2] == ("False", "PrometheusUnreachable")
