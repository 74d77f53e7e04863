"""What goes wrong in a look at all apps: for one app it is that app's; for all it is told, and no pod is taken away."""

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem, Decision
from scalableapp.core.status.conditions import AppProblem
from scalableapp.engine import loop as loop_module
from scalableapp.engine.looks import STALLED_INTERVALS, STALLED_SECONDS, TOLD_INTERVALS
from scalableapp.engine.needs import Needs
from scalableapp.engine.record import AppRecord
from scalableapp.ports import MetricsRequest, PodAnswer, Snapshot
from tests.unit.engine.world import World, with_scaling

INTERVAL = 5
FREELY_DOWN = {
    "minReplicas": 1,
    "metrics": [{"type": "RequestsPerSecond", "target": "50"}],
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
}


class Unreadable(Exception):
    """What an answer that the parser does not expect may raise."""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[AppKey]:
    """Apps whose queries cannot be prepared."""
    keys: list[AppKey] = []
    add = Needs.add

    def failing(self: Needs, record: AppRecord) -> None:
        if record.key in keys:
            raise ZeroDivisionError
        add(self, record)

    monkeypatch.setattr(Needs, "add", failing)
    return keys


async def _unreadable(_request: MetricsRequest) -> Snapshot:
    raise Unreadable("could not convert string to float: 'abc'")


async def look(world: World, times: int = 1) -> None:
    """Looks as the loop makes them, five seconds apart, each with what follows from it."""
    for _ in range(times):
        world.clock.seconds += INTERVAL
        await world.loop._guarded_tick()
        await world.settle()


async def test_an_app_whose_queries_cannot_be_prepared_is_told_and_costs_no_other_its_look(
    world: World, broken: list[AppKey]
) -> None:
    bad, other = await world.running("bad"), await world.running("other")
    broken.append(bad)
    world.load(other, 100)
    await look(world)
    assert world.replicas(other) == 4
    assert world.condition(bad, "Ready") == ("False", "InternalError")
    assert "while preparing its queries" in world.message(bad, "Ready")
    assert world.condition(other, "Ready")[1] != "InternalError"
    assert "failed" in world.telemetry.called
    broken.clear()
    await look(world)
    assert world.condition(bad, "Ready") == ("True", "InSync")


async def test_the_log_tells_a_fault_once_not_with_each_look(
    world: World, broken: list[AppKey], caplog: pytest.LogCaptureFixture
) -> None:
    broken.append(await world.running())
    await look(world, times=5)
    assert caplog.text.count("internal error while preparing its queries") == 1


class _Mute:
    def __getattr__(self, name: str) -> object:
        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError(name)

        return fail


async def test_metrics_of_our_own_that_fail_cost_no_app_its_look(world: World) -> None:
    key = await world.running()
    world.loop.telemetry = _Mute()  # type: ignore[assignment] # fails at every name
    world.load(key, 100)
    await look(world)
    assert world.replicas(key) == 4
    assert world.loop.stalled() == ""


async def test_while_the_answers_cannot_be_read_replicas_are_held_and_each_app_is_told(world: World) -> None:
    key = await world.running(spec=with_scaling(horizontal=FREELY_DOWN), rps_each=50)
    await world.run_pods(key, rps_each=1)
    world.metrics.collect = _unreadable  # type: ignore[method-assign, assignment]
    before = world.replicas(key)
    await look(world, times=20)
    assert world.replicas(key) == before
    assert world.condition(key, "MetricsAvailable") == ("False", "QueryFailed")
    assert "could not convert string to float: 'abc'" in world.message(key, "MetricsAvailable")
    assert world.telemetry.called.count("tick_failed") == 20


async def test_an_app_whose_last_good_look_is_old_says_since_when_and_why(world: World) -> None:
    key = await world.running()
    await look(world)
    collect, world.metrics.collect = world.metrics.collect, _unreadable  # type: ignore[method-assign, assignment]
    await look(world, times=TOLD_INTERVALS)
    assert world.condition(key, "ScalingActive") == ("Unknown", "NotEvaluated")
    assert world.message(key, "ScalingActive").startswith(
        "no app has been evaluated since 12:00:15 UTC, and replicas stay unchanged: "
        "the answers of Prometheus could not be read: Unreadable("
    )
    world.metrics.collect = collect  # type: ignore[method-assign]
    await look(world)
    assert world.condition(key, "ScalingActive") == ("True", "ValidMetricFound")


async def test_a_loop_whose_looks_fail_is_stalled_and_says_why(world: World) -> None:
    await world.running()
    await look(world)
    world.metrics.collect = _unreadable  # type: ignore[method-assign, assignment]
    looks = int(STALLED_INTERVALS + STALLED_SECONDS / INTERVAL)
    await look(world, times=looks - 1)
    assert world.loop.stalled() == ""
    await look(world)
    assert "the answers of Prometheus could not be read" in world.loop.stalled()


async def test_an_outage_of_prometheus_is_a_good_look(world: World) -> None:
    await world.running()
    world.metrics.pods[MetricType.REQUESTS_PER_SECOND] = PodAnswer(problem=DataProblem.UNREACHABLE)
    await look(world, times=20)
    assert world.loop.stalled() == ""
    assert "tick_failed" not in world.telemetry.called


async def test_apps_that_cannot_be_evaluated_at_all_fail_the_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.running()
    await look(world)

    def failing(_self: object, _record: AppRecord) -> AppProblem:
        raise ZeroDivisionError

    monkeypatch.setattr(loop_module.Loop, "_note_fault", failing)
    await look(world, times=TOLD_INTERVALS)
    assert world.registry.not_evaluated
    assert "the apps could not be evaluated" in world.registry.not_evaluated.message


async def test_what_fails_in_a_turn_outside_of_kubernetes_api_is_counted_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await world.running()
    record = world.registry.get(key)
    assert record

    def failing(_record: AppRecord) -> Decision:
        raise ZeroDivisionError

    monkeypatch.setattr(world.loop.reconciler, "reconcile", failing)
    await world.loop.work(record)
    assert world.queue.backs_off(key)
