"""What is known, put in the form in which decisions and reports take it. Pure: no I/O, no clock."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.api.scaling import DuringRollout, Mode
from scalableapp.core.children.contest import contested, status_contested
from scalableapp.core.children.resources import API_VERSION, KIND, selector_text
from scalableapp.core.children.routing import exposure_of, url_of
from scalableapp.core.explain import count
from scalableapp.core.horizontal.objective_plan import RATE_WINDOW_SECONDS, REQUESTS
from scalableapp.core.learning.latency import Histogram, merged, quantile, slow_share
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import NO_SERVICE_LEVEL, DataProblem, History, Observation, Reading, ServiceLevel
from scalableapp.core.quality import LEAST_COVERAGE
from scalableapp.core.size import Resource
from scalableapp.core.status.conditions import AppProblem, AppState
from scalableapp.core.status.size_status import SizeState
from scalableapp.engine.needs import OF_CONTAINERS
from scalableapp.engine.podtimes import date_pods, left_at
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.target import workload_key
from scalableapp.ports import LatencyAnswer, PodAnswer, QueryAnswer, Refusal, Snapshot

_T = TypeVar("_T")

# Longer than any window that requests or CPU are measured over.
REMOVED_COUNT = timedelta(minutes=5)


def observe(record: AppRecord, registry: Registry, now: datetime, stale_after: timedelta) -> Observation | None:
    """The app at this moment; None without a Deployment of its own. Answers older than `stale_after` don't count."""
    facts = record.own_deployment
    if facts is None:
        return None
    _forget_removed(record, now)
    date_pods(record, now)
    answers = _Answers(record, registry.snapshot, now, stale_after)
    return Observation(
        now=now,
        replicas=facts.replicas,
        pods=tuple(dated.pod for dated in record.dated.values()),
        readings={metric.label: answers.reading(metric) for metric in record.metrics},
        service_level=answers.service_level(record.objective) if record.objective else NO_SERVICE_LEVEL,
        rollout=facts.rollout and not _scales_during_rollouts(record),
        resizing=record.sizing.change is not None,
        replay_until=record.replay_until,
        conflict=record.target.conflict if record.target else registry.autoscalers.get(record.key, ""),
        hand_over=_hand_over(record, registry),
        owned_elsewhere=record.target.yielded(now) if record.target else "",
        up_only=record.spec is not None and record.spec.during_rollout is DuringRollout.UP_ONLY,
        size_conflict=_size_conflict(record, registry),
        watched_since=record.watched_since,
        unseen=record.unseen,
        unseen_since=record.unseen_since,
        spent=record.spent_in == registry.answered_look,
        outdated=record.changed_in >= registry.answered_look,
    )


def _forget_removed(record: AppRecord, now: datetime) -> None:
    """Pods whose samples no window of the metrics reaches any more."""
    past = [name for name in record.removed_pods if abs(now - (left_at(record, name) or now)) > REMOVED_COUNT]
    for name in past:
        del record.removed_pods[name]


def state_of(record: AppRecord, registry: Registry, now: datetime) -> AppState:
    """What there is to report of the app."""
    facts, spec = record.own_deployment, record.spec
    left_alone = spec is None or spec.scaling.paused  # then changes by others are not reverted
    return AppState(
        generation=record.generation,
        target=record.target.named(record.key.namespace) if record.target else "",
        replicas=facts.running if facts else 0,
        ready_replicas=facts.ready if facts else 0,
        desired_replicas=facts.replicas if facts else None,
        selector=record.target.selector if record.target else selector_text(record.key),
        url=url_of(record.key, spec.entry_point, record.entry_point) if spec else str(record.status.get("url", "")),
        exposure=exposure_of(record.key, spec.entry_point, record.entry_point, registry.no_gateway_api)
        if spec
        else None,
        pause=_pause(record),
        problem=AppProblem("InvalidSpec", str(record.spec_error))
        if record.spec_error
        else (record.target.problem if record.target else None) or record.problem or record.fault,
        not_evaluated=registry.not_evaluated,
        conflict=_conflict(record, registry),
        owned_elsewhere=record.target.yielded(now) if record.target else "",
        pod_message=_pod_message(record),
        deployment_problem=facts.problem if facts else None,
        additions=facts.additions if facts else "",
        pod_template=spec.pod_template.stated if spec and spec.pod_template else (),
        status_contested=status_contested(record.own_status.changes, record.key, now),
        contested="" if left_alone or record.target else contested(record.replica_settings, record.key, now),
        decision=record.decision,
        history=record.history or History(),
        sizes=_sizes(record, registry),
    )


def _scales_during_rollouts(record: AppRecord) -> bool:
    return record.spec is not None and record.spec.during_rollout is DuringRollout.SCALE


