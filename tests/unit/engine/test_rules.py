"""Rules of scaling that need more than the metrics of the moment: short windows, intervals, outages, time, sleep."""

from datetime import timedelta
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.errors import Rejected
from scalableapp.ports import PodAnswer, QueryAnswer
from tests.unit.engine.fakes import START
from tests.unit.engine.world import World

RPS = MetricType.REQUESTS_PER_SECOND
UNREACHABLE = PodAnswer({}, DataProblem.UNREACHABLE, "Prometheus does not answer")


@pytest.fixture
def world() -> World:
    return World()


def spec(interval: int | None = None, **horizontal: Any) -> dict[str, Any]:
    metrics = [{"type": "RequestsPerSecond", "target": "50"}]
    scaling: dict[str, Any] = {"horizontal": {"minReplicas": 2, "metrics": metrics, **horizontal}}
    return {"image": "web:1", "scaling": scaling | ({"intervalSeconds": interval} if interval else {})}


async def restarted(world: World, key: AppKey) -> World:
    """The operator's next life, over the same cluster and the same Prometheus."""
    anew = World(world.cluster, world.clock.seconds)
    anew.registry._record(key).pods = world.registry._record(key).pods
    anew.metrics.pods = world.metrics.pods
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    anew.deliver()
    return anew


async def test_a_burst_is_seen_in_the_short_window(world: World) -> None:
    key = await world.running(spec=spec(burst={"windowSeconds": 15}))
    world.metrics.bursts[15] = PodAnswer({("shop", "web-0"): 150, ("shop", "web-1"): 130, ("shop", "other-0"): 900})
    await world.tick()
    assert world.metrics.asked[-1].bursts == {15}
    assert world.replicas(key) == 6
    assert world.cluster.events[-1].message.startswith("2 -> 6 replicas (Burst)")


@pytest.mark.parametrize("answer", [UNREACHABLE, PodAnswer()], ids=["failing", "empty"])
async def test_without_the_short_window_the_long_one_decides(world: World, answer: PodAnswer) -> None:
    key = await world.running(spec=spec(burst={}))
    world.metrics.bursts[10] = answer
    world.load(key, 100)
    await world.tick()
    assert world.replicas(key) == 4
    assert world.condition(key, "MetricsAvailable")[0] == "True"


async def test_apps_without_bursts_ask_for_no_short_window(world: World) -> None:
    await world.running()
    assert world.metrics.asked[-1].bursts == frozenset()


async def test_an_app_with_an_interval_is_decided_on_that_often(world: World) -> None:
    key = await world.running(spec=spec(interval=60))
    world.load(key, 100)
    await world.tick(9)
    assert world.cluster.verbs().count("scale") == 0
    await world.tick(3)
    assert world.replicas(key) == 4


async def test_a_changed_spec_does_not_wait_for_the_interval(world: World) -> None:
    key = await world.running(spec=spec(interval=600))
    world.change(key, spec(interval=600, minReplicas=5))
    await world.settle()
    assert world.replicas(key) == 5


async def test_what_could_not_be_carried_out_does_not_wait_for_the_interval_again(world: World) -> None:
    key = await world.running(spec=spec(interval=60))
    world.cluster.failures["scale"] = Rejected("quota exceeded")
    world.load(key, 100)
    await world.tick(14)
    world.cluster.failures.clear()
    await world.tick(10)
    assert world.replicas(key) == 4


async def test_an_outage_is_remembered_over_a_restart(world: World) -> None:
    fallback = {"behavior": "CurrentIfHigher", "replicas": 7, "afterSeconds": 120}
    key = await world.running(spec=spec(fallback=fallback))
    world.metrics.pods[RPS] = UNREACHABLE
    await world.tick(12)
    began = (START + timedelta(seconds=15)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert world.status(key)["outage"] == {"time": began, "replicas": 2}

    anew = await restarted(world, key)
    await anew.tick(12)
    assert anew.replicas(key) == 2
    await anew.tick(2)
    assert anew.replicas(key) == 6  # 4 pods more in 15 s
    assert anew.status(key)["decision"]["reason"] == "ScaleUpLimit"
    assert anew.condition(key, "ScalingActive")[0] == "False"
    await anew.tick(4)
    assert anew.replicas(key) == 7

    anew.load(key, 50)
    await anew.tick(14)
    assert "outage" not in anew.status(key)


async def test_a_schedule_is_reported_when_it_begins_even_if_it_changes_no_number(world: World) -> None:
    later = START + timedelta(minutes=2)
    lunch = {"name": "lunch", "start": f"{later.minute} 12 * * *", "end": "0 14 * * *", "maxReplicas": 30}
    key = await world.running(spec=spec(schedules=[lunch]))
    assert "lunch starts at 2026-01-05 12:02 UTC" in world.status(key)["decision"]["message"]
    await world.tick(30)
    assert "schedule lunch sets maxReplicas 30 until 2026-01-05 14:00 UTC" in world.status(key)["decision"]["message"]


async def test_an_app_goes_to_0_and_back(world: World) -> None:
    query = 'sum(queue_depth{namespace="$namespace"})'
    queue = {"type": "Prometheus", "name": "queue", "query": query, "target": "10", "activationTarget": "0"}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    worker = spec(metrics=[queue], minReplicas=0, behavior=behavior)
    asked = query.replace("$namespace", "shop")
    world.metrics.queries[asked] = QueryAnswer(20)
    key = await world.running(spec=worker)
    await world.tick(3)
    await world.run_pods(key)

    world.metrics.queries[asked] = QueryAnswer(0)
    await world.tick(2)
    assert world.replicas(key) == 0
    await world.run_pods(key)
    await world.tick(2)
    assert world.condition(key, "Ready")[0] == "True"
    assert world.condition(key, "Available") == ("True", "ScaledToZero")
    assert world.condition(key, "MetricsAvailable")[0] == "True"

    world.metrics.queries[asked] = QueryAnswer(3)
    await world.tick()
    assert world.replicas(key) == 1
