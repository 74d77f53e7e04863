"""Whether a reading can be decided on: each way in which it cannot has a name, and is never a zero."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.explain import Reason, clock, count, count_with_verb, duration, when
from scalableapp.core.model import DataProblem, Observation, PodState, Reading

# The window of the CPU rate that we ask Prometheus for: until it has passed since a pod became ready, the
# rate still contains its start-up. (HPA reads the same from its metric's Window.)
CPU_RATE_WINDOW_SECONDS = 60.0
CPU_RATE_WINDOW = timedelta(seconds=CPU_RATE_WINDOW_SECONDS)
# A rate needs two scrapes and Prometheus a moment to find a pod; before that a missing sample means nothing.
SAMPLE_DELAY_SECONDS = 30.0
_SAMPLE_DELAY = timedelta(seconds=SAMPLE_DELAY_SECONDS)
# Below this share of ready pods with samples the others are more likely unseen than idle.
LEAST_COVERAGE = 0.5
LARGEST_VALUE = 1e100  # beyond anything measured, and small enough for sums and ratios to stay finite


class Failure(NamedTuple):
    """Why a metric is not used. `problem` is None where the data is fine and only not there yet."""

    reason: str
    message: str
    problem: DataProblem | None = None


def bad_reading(metric: Metric, reading: Reading, observation: Observation) -> Failure | None:
    """Why the reading cannot be decided on, if so."""
    if reading.awaited:
        return Failure(Reason.AWAITING_SAMPLES, f"{metric.label} is not available yet: {reading.awaited}")
    if reading.problem is DataProblem.EMPTY:
        return no_samples(metric, observation, reading.message)
    if reading.problem:
        return _data_failure(metric, reading.problem, reading.message)
    values = reading.per_pod.values()
    if values and not (min(values) >= 0 and sum(values) < LARGEST_VALUE):  # the sum is NaN when any value is
        bad = (_bad_number(metric, pod, value) for pod, value in reading.per_pod.items())
        return next(filter(None, bad), None)
    return _bad_number(metric, "", reading.total)


def _bad_number(metric: Metric, pod: str, value: float | None) -> Failure | None:
    if value is None or 0 <= value < LARGEST_VALUE:
        return None
    whose = f"the value of pod {pod}" if pod else "the value"
    if math.isnan(value):
        return _data_failure(metric, DataProblem.NOT_A_NUMBER, f"{whose} is NaN; look for a division by zero")
    if value > 0:
        return _data_failure(metric, DataProblem.INFINITE, f"{whose} is infinite; look for a division by zero")
    return _data_failure(metric, DataProblem.NEGATIVE, f"{whose} is {value:g}; load is never negative")


def no_samples(metric: Metric, observation: Observation, message: str = "") -> Failure:
    """Distinguishes a metric that is missing from one that cannot be there yet.

    An app scaled to 0 is activated by a query, so the query must have a value even without pods.
    """
    serving = [pod for pod in observation.pods if serves(pod)]
    if not serving and (observation.replicas or metric.type is not MetricType.PROMETHEUS):
        return no_ready_pods(metric)
    delay = CPU_RATE_WINDOW_SECONDS if metric.type is MetricType.CPU else SAMPLE_DELAY_SECONDS
    if serving and all(_ready_seconds(pod, observation.now) < delay for pod in serving):
        longest = max(_ready_seconds(pod, observation.now) for pod in serving)
        expected = when(observation.now + timedelta(seconds=delay - longest), observation.now)
        return Failure(
            Reason.AWAITING_SAMPLES,
            f"{metric.label} has no samples yet: {count(len(serving), 'pod')} became ready less than {delay:.0f} s "
            f"ago; samples are expected {expected}",
        )
    return _data_failure(
        metric, DataProblem.EMPTY, message or "no ready pod has a sample; check whether Prometheus scrapes the pods"
    )


def too_thin(
    metric: Metric, values: Mapping[str, float], observation: Observation, window_seconds: float | None = None
) -> Failure | None:
    """Whether too few of the pods that should have a sample have one."""
    expected = pods_with_samples(observation, window_seconds)
    sampled = sum(name in values for name in expected)
    if sampled >= LEAST_COVERAGE * len(expected):
        return None
    return _data_failure(
        metric, DataProblem.PARTIAL, f"{_sampled(sampled, len(expected))}; check whether Prometheus scrapes them"
    )


def _sampled(sampled: int, expected: int) -> str:
    return f"only {sampled} of {count_with_verb(expected, 'ready pod', 'has', 'have')} a sample"


def pods_with_samples(observation: Observation, window_seconds: float | None = None) -> list[str]:
    """Names of the pods that serve for long enough to have a sample, if all goes well: two scrapes, half a window."""
    delay = max(_SAMPLE_DELAY, timedelta(seconds=(window_seconds or 0) / 2))
    return _serving_since(observation, observation.now - delay)


def settled_pods(observation: Observation, reading: Reading) -> list[str]:
    """Names of the pods that serve for so long that the rate of their CPU holds nothing of their start any more."""
    return _serving_since(observation, observation.now - cpu_window(reading))


def cpu_window(reading: Reading) -> timedelta:
    """The window that a rate of CPU was taken over."""
    return max(CPU_RATE_WINDOW, timedelta(seconds=reading.window_seconds or 0))


def dated(reading: Reading, now: datetime) -> str:
    """When the newest samples of a value were taken, and over which period; "" where that is not known."""
    if reading.newest_at is None:
        return ""
    over = f" over {duration(reading.window_seconds)}" if reading.window_seconds else ""
    return f" (as of {clock(reading.newest_at, now)}{over})"


def _serving_since(observation: Observation, latest: datetime) -> list[str]:
    return [
        pod.name for pod in observation.pods if serves(pod) and (pod.readiness_changed_at or pod.started_at) <= latest
    ]


def no_ready_pods(metric: Metric) -> Failure:
    """No pod is ready, so nothing can be measured: no reason to scale down."""
    return Failure(
        Reason.NO_READY_PODS, f"{metric.label} cannot be measured while no pod is ready; see kubectl describe pods"
    )


def _data_failure(metric: Metric, problem: DataProblem, message: str) -> Failure:
    return Failure(problem.value, f"{metric.label} cannot be used: {message or problem.value}", problem)


def serves(pod: PodState) -> bool:
    """Whether the pod takes requests."""
    return pod.ready and not pod.deleting and pod.phase == "Running"


def leaves(pod: PodState) -> bool:
    """Whether the others take over what the pod carries, or have done so."""
    return pod.deleting or pod.phase in ("Failed", "Succeeded")


def _ready_seconds(pod: PodState, now: datetime) -> float:
    return seconds_between(pod.readiness_changed_at or pod.started_at, now)


def seconds_between(start: datetime, end: datetime) -> float:
    """Seconds from `start` to `end`."""
    return (end - start).total_seconds()
