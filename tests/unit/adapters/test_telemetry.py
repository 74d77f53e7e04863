import asyncio
from datetime import UTC, datetime

import pytest

from scalableapp.adapters.progress import Stage
from scalableapp.adapters.telemetry import Telemetry
from scalableapp.adapters.telemetry_apps import AppView
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem, Decision, MetricReport
from scalableapp.core.size import Amount, Size
from scalableapp.core.status.conditions import Abnormal
from scalableapp.engine.looks import Part
from scalableapp.errors import Unavailable
from scalableapp.ports import LatencyAnswer, PodAnswer, QueryAnswer, Snapshot

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WEB = AppKey("shop", "web")
LABELS = {"namespace": "shop", "app": "web"}


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def decision(reason: str = "DesiredWithinRange", *metrics: MetricReport) -> Decision:
    return Decision(at=NOW, replicas_from=2, replicas_to=3, reason=reason, message="", steps=(), metrics=metrics)


def view(decided: Decision | None, *abnormal: Abnormal, budget: float | None = None) -> AppView:
    return AppView(WEB, decided, (2, 1), (1, 8), budget, abnormal)


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_replicas_and_bounds_of_each_app_are_shown_after_the_tick(telemetry: Telemetry) -> None:
    telemetry.ticked(0.1, 4, [view(decision())])
    shown = {
        name: value(telemetry, f"scalableapp_{name}_replicas", **LABELS)
        for name in ("desired", "current", "ready", "min", "max")
    }
    assert shown == {"desired": 3, "current": 2, "ready": 1, "min": 1, "max": 8}
    assert value(telemetry, "scalableapp_last_decision_timestamp_seconds", **LABELS) == NOW.timestamp()
    assert value(telemetry, "scalableapp_work_queue_depth") == 4
    assert value(telemetry, "scalableapp_tick_duration_seconds_count") == 1


def test_an_app_that_is_gone_leaves_no_series_behind(telemetry: Telemetry) -> None:
    telemetry.ticked(0.1, 0, [view(decision(), Abnormal("Ready", "False", "ApplyFailed"))])
    telemetry.ticked(0.1, 0, [])
    samples = [sample for family in telemetry.registry.collect() for sample in family.samples]
    assert not [sample for sample in samples if "app" in sample.labels]


def test_an_app_that_cannot_be_decided_on_shows_what_is_known_of_it(telemetry: Telemetry) -> None:
    refused = Abnormal("Ready", "False", "InvalidSpec")
    telemetry.ticked(0.1, 0, [AppView(WEB, None, None, None, None, (refused,))])
    (sample,) = [
        sample for family in telemetry.registry.collect() for sample in family.samples if "app" in sample.labels
    ]
    assert sample.name == "scalableapp_condition"
    assert sample.labels == {**LABELS, "type": "Ready", "status": "False", "reason": "InvalidSpec"}


def test_metrics_are_shown_in_base_units_and_not_at_all_when_unknown(telemetry: Telemetry) -> None:
    cpu, queue = MetricReport("CPU", "450m", "300m", 3), MetricReport("queue", "<unknown>", "1k", None)
    latency, odd = MetricReport("Latency", "120ms", "250ms", 2), MetricReport("odd", "1 parsec", "?", 2)
    telemetry.ticked(0.1, 0, [view(decision("x", cpu, queue, latency, odd))])
    name = "scalableapp_metric_value"
    assert value(telemetry, name, **LABELS, metric="CPU") == 0.45
    assert value(telemetry, name, **LABELS, metric="Latency") == 0.12
    assert value(telemetry, name, **LABELS, metric="queue") is None
    assert value(telemetry, name, **LABELS, metric="odd") is None
    assert value(telemetry, "scalableapp_metric_target", **LABELS, metric="queue") == 1000


def test_an_app_that_cannot_be_shown_hides_no_other(telemetry: Telemetry) -> None:
    odd = AppView(AppKey("shop", "odd"), None, (), None, None, ())  # type: ignore[arg-type] # as no view should be
    telemetry.ticked(0.1, 0, [odd, view(decision())])
    assert value(telemetry, "scalableapp_current_replicas", **LABELS) == 2


def test_failed_looks_are_counted_by_cause_from_zero_on(telemetry: Telemetry) -> None:
    telemetry.tick_failed("Metrics")
    counts = [value(telemetry, "scalableapp_failed_ticks_total", cause=part) for part in Part]
    assert counts == [1, 0]


def test_sizes_are_shown_in_the_modes_that_decide_on_them(telemetry: Telemetry) -> None:
    small, large = Size(Amount(0.1), Amount(2**26)), Size(Amount(0.4))
    telemetry.ticked(0.1, 0, [view(decision())._replace(size=small, recommended=large)])
    shown = {
        (name, size): value(telemetry, f"scalableapp_pod_{name}", **LABELS, size=size)
        for name in ("cpu_request_cores", "memory_request_bytes")
        for size in ("current", "recommended")
    }
    assert list(shown.values()) == [0.1, 0.4, 2**26, None]


