"""A spec's horizontal scaling, run over what a Deployment's pods used: the operator's own core, moment by moment.

The load of then is taken as given and spread evenly over the pods that would have been there, which are ready at the
next moment. What was not answered then (it waited, or failed) is not known.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scalableapp.commands.plugin.usage import UsageHistory
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.horizontal.decide import decide, first_seen, record_scale, remember
from scalableapp.core.model import History, Observation, PodState, Reading

_SETTLED_AT = datetime(2000, 1, 1, tzinfo=UTC)


class Change(NamedTuple):
    """A change of replicas that would have been made."""

    at: datetime
    before: int
    after: int
    reason: str
    message: str


class Simulation(NamedTuple):
    """The replicas that there would have been at each moment, and the changes."""

    replicas: tuple[int, ...]
    changes: tuple[Change, ...]


def simulate(spec: ScalableAppSpec, usage: UsageHistory, replicas: int) -> Simulation:
    """What the spec would have made of the usage, from so many replicas on."""
    totals = {kind: {used.at: used.total for used in usage.of(kind)} for kind in {m.type for m in spec.metrics}}
    history: History | None = None
    numbers, changes = [], []
    for at in usage.times:
        observation = _observation(spec, at, replicas, totals)
        history = history or first_seen(observation)
        decision = decide(spec, observation, history)
        history = remember(history, decision, spec)
        if decision.changes:
            change = decision.replicas_to - replicas
            history = record_scale(history, decision.at, change, spec)
            changes.append(Change(decision.at, replicas, decision.replicas_to, decision.reason, decision.message))
            replicas = decision.replicas_to
        numbers.append(replicas)
    return Simulation(tuple(numbers), tuple(changes))


def _observation(
    spec: ScalableAppSpec, at: float, replicas: int, totals: Mapping[MetricType, Mapping[float, float]]
) -> Observation:
    pods = _pods(replicas)
    readings = {}
    for metric in spec.metrics:
        total = totals[metric.type].get(at)
        if total is not None:
            readings[metric.label] = Reading(total, {pod.name: total / replicas for pod in pods})
    return Observation(datetime.fromtimestamp(at, UTC), replicas, pods, readings)


@lru_cache(maxsize=1024)
def _pods(replicas: int) -> tuple[PodState, ...]:
    ready_at = _SETTLED_AT + timedelta(minutes=1)
    return tuple(PodState(f"pod-{number}", "Running", True, False, _SETTLED_AT, ready_at) for number in range(replicas))
