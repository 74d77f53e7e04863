"""The clock jumps, the process stops, the metrics go away: the windows count only time in which was looked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem, History, PodState, Recommendation, ScaleEvent
from scalableapp.engine.podtimes import date_pods
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.timekeeping import Timekeeper
from scalableapp.ports import PodAnswer, Snapshot
from tests.unit.engine.fakes import START
from tests.unit.engine.test_rules import restarted
from tests.unit.engine.world import SPEC, World, with_spec


class TwoClocks(World):
    """A world whose wall clock can be put forward and back while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.put = timedelta(0)
        self.loop.now = self.wall
        self.metrics.clock.now = self.wall  # type: ignore[method-assign] # the snapshot is dated by the wall clock
        self.loop.reconciler = Reconciler(
            self.registry, self.cluster, self.features, self.wall, stale_after_seconds=20, clock=self.clock
        )

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.clock.seconds) + self.put


def with_behavior(**behavior: object) -> dict[str, object]:
    return with_spec(scaling={"horizontal": SPEC["scaling"]["horizontal"] | {"behavior": behavior}})


UP_SLOWLY = with_behavior(
    scaleUp={
        "stabilizationWindowSeconds": 30,
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
    }
)
DOWN_IN_A_MINUTE = with_behavior(scaleDown={"stabilizationWindowSeconds": 60})


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
async def test_a_clock_that_is_put_changes_nothing_on_the_way_up(hours: int) -> None:
    world = TwoClocks()
    key = await world.running(spec=UP_SLOWLY)
    await world.tick(12)
    world.load(key, 200)
    await world.tick(8)
    assert world.replicas(key) == 4  # 2 more, and no further ones for a minute
    await world.run_pods(key, rps_each=100)
    world.put = timedelta(hours=hours)
    await world.tick(4)
    assert world.replicas(key) == 4
    await world.tick(10)
    assert world.replicas(key) == 6


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
async def test_a_clock_that_is_put_changes_nothing_on_the_way_down(hours: int) -> None:
    world = TwoClocks()
    key = await eight(world, DOWN_IN_A_MINUTE)
    world.load(key, 5)
    await world.tick(6)
    world.put = timedelta(hours=hours)
    await world.tick(5)
    assert world.replicas(key) == 8
    await world.tick(3)
    assert world.replicas(key) == 2


async def eight(world: World, spec: dict[str, object]) -> AppKey:
    """An app of 8 pods that are on target."""
    key = await world.running(spec=spec)
    await world.cluster.scale(key, 8)
    await world.run_pods(key, rps_each=50)
    await world.tick(3)
    return key


async def test_a_pause_of_the_process_lets_no_single_reading_cut(world: World) -> None:
    key = await eight(world, DOWN_IN_A_MINUTE)
    world.clock.seconds += 600
    world.load(key, 5)
    await world.tick(11)
    assert world.replicas(key) == 8
    await world.tick(3)
    assert world.replicas(key) == 2


@pytest.mark.parametrize("ticks", [3, 120], ids=["15 s", "10 minutes"])
async def test_an_outage_of_the_metrics_lets_no_single_reading_cut(world: World, ticks: int) -> None:
    key = await eight(world, DOWN_IN_A_MINUTE)
    world.metrics.pods[MetricType.REQUESTS_PER_SECOND] = PodAnswer(problem=DataProblem.UNREACHABLE)
    await world.tick(ticks)
    world.metrics.pods[MetricType.REQUESTS_PER_SECOND] = PodAnswer()
    world.load(key, 5)
    await world.tick(11)
    assert world.replicas(key) == 8
    await world.tick(3)
    assert world.replicas(key) == 2


async def test_after_a_pause_of_scaling_the_window_goes_on_where_it_was(world: World) -> None:
    key = await eight(world, DOWN_IN_A_MINUTE)
    paused = {**DOWN_IN_A_MINUTE, "scaling": {**DOWN_IN_A_MINUTE["scaling"], "paused": True}}  # type: ignore[dict-item] # a dict
    world.change(key, paused)
    await world.settle()
    await world.tick(60)
    world.change(key, DOWN_IN_A_MINUTE)
    await world.settle()
    world.load(key, 5)
    await world.tick(9)
    assert world.replicas(key) == 8


async def test_an_operator_that_was_away_lets_no_single_reading_cut(world: World) -> None:
    key = await eight(world, DOWN_IN_A_MINUTE)
    world.load(key, 5)
    await world.tick(11)
    assert world.replicas(key) == 8
    successor = await restarted(world, key)
    successor.clock.seconds += 600
    record = successor.registry.get(key)
    assert record
    record.pods = world.registry.get(key).pods  # type: ignore[union-attr] # it is there
    await successor.tick(11)
    assert successor.replicas(key) == 8


