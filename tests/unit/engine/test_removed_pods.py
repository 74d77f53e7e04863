"""Pods that are gone, of which Prometheus still has samples: load that others take over, and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem, Observation
from scalableapp.engine.observe import observe
from scalableapp.ports import LatencyAnswer, PodAnswer
from tests.unit.engine.test_scrapes import four_pods, names
from tests.unit.engine.world import World

RPS = MetricType.REQUESTS_PER_SECOND
STALE_AFTER = timedelta(seconds=20)


def observed(world: World, key: AppKey) -> Observation:
    record = world.registry.get(key)
    assert record
    found = observe(record, world.registry, world.clock.now(), STALE_AFTER)
    assert found
    return found


async def without(world: World, key: AppKey, gone: int, *, scrape: Scrape, value: float = 50.0) -> PodAnswer:
    """The last `gone` of the four pods have left; those that stay are scraped every 30 s."""
    pods = names(world, key)
    scrapes = dict.fromkeys(pods, Scrape(30.0, 10.0, 120.0)) | dict.fromkeys(pods[-gone:], scrape)
    for _, name in pods[-gone:]:
        world.registry.pod_gone(key, name)
    answer = PodAnswer(dict.fromkeys(pods, value), scrapes=scrapes)
    world.metrics.pods[RPS] = answer
    await world.cluster.scale(key, 4 - gone)
    await world.tick()
    return answer


@pytest.mark.parametrize(
    "scrape",
    [
        pytest.param(Scrape(None, None, 30.0, gone=True), id="its target is gone"),
        pytest.param(Scrape(30.0, 200.0, 240.0), id="its last sample is still shown"),
    ],
)
async def test_only_pods_that_stay_date_a_reading(world: World, scrape: Scrape) -> None:
    key = await four_pods(world)
    await without(world, key, 1, scrape=scrape)
    reading = observed(world, key).readings[RPS.value]
    assert (reading.total, len(reading.per_pod)) == (200.0, 4)
    assert reading.window_seconds == 120
    assert reading.newest_at == world.clock.now() - timedelta(seconds=10)
    assert reading.overdue == frozenset()


async def test_no_pod_goes_within_the_window_of_rare_scrapes(world: World) -> None:
    key = await four_pods(world)
    answer = await without(world, key, 1, scrape=Scrape(None, None, 120.0, gone=True), value=20.0)
    *_, gone = answer.values
    world.metrics.pods[RPS] = replace(answer, values={pod: 10.0 for pod in answer.values if pod != gone})
    await world.tick(20)
    assert world.replicas(key) == 3
    await world.tick(5)
    assert world.replicas(key) == 1


async def test_values_of_pods_that_are_gone_do_not_stand_in_for_series_of_no_use(world: World) -> None:
    key = await four_pods(world)
    answer = await without(world, key, 2, scrape=Scrape(None, None, 120.0, gone=True), value=5.0)
    stays = dict.fromkeys(names(world, key), (DataProblem.DUPLICATE, "several addresses"))
    world.metrics.pods[RPS] = replace(
        answer, values={pod: value for pod, value in answer.values.items() if pod not in stays}, refused=stays
    )
    await world.tick(40)
    assert world.replicas(key) == 2
    assert world.condition(key, "MetricsAvailable") == ("False", "DuplicateSeries")


async def test_a_burst_counts_what_pods_carried_that_left_in_its_window(world: World) -> None:
    key = await four_pods(world, burst={"windowSeconds": 10})
    pods = names(world, key)
    world.metrics.bursts[10] = PodAnswer(dict.fromkeys(pods, 50.0))
    await without(world, key, 1, scrape=Scrape(None, None, 120.0, gone=True))
    assert observed(world, key).readings[RPS.value].burst_total == 200


async def test_a_latency_is_dated_by_pods_that_stay(world: World) -> None:
    key = await world.running(
        spec={"image": "web:1", "scaling": {"horizontal": {"metrics": [{"type": "Latency", "target": "100ms"}]}}}
    )
    (first, *_), fast = names(world, key), {0.05: 10.0, float("inf"): 10.0}
    scrapes = {first: Scrape(30.0, 10.0, 120.0), (first[0], "web-gone"): Scrape(30.0, 200.0, 240.0)}
    world.metrics.latencies = LatencyAnswer(dict.fromkeys(scrapes, fast), scrapes=scrapes)
    await world.tick()
    reading = observed(world, key).readings["Latency"]
    assert (reading.window_seconds, reading.pods) == (120, frozenset({first[1]}))