def _conflict(record: AppRecord, registry: Registry) -> str:
    """Who else manages the app's objects, in words. In a dry run a target may have another autoscaler."""
    if record.target is None:
        return record.foreign or registry.autoscalers.get(record.key, "") or _size_conflict(record, registry)
    dry = record.spec is not None and record.spec.scaling.dry_run
    return record.target.conflict or ("" if dry else _hand_over(record, registry))


def _hand_over(record: AppRecord, registry: Registry) -> str:
    """Which other autoscaler scales the workload that the spec names, in words; "" for none."""
    if record.target is None:
        return ""
    itself = workload_key(record.key.namespace, API_VERSION.partition("/")[0], KIND, record.key.name)
    by = registry.autoscalers.get(record.target.key(record.key.namespace)) or registry.autoscalers.get(itself)
    return by or ""


def _pod_message(record: AppRecord) -> str:
    """What most of the pods that are not ready say, and one that says it; "" where none says anything."""
    silent = ((pod.message, pod.name) for pod in record.pods.values() if pod.message and not pod.deleting)
    message = sorted(silent)
    if not message:
        return ""
    common, _ = Counter(message for message, _ in message).most_common(1)[0]
    return f"pod {next(name for said, name in message if said == common)}: {common}"


def _size_conflict(record: AppRecord, registry: Registry) -> str:
    """Who else sets a resource that is sized here, in words; "" for nobody."""
    other = registry.resizers.get(record.key)
    if other is None or not record.sizes or record.spec is None:
        return ""
    return other.message if other.resources.intersection(record.spec.scaling.vertical.resources) else ""


def _sizes(record: AppRecord, registry: Registry) -> SizeState | None:
    """None where sizes are not decided on, or not known yet."""
    sizing = record.sizing
    if not record.sizes or sizing.size is None or sizing.history is None:
        return None
    current = sizing.change.good if sizing.change else sizing.size
    history = sizing.history
    limits = registry.namespace_limits.get(record.key.namespace)
    unread = limits.unread[0] if limits and limits.unread else ""
    decided = record.decision.sizing if record.decision else None
    return SizeState(
        current,
        sizing.recommended,
        history.changed_at,
        sizing.change,
        history.failures,
        unread,
        decided.bound if decided else "",
        history.learned[Resource.MEMORY].killed,
    )


def _pause(record: AppRecord) -> AppProblem | None:
    if record.spec is None:
        return None
    if record.spec.scaling.paused:
        return AppProblem("Paused", "spec.scaling.paused is true; set it to false to scale again")
    if record.spec.replicas is not None and record.spec.scaling.mode is not Mode.VERTICAL:
        pinned = f"spec.replicas pins {record.spec.replicas} replicas; remove it to scale again"
        return AppProblem("Pinned", pinned)
    return None