async def test_an_interval_of_its_own_is_no_pause(world: World) -> None:
    spec = with_spec(scaling={"horizontal": SPEC["scaling"]["horizontal"], "intervalSeconds": 60})
    spec["scaling"]["horizontal"] = spec["scaling"]["horizontal"] | {  # type: ignore[index] # a dict
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 120}}
    }
    key = await eight(world, spec)
    world.load(key, 5)
    await world.tick(40)
    assert world.replicas(key) == 2


def test_what_is_remembered_keeps_its_age() -> None:
    registry, at = Registry(), datetime(2026, 11, 30, 12, tzinfo=UTC)
    registry.app_seen(
        {"metadata": {"namespace": "a", "name": "b", "uid": "u", "generation": 1}, "spec": {"image": "web:1"}}
    )
    record = registry.get(AppKey("a", "b"))
    assert record
    record.history = History((Recommendation(at, 8),), (ScaleEvent(at, -1),))
    record.decided_at = record.reported_at = record.evaluated_at = at
    registry.snapshot = Snapshot(at)
    seconds, wall = [100.0], [at]
    time = Timekeeper(registry, lambda: wall[0], lambda: seconds[0])
    assert time.now() == at
    seconds[0], wall[0] = 105.0, at - timedelta(hours=1)
    assert time.now() == wall[0]
    then = wall[0] - timedelta(seconds=5)
    assert registry.snapshot
    assert record.history.recommendations == (Recommendation(then, 8),)
    assert record.history.scale_events == (ScaleEvent(then, -1),)
    assert (record.decided_at, record.reported_at, record.evaluated_at, registry.snapshot.at) == (then,) * 4


def an_app(registry: Registry) -> AppRecord:
    metadata = {"namespace": "a", "name": "b", "uid": "u", "generation": 1}
    registry.app_seen({"metadata": metadata, "spec": {"image": "web:1"}})
    record = registry.get(AppKey("a", "b"))
    assert record
    return record


def test_what_a_clock_is_slewed_by_adds_up() -> None:
    registry, seconds = Registry(), [0.0]
    record = an_app(registry)
    record.history = History((Recommendation(START, 8),))
    time = Timekeeper(registry, lambda: START + timedelta(seconds=1.2 * seconds[0]), lambda: seconds[0])
    time.now()
    for _ in range(60):
        seconds[0] += 5
        now = time.now()
    age = (now - record.history.recommendations[0].at).total_seconds()
    assert 298 <= age <= 302


def test_a_snapshot_taken_after_the_clock_was_put_keeps_its_time() -> None:
    registry, seconds, wall = Registry(), [0.0], [START]
    time = Timekeeper(registry, lambda: wall[0], lambda: seconds[0])
    time.now()
    seconds[0], wall[0] = 5.0, START + timedelta(hours=1)
    registry.snapshot = Snapshot(wall[0])
    time.now()
    assert registry.snapshot
    assert registry.snapshot.at == wall[0]


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("skew", [-HOUR, timedelta(0), HOUR], ids=["behind", "in time", "ahead"])
def test_a_pod_that_becomes_ready_while_we_look_is_as_young_as_it_is(skew: timedelta) -> None:
    record = an_app(Registry())
    date_pods(record, START)
    record.evaluated_at, now = START, START + timedelta(seconds=5)
    ready = now - timedelta(seconds=2)
    pod = PodState("web-0", "Running", True, False, ready + skew, ready + skew, created_at=ready + skew - 3 * HOUR)
    record.pods = {"web-0": pod}
    date_pods(record, now)
    dated = record.dated["web-0"].pod
    assert dated.readiness_changed_at
    assert START <= dated.readiness_changed_at <= now
    assert dated.readiness_changed_at - (dated.created_at or now) == 3 * HOUR
    record.pods = {"web-0": replace(pod, message="it says something else")}
    date_pods(record, now + HOUR)
    assert record.dated["web-0"].pod.readiness_changed_at == dated.readiness_changed_at


def test_the_times_of_pods_that_are_there_at_first_are_taken_as_they_are() -> None:
    record = an_app(Registry())
    pod = PodState("web-0", "Running", True, False, START - HOUR, START - HOUR)
    record.pods = {"web-0": pod, "web-1": replace(pod, name="web-1", readiness_changed_at=START + HOUR)}
    date_pods(record, START)
    assert record.dated["web-0"].pod is pod
    assert record.dated["web-1"].pod.readiness_changed_at == START
