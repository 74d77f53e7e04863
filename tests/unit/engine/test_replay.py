"""The operator's next life: what it gets back from Prometheus' memory, and what it does without."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.horizontal.replay import Moment, PodsMoment
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.core.size import Resource
from scalableapp.engine.replay import APPS_AT_A_TIME, MOST_TRIES, PAUSE_SECONDS, Replayer
from scalableapp.ports import LatencyAnswer, PastData, PodAnswer
from tests.unit.engine.test_rules import restarted
from tests.unit.engine.world import SPEC, World, with_scaling

RATE = MetricType.REQUESTS_PER_SECOND
DOWN = PastData(problem=DataProblem.UNREACHABLE, message="Prometheus does not answer")


@dataclass
class FakeHistory:
    """Implements ports.PastMetrics; keeps what it was asked for."""

    moments: dict[AppKey, list[Moment]] = field(default_factory=dict)
    values: dict[AppKey, list[PodsMoment]] = field(default_factory=dict)
    used: dict[Resource, list[tuple[float, float]]] = field(default_factory=dict)
    down: bool = False
    asked: list[tuple[str, Collection[AppKey], Any]] = field(default_factory=list)

    async def loads(
        self, apps: Mapping[AppKey, float | None], until: datetime, source: RequestSource | None = None
    ) -> PastData:
        self.asked.append(("loads", list(apps), set(apps.values())))
        return DOWN if self.down else PastData({key: self.moments[key] for key in apps if key in self.moments})

    async def pods(
        self,
        apps: Collection[AppKey],
        kinds: Collection[MetricType],
        seconds: float,
        until: datetime,
        source: RequestSource | None = None,
    ) -> PastData:
        self.asked.append(("pods", list(apps), seconds))
        return DOWN if self.down else PastData(pods={key: self.values[key] for key in apps if key in self.values})

    async def usage(self, apps: Mapping[AppKey, Mapping[Resource, float]], until: datetime) -> PastData:
        self.asked.append(("usage", list(apps), {r: s for wanted in apps.values() for r, s in wanted.items()}))
        return DOWN if self.down else PastData(usage=dict.fromkeys(apps, self.used))


def spec(**horizontal: Any) -> dict[str, object]:
    return with_scaling(horizontal={**SPEC["scaling"]["horizontal"], **horizontal})


PREDICTS = spec(prediction={"enabled": True})
OBJECTIVE = spec(metrics=[], objective={"latency": {"quantile": 0.95, "seconds": 0.3}})


def serve(world: World, key: AppKey, load: float) -> None:
    """Prometheus' answers of the moment: all is well with that load on two pods."""
    pods = [(key.namespace, f"{key.name}-{number}") for number in range(2)]
    histogram = {0.1: load / 2 * 0.99, 0.3: load / 2 * 0.999, math.inf: load / 2}
    world.metrics.latencies = LatencyAnswer(dict.fromkeys(pods, histogram))
    world.metrics.bursts[20] = PodAnswer(dict.fromkeys(pods, load / 2))


def replayer(world: World, past: FakeHistory) -> Replayer:
    return Replayer(world.registry, past, world.clock.now)


def rising(world: World, minutes: int = 60) -> list[Moment]:
    """A past in which the load rises by 1 request/s each 15 s, up to now; answered well by two pods."""
    steps = 4 * minutes
    return [
        Moment(world.clock.now() - timedelta(seconds=15 * (steps - n)), 100.0 + n, 2, 0.001) for n in range(steps + 1)
    ]


def per_pod(world: World, loads: list[float], pods: int = 2) -> list[PodsMoment]:
    """Loads of the past, 15 s apart, up to now."""
    last = len(loads) - 1
    return [
        PodsMoment(
            world.clock.now() - timedelta(seconds=15 * (last - n)),
            {RATE: {f"web-{pod}": load / pods for pod in range(pods)}},
        )
        for n, load in enumerate(loads)
    ]


