"""What is known, put in the form in which decisions and reports take it. Pure: no I/O, no clock."""

from collections import Counter
from datetime import datetime, timedelta

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.scaling import DuringRollout, Mode
from scalableapp.core.children.contest import contested, status_contested
from scalableapp.core.children.resources import API_VERSION, KIND, selector_text
from scalableapp.core.children.routing import exposure_of, url_of
from scalableapp.core.learning.scrapes import usual_interval
from scalableapp.core.model import NO_SERVICE_LEVEL, History, Observation
from scalableapp.core.size import Resource
from scalableapp.core.status.conditions import AppProblem, AppState, Requests
from scalableapp.core.status.size_status import SizeState
from scalableapp.engine.answers import Answers
from scalableapp.engine.podtimes import date_pods, left_at
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.target import workload_key
from scalableapp.ports import LatencyAnswer, PodAnswer

# Longer than any window that requests or CPU are measured over.
REMOVED_COUNT = timedelta(minutes=5)


def observe(record: AppRecord, registry: Registry, now: datetime, stale_after: timedelta) -> Observation | None:
    """The app at this moment; None without a Deployment of its own. Answers older than `stale_after` don't count."""
    facts = record.own_deployment
    if facts is None:
        return None
    _forget_removed(record, now)
    date_pods(record, now)
    answers = Answers(record, registry.snapshot, now, stale_after, registry.sources.choose(record))
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
        requests=_requests(record, registry),
    )


def _scales_during_rollouts(record: AppRecord) -> bool:
    return record.spec is not None and record.spec.during_rollout is DuringRollout.SCALE


def _conflict(record: AppRecord, registry: Registry) -> str:
    """Who else manages the app's objects, in words. In a dry run a target may have another autoscaler."""
    if record.target is None:
        return record.foreign or registry.autoscalers.get(record.key, "") or _size_conflict(record, registry)
    dry = record.target.stated.scaling.dry_run
    return record.target.conflict or ("" if dry else _hand_over(record, registry))


def _hand_over(record: AppRecord, registry: Registry) -> str:
    """Which other autoscaler scales the workload that the spec names, in words; "" for none."""
    if record.target is None:
        return ""
    itself = workload_key(record.key.namespace, API_VERSION.partition("/")[0], KIND, record.key.name)
    by = registry.autoscalers.get(record.target.key(record.key.namespace)) or registry.autoscalers.get(itself)
    return by or ""


def _requests(record: AppRecord, registry: Registry) -> Requests | None:
    """What counts its requests; None where they are not decided on, or nothing of them was found."""
    chosen = registry.sources.choose(record)
    found = chosen.answers(registry.snapshot) if registry.snapshot else None
    if not record.needs_requests or chosen.found is None or found is None:
        return None
    of_kind: PodAnswer | LatencyAnswer | None = found.kinds.get(MetricType.REQUESTS_PER_SECOND)
    answers = [answer for answer in (of_kind, found.latencies) if answer]
    names = (record.key.name,) if chosen.per_app else record.pods
    scrapes = [answer.scrapes.get((record.key.namespace, name)) for answer in answers for name in names]
    if not any(scrapes):
        return None
    intervals = [scrape.interval for scrape in scrapes if scrape and scrape.interval]
    seconds = round(usual_interval(max(intervals))) if intervals else None
    return Requests(chosen.found.name, chosen.found.source.per.value, seconds)


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
