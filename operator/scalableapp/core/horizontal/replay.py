"""The history of an app in Prometheus, run through the same rules, so that a restart loses nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.horizontal.decide import decide, remember
from scalableapp.core.model import (
    DataProblem,
    History,
    Observation,
    PodState,
    Reading,
    Recommendation,
    ServiceLevel,
    Startups,
)

# A longer pause between two moments is a gap in the history.
_HOLE_SECONDS = 60.0
_PER_POD = {MetricType.REQUESTS_PER_SECOND, MetricType.CPU, MetricType.MEMORY}
_SETTLED = timedelta(hours=1)
_NOT_KNOWN = Reading(problem=DataProblem.EMPTY)


class Moment(NamedTuple):
    """An app at one moment: requests per second, ready pods, share of slow requests (0..1); None where not known."""

    at: datetime
    load: float
    ready: int | None = None
    slow_share: float | None = None


class PodsMoment(NamedTuple):
    """An app's pods at one moment: values by kind of metric and pod."""

    at: datetime
    values: Mapping[MetricType, Mapping[str, float]]


def replay_history(spec: ScalableAppSpec, past: Iterable[Moment], startups: Startups) -> History:
    """What is learned about an app with an objective from the moments whose pods are known, oldest first.

    The replicas at that time are assumed to be the pods that were ready.
    """
    history = History(startups=startups)
    for moment in past:
        if moment.ready:
            history = remember(history, decide(spec, _past_observation(moment, moment.ready), history), spec)
    return history


def _past_observation(moment: Moment, ready: int) -> Observation:
    pods = tuple(_settled_pod(f"pod-{number}", moment.at) for number in range(ready))
    slow = Reading(moment.slow_share) if moment.slow_share is not None else _NOT_KNOWN
    return Observation(moment.at, ready, pods, service_level=ServiceLevel(Reading(moment.load), slow, _NOT_KNOWN))


def _settled_pod(name: str, at: datetime) -> PodState:
    """A pod of the past; when it became ready is unknown, so nothing is learned from its start."""
    return PodState(name, "Running", True, False, at - _SETTLED)


def kinds_of(spec: ScalableAppSpec) -> frozenset[MetricType] | None:
    """The kinds of metric from which past recommendations can be computed.

    None where more than values per pod decided: a user's own query, a latency, an objective.
    """
    kinds = frozenset(metric.type for metric in spec.metrics)
    return kinds if kinds <= _PER_POD and spec.scaling.horizontal.objective is None else None


def past_recommendations(spec: ScalableAppSpec, past: Iterable[PodsMoment]) -> tuple[Recommendation, ...]:
    """What the metrics needed at past moments, oldest first; nothing for those without usable data."""
    decisions = (decide(spec, _observation(spec, moment), History()) for moment in past)
    return tuple(decision.recommendation for decision in decisions if decision.recommendation)


def with_past_recommendations(
    history: History, seen_since: datetime, past: Sequence[Recommendation], window_seconds: float
) -> History:
    """`history` with the recommendations of the past instead of the guess with which it began at `seen_since`.

    Unchanged where the past does not cover the longest stabilisation window without a gap: then the guess, that what
    runs was recommended, is safer.
    """
    if not _covers(past, seen_since - timedelta(seconds=window_seconds), seen_since):
        return history
    live = (entry for entry in history.recommendations if entry.at > max(seen_since, past[-1].at))
    return replace(history, recommendations=(*past, *live))


def _covers(past: Sequence[Recommendation], start: datetime, end: datetime) -> bool:
    times = (start, *(entry.at for entry in past if start < entry.at < end), end)
    hole = timedelta(seconds=_HOLE_SECONDS)
    return bool(past) and past[-1].at >= end and all(after - before <= hole for before, after in pairwise(times))


def _observation(spec: ScalableAppSpec, moment: PodsMoment) -> Observation:
    names = sorted({name for values in moment.values.values() for name in values})
    return Observation(
        now=moment.at,
        replicas=len(names),
        pods=tuple(_settled_pod(name, moment.at) for name in names),
        readings={
            metric.label: Reading(sum(values.values()), values)
            for metric in spec.metrics
            if (values := moment.values.get(metric.type))
        },
    )
