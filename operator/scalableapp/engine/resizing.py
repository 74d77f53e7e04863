"""Sizes of pods carried out: a change is opened, rolled out step by step, and closed or rolled back.

What is done next is decided by core/vertical/rollout.py from what is seen; here it is written down, told, and done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.api.vertical_fields import UpdateStrategy
from scalableapp.core.children.resources import AS_SPECIFIED, ClusterFeatures, Template, children
from scalableapp.core.model import Decision
from scalableapp.core.size import Resource, Size
from scalableapp.core.status.size_status import SizeState, read_sizes
from scalableapp.core.vertical.backoff import failed
from scalableapp.core.vertical.change import Change, Phase, RolloutObservation, Way
from scalableapp.core.vertical.combined import size_changed
from scalableapp.core.vertical.rollout import Result, Step, aimed, opened, refused, step, too_small
from scalableapp.core.vertical.sized import Sized
from scalableapp.core.vertical.usage import SizeHistory, Usage, with_half_lives
from scalableapp.engine.deployment import apply_deployment
from scalableapp.engine.mounts import mounted
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.usage import rollout_observation, usage_of
from scalableapp.errors import NotFound, Rejected
from scalableapp.ports import Cluster, Event, Manifest

log = logging.getLogger(__name__)

Report = Callable[[AppRecord], Awaitable[None]]


class Resizer:
    """Keeps the size of each app's pods, in the modes that decide on it. `now` is the wall clock, aware and in UTC."""

    def __init__(
        self, registry: Registry, cluster: Cluster, features: ClusterFeatures, now: Callable[[], datetime]
    ) -> None:
        self._registry = registry
        self._cluster = cluster
        self._features = features
        self._now = now

    def restore(self, record: AppRecord) -> None:
        """Take over, once, what is known from before a restart."""
        facts = record.own_deployment
        if record.sizes and record.sizing.size is None and facts and facts.size:
            _restore(record, self._now())

    def observe(self, record: AppRecord, stale_after: timedelta) -> Usage | None:
        """The usage to decide on; None where sizes are not decided on, or nothing is known yet."""
        if not record.sizes or record.spec is None:
            record.sizing = Sized()
            return None
        self.restore(record)
        if record.sizing.history:
            record.sizing.history = with_half_lives(record.sizing.history, record.spec.scaling.vertical)
        return usage_of(record, self._registry, self._now(), stale_after, in_place=self._in_place(record.spec))

    def _in_place(self, spec: ScalableAppSpec) -> bool:
        return self._features.resize and spec.scaling.vertical.update_strategy is not UpdateStrategy.ROLLOUT

    def advances(self, record: AppRecord) -> bool:
        """Whether a change under way has something to do now."""
        change = record.sizing.change
        if change is None:
            return False
        coming = self._step(record, change)
        return coming.change != change or bool(coming.resizes) or _is_owed_to_later_pods(record, change)

    async def open(self, record: AppRecord, decision: Decision | None) -> bool:
        """Begin a change that was decided on, or let the one under way aim higher. Whether there is something new."""
        sizing = decision.sizing if decision else None
        if decision is None or sizing is None or not sizing.changes or not record.spec or not record.sizing.history:
            return False
        under_way, in_place = record.sizing.change, self._in_place(record.spec)
        if under_way is None:
            change = opened(sizing.size_to, sizing.size_from, decision.at, in_place=in_place, why=sizing.message)
        elif _leads_back(under_way, sizing.size_to):
            return False
        else:
            change = aimed(under_way, sizing.size_to, decision.at, in_place=in_place, why=sizing.message)
            await self._tell_too_small(record, under_way)
        record.sizing.change, record.sizing.size = change, sizing.size_to
        record.sizing.history = size_changed(record.sizing.history, decision.at)
        text = f"{sizing.size_from} -> {sizing.size_to} ({sizing.reason}, {change.way}): {sizing.message}"
        log.info("%s: resizing %s", record.key, text)
        await self._emit(record, "Normal", "Resizing", text)
        return True

    async def _tell_too_small(self, record: AppRecord, change: Change) -> None:
        if pod := too_small(change, self._seen(record)):
            message = f"{change.to} is still too small: pod {pod} was OOM-killed"
            log.info("%s: StillTooSmall: %s", record.key, message)
            await self._emit(record, "Warning", "StillTooSmall", message)

    async def lead(self, record: AppRecord, report: Report) -> None:
        """Take the steps of a change that can be taken now. Each is reported before it is made, for a restart."""
        for _ in range(_MOST_STEPS):
            change = record.sizing.change
            if change is None or not record.sizes:
                return
            coming = self._step(record, change)
            if coming.resizes:
                coming = await self._resize_pods(record, coming)
            await self._take(record, change, coming)
            if coming.change and _is_owed_to_later_pods(record, coming.change):
                await report(record)
                await self._resize_later_pods(record, coming.change)
            elif coming.change == change:
                return

    async def _take(self, record: AppRecord, change: Change, coming: Step) -> None:
        record.sizing.change = coming.change
        if coming.result is Result.ROLLED_BACK and record.sizing.history:
            record.sizing.size = change.good
            record.sizing.history = _with_failure(record.sizing.history, change, coming, self._now())
        if coming.result:
            log.info("%s: %s: %s", record.key, coming.result, coming.message)
            kind = "Warning" if coming.result is Result.ROLLED_BACK else "Normal"
            await self._emit(record, kind, coming.result.value, coming.message)

    async def _resize_pods(self, record: AppRecord, coming: Step) -> Step:
        """Ask for resizes; where one is refused for good, the pods are replaced by a rollout."""
        change = coming.change
        for pod, size in coming.resizes:
            try:
                await self._cluster.resize(record.key, pod, size)
            except NotFound:
                continue  # it has gone meanwhile
            except Rejected as error:
                if change is None or size == change.good:
                    log.info("%s: pod %s stays as it is: %s", record.key, pod, error)
                    continue
                return refused(change, self._now(), f"pod {pod}: {error}")
        return coming

    async def _resize_later_pods(self, record: AppRecord, change: Change) -> None:
        """Template and ReplicaSet get the size together, so that the Deployment's controller sees no new template.

        While it is paused it starts no rollout. It finds its ReplicaSet by comparing templates, and shows that it has
        seen both by counting the pods as up to date: only then it is let go on. Where it does not see them in time, the
        worst that comes is a rollout to the same size.
        """
        if record.spec is None:
            return
        resources = record.spec.scaling.vertical.resources
        paused = Template(change.good, resources, paused=True, mounted=mounted(record))
        live = await apply_deployment(self._cluster, record, self._deployment(record, paused))
        await self._cluster.resize_later_pods(live, change.to)
        live = await self._cluster.apply(self._deployment(record, paused._replace(size=change.to)))
        for _ in range(_POLLS):
            if _counted(live):
                break
            await asyncio.sleep(_POLL_SECONDS)
            live = await self._cluster.read(live) or live
        template = paused._replace(size=change.to, paused=False)
        manifest = self._deployment(record, template)
        self._registry.child_synced(record, await self._cluster.apply(manifest), manifest)

    def _deployment(self, record: AppRecord, template: Template) -> Manifest:
        assert record.spec  # noqa: S101 - only apps with a spec have a size
        return children(record.key, record.uid, record.spec, self._features, template)[0]

    def _step(self, record: AppRecord, change: Change) -> Step:
        return step(change, self._seen(record))

    def _seen(self, record: AppRecord) -> RolloutObservation:
        snapshot = self._registry.snapshot
        requests = self._registry.sources.choose(record).answers(snapshot) if snapshot else None
        return rollout_observation(record, snapshot, requests, self._now())

    async def _emit(self, record: AppRecord, kind: str, reason: str, message: str) -> None:
        await self._cluster.emit(
            Event(record.key, record.uid, "Warning" if kind == "Warning" else "Normal", reason, message)
        )


