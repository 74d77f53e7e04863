"""What Prometheus tells of scrapes and copies, all the way to the decision and the conditions."""

from datetime import timedelta
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.ports import LatencyAnswer, PodAnswer, Refusal
from tests.unit.engine.world import SPEC, World, with_scaling

RPS, CPU = MetricType.REQUESTS_PER_SECOND, MetricType.CPU
RARE: Refusal = (DataProblem.TOO_RARE, "Prometheus scrapes them every 120 s")
TWICE: Refusal = (DataProblem.DUPLICATE, "several addresses")
BROKEN: Refusal = (DataProblem.BROKEN, "counters were reset")


def names(world: World, key: AppKey) -> list[tuple[str, str]]:
    record = world.registry.get(key)
    assert record
    return [(key.namespace, name) for name in record.pods]


async def four_pods(world: World, **horizontal: Any) -> AppKey:
    at_once = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]}
    behavior = {"scaleDown": at_once, "scaleUp": at_once}
    spec = with_scaling(
        horizontal={**SPEC["scaling"]["horizontal"], "minReplicas": 1, "behavior": behavior, **horizontal}
    )
    key = await world.running(spec=spec)
    world.load(key, 200)
    await world.tick()
    await world.run_pods(key, rps_each=50)
    await world.tick()
    await world.tick(4)
    assert world.replicas(key) == 4
    return key


@pytest.mark.parametrize("refusal", [RARE, TWICE, BROKEN], ids=lambda refusal: refusal[0].value)
async def test_series_of_no_use_take_no_pod_away_and_are_named(world: World, refusal: Refusal) -> None:
    key = await four_pods(world)
    world.metrics.pods[RPS] = PodAnswer({}, refused=dict.fromkeys(names(world, key), refusal))
    await world.tick(3)
    assert world.replicas(key) == 4
    assert world.condition(key, "MetricsAvailable") == ("False", refusal[0].value)
    assert refusal[1] in world.message(key, "MetricsAvailable")


async def test_one_pod_with_series_of_no_use_counts_as_on_target(world: World) -> None:
    key = await four_pods(world)
    first, *others = names(world, key)
    world.metrics.pods[RPS] = PodAnswer(dict.fromkeys(others, 10.0), refused={first: BROKEN})
    await world.tick()
    assert world.replicas(key) == 2  # 3 x 10 + 50
    assert world.condition(key, "MetricsAvailable")[0] == "True"


async def test_the_first_scrapes_are_waited_for_without_an_alarm(world: World) -> None:
    key = await four_pods(world)
    world.metrics.pods[RPS] = PodAnswer({}, scrapes=dict.fromkeys(names(world, key), Scrape(None, 3.0)))
    await world.tick(3)
    assert world.replicas(key) == 4
    assert world.condition(key, "MetricsAvailable") == ("Unknown", "NotMeasured")


async def test_pods_whose_targets_are_gone_take_no_pod_away(world: World) -> None:
    key = await four_pods(world)
    fading = {pod: Scrape(5.0, None, gone=True) for pod in names(world, key)}
    world.metrics.pods[RPS] = PodAnswer(dict.fromkeys(fading, 5.0), scrapes=fading)
    await world.tick(3)
    assert world.replicas(key) == 4
    world.metrics.pods[RPS] = PodAnswer(dict.fromkeys(fading, 5.0), scrapes=dict.fromkeys(fading, Scrape(5.0, 3.0)))
    await world.tick()
    assert world.replicas(key) == 1


async def test_decisions_and_conditions_date_their_numbers(world: World) -> None:
    key = await four_pods(world)
    scrapes = {pod: Scrape(30.0, 20.0 + number, 120.0) for number, pod in enumerate(names(world, key))}
    world.metrics.pods[RPS] = PodAnswer(dict.fromkeys(scrapes, 10.0), scrapes=scrapes)
    await world.tick()
    decision = world.status(key)["decision"]["message"]
    at = world.clock.now().timestamp() - 23
    assert f"(as of {world.clock.now().fromtimestamp(at, world.clock.now().tzinfo):%H:%M:%S} UTC over 2 m)" in decision


async def test_a_burst_says_that_scrapes_are_too_rare_for_it(world: World) -> None:
    key = await four_pods(world, burst={"windowSeconds": 10})
    message = "a scrape interval of 30 s is too long for a window of 10 s"
    world.metrics.bursts[10] = PodAnswer({}, refused=dict.fromkeys(names(world, key), (DataProblem.TOO_RARE, message)))
    await world.tick()
    record = world.registry.get(key)
    assert record is not None
    assert record.decision is not None
    assert f"burst is not used: {message}" in record.decision.message


async def test_an_objective_says_which_window_it_goes_by(world: World) -> None:
    objective = {"latency": {"quantile": 0.95, "seconds": 0.25}}
    key = await world.running(spec=with_scaling(horizontal={"minReplicas": 1, "objective": objective}))
    pods = names(world, key)
    scrapes = dict.fromkeys(pods, Scrape(30.0, 5.0, 120.0))
    message = "a scrape interval of 30 s is too long for a window of 20 s"
    world.metrics.pods = {kind: PodAnswer(dict.fromkeys(pods, 10.0), scrapes=scrapes) for kind in (RPS, CPU)}
    world.metrics.bursts[20] = PodAnswer({}, refused=dict.fromkeys(pods, (DataProblem.TOO_RARE, message)))
    fast = {0.25: 10.0, float("inf"): 10.0}
    world.metrics.latencies = LatencyAnswer(dict.fromkeys(pods, fast), scrapes=scrapes)
    await world.tick(30)
    record = world.registry.get(key)
    assert record is not None
    assert record.decision is not None
    assert f"over 2 m) ({message}, so the rate window of the metrics is used)" in record.decision.message


async def test_status_and_the_condition_say_when_the_numbers_were_measured(world: World) -> None:
    key = await four_pods(world)
    scrapes = {pod: Scrape(15.0, 4.0 + number, 60.0) for number, pod in enumerate(names(world, key))}
    world.metrics.pods[RPS] = PodAnswer(dict.fromkeys(scrapes, 90.0), scrapes=scrapes)
    await world.tick()
    (metric,) = world.status(key)["metrics"]
    oldest = world.clock.now() - timedelta(seconds=7)
    assert metric["measuredAt"] == f"{oldest:%Y-%m-%dT%H:%M:%SZ}"
    message = f"all metrics are available; the oldest sample was taken at {oldest:%H:%M:%S} UTC"
    assert world.message(key, "MetricsAvailable") == message


async def test_new_times_alone_are_not_worth_a_write(world: World) -> None:
    key = await four_pods(world)
    for tick in range(5):
        scrapes = dict.fromkeys(names(world, key), Scrape(15.0, 4.0 + tick, 60.0))
        world.metrics.pods[RPS] = PodAnswer(dict.fromkeys(scrapes, 50.0), scrapes=scrapes)
        if tick == 1:
            world.cluster.writes.clear()
        await world.tick()
    assert world.cluster.writes == []
