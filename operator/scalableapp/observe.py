"""What is known, put in the form in which decisions and reports take it. Pure: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from scalableapp.core.conditions import AppState, Trouble
from scalableapp.core.model import DataProblem, History, Observation, Reading
from scalableapp.core.resources import selector_text, url_of
from scalableapp.core.scaling import Metric, MetricType
from scalableapp.ports import PodAnswer, Snapshot
from scalableapp.registry import AppRecord, Registry


def observe(record: AppRecord, registry: Registry, now: datetime, stale_after: timedelta) -> Observation | None:
    """The app at this moment; None without a Deployment of its own. Answers older than `stale_after` don't count."""
    facts = record.own_deployment
    if facts is None:
        return None
    answers = _Answers(record, registry.snapshot, now, stale_after)
    return Observation(
        now=now,
        replicas=facts.replicas,
        pods=tuple(record.pods.values()),
        readings={metric.label: answers.reading(metric) for metric in record.metrics},
        rollout=facts.rollout,
        conflict=registry.autoscalers.get(record.key, ""),
    )


def state_of(record: AppRecord, registry: Registry) -> AppState:
    """What there is to report of the app."""
    facts, spec = record.own_deployment, record.spec
    return AppState(
        generation=record.generation,
        replicas=facts.running if facts else 0,
        ready_replicas=facts.ready if facts else 0,
        wanted_replicas=facts.replicas if facts else None,
        selector=selector_text(record.key),
        url=url_of(spec, record.load_balancer) if spec else str(record.status.get("url", "")),
        pause=_pause(record),
        trouble=Trouble("InvalidSpec", str(record.problem)) if record.problem else record.trouble,
        conflict=record.foreign or registry.autoscalers.get(record.key, ""),
        decision=record.decision,
        history=record.history or History(),
    )


def _pause(record: AppRecord) -> Trouble | None:
    if record.spec is None:
        return None
    if record.spec.scaling.paused:
        return Trouble("Paused", "spec.scaling.paused is true; set it to false to scale again")
    if record.spec.replicas is not None:
        pinned = f"spec.replicas pins {record.spec.replicas} replicas; remove it to scale again"
        return Trouble("Pinned", pinned)
    return None


class _Answers:
    """Prometheus' last answers as one app reads them."""

    def __init__(self, record: AppRecord, snapshot: Snapshot | None, now: datetime, stale_after: timedelta) -> None:
        self._record = record
        self._snapshot = snapshot
        self._age = now - snapshot.at if snapshot else timedelta(0)
        self._stale = self._age > stale_after

    def reading(self, metric: Metric) -> Reading:
        if self._snapshot is None:
            return Reading(problem=DataProblem.EMPTY, message="Prometheus has not been asked yet")
        if self._stale:
            age = f"the last look at Prometheus was {self._age.total_seconds():.0f} s ago"
            return Reading(problem=DataProblem.STALE, message=age)
        if metric.type is MetricType.PROMETHEUS:
            answer = self._snapshot.queries.get(self._record.queries[metric.label])
            return Reading(answer.value, problem=answer.problem, message=answer.message) if answer else _NOT_ASKED
        grouped = self._snapshot.kinds.get(metric.type)
        reading = self._of_pods(metric, grouped) if grouped else _NOT_ASKED
        return replace(reading, burst_total=self._burst_total(self._snapshot.bursts, metric))

    def _burst_total(self, bursts: Mapping[int, PodAnswer], metric: Metric) -> float | None:
        """Requests/s over the short window that the app states; None without one, and where it cannot be used."""
        rules = self._record.spec.scaling.horizontal.burst if self._record.spec else None
        answer = bursts.get(rules.window_seconds) if rules and metric.type is MetricType.REQUESTS_PER_SECOND else None
        return sum(self._values(answer).values()) if answer and not answer.problem else None

    def _of_pods(self, metric: Metric, answer: PodAnswer) -> Reading:
        if answer.problem:
            return Reading(problem=answer.problem, message=answer.message)
        values = self._values(answer)
        if not values:
            message = f"Prometheus has no {metric.type} of any pod of {self._record.key}; is it scraping them?"
            return Reading(problem=DataProblem.EMPTY, message=message)
        return Reading(sum(values.values()), per_pod=values)

    def _values(self, answer: PodAnswer) -> dict[str, float]:
        namespace, pods = self._record.key.namespace, self._record.pods
        return {name: answer.values[namespace, name] for name in pods if (namespace, name) in answer.values}


# A new metric is asked for with the next tick.
_NOT_ASKED = Reading(problem=DataProblem.EMPTY, message="Prometheus has not been asked for this yet")