# A kill of before that, of an app whose size is looked at for the first time, is history.
_KILLS_COUNT = timedelta(minutes=10)
# For at most 15 s, with the worker that is busy with this app.
_POLLS, _POLL_SECONDS = 30, 0.5
# A change has fewer phases.
_MOST_STEPS = 6


def _is_owed_to_later_pods(record: AppRecord, change: Change) -> bool:
    """Whether the pods have the size, and the template is to get it without a rollout."""
    facts = record.own_deployment
    return change.phase is Phase.TEMPLATE and facts is not None and (facts.paused or facts.size != change.to)


def _leads_back(change: Change, to: Size) -> bool:
    """Whether the last good size has at least as much memory as pods lack with a smaller one: they are rolled back."""
    had, good, needed = (size.memory.request or 0.0 for size in (change.to, change.good, to))
    return had < needed <= good and change.phase is not Phase.ROLLBACK


def template_of(record: AppRecord) -> Template:
    """How the template of the app's Deployment differs from its spec now."""
    return _sized(record)._replace(mounted=mounted(record))


def _sized(record: AppRecord) -> Template:
    sizing, spec = record.sizing, record.spec
    if not record.sizes or spec is None:
        return AS_SPECIFIED
    if sizing.size is None:
        return _template_before(record, spec)
    change = sizing.change
    canary = change is not None and change.way is Way.ROLLOUT and change.phase is Phase.FIRST
    size = change.template if change else sizing.size
    paused = change is not None and _is_owed_to_later_pods(record, change)
    if change and change.phase is Phase.TEMPLATE and record.own_deployment:
        size = record.own_deployment.size or size  # the template is led to the new one by `_resize_later_pods`
    return Template(size, spec.scaling.vertical.resources, canary, paused)


