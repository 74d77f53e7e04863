"""How many replicas one metric needs, with the arithmetic of autoscaling/v2.

Formulas are those of pkg/controller/podautoscaler/replica_calculator.go in Kubernetes 1.36
(calcPlainMetricReplicas, GetExternalPerPodMetricReplicas, getUsageRatioReplicaCount). Different here:
averages and ratios are not rounded to integers, bad and incomplete data is named instead of used, and
an app without any ready pod is never scaled down.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.scaling import Behavior
from scalableapp.core.explain import count, in_unit_of
from scalableapp.core.model import DataProblem, MetricReport, Observation, PodState, Reading
from scalableapp.core.quality import (
    CPU_RATE_WINDOW,
    Failure,
    bad_reading,
    cpu_window,
    dated,
    leaves,
    no_ready_pods,
    no_samples,
    pods_with_samples,
    serves,
    too_thin,
)
from scalableapp.core.quantity import format_number, is_duration

# HPA's --horizontal-pod-autoscaler-cpu-initialization-period: this long after its start a pod's CPU is
# believed only while the pod is ready, since starting up burns CPU that no load caused.
_CPU_INITIALIZATION = timedelta(seconds=300)
# HPA's --horizontal-pod-autoscaler-initial-readiness-delay: a pod that turned unready this soon after its
# start has never been ready, so its CPU is still start-up.
_INITIAL_READINESS = timedelta(seconds=30)

_MOST_REPLICAS = 2**31 - 1  # replicas are an int32 in Kubernetes
_NOT_MEASURED = Reading(problem=DataProblem.EMPTY, message="it was not measured")


class Proposal(NamedTuple):
    """One metric's result: what it reports, the replicas it needs, and why."""

    report: MetricReport
    message: str
    replicas: int | None = None
    failure: Failure | None = None


class Tolerance(NamedTuple):
    """Ratios of measured to target between which nothing changes."""

    lowest: float
    highest: float

    @classmethod
    def of(cls, behavior: Behavior) -> Self:
        """The tolerance that the user's behaviour states for each direction."""
        return cls(*behavior.tolerances)

    def holds(self, ratio: float) -> bool:
        """Whether the ratio is near enough to 1."""
        return self.lowest <= ratio <= self.highest


class PodGroups(NamedTuple):
    """The app's pods as one metric sees them: values of those that count, and how many the others are.

    `leaving` is the sum of the values of terminating pods, whose load the others take over.
    """

    samples: tuple[float, ...] = ()
    missing: int = 0
    unready: int = 0
    leaving: float = 0.0


class Answer(NamedTuple):
    """Replicas that an arithmetic came to, and the ratio it decided on."""

    replicas: int
    ratio: float
    note: str = ""


def propose(metric: Metric, observation: Observation, tolerance: Tolerance) -> Proposal:
    """What `metric` needs. Never raises: data that cannot be used is a failure in the proposal."""
    reading = observation.readings.get(metric.label, _NOT_MEASURED)
    failure = bad_reading(metric, reading, observation)
    if failure:
        return _failed(metric, failure)
    if observation.distorted:
        return _during_rollout(metric, reading, observation, tolerance)
    if reading.per_pod and not metric.of_whole_app:
        return _from_pods(metric, reading, observation, tolerance)
    return _from_all(metric, reading, observation, tolerance)


def _from_all(metric: Metric, reading: Reading, observation: Observation, tolerance: Tolerance) -> Proposal:
    if reading.total is None:
        return _failed(metric, no_samples(metric, observation))
    if metric.of_whole_app:
        return _from_value(metric, reading, reading.total, observation, tolerance)
    return _from_total(metric, reading.total, observation, tolerance)


def _during_rollout(metric: Metric, reading: Reading, observation: Observation, tolerance: Tolerance) -> Proposal:
    """Load that is counted over old and new pods together is valid; a value per pod is not."""
    if metric.counted_in_all or (observation.up_only and metric.used_in_sum):
        total = math.fsum(reading.per_pod.values()) if reading.per_pod else reading.total
        return _from_all(metric, replace(reading, total=total), observation, tolerance)
    current = observation.replicas
    message = f"{metric.label} is not used during a rollout: keeps {count(current, 'replica')}"
    return Proposal(MetricReport(metric.label, "<unknown>", metric.target, current), message, current)


