import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

import scalableapp
from scalableapp.adapters.telemetry import Telemetry
from scalableapp.core.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem, Decision
from scalableapp.errors import ScalableAppError, Unavailable
from scalableapp.ports import PodAnswer, QueryAnswer, Snapshot

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WEB = AppKey("shop", "web")
LABELS = {"namespace": "shop", "app": "web"}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


def decision(reason: str = "DesiredWithinRange", now: int = 2, to: int = 3) -> Decision:
    return Decision(at=NOW, replicas_from=now, replicas_to=to, reason=reason, message="", steps=())


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_replicas_of_each_app_are_shown_after_the_tick(telemetry: Telemetry) -> None:
    telemetry.decided(WEB, decision())
    telemetry.ticked(0.1, queue_depth=4)
    assert value(telemetry, "scalableapp_current_replicas", **LABELS) == 2
    assert value(telemetry, "scalableapp_desired_replicas", **LABELS) == 3
    assert value(telemetry, "scalableapp_work_queue_depth") == 4
    assert value(telemetry, "scalableapp_tick_duration_seconds_count") == 1


def test_an_app_that_is_gone_leaves_no_series_behind(telemetry: Telemetry) -> None:
    telemetry.decided(WEB, decision())
    telemetry.ticked(0.1, 0)
    telemetry.ticked(0.1, 0)
    assert value(telemetry, "scalableapp_current_replicas", **LABELS) is None


def test_decisions_are_counted_by_reason(telemetry: Telemetry) -> None:
    for reason in ("Paused", "DesiredWithinRange", "Paused"):
        telemetry.decided(WEB, decision(reason))
    assert value(telemetry, "scalableapp_decisions_total", reason="Paused") == 2


def test_bad_data_is_counted_by_problem(telemetry: Telemetry) -> None:
    stale, fine = QueryAnswer(None, DataProblem.STALE), QueryAnswer(1.0)
    telemetry.collected(
        Snapshot(NOW, {MetricType.CPU: PodAnswer({}, DataProblem.EMPTY)}, {"a": stale, "b": stale, "c": fine})
    )
    assert value(telemetry, "scalableapp_data_problems_total", problem="StaleData") == 2
    assert value(telemetry, "scalableapp_data_problems_total", problem="NoData") == 1


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
    telemetry.ticked(0.1, 0)
    assert value(telemetry, "scalableapp_event_loop_lag_seconds") == 1.5


def test_the_endpoint_serves_what_the_operator_says_of_itself_and_stops(telemetry: Telemetry) -> None:
    threads = threading.active_count()
    port = telemetry.serve(0)
    page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    assert f'scalableapp_build_info{{version="{scalableapp.__version__}"}} 1.0' in page
    assert "process_resident_memory_bytes" in page
    telemetry.close()
    assert threading.active_count() == threads
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_busy_port_is_named_with_its_setting(telemetry: Telemetry) -> None:
    port = telemetry.serve(0)
    with pytest.raises(ScalableAppError, match=rf"port {port}.*SCALABLEAPP_METRICS_PORT"):
        Telemetry().serve(port)


def test_every_metric_of_ours_has_a_help_text_and_a_base_unit(telemetry: Telemetry) -> None:
    telemetry.decided(WEB, decision())
    telemetry.ticked(0.1, 0)
    ours = [family for family in telemetry.registry.collect() if family.name.startswith("scalableapp_")]
    assert len(ours) >= 13
    assert all(family.documentation.endswith(".") for family in ours)
    assert not [family.name for family in ours if family.name.endswith(("_ms", "_milliseconds", "_minutes"))]