class _Answers:
    """Prometheus' last answers as one app reads them."""

    def __init__(self, record: AppRecord, snapshot: Snapshot | None, now: datetime, stale_after: timedelta) -> None:
        self._record = record
        self._snapshot = snapshot
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
        if metric.type is MetricType.LATENCY:
            return self._of_histogram(lambda histogram: quantile(histogram, metric.latency_quantile))
        return self._with_burst(self._of_kind(metric.type, metric.container), metric)

    def service_level(self, objective: LatencyObjective) -> ServiceLevel:
        """What an objective is judged by."""
        if self._snapshot is None or self._stale:
            return ServiceLevel(self.reading(REQUESTS))
        failures, failed = self._snapshot.failures, 0.0
        if failures is None or failures.problem not in (None, DataProblem.EMPTY):
            problem = (failures.problem, failures.message) if failures else (DataProblem.EMPTY, _NOT_ASKED.message)
            slow = Reading(problem=problem[0], message=problem[1])
        elif left_out := self._left_out(failures):
            slow = left_out
        else:
            failing = self._carried(failures)
            failed, limit = sum(failing.values()), objective.latency.seconds
            slow = self._of_histogram(lambda histogram: slow_share(histogram, limit, failed))
            slow = replace(slow, per_pod=self._slow_shares(limit, failing))
        return ServiceLevel(self._load(self._snapshot.bursts), slow, self._of_kind(MetricType.CPU), failed)

    def _slow_shares(self, limit: float, failing: Mapping[str, float]) -> dict[str, float]:
        """The slow share of each pod that has requests."""
        answer = self._snapshot.latencies if self._snapshot else None
        own = self._own(answer.histograms) if answer else {}
        found = {name: slow_share(histogram, limit, failing.get(name, 0.0)) for name, histogram in own.items()}
        return {name: share for name, share in found.items() if share is not None}

    def _load(self, bursts: Mapping[int, PodAnswer]) -> Reading:
        """Requests/s over the objective's window, or over that of metrics where scrapes are too far apart for it."""
        answer = bursts.get(RATE_WINDOW_SECONDS)
        values = {} if answer is None or answer.problem else self._carried(answer)
        slowly = self._of_kind(MetricType.REQUESTS_PER_SECOND)
        if answer is not None and (note := self._note(answer)):
            return replace(slowly, note=note)
        if not self._record.pods.keys() & values.keys():
            return slowly
        dated = replace(slowly, window_seconds=RATE_WINDOW_SECONDS) if slowly.per_pod else Reading()
        return replace(dated, total=sum(values.values()), per_pod=values)

    def _of_query(self, answer: QueryAnswer) -> Reading:
        newest_at = None if answer.age is None or self._snapshot is None else _before(self._snapshot.at, answer.age)
        return Reading(answer.value, problem=answer.problem, message=answer.message, newest_at=newest_at)

    def _of_histogram(self, of: Callable[[Histogram], float | None]) -> Reading:
        answer = self._snapshot.latencies if self._snapshot else None
        if answer is None:
            return _NOT_ASKED
        if answer.problem:
            return Reading(problem=answer.problem, message=answer.message)
        if left_out := self._left_out(answer):
            return left_out
        own = self._own(answer.histograms)
        missing = self._missing(answer, own, "http_request_duration_seconds_bucket")
        if missing:
            return missing
        return self._dated(Reading(of(merged(own.values())), pods=frozenset(own)), answer.scrapes)

    def _with_burst(self, reading: Reading, metric: Metric) -> Reading:
        """With requests/s over the short window that the app states, or why they cannot be told."""
        rules = self._record.spec.scaling.horizontal.burst if self._record.spec else None
        bursts = self._snapshot.bursts if self._snapshot else {}
        answer = bursts.get(rules.window_seconds) if rules and metric.type is MetricType.REQUESTS_PER_SECOND else None
        if answer is None:
            return reading
        note = self._note(answer)
        if answer.problem or self._left_out(answer):
            return replace(reading, burst_note=note)
        return replace(reading, burst_total=sum(self._carried(answer).values()), burst_note=note)

    def _answer_of(self, kind: MetricType, container: str | None) -> PodAnswer | None:
        """Of a workload that others deploy: of a container, or of all that its template has."""
        if self._snapshot is None:
            return None
        target = self._record.target
        if target is None or kind not in OF_CONTAINERS:
            return self._snapshot.kinds.get(kind)
        found = self._snapshot.containers.get(kind)
        if found is None:
            return None
        own = self._own(found.values) | self._of(found.values, self._record.removed_pods)
        namespace = self._record.key.namespace
        ours = replace(found, values={(namespace, name): values for name, values in own.items()})
        return ours.of_pods(container, target.template or ())

    def _of_kind(self, kind: MetricType, container: str | None = None) -> Reading:
        answer = self._answer_of(kind, container)
        if answer is None:
            return _NOT_ASKED
        if answer.problem:
            return Reading(problem=answer.problem, message=answer.message)
        if left_out := self._left_out(answer):
            return left_out
        missing = self._missing(answer, self._own(answer.values), kind.value)
        if missing:
            return missing
        values = self._carried(answer)
        return self._dated(Reading(sum(values.values()), per_pod=values), answer.scrapes)

    def _left_out(self, answer: PodAnswer | LatencyAnswer) -> Reading | None:
        """Why the app's namespace was not asked for, if so."""
        why = answer.left_out.get(self._record.key.namespace)
        return Reading(problem=why[0], message=why[1]) if why else None

    def _note(self, answer: PodAnswer) -> str:
        """Why values over a short window cannot be used, or not of all pods; "" if they can, and if there are none."""
        if answer.problem:
            return "" if answer.problem is DataProblem.EMPTY else answer.message
        left_out = answer.left_out.get(self._record.key.namespace)
        refusal = left_out or first_refusal(self._own(answer.refused))
        return refusal[1] if refusal else ""

    def _missing(self, answer: PodAnswer | LatencyAnswer, found: Collection[str], what: str) -> Reading | None:
        """Why what was found of the app's pods is nothing to decide on, if so."""
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

    def _dated(self, reading: Reading, scrapes: Mapping[tuple[str, str], Scrape]) -> Reading:
        """The reading with its window and the time of the oldest of its pods' newest samples.

        Pods that leave date nothing: their scrapes end.
        """
        pods = self._record.pods
        measured = {name for name in reading.per_pod or reading.pods or () if name in pods and not pods[name].deleting}
        own = self._of(scrapes, measured)
        ages = [scrape.age for scrape in own.values() if scrape.age is not None]
        return replace(
            reading,
            window_seconds=max((scrape.window for scrape in own.values()), default=None),
            newest_at=_before(self._snapshot.at, max(ages)) if self._snapshot and ages else None,
            overdue=frozenset(name for name, scrape in own.items() if scrape.overdue),
        )

    def _carried(self, answer: PodAnswer) -> dict[str, float]:
        """Values of the app's pods, and of those that have left: until a window has passed, others do not show it."""
        return self._own(answer.values) | self._of(answer.values, self._record.removed_pods)

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


# A new metric is asked for with the next tick.
_NOT_ASKED = Reading(problem=DataProblem.EMPTY, message="Prometheus has not been queried for this yet")