def replicas_for_pods(
    groups: PodGroups, target: float, current: int, tolerance: Tolerance, percentile: int | None = None
) -> Answer:
    """HPA's rule for values per pod, ceil(average / target x pods); `groups.samples` must not be empty.

    With `percentile` the value of the pod at that rank takes the place of the average.

    Pods without a sample count as on target when that means scaling down and as idle when it means
    scaling up; pods that are not ready count as idle when scaling up. If that turns the direction, or
    brings the ratio into tolerance, nothing changes. What `groups.leaving` holds counts as load of the others.
    """
    measured, size = _all_at(percentile, groups.samples) + groups.leaving, len(groups.samples)
    ratio = _exact(measured / size / target)
    unready = groups.unready if ratio > 1 else 0
    if not unready and not groups.missing:
        return _kept(current, ratio) if tolerance.holds(ratio) else Answer(_ceil(measured / target), ratio)
    missing = (target if ratio <= 1 else 0.0,) * groups.missing
    filled = _all_at(percentile, (*groups.samples, *missing, *(0.0,) * unready)) + groups.leaving
    size += groups.missing + unready
    new_ratio = _exact(filled / size / target)
    replicas = _ceil(filled / target)
    turned = (new_ratio > 1) != (ratio > 1) or (replicas < current if new_ratio > 1 else replicas > current)
    note = _note(groups.missing, unready, ratio)
    return Answer(current if turned or tolerance.holds(new_ratio) else replicas, new_ratio, note)


def _all_at(percentile: int | None, values: tuple[float, ...]) -> float:
    """The sum, or what it would be if every pod were at the percentile (nearest rank: no value is invented)."""
    if percentile is None:
        return sum(values)
    return sorted(values)[math.ceil(percentile / 100 * len(values)) - 1] * len(values)


def replicas_for_total(total: float, target: float, current: int, tolerance: Tolerance) -> Answer:
    """HPA's rule for AverageValue: `target` is what one of the `current` replicas should carry of the total."""
    ratio = _exact(total / (target * max(current, 1)))
    return _kept(current, ratio) if current and tolerance.holds(ratio) else Answer(_ceil(total / target), ratio)


def replicas_for_value(value: float, target: float, ready: int, current: int, tolerance: Tolerance) -> Answer:
    """HPA's rule for Value: the whole app's value follows the number of `ready` pods.

    With 0 replicas there are none, and the ratio itself is the number needed. Else `ready` must not be 0.
    """
    ratio = _exact(value / target)
    if current == 0:
        return Answer(_ceil(ratio), ratio)
    return _kept(current, ratio) if tolerance.holds(ratio) else Answer(_ceil(value / target * ready), ratio)


def _kept(current: int, ratio: float) -> Answer:
    return Answer(current, ratio, "" if ratio == 1 else ", within the tolerance")


def group_pods(
    pods: tuple[PodState, ...],
    values: Mapping[str, float],
    now: datetime,
    cpu: bool,
    window: timedelta = CPU_RATE_WINDOW,
) -> PodGroups:
    """HPA's grouping of pods. Readiness counts for CPU only: what a pod serves is load, ready or not.

    So a pod with a value has started, though the watch may not have told yet.
    """
    samples: list[float] = []
    missing = unready = 0
    leaving = 0.0
    for pod in pods:
        value = values.get(pod.name)
        if leaves(pod):
            leaving += value or 0.0
        elif pod.phase == "Pending" and (cpu or value is None):
            unready += 1
        elif value is None:
            missing += 1
        elif cpu and _is_starting(pod, now, window):
            unready += 1
        else:
            samples.append(value)
    return PodGroups(tuple(samples), missing, unready, leaving)


def _is_starting(pod: PodState, now: datetime, window: timedelta) -> bool:
    """Whether a pod's CPU shows its start-up rather than load."""
    changed_at = pod.readiness_changed_at or pod.started_at
    if abs(now - pod.started_at) < _CPU_INITIALIZATION:  # a time far ahead is of another clock
        return not pod.ready or abs(now - changed_at) < window
    return not pod.ready and changed_at - pod.started_at < _INITIAL_READINESS


