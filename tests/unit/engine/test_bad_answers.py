"""What cannot be read of Prometheus is missing, never 0, and the app that it concerns is told."""

from datetime import UTC, datetime, timedelta

import pytest

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.model import AppKey, DataProblem, PodState, Reading
from scalableapp.engine import answers, usage
from scalableapp.engine.podtimes import date_pods
from scalableapp.engine.record import AppRecord
from scalableapp.ports import LatencyAnswer, PodAnswer, Snapshot, UsageMetric

RPS, CPU = MetricType.REQUESTS_PER_SECOND, MetricType.CPU
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(hours=1)
WEB = ("shop", "web-0")
GOOD = PodAnswer({WEB: 10.0})
WARNED = PodAnswer({}, DataProblem.WARNINGS, "Prometheus warns that its answer may be partial: store down")
NONE = PodAnswer({}, DataProblem.EMPTY, "Prometheus has none")
WHY = DataProblem.TOO_MANY_SERIES, "the pods of namespace shop have 230,000 series"
LEFT_OUT = PodAnswer({}, left_out={"shop": WHY})
OTHERS_LEFT_OUT = PodAnswer({WEB: 10.0}, left_out={"greedy": WHY})
SPEC = {
    "image": "web:1",
    "port": 8000,
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    "scaling": {
        "horizontal": {
            "minReplicas": 1,
            "maxReplicas": 9,
            "burst": {},
            "metrics": [{"type": "RequestsPerSecond", "target": "20"}],
        },
    },
}


def record() -> AppRecord:
    app = AppRecord(AppKey("shop", "web"), spec=parse_spec(SPEC))
    app.pods = {"web-0": PodState("web-0", "Running", True, False, SINCE, SINCE)}
    date_pods(app, NOW)
    return app


def reading(kind: PodAnswer = GOOD, burst: PodAnswer = GOOD, metric: MetricType = RPS) -> Reading:
    """Requests per second as the app sees them."""
    snapshot = Snapshot(NOW, {RPS: kind}, bursts={10: burst})
    of = Metric.model_validate({"type": metric, "target": "20"})
    return answers.Answers(record(), snapshot, NOW, timedelta(seconds=25)).reading(of)


@pytest.mark.parametrize(
    ("burst", "total", "note"),
    [
        pytest.param(GOOD, 10.0, "", id="good"),
        pytest.param(NONE, None, "", id="none"),
        pytest.param(WARNED, None, "store down", id="with a warning"),
        pytest.param(LEFT_OUT, None, "230,000 series", id="left out"),
        pytest.param(OTHERS_LEFT_OUT, 10.0, "", id="another is left out"),
    ],
)
def test_a_burst_that_cannot_be_read_is_noted(burst: PodAnswer, total: float | None, note: str) -> None:
    found = reading(burst=burst)
    assert (found.total, found.burst_total, found.problem) == (10.0, total, None)
    assert note in found.burst_note
    assert bool(found.burst_note) == bool(note)


@pytest.mark.parametrize("left_out", [LEFT_OUT, PodAnswer({WEB: 1.0}, left_out={"shop": WHY})])
def test_an_app_whose_namespace_is_left_out_is_told_why(left_out: PodAnswer) -> None:
    found = reading(left_out)
    assert (found.total, found.problem, found.message) == (None, *WHY)
    assert reading(OTHERS_LEFT_OUT).total == 10.0


@pytest.mark.parametrize(
    ("failures", "latencies", "problem"),
    [
        pytest.param(LEFT_OUT, LatencyAnswer({WEB: {0.1: 4.0, float("inf"): 4.0}}), WHY[0], id="failures"),
        pytest.param(NONE, LatencyAnswer({}, left_out={"shop": WHY}), WHY[0], id="latencies"),
        pytest.param(WARNED, LatencyAnswer({WEB: {0.1: 4.0, float("inf"): 4.0}}), WARNED.problem, id="warnings"),
        pytest.param(NONE, LatencyAnswer({WEB: {0.1: 4.0, float("inf"): 4.0}}), None, id="none failed"),
    ],
)
def test_failures_that_cannot_be_read_are_not_none(
    failures: PodAnswer, latencies: LatencyAnswer, problem: DataProblem | None
) -> None:
    snapshot = Snapshot(NOW, {RPS: GOOD, CPU: GOOD}, latencies=latencies, failures=failures, bursts={20: WARNED})
    objective = LatencyObjective.model_validate({"latency": {"seconds": 0.1}})
    level = answers.Answers(record(), snapshot, NOW, timedelta(seconds=25)).service_level(objective)
    assert level.slow_share.problem is problem
    assert (level.slow_share.total is None) == (problem is not None)
    assert "store down" in level.load.note


@pytest.mark.parametrize("which", [UsageMetric.THROTTLED, UsageMetric.CPU_PRESSURE])
@pytest.mark.parametrize(
    ("answer", "throttled", "problem"),
    [
        pytest.param(PodAnswer({WEB: 0.5}), 0.5, None, id="throttled"),
        pytest.param(NONE, 0.0, None, id="a node without it"),
        pytest.param(WARNED, None, DataProblem.WARNINGS, id="with a warning"),
        pytest.param(PodAnswer({}, DataProblem.UNREACHABLE, "x"), None, DataProblem.UNREACHABLE, id="late"),
    ],
)
def test_throttling_that_cannot_be_read_is_missing(
    which: UsageMetric, answer: PodAnswer, throttled: float | None, problem: DataProblem | None
) -> None:
    of_size = {UsageMetric.MEMORY_PEAK: PodAnswer({WEB: 2.0**20}), which: answer}
    snapshot = Snapshot(NOW, {CPU: GOOD}, usage=of_size)
    found = usage._Answers(record(), snapshot, NOW, timedelta(seconds=25))
    assert found.throttled == throttled
    assert found.problem[0] is problem
    assert bool(found.problem[1]) == (problem is not None)