async def test_forecasts_go_on_where_they_were(world: World) -> None:
    key = await world.running(spec=PREDICTS)
    anew = await restarted(world, key)
    await anew.tick(2)
    past = FakeHistory({key: rising(anew)})
    assert await replayer(anew, past).replay_next() == 0
    record = anew.registry.get(key)
    assert record
    assert record.history
    assert record.history.loads.verdict.model == "trend"
    assert len(record.history.loads.recent) >= 20


async def test_an_objective_goes_by_what_was_learned(world: World) -> None:
    key = await world.running(spec=OBJECTIVE)
    past = FakeHistory({key: rising(world)})
    await replayer(world, past).replay_next()
    assert past.asked == [("loads", [key], {0.3})]
    record = world.registry.get(key)
    assert record
    assert record.history
    assert record.history.learned.capacity
    assert record.history.learned.capacity.minutes > 30


async def test_after_a_restart_an_objective_waits_for_what_it_had_learned(world: World) -> None:
    key = await world.running(spec=OBJECTIVE)
    serve(world, key, 50.0)
    await world.tick()
    before = world.replicas(key)
    anew = await restarted(world, key)
    serve(anew, key, 50.0)
    await anew.tick()
    record = anew.registry.get(key)
    assert record
    assert record.decision
    assert (record.decision.reason, record.decision.replicas_to) == ("ReplayingHistory", before)
    await replayer(anew, FakeHistory({key: rising(anew)})).replay_next()
    await anew.tick()
    assert record.decision.reason != "ReplayingHistory"


async def test_it_does_not_wait_for_ever(world: World) -> None:
    key = await world.running(spec=OBJECTIVE)
    serve(world, key, 50.0)
    await world.tick()
    anew = await restarted(world, key)
    anew.clock.seconds += 61
    serve(anew, key, 50.0)
    record = anew.registry.get(key)
    assert record
    await anew.tick()
    anew.clock.seconds += 61
    await anew.tick()
    assert record.decision
    assert record.decision.reason != "ReplayingHistory"


async def test_a_new_app_waits_for_nothing(world: World) -> None:
    key = await world.running(spec=OBJECTIVE)
    record = world.registry.get(key)
    assert record
    assert record.replay_until is None


async def test_the_past_is_asked_for_once(world: World) -> None:
    key = await world.running(spec=PREDICTS)
    past = FakeHistory({key: rising(world)})
    replay = replayer(world, past)
    await replay.replay_next()
    assert await replay.replay_next() == PAUSE_SECONDS
    assert [what for what, *_ in past.asked] == ["pods", "loads"]


async def test_prediction_that_is_switched_on_later_gets_its_past_then(world: World) -> None:
    key = await world.running(spec=PREDICTS)
    past = FakeHistory({key: rising(world)})
    replay = replayer(world, past)
    for wanted in (SPEC, PREDICTS):
        await replay.replay_next()
        world.change(key, wanted)
        await world.settle()
    await replay.replay_next()
    await replay.replay_next()
    assert [what for what, *_ in past.asked].count("loads") == 2
    record = world.registry.get(key)
    assert record
    assert record.history
    assert len(record.history.loads.errors) > 200


async def test_apps_that_need_no_past_ask_for_none(world: World) -> None:
    key = await world.running()
    anew = await restarted(world, key)  # with a status that tells
    await anew.tick()
    past = FakeHistory()
    assert await replayer(anew, past).replay_next() == PAUSE_SECONDS
    assert past.asked == []


async def without_status(world: World, key: AppKey) -> World:
    """The next life, in which the status is lost."""
    world.cluster.apps[key].pop("status")
    anew = await restarted(world, key)
    await anew.tick()
    return anew


async def test_a_lost_status_does_not_make_a_scale_down_wait_again(world: World) -> None:
    key = await world.running(rps_each=50)
    world.load(key, 100)
    await world.tick()
    await world.run_pods(key, rps_each=10)
    assert world.replicas(key) == 4
    anew = await without_status(world, key)
    await anew.tick(5)
    assert anew.replicas(key) == 4  # for 5 minutes, as nobody knows better
    past = FakeHistory(values={key: per_pod(anew, [40.0] * 30, pods=4)})
    await replayer(anew, past).replay_next()
    await anew.tick()
    assert anew.replicas(key) == 2