def _from_pods(metric: Metric, reading: Reading, observation: Observation, tolerance: Tolerance) -> Proposal:
    values, low = _raised_to_target(metric, reading, observation)
    cpu = metric.type is MetricType.CPU
    groups = group_pods(observation.pods, values, observation.now, cpu, cpu_window(reading))
    if not groups.samples:
        return _failed(metric, no_samples(metric, observation))
    coverage = too_thin(metric, values, observation, reading.window_seconds) if groups.missing else None
    if coverage:
        return _failed(metric, coverage)
    answer = _answer_for_pods(metric, groups, observation.replicas, tolerance)
    size = len(groups.samples)
    level = _all_at(metric.percentile, groups.samples) / size
    if low:
        measured = group_pods(observation.pods, reading.per_pod, observation.now, cpu, cpu_window(reading))
        level = _all_at(metric.percentile, measured.samples) / size
        answer = _held_for(answer, low, level / metric.target_value, observation.replicas)
    scope = f" at percentile {metric.percentile} of" if metric.percentile else " per pod on"
    others = groups.missing + groups.unready
    of = f"{size} of {count(size + others, 'pod')}" if others else count(size, "pod")
    return _answered(metric, answer, level, f"{scope} {of}", observation)


def _answer_for_pods(metric: Metric, groups: PodGroups, current: int, tolerance: Tolerance) -> Answer:
    """The load of terminating pods limits scale-down, as the others get it, but never adds replicas.

    Memory does not move to the other pods.
    """
    remaining = replicas_for_pods(
        groups._replace(leaving=0.0), metric.target_value, current, tolerance, metric.percentile
    )
    if remaining.replicas >= current or not groups.leaving or metric.type is MetricType.MEMORY:
        return remaining
    answer = replicas_for_pods(groups, metric.target_value, current, tolerance, metric.percentile)
    load = format_number(round(groups.leaving, 3))
    return answer._replace(
        replicas=max(remaining.replicas, min(answer.replicas, current)),
        note=f"{answer.note}, including {load}{_unit(metric)} of terminating pods",
    )


def _held_for(answer: Answer, low: int, ratio: float, current: int) -> Answer:
    """What is assumed of pods whose values are too low may keep replicas, never add any: what they lack others show."""
    assumed = f", {count(low, 'pod')} with too few or too old samples counted as at least on target"
    return answer._replace(replicas=min(answer.replicas, current), ratio=ratio, note=answer.note + assumed)


def _raised_to_target(metric: Metric, reading: Reading, observation: Observation) -> tuple[Mapping[str, float], int]:
    """The values, those that are too low for what is known raised to the target, and how many these are.

    That is a pod of which scrapes were missed, or one that serves for less than the window of its rate. Where more pods
    are needed, the values stay: even too low ones need them. So do those of terminating pods, as their load ends.
    """
    values, target = reading.per_pod, metric.target_value
    staying = {pod.name for pod in observation.pods if not leaves(pod)} & values.keys()
    if math.fsum(values[name] for name in staying) > target * len(staying):
        return values, 0
    young = _younger_than(observation, reading.window_seconds) if metric.type in _RATES_OF_LOAD else frozenset()
    low = {name for name in staying & (reading.overdue | young) if values[name] < target}
    return {name: target if name in low else value for name, value in values.items()}, len(low)


_RATES_OF_LOAD = {MetricType.REQUESTS_PER_SECOND}


def _younger_than(observation: Observation, seconds: float | None) -> frozenset[str]:
    """Pods that became ready in the last `seconds`; a time far ahead is of another clock."""
    now, least = observation.now, timedelta(seconds=seconds or 0)
    since = {pod.name: pod.readiness_changed_at or pod.started_at for pod in observation.pods}
    return frozenset(name for name, at in since.items() if abs(now - at) < least)


def _from_total(metric: Metric, total: float, observation: Observation, tolerance: Tolerance) -> Proposal:
    answer = replicas_for_total(total, metric.target_value, observation.replicas, tolerance)
    average = total / max(observation.replicas, 1)
    return _answered(metric, answer, average, f" per pod over {count(observation.replicas, 'replica')}", observation)


