"""No pod is removed on readings that do not show all of the load.

Right after a change of replicas, and after pods were removed, their load shows on the others only a rate window later.
Of pods that the operator does not know, it shows nowhere.
"""

from datetime import datetime, timedelta

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.explain import Reason, clock, count
from scalableapp.core.horizontal.objective_plan import RATE_WINDOW_SECONDS
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.learning.scrapes import LEAST_WINDOW_SECONDS
from scalableapp.core.model import DataProblem, Observation
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
    began = case.observation.watched_since
    if left is None and (began is None or now - began >= window):
        return None
    if left is None or (began and began > left):
        since, why = began or now, "the operator has just started, and has not seen which pods were removed before"
    else:
        since = left
        why = f"pods were removed at {clock(left, now)}, and the metrics do not show their load on the other pods yet"
    message = f"held at {case.current} until {clock(since + window, now)}: {why}"
    return RuleResult("Settling", case.current, Reason.LOAD_SETTLING, message, limits=True)


def unseen(case: Case, number: int) -> RuleResult | None:
    """No scale-down while pods of the Deployment are not known: what they carry shows in no sum and no mean."""
    if number >= case.current or not case.observation.unseen:
        return None
    message = f"held at {case.current}: {unseen_text(case.observation)}"
    return RuleResult("Unseen", case.current, DataProblem.PARTIAL.value, message, limits=True)


def unseen_text(observation: Observation) -> str:
    """How many of the pods are not known as they are, and what to do."""
    return (
        f"{observation.unseen} of {count(observation.replicas, 'replica')} differ between the Deployment and the pods "
        "that the operator knows, so part of the load may not be measured; compare with kubectl get pods, and look in "
        "the operator's log for a broken watch on pods"
    )


def once(case: Case, number: int) -> RuleResult | None:
    """One change for each reading; and none is taken away by a reading of before the last change, whoever made it."""
    observation = case.observation
    if number == case.current or not (observation.spent or (observation.outdated and number < case.current)):
        return None
    message = (
        f"held at {case.current}: the metrics were read before the replicas were last changed; the next reading decides"
    )
    return RuleResult("Once", case.current, Reason.LOAD_SETTLING, message, limits=True)


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