async def test_a_lost_status_lets_no_replica_go_that_was_asked_for_a_minute_ago(world: World) -> None:
    key = await world.running(rps_each=10)
    anew = await without_status(world, key)
    past = FakeHistory(values={key: per_pod(anew, [*[40.0] * 25, 390.0, *[40.0] * 4], pods=4)})
    await replayer(anew, past).replay_next()
    record = anew.registry.get(key)
    assert record
    assert record.history
    assert max(entry.replicas for entry in record.history.recommendations) == 8


async def test_a_past_too_short_for_the_window_changes_nothing(world: World) -> None:
    key = await world.running(rps_each=10)
    anew = await without_status(world, key)
    record = anew.registry.get(key)
    assert record
    before = record.history
    await replayer(anew, FakeHistory(values={key: per_pod(anew, [40.0] * 5)})).replay_next()
    assert record.history is before
    assert record.guessed_at is None


async def test_a_status_older_than_the_window_counts_as_lost(world: World) -> None:
    key = await world.running(rps_each=10)
    world.clock.seconds += 3600
    anew = await restarted(world, key)
    await anew.tick()
    past = FakeHistory()
    await replayer(anew, past).replay_next()
    assert [what for what, *_ in past.asked] == ["pods"]


async def test_without_prometheus_it_is_tried_again_and_in_the_end_done_without(world: World) -> None:
    key = await world.running(spec=PREDICTS)
    past = FakeHistory(down=True)
    replay = replayer(world, past)
    pauses = [await replay.replay_next() for _ in range(MOST_TRIES)]
    assert all(8 <= pause <= 720 for pause in pauses[:-1])
    assert pauses[-2] > 4 * pauses[0]
    assert pauses[-1] == PAUSE_SECONDS
    past.asked.clear()
    await replay.replay_next()
    assert past.asked == []
    assert world.replicas(key) == 2


async def test_many_apps_take_their_turns(world: World) -> None:
    for number in range(APPS_AT_A_TIME + 5):
        world.create(f"app-{number}", PREDICTS)
        await world.settle()
    past = FakeHistory()
    replay = replayer(world, past)
    while await replay.replay_next() == 0:
        pass
    asked = [apps for what, apps, _ in past.asked if what == "loads"]
    assert sum(map(len, asked)) == APPS_AT_A_TIME + 5
    assert max(map(len, asked)) == APPS_AT_A_TIME


async def test_a_fault_costs_the_past_of_an_app_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await world.running(spec=PREDICTS)
    past = FakeHistory({key: rising(world)})
    replay = replayer(world, past)
    naps: list[float] = []

    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise InterruptedError

    monkeypatch.setattr("scalableapp.engine.replay.replayed", faulty)
    monkeypatch.setattr("scalableapp.engine.replay.asyncio.sleep", nap)
    with pytest.raises(InterruptedError):
        await replay.follow()
    assert naps == [PAUSE_SECONDS] * 3
    assert math.isclose(world.replicas(key), 2)


async def test_usage_of_before_is_read_before_sizes_are_decided_on() -> None:
    world, past = World(), FakeHistory()
    key = world.create(spec=with_scaling(mode="Vertical"))
    await world.settle()
    await world.run_pods(key)
    await world.loop.tick()
    await world.settle()
    record = world.registry.get(key)
    assert record
    assert record.decision
    assert record.decision.reason == "AwaitingHistory" or not record.decision.resizes
    now = world.clock.now().timestamp()
    past.used = {Resource.CPU: [(now - 60 * i, 0.5) for i in range(100, 0, -1)]}
    await Replayer(world.registry, past, world.clock.now).replay_next()
    assert past.asked == [("usage", [key], {Resource.CPU: 90_000.0, Resource.MEMORY: 691_200.0})]
    assert record.sizing.history
    assert record.sizing.history.ready
    assert record.sizing.history.learned[Resource.CPU].histogram.samples >= 100