def _from_value(
    metric: Metric, reading: Reading, value: float, observation: Observation, tolerance: Tolerance
) -> Proposal:
    ready = sum(map(serves, observation.pods))
    if observation.rollout:
        ready = min(ready, observation.replicas)  # the others are there for the rollout alone
    if not ready and observation.replicas:
        return _failed(metric, no_ready_pods(metric))
    answer = replicas_for_value(value, metric.target_value, ready, observation.replicas, tolerance)
    scope = f" at quantile {metric.latency_quantile:g}" if metric.type is MetricType.LATENCY else " in total"
    if reading.pods is not None and answer.replicas < observation.replicas:
        sampled = dict.fromkeys(reading.pods, value)
        coverage = too_thin(metric, sampled, observation, reading.window_seconds)
        if coverage:
            return _failed(metric, coverage)
        answer = _with_missing(answer, metric, value, ready, observation)
    seen = sum(pod.name in reading.pods for pod in filter(serves, observation.pods)) if reading.pods else ready
    measured = min(seen, ready)
    of = count(ready, "ready pod") if measured == ready else f"{measured} of {count(ready, 'ready pod')}"
    return _answered(metric, answer, value, f"{scope} on {of}", observation)


def _with_missing(answer: Answer, metric: Metric, value: float, ready: int, observation: Observation) -> Answer:
    """The answer for the pods that were measured, and the others, counted as on target."""
    _, missing = _expected(observation.readings[metric.label], observation)
    if not missing:
        return answer
    needed = _ceil(value / metric.target_value * max(0, ready - missing)) + missing
    return Answer(min(observation.replicas, needed), answer.ratio, _note(missing, 0, answer.ratio))


def _expected(reading: Reading, observation: Observation) -> tuple[int, int]:
    """How many pods should have a sample by now, and how many of these have none."""
    sampled = reading.per_pod.keys() if reading.pods is None else reading.pods
    if not sampled:
        return 0, 0
    expected = pods_with_samples(observation, reading.window_seconds)
    return len(expected), sum(name not in sampled for name in expected)


def _answered(metric: Metric, answer: Answer, measured: float, scope: str, observation: Observation) -> Proposal:
    current, reading = observation.replicas, observation.readings[metric.label]
    if answer.replicas < current and not any(map(serves, observation.pods)):
        return _failed(metric, no_ready_pods(metric))
    text, when = in_unit_of(measured, metric.target), dated(reading, observation.now)
    message = (
        f"{metric.label} is {text}{_unit(metric)}{scope}{when}, {round(answer.ratio * 100, 1):g} % of the "
        f"target {metric.target}{answer.note}: "
        f"{'needs' if answer.replicas != current else 'keeps'} {count(answer.replicas, 'replica')}"
    )
    report = MetricReport(
        metric.label, text, metric.target, answer.replicas, reading.newest_at, *_expected(reading, observation)
    )
    return Proposal(report, message, answer.replicas)


_UNITS = {MetricType.CPU: " cores", MetricType.REQUESTS_PER_SECOND: " requests/s"}


def _unit(metric: Metric) -> str:
    if metric.type is MetricType.LATENCY and not is_duration(metric.target):
        return " s"
    return _UNITS.get(metric.type, "")


def _note(missing: int, unready: int, ratio: float) -> str:
    parts = []
    if missing:
        parts.append(f"{count(missing, 'pod')} without a sample counted {'as idle' if ratio > 1 else 'as on target'}")
    if unready:
        parts.append(f"{count(unready, 'pod')} not ready counted as idle")
    return f", {' and '.join(parts)}"


def _failed(metric: Metric, failure: Failure) -> Proposal:
    return Proposal(MetricReport(metric.label, "<unknown>", metric.target, None), failure.message, failure=failure)


def _exact(ratio: float) -> float:
    """Without the noise of binary fractions, which would turn 0.33 / 0.3 into more than 1.1."""
    return round(ratio, 9)


def _ceil(replicas: float) -> int:
    return math.ceil(_exact(min(replicas, _MOST_REPLICAS)))