def test_it_says_what_it_waits_for_and_when_it_acts(telemetry: Telemetry) -> None:
    def waits() -> list[str]:
        return [stage for stage in Stage if value(telemetry, "scalableapp_waiting_for", stage=stage)]

    telemetry.paced(5.0)
    assert value(telemetry, "scalableapp_tick_interval_seconds") == 5
    assert value(telemetry, "scalableapp_lease_held") == 0
    telemetry.waits_for(Stage.CRD)
    assert (waits(), value(telemetry, "scalableapp_lease_held")) == ([Stage.CRD], 0)
    telemetry.waits_for(None)
    assert (waits(), value(telemetry, "scalableapp_lease_held")) == ([], 1)


def test_one_that_waits_tells_nothing_of_apps(telemetry: Telemetry) -> None:
    telemetry.ticked(0.1, 4, [view(decision())])
    telemetry.waits_for(Stage.LEASE)
    assert value(telemetry, "scalableapp_desired_replicas", **LABELS) is None


def test_an_event_loop_that_hangs_is_told(telemetry: Telemetry) -> None:
    assert telemetry.hangs() == ""
    telemetry._turned_at -= 60
    assert telemetry.hangs() == "the event loop has not turned for 60 s"


def test_decisions_are_counted_by_reason(telemetry: Telemetry) -> None:
    for reason in ("Paused", "DesiredWithinRange", "Paused"):
        telemetry.decided(decision(reason))
    assert value(telemetry, "scalableapp_decisions_total", reason="Paused") == 2


def test_bad_data_is_counted_by_problem(telemetry: Telemetry) -> None:
    stale, fine = QueryAnswer(None, DataProblem.STALE), QueryAnswer(1.0)
    telemetry.collected(
        Snapshot(NOW, {MetricType.CPU: PodAnswer({}, DataProblem.EMPTY)}, {"a": stale, "b": stale, "c": fine})
    )
    assert value(telemetry, "scalableapp_data_problems_total", problem="StaleData") == 2
    assert value(telemetry, "scalableapp_data_problems_total", problem="NoData") == 1
    assert value(telemetry, "scalableapp_data_problems_total", problem="PrometheusUnreachable") == 0


def test_series_of_some_pods_that_cannot_be_used_are_counted_once_an_answer(telemetry: Telemetry) -> None:
    refused = {("shop", f"web-{number}"): (DataProblem.BROKEN, "le='abc'") for number in range(3)}
    left_out = {"greedy": (DataProblem.TOO_MANY_SERIES, "230,000 series")}
    latencies = LatencyAnswer({}, refused=refused, left_out=left_out)
    telemetry.collected(Snapshot(NOW, {MetricType.CPU: PodAnswer()}, latencies=latencies))
    assert value(telemetry, "scalableapp_data_problems_total", problem="BrokenExporter") == 1
    assert value(telemetry, "scalableapp_data_problems_total", problem="TooManySeries") == 1


def test_of_answers_beside_the_metrics_only_those_that_should_be_there_are_missed(telemetry: Telemetry) -> None:
    empty, down = PodAnswer({}, DataProblem.EMPTY), PodAnswer({}, DataProblem.UNREACHABLE)
    latencies = LatencyAnswer({}, DataProblem.EMPTY)
    telemetry.collected(Snapshot(NOW, bursts={20: empty, 10: down}, latencies=latencies, failures=empty))
    assert value(telemetry, "scalableapp_data_problems_total", problem="NoData") == 1
    assert value(telemetry, "scalableapp_data_problems_total", problem="PrometheusUnreachable") == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Unavailable("x"), "Unavailable"), (KeyError("x"), "InternalError"), (OSError(), "InternalError")],
)
def test_failures_are_counted_by_kind_and_faults_of_ours_as_such(
    telemetry: Telemetry, error: Exception, kind: str
) -> None:
    telemetry.failed(error)
    assert value(telemetry, "scalableapp_failures_total", kind=kind) == 1


def test_a_status_that_no_app_has_any_more_is_zero(telemetry: Telemetry) -> None:
    telemetry.readiness({"True": 2, "False": 1})
    telemetry.readiness({"True": 3})
    assert [value(telemetry, "scalableapp_apps", ready=ready) for ready in ("True", "False", "Unknown")] == [3, 0, 0]


def test_requests_and_queries_are_timed(telemetry: Telemetry) -> None:
    telemetry.requested("PATCH", 503, 0.2)
    telemetry.queried("CPU", 0.3)
    assert value(telemetry, "scalableapp_api_request_duration_seconds_count", verb="PATCH", code="503") == 1
    assert value(telemetry, "scalableapp_prometheus_query_duration_seconds_sum", type="CPU") == 0.3


async def test_a_blocked_event_loop_shows(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 11.5, 11.5])
    monkeypatch.setattr("scalableapp.adapters.telemetry._LAG_SECONDS", 0.0)
    monkeypatch.setattr("scalableapp.adapters.telemetry.time", type("Clock", (), {"monotonic": lambda: next(times)}))
    with pytest.raises(RuntimeError):  # the clock has run out: StopIteration in a coroutine
        await asyncio.wait_for(telemetry.measure_lag(), 5)
    monkeypatch.undo()
    telemetry.ticked(0.1, 0, [])
    assert value(telemetry, "scalableapp_event_loop_lag_seconds") == 1.5
