"""After pods have left: their load leaves the metrics at once, and shows on the others only a rate's window later."""

from datetime import datetime, timedelta

from scalableapp.core.explain import Reason, clock, duration
from scalableapp.core.metrics import Metric, MetricType
from scalableapp.core.model import Reading
from scalableapp.core.pursuit import RATE_WINDOW_SECONDS
from scalableapp.core.quality import CPU_RATE_WINDOW_SECONDS
from scalableapp.core.rules import Case, Ruling
from scalableapp.core.scrapes import LEAST_WINDOW_SECONDS

# The least windows of what is compared per pod, or multiplied by the pods; where scrapes are rare, the reading's is
# longer. A query's value that is shared out has no such delay.
_WINDOWS = {
    MetricType.REQUESTS_PER_SECOND: LEAST_WINDOW_SECONDS,
    MetricType.CPU: CPU_RATE_WINDOW_SECONDS,
    MetricType.MEMORY: CPU_RATE_WINDOW_SECONDS,
    MetricType.LATENCY: CPU_RATE_WINDOW_SECONDS,
}


def settling(case: Case, number: int) -> Ruling | None:
    """No scale-down within one rate window of the last pod that left, by whomever it was removed."""
    if number >= case.current:
        return None
    now, left = case.observation.now, _last_left(case)
    if left is None:
        return None
    ends = left + timedelta(seconds=_window_seconds(case))
    if ends <= now:
        return None
    message = (
        f"scale-down to {number} held at {case.current} for {duration((ends - now).total_seconds())} longer: pods left "
        f"at {clock(left, now)}, and until {clock(ends, now)} the metrics do not show what the others took over"
    )
    return Ruling("Settling", case.current, Reason.LOAD_SETTLING, message, limits=True)


def _last_left(case: Case) -> datetime | None:
    """When replicas were last cut, or a pod last left. What lies in the future is of another clock."""
    now = case.observation.now
    cuts = [event.at for event in case.history.scale_events if event.change < 0]
    pods = [pod.left_at for pod in case.observation.pods if pod.left_at]
    return max((at for at in (*cuts, *pods) if at <= now), default=None)


def _window_seconds(case: Case) -> float:
    observation = case.observation
    metrics = case.horizontal.metrics if case.planned else case.spec.metrics
    windows = [max(_least(metric), _measured(observation.readings.get(metric.label))) for metric in metrics]
    if case.planned:
        windows.append(max(float(RATE_WINDOW_SECONDS), _measured(observation.service_level.load)))
    return max(windows, default=0.0)


def _measured(reading: Reading | None) -> float:
    """The window of a reading's rates, as it follows from the scrapes."""
    return (reading.window_seconds or 0.0) if reading else 0.0


def _least(metric: Metric) -> float:
    if metric.type is MetricType.PROMETHEUS:
        return CPU_RATE_WINDOW_SECONDS if metric.of_whole_app else 0.0
    reading = case.observation.readings.get(metric.label)
    return max(_WINDOWS[metric.type], (reading.window_seconds if reading else None) or 0.0)
