"""Prometheus' last answers as one app reads them. Pure: no I/O, no clock."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.explain import count
from scalableapp.core.horizontal.objective_plan import RATE_WINDOW_SECONDS, REQUESTS
from scalableapp.core.learning.latency import Histogram, merged, quantile, slow_share
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import DataProblem, Reading, ServiceLevel
from scalableapp.core.quality import LEAST_COVERAGE
from scalableapp.engine.needs import OF_CONTAINERS
from scalableapp.engine.record import AppRecord
from scalableapp.engine.sources import DEFAULT_SOURCE, Chosen
from scalableapp.ports import LatencyAnswer, PodAnswer, QueryAnswer, Refusal, Snapshot

_T = TypeVar("_T")


class Answers:
    """Prometheus' last answers as one app reads them."""

    def __init__(
        self,
        record: AppRecord,
        snapshot: Snapshot | None,
        now: datetime,
        stale_after: timedelta,
        source: Chosen = DEFAULT_SOURCE,
    ) -> None:
        self._record = record
        self._snapshot = snapshot
        self._source = source
        self._requests = source.answers(snapshot) if snapshot else None
        self._age = now - snapshot.at if snapshot else timedelta(0)
        self._stale = abs(self._age) > stale_after  # of the future: the clock was put back

    def reading(self, metric: Metric) -> Reading:
        """What a metric says, or why it says nothing."""
        if self._snapshot is None:
            return Reading(problem=DataProblem.EMPTY, message="Prometheus has not been queried yet")
        if self._stale:
            age = f"Prometheus was last queried {self._age.total_seconds():.0f} s ago"
            return Reading(problem=DataProblem.STALE, message=age)
        if metric.type is MetricType.PROMETHEUS:
            answer = self._snapshot.queries.get(self._record.queries[metric.label])
            return self._of_query(answer) if answer else _NOT_ASKED
        if unfit := self._source.unfit(metric):
            return Reading(problem=unfit[0], message=unfit[1])
        if metric.type is MetricType.LATENCY:
            return self._of_histogram(lambda histogram: quantile(histogram, metric.latency_quantile))
        return self._with_burst(self._of_kind(metric.type, metric.container), metric)

    def service_level(self, objective: LatencyObjective) -> ServiceLevel:
        """What an objective is judged by."""
        if self._snapshot is None or self._stale:
            return ServiceLevel(self.reading(REQUESTS))
        if unfit := self._source.unfit_for_objective():
            unusable = Reading(problem=unfit[0], message=unfit[1])
            return ServiceLevel(unusable, unusable, self._of_kind(MetricType.CPU))
        failures, failed = self._requests.failures if self._requests else None, 0.0
        if failures is None or failures.problem not in (None, DataProblem.EMPTY):
            problem = (failures.problem, failures.message) if failures else (DataProblem.EMPTY, _NOT_ASKED.message)
            slow = Reading(problem=problem[0], message=problem[1])
        elif left_out := self._left_out(failures):
            slow = left_out
        else:
            failing = self._carried(failures, self._request_pods)
            failed, limit = sum(failing.values()), objective.latency.seconds
            slow = self._of_histogram(lambda histogram: slow_share(histogram, limit, failed))
            slow = replace(slow, per_pod=self._slow_shares(limit, failing))
        load = self._load(self._requests.bursts if self._requests else {})
        return ServiceLevel(load, slow, self._of_kind(MetricType.CPU), failed)

    def _slow_shares(self, limit: float, failing: Mapping[str, float]) -> dict[str, float]:
        """The slow share of each pod that has requests; nothing where requests are counted for the app as a whole."""
        answer = self._requests.latencies if self._requests and not self._source.per_app else None
        own = self._own(answer.histograms) if answer else {}
        found = {name: slow_share(histogram, limit, failing.get(name, 0.0)) for name, histogram in own.items()}
        return {name: share for name, share in found.items() if share is not None}

    def _load(self, bursts: Mapping[int, PodAnswer]) -> Reading:
        """Requests/s over the objective's window, or over that of metrics where scrapes are too far apart for it."""
        answer = bursts.get(RATE_WINDOW_SECONDS)
        values = {} if answer is None or answer.problem else self._carried(answer, self._request_pods)
        slowly = self._of_kind(MetricType.REQUESTS_PER_SECOND)
        if answer is not None and (note := self._note(answer)):
            return replace(slowly, note=note)
        if self._source.per_app:
            known = slowly.total is not None and values
            return replace(slowly, total=sum(values.values()), window_seconds=RATE_WINDOW_SECONDS) if known else slowly
        if not self._record.pods.keys() & values.keys():
            return slowly
        dated = replace(slowly, window_seconds=RATE_WINDOW_SECONDS) if slowly.per_pod else Reading()
        return replace(dated, total=sum(values.values()), per_pod=values)

    def _of_query(self, answer: QueryAnswer) -> Reading:
        newest_at = None if answer.age is None or self._snapshot is None else _before(self._snapshot.at, answer.age)
        return Reading(answer.value, problem=answer.problem, message=answer.message, newest_at=newest_at)

    def _of_histogram(self, of: Callable[[Histogram], float | None]) -> Reading:
        answer = self._requests.latencies if self._requests else None
        if answer is None:
            return _NOT_ASKED
        if answer.problem:
            return self._without_histogram(Reading(problem=answer.problem, message=answer.message))
        if left_out := self._left_out(answer):
            return left_out
        own = self._of(answer.histograms, self._request_pods)
        missing = self._missing(answer, own, self._source.buckets, self._request_pods)
        if missing:
            return self._without_histogram(missing)
        pods = None if self._source.per_app else frozenset(own)
        return self._dated(Reading(of(merged(own.values())), pods=pods), answer.scrapes, self._request_pods)

    def _advised(self, reading: Reading, of_requests: bool = True) -> Reading:
        """With what to do where Prometheus has nothing of the app's requests although it is asked for them."""
        if reading.problem is DataProblem.EMPTY and self._source.guessed and of_requests:
            return replace(reading, message=f"{reading.message} {_UNKNOWN}")
        return reading

    def _without_histogram(self, reading: Reading) -> Reading:
        """With how to get the histogram, where there is none although the source can have one."""
        further = self._source.found if self._source.further else None
        if reading.problem is not DataProblem.EMPTY or further is None or not further.advice:
            return self._advised(reading)
        return replace(reading, message=f"{reading.message}; {further.advice}")

    def _with_burst(self, reading: Reading, metric: Metric) -> Reading:
        """With requests/s over the short window that the app states, or why they cannot be told."""
        rules = self._record.spec.scaling.horizontal.burst if self._record.spec else None
        bursts = self._requests.bursts if self._requests else {}
        answer = bursts.get(rules.window_seconds) if rules and metric.type is MetricType.REQUESTS_PER_SECOND else None
        if answer is None:
            return reading
        note = self._note(answer)
        if answer.problem or self._left_out(answer):
            return replace(reading, burst_note=note)
        carried = self._carried(answer, self._request_pods)
        return replace(reading, burst_total=sum(carried.values()), burst_note=note)

    def _answer_of(self, kind: MetricType, container: str | None) -> PodAnswer | None:
        """Of a workload that others deploy: of a container, or of all that its template has."""
        if self._snapshot is None:
            return None
        target = self._record.target
        if target is None or kind not in OF_CONTAINERS:
            snapshot = self._requests if kind is MetricType.REQUESTS_PER_SECOND else self._snapshot
            return snapshot.kinds.get(kind) if snapshot else None
        found = self._snapshot.containers.get(kind)
        if found is None:
            return None
        own = self._own(found.values) | self._of(found.values, self._record.removed_pods)
        namespace = self._record.key.namespace
        ours = replace(found, values={(namespace, name): values for name, values in own.items()})
        return ours.of_pods(container, target.template or ())

    def _of_kind(self, kind: MetricType, container: str | None = None) -> Reading:
        of_requests = kind is MetricType.REQUESTS_PER_SECOND
        answer, pods = self._answer_of(kind, container), self._request_pods if of_requests else self._record.pods
        if answer is None:
            return _NOT_ASKED
        if answer.problem:
            return self._advised(Reading(problem=answer.problem, message=answer.message), of_requests)
        if left_out := self._left_out(answer):
            return left_out
        missing = self._missing(answer, self._of(answer.values, pods), kind.value, pods)
        if missing:
            return self._advised(missing, of_requests)
        values = self._carried(answer, pods)
        per_pod = {} if of_requests and self._source.per_app else values
        return self._dated(Reading(sum(values.values()), per_pod=per_pod), answer.scrapes, pods)

    @property
    def _request_pods(self) -> Collection[str]:
        """Names under which requests are counted: those of the pods, or of the app."""
        return (self._record.key.name,) if self._source.per_app else self._record.pods

    def _left_out(self, answer: PodAnswer | LatencyAnswer) -> Reading | None:
        """Why the app's namespace was not asked for, if so."""
        why = answer.left_out.get(self._record.key.namespace)
        return Reading(problem=why[0], message=why[1]) if why else None

    def _note(self, answer: PodAnswer) -> str:
        """Why values over a short window cannot be used, or not of all pods; "" if they can, and if there are none."""
        if answer.problem:
            return "" if answer.problem is DataProblem.EMPTY else answer.message
        left_out = answer.left_out.get(self._record.key.namespace)
        refusal = left_out or first_refusal(self._of(answer.refused, self._request_pods))
        return refusal[1] if refusal else ""

    def _missing(
        self, answer: PodAnswer | LatencyAnswer, found: Collection[str], what: str, pods: Collection[str]
    ) -> Reading | None:
        """Why what was found of the app's pods is nothing to decide on, if so."""
        if pods is not self._record.pods:
            return self._missing_of_app(answer, found, what)
        refused = {name: why for name, why in self._own(answer.refused).items() if self._record.pods[name].ready}
        if (refusal := first_refusal(refused)) and len(found) < LEAST_COVERAGE * (len(found) + len(refused)):
            pods = count(len(refused), "pod")
            return Reading(problem=refusal[0], message=f"the series of {pods} cannot be used: {refusal[1]}")
        if found:
            return None
        scrapes = self._own(answer.scrapes).values()
        if scrapes and all(scrape.interval is None for scrape in scrapes):
            return Reading(awaited="Prometheus has scraped the pods only once, and a rate needs two samples")
        message = f"Prometheus has no {what} of any pod of {self._record.key}; kubectl scalableapp check tells why"
        return Reading(problem=DataProblem.EMPTY, message=message)

    def _missing_of_app(self, answer: PodAnswer | LatencyAnswer, found: Collection[str], what: str) -> Reading | None:
        """The same where requests are counted for the app: nothing may be missing of them."""
        place = self._record.key.namespace, self._record.key.name
        scrape = answer.scrapes.get(place)
        if refusal := answer.refused.get(place):
            return Reading(problem=refusal[0], message=f"the series of its requests cannot be used: {refusal[1]}")
        if found and scrape and scrape.overdue:
            message = "a target that counts its requests has not been scraped for a while; check that it is up"
            return Reading(problem=DataProblem.PARTIAL, message=message)
        if found:
            return None
        name = self._source.found.name if self._source.found else ""
        message = f"request source {name} has no {what} of {self._record.key}; has it had a request yet?"
        return Reading(problem=DataProblem.EMPTY, message=message)

    def _dated(self, reading: Reading, scrapes: Mapping[tuple[str, str], Scrape], names: Collection[str]) -> Reading:
        """The reading with its window and the time of the oldest of its pods' newest samples.

        Pods that leave date nothing: their scrapes end.
        """
        pods = self._record.pods
        measured = {name for name in reading.per_pod or reading.pods or () if name in pods and not pods[name].deleting}
        own = self._of(scrapes, measured if names is pods else names)
        ages = [scrape.age for scrape in own.values() if scrape.age is not None]
        return replace(
            reading,
            window_seconds=max((scrape.window for scrape in own.values()), default=None),
            newest_at=_before(self._snapshot.at, max(ages)) if self._snapshot and ages else None,
            overdue=frozenset(name for name, scrape in own.items() if scrape.overdue) if names is pods else frozenset(),
        )

    def _carried(self, answer: PodAnswer, names: Collection[str]) -> dict[str, float]:
        """Values of the app's pods, and of those that have left: until a window has passed, others do not show it."""
        left = self._record.removed_pods if names is self._record.pods else ()
        return self._of(answer.values, names) | self._of(answer.values, left)

    def _own(self, of: Mapping[tuple[str, str], _T]) -> dict[str, _T]:
        """What is the app's pods', by their names."""
        return self._of(of, self._record.pods)

    def _of(self, of: Mapping[tuple[str, str], _T], names: Collection[str]) -> dict[str, _T]:
        namespace = self._record.key.namespace
        return {name: of[namespace, name] for name in names if (namespace, name) in of}


def first_refusal(refused: Mapping[str, Refusal]) -> Refusal | None:
    """Why the data of some pods is of no use; the pod that is first by name stands for the others."""
    return refused[min(refused)] if refused else None


def _before(at: datetime, seconds: float) -> datetime:
    return at - timedelta(seconds=seconds)


_UNKNOWN = "No request source that the operator knows was recognised among what they serve, see docs/requests.md"
# A new metric is asked for with the next tick.
_NOT_ASKED = Reading(awaited="Prometheus has not been queried for this yet")
