"""After pods were removed: their load leaves the metrics at once, and shows on the others only a rate window later."""

from datetime import datetime, timedelta

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.explain import Reason, clock
from scalableapp.core.horizontal.objective_plan import RATE_WINDOW_SECONDS
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.learning.scrapes import LEAST_WINDOW_SECONDS
from scalableapp.core.quality import CPU_RATE_WINDOW_SECONDS

# The least windows, of what is compared per pod, or multiplied by the pods; a query's value that is shared out has no
# such delay.
_LEAST_WINDOWS = {
    MetricType.REQUESTS_PER_SECOND: LEAST_WINDOW_SECONDS,
    MetricType.CPU: CPU_RATE_WINDOW_SECONDS,
    MetricType.MEMORY: CPU_RATE_WINDOW_SECONDS,
    MetricType.LATENCY: CPU_RATE_WINDOW_SECONDS,
}


def settling(case: Case, number: int) -> RuleResult | None:
    """No scale-down within one rate window after the last pod was removed, whoever removed it."""
    if number >= case.current:
        return None
    now, window = case.observation.now, timedelta(seconds=_window_seconds(case))
    left = _last_left(case, window)
    if left is None:
        return None
    ends = left + window
    message = (
        f"held at {case.current} until {clock(ends, now)}: pods were removed at {clock(left, now)}, and the metrics do "
        "not show their load on the other pods yet"
    )
    return RuleResult("Settling", case.current, Reason.LOAD_SETTLING, message, limits=True)


def _last_left(case: Case, window: timedelta) -> datetime | None:
    """When replicas were last cut, or a pod last left, in this window. What lies far ahead is of another clock."""
    now = case.observation.now
    cuts = [event.at for event in case.history.scale_events if event.change < 0]
    pods = [pod.left_at for pod in case.observation.pods if pod.left_at]
    return max((at for at in (*cuts, *pods) if abs(now - at) < window), default=None)


def _window_seconds(case: Case) -> float:
    """As long as Prometheus' answers were taken over: that follows the interval of its scrapes."""
    metrics = case.horizontal.metrics if case.planned else case.spec.metrics
    load = max(float(RATE_WINDOW_SECONDS), case.observation.service_level.load.window_seconds or 0.0)
    return max([load if case.planned else 0.0, *(_of_metric(metric, case) for metric in metrics)])


def _of_metric(metric: Metric, case: Case) -> float:
    if metric.type is MetricType.PROMETHEUS:
        return CPU_RATE_WINDOW_SECONDS if metric.of_whole_app else 0.0
    reading = case.observation.readings.get(metric.label)
    return max(_LEAST_WINDOWS[metric.type], (reading.window_seconds if reading else None) or 0.0)