def _template_before(record: AppRecord, spec: ScalableAppSpec) -> Template:
    """That of a Deployment that was deleted while the operator was not running: its pods had the size in status."""
    stored = read_sizes(record.status.get("resources")) if record.own_deployment is None else None
    return Template(stored.current, spec.scaling.vertical.resources) if stored else AS_SPECIFIED


def _counted(deployment: Manifest) -> bool:
    """Whether the Deployment's controller has seen its template, and the pods that have it already."""
    status, metadata = deployment.get("status") or {}, deployment["metadata"]
    up_to_date = status.get("updatedReplicas", 0) == status.get("replicas", 0)
    return bool(status.get("observedGeneration", 0) >= metadata["generation"] and up_to_date)


def _restore(record: AppRecord, now: datetime) -> None:
    """Take over the size that the Deployment has, and what status says of the way there."""
    facts, spec = record.own_deployment, record.spec
    if facts is None or facts.size is None or spec is None:
        return
    stored = read_sizes(record.status.get("resources"))
    change = stored.change if stored else None
    history = SizeHistory.blank(spec.scaling.vertical, ready=False)
    if stored:
        history = _resumed(history, stored, now)
    answered = stored.changed_at if stored and stored.changed_at else now - _KILLS_COUNT
    fresh = [pod for pod in record.pods.values() if pod.oom_killed_at and pod.oom_killed_at > answered]
    history = replace(history, oom_kills=record.oom_kills - len(fresh))
    size = facts.size if change is None else change.good if change.phase is Phase.ROLLBACK else change.to
    events = record.history.scale_events if record.history else ()
    history = replace(history, scaled=events[-1] if events else None)
    record.sizing = Sized(size, history, _continued(change, now), stored.recommended if stored else None)


def _resumed(history: SizeHistory, stored: SizeState, now: datetime) -> SizeHistory:
    """What was remembered before a restart; nothing of it lies ahead, as a clock that was put back would have it."""
    memory = replace(history.learned[Resource.MEMORY], killed=stored.killed)
    return replace(
        history,
        learned={**history.learned, Resource.MEMORY: memory},
        changed_at=min(stored.changed_at, now) if stored.changed_at else None,
        resumed_at=now,
        failures=tuple(failure._replace(at=min(failure.at, now)) for failure in stored.failures),
    )


def _continued(change: Change | None, now: datetime) -> Change | None:
    """A change under way, whose last step is watched from now on: how long ago it was, only that clock could say."""
    if change is None:
        return None
    return replace(change, opened_at=min(change.opened_at, now), since=now, done_at=now if change.done_at else None)


def _with_failure(history: SizeHistory, change: Change, coming: Step, now: datetime) -> SizeHistory:
    why = coming.change.why if coming.change else coming.message
    return replace(history, failures=failed(history.failures, change.to, change.good, now, why), changed_at=now)
