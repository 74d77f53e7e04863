"""The tick: cadence, one question for all apps, telling measures now and then, and surviving faults."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from scalableapp.adapters.telemetry_apps import AppView
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.engine import loop as loop_module
from scalableapp.engine.looks import STALLED_INTERVALS, STALLED_SECONDS
from scalableapp.engine.record import AppRecord
from scalableapp.ports import PodAnswer
from tests.unit.engine.fakes import START
from tests.unit.engine.world import BROKEN, SPEC, World


async def test_prometheus_is_asked_once_for_all_apps(world: World) -> None:
    queue = {"type": "Prometheus", "name": "q", "target": "1", "query": 'sum(depth{namespace="$namespace"})'}
    world.create("web")
    world.create("api", {"image": "api:1", "scaling": {"horizontal": {"metrics": [{"type": "CPU", "target": "1"}]}}})
    for name in ("one", "two"):
        world.create(name, {"image": "x:1", "scaling": {"horizontal": {"metrics": [queue]}}})
    await world.settle()
    world.metrics.asked.clear()
    await world.loop.tick()
    (wanted,) = world.metrics.asked
    assert wanted.kinds == {MetricType.REQUESTS_PER_SECOND, MetricType.CPU}
    assert len(wanted.queries) == 1


async def test_an_app_with_a_wrong_spec_asks_for_nothing(world: World) -> None:
    world.create("web", {"image": "web:1", "prot": 1})
    await world.settle()
    await world.loop.tick()
    assert world.metrics.asked[-1].kinds == set()


async def test_measures_alone_are_reported_at_most_once_a_minute(world: World) -> None:
    key = await world.running(rps_each=50)
    for number in range(60):
        world.load(key, 45 + 8 * (number % 2))
        await world.tick()
    assert set(world.cluster.verbs()) == {"status"}
    assert 3 <= len(world.cluster.writes) <= 5


async def test_measures_of_many_apps_do_not_come_at_once(world: World) -> None:
    keys = [await world.running(f"app-{number}") for number in range(100)]
    world.clock.seconds += 300
    for key in keys:
        world.load(key, 54)
    await world.tick()
    assert len(world.cluster.writes) == loop_module.MEASURES_BURST
    await world.tick(5)
    assert len(world.cluster.writes) == 100


async def test_idle_noise_is_never_reported(world: World) -> None:
    key = await world.running(rps_each=50)
    for number in range(60):
        world.load(key, 49 + number % 3)
        await world.tick()
    assert world.cluster.writes == []


async def test_a_fault_while_deciding_one_app_leaves_the_others_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = await world.running("broken"), await world.running("other")
    evaluate = world.loop.reconciler.evaluate

    def failing(record: object) -> object:
        if record is world.registry.get(broken):
            raise ZeroDivisionError
        return evaluate(record)  # type: ignore[arg-type]

    monkeypatch.setattr(world.loop.reconciler, "evaluate", failing)
    world.load(other, 100)
    await world.tick()
    assert world.replicas(other) == 4
    assert world.condition(broken, "Ready") == ("False", "InternalError")


async def test_a_decided_step_comes_before_a_resync(world: World) -> None:
    key = await world.running()
    world.queue.add(key, world.clock(), delay=60)  # as a resync does
    world.metrics.pods[MetricType.REQUESTS_PER_SECOND] = PodAnswer(problem=DataProblem.UNREACHABLE)
    await world.tick()
    assert world.condition(key, "MetricsAvailable") == ("False", "PrometheusUnreachable")


async def test_a_back_off_is_not_cut_short_by_a_decision(world: World) -> None:
    await world.running()
    world.cluster.failures["status"] = BROKEN
    world.metrics.pods[MetricType.REQUESTS_PER_SECOND] = PodAnswer(problem=DataProblem.UNREACHABLE)
    await world.tick(12)
    tries = world.cluster.verbs().count("status")
    assert 4 <= tries <= 6  # after 1, 2, 4, 8, 16 s, and not with every look


async def test_a_tick_that_fails_is_counted_and_followed_by_the_next(world: World) -> None:
    async def failing(_wanted: object) -> None:
        raise ZeroDivisionError

    world.metrics.collect = failing  # type: ignore[method-assign, assignment]
    await world.loop._guarded_tick()
    assert world.telemetry.called == ["readiness", "tick_failed"]


async def test_after_a_tick_the_metrics_show_each_app_as_its_status_does(world: World) -> None:
    await world.running(spec={**SPEC, "scaling": {"paused": True, "horizontal": {"minReplicas": 2, "maxReplicas": 7}}})
    (view,) = list(world.loop._views())
    assert (view.counts, view.bounds, view.budget) == ((1, 1), (2, 7), None)
    assert view.decision
    assert ("Paused", "True", "Paused") in view.abnormal
    assert "Ready" not in {condition.type for condition in view.abnormal}


async def test_an_app_that_cannot_be_reported_keeps_no_other_from_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = await world.running("broken"), await world.running("other")
    view = loop_module._view

    def failing(record: AppRecord, now: datetime) -> AppView:
        if record.key == broken:
            raise ZeroDivisionError
        return view(record, now)

    monkeypatch.setattr(loop_module, "_view", failing)
    assert [view.key for view in world.loop._views()] == [other]


async def test_an_app_whose_spec_is_refused_is_reported_too(world: World) -> None:
    world.create(spec={"image": "", "scaling": {}})
    await world.settle()
    (view,) = list(world.loop._views())
    assert (view.decision, view.counts, view.bounds) == (None, None, None)
    assert ("Ready", "False", "InvalidSpec") in view.abnormal


@pytest.mark.parametrize(("mode", "bounds", "budget"), [("Vertical", None, None), ("Horizontal", (1, 10), 0.005)])
async def test_bounds_and_budget_are_reported_where_the_app_is_scaled_by_them(
    world: World, mode: str, bounds: tuple[int, int] | None, budget: float | None
) -> None:
    objective = {"latency": {"seconds": 0.25}}
    horizontal = {} if mode == "Vertical" else {"horizontal": {"objective": objective}}
    await world.running(spec={"image": "web:1", "scaling": {"mode": mode, **horizontal}})
    (view,) = list(world.loop._views())
    assert (view.bounds, view.budget) == (bounds, budget)


class Steps:
    """A monotonic clock on which sleeping takes no time, and which stops the loop after so many sleeps."""

    def __init__(self, sleeps: int) -> None:
        self.now = 0.0
        self.left = sleeps

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.left -= 1
        if self.left < 0:
            raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("takes", "starts"),
    [
        ([0, 0, 0], [5, 10, 15]),
        ([4, 4, 4], [5, 10, 15]),
        ([7, 0, 0], [5, 15, 20]),
        ([23, 0, 0], [5, 30, 35]),
    ],
    ids=["quick", "slow but in time", "late: one is skipped, not piled up", "very late"],
)
async def test_ticks_keep_to_their_grid(
    world: World, monkeypatch: pytest.MonkeyPatch, takes: list[float], starts: list[float]
) -> None:
    clock, started, durations = Steps(sleeps=len(takes)), list[float](), iter(takes)
    monkeypatch.setattr(loop_module, "asyncio", _with_sleep(clock))
    world.loop.clock = clock

    async def tick() -> None:
        started.append(clock.now)
        clock.now += next(durations)

    monkeypatch.setattr(type(world.loop), "tick", lambda _self: tick())
    with pytest.raises(asyncio.CancelledError):
        await world.loop._ticks()
    assert started == starts


def _with_sleep(clock: Steps) -> object:
    return type("Asyncio", (), {"sleep": staticmethod(clock.sleep)})


def test_a_loop_that_has_not_begun_is_not_judged(world: World) -> None:
    world.clock.seconds = 10_000
    assert world.loop.stalled() == ""


async def test_a_loop_whose_looks_do_not_end_is_stalled(world: World) -> None:
    await world.loop._guarded_tick()
    world.clock.seconds += 5 * STALLED_INTERVALS + STALLED_SECONDS - 1
    assert world.loop.stalled() == ""
    world.clock.seconds += 1
    assert world.loop.stalled() == (
        "no evaluation of all apps has succeeded for 40 s; the interval is 5 s; none has ended since"
    )


async def test_workers_run_beside_the_ticks_and_end_with_them(world: World) -> None:
    key = world.create()
    world.deliver()
    running = asyncio.create_task(world.loop.run(workers=2))
    await _until(lambda: bool(world.status(key)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.replicas(key) == 2


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - it is the loop's other tasks that are waited for
            await asyncio.sleep(0)


async def test_all_apps_are_evaluated_in_one_tick_however_many(world: World) -> None:
    for number in range(loop_module.APPS_AT_A_STRETCH + 1):
        world.create(f"app-{number}", {**SPEC, "scaling": {"paused": True}})
    world.deliver()
    world.queue = type(world.queue)()
    await world.loop.tick()
    assert world.telemetry.called.count("readiness") == 1


async def test_a_decision_is_taken_on_the_wall_clocks_time(world: World) -> None:
    key = await world.running()
    world.load(key, 100)
    await world.tick()
    record = world.registry.get(AppKey(*key))
    assert record
    assert record.decision
    assert record.decision.at == START + timedelta(seconds=world.clock.seconds)
