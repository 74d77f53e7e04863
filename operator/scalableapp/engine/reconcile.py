"""One app, one story: observe -> decide -> apply -> report.

Level-triggered: everything is derived again from what is known now, so it may run at any time and any number of
times, and what is in line already costs no call.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import NoReturn

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.children.drift import ANNOTATION_SPEC_HASH, Deviations, deviations, differences, owned_by
from scalableapp.core.children.resources import KIND, ClusterFeatures, children, unwanted
from scalableapp.core.children.routing import INGRESS, exposure_of
from scalableapp.core.horizontal.decide import decide, first_seen, record_scale, remember
from scalableapp.core.horizontal.history import longest_window_seconds
from scalableapp.core.horizontal.interval import due
from scalableapp.core.model import ChildId, Decision, History, Observation
from scalableapp.core.status.conditions import AppProblem, abnormal
from scalableapp.core.status.status import (
    Change,
    build_status,
    change_of,
    history_from,
    newest_recommendation,
    patch_of,
    turned_bad,
)
from scalableapp.core.vertical.combined import decide_both, replicas_changed
from scalableapp.engine.deployment import apply_deployment, create_deployment, restore_replicas
from scalableapp.engine.mounts import Mounts
from scalableapp.engine.observe import observe, state_of
from scalableapp.engine.pod_check import PodCheck
from scalableapp.engine.record import AppRecord, Child
from scalableapp.engine.registry import Registry
from scalableapp.engine.resizing import Resizer, template_of
from scalableapp.engine.target import handed_over
from scalableapp.engine.timekeeping import Timekeeper, mark_evaluated
from scalableapp.errors import ClusterError, Conflict, NotFound, Terminating, Unavailable
from scalableapp.ports import Cluster, Event, Manifest

log = logging.getLogger(__name__)

# Prometheus' history takes some seconds to read; longer than this an app is not held for it.
REPLAY_SECONDS = 60.0
# So many of the fields that somebody changed are named.
_MOST_FIELDS = 3


class Reconciler:
    """Knows how an app is evaluated and reconciled. `now` is the wall clock in UTC, `clock` monotonic seconds."""

    def __init__(
        self,
        registry: Registry,
        cluster: Cluster,
        features: ClusterFeatures,
        now: Callable[[], datetime],
        stale_after_seconds: float,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._registry = registry
        self._cluster = cluster
        self._features = features
        self._now = Timekeeper(registry, now, clock).now
        self._stale_after = timedelta(seconds=stale_after_seconds)
        self._resizer = Resizer(registry, cluster, features, self._now)
        self._mounts = Mounts(registry, cluster)
        self._pods = PodCheck(cluster, features.pod_template)

    async def reconcile(self, record: AppRecord) -> bool:
        """Bring one app in line and report on it. False when the ScalableApp itself is gone.

        Raises what went wrong, after it has been reported: ClusterError, or a fault of ours.
        """
        if record.deleting:
            return True
        if await self._still_fails_to_scale(record):
            return True
        generation = record.generation
        failure = await self._act(record)
        if isinstance(failure, Terminating):
            # It will be deleted with its namespace; until then everything we could write is refused.
            record.deleting = True
            return True
        first, record.unanswered = not record.unanswered, isinstance(failure, Unavailable)
        if failure and record.unanswered and first:
            raise failure  # a single answer of 5xx is no news: the next try comes within a second
        if self._registry.get(record.key) is not record or record.generation != generation:
            return True  # deleted, recreated or changed meanwhile: the reconciliation that follows will report
        exists = await self._reported(record)
        if failure and exists:
            raise failure
        if exists and record.own_status.waits:
            raise Conflict(f"the status of {KIND} {record.key} is changed again each time the operator reverts it")
        return exists

    async def _still_fails_to_scale(self, record: AppRecord) -> bool:
        """Try a scaling that has failed again, as at each look; all else that belongs to a turn comes less often."""
        if not record.scale_failed or record.whole_turns.take(self._now().timestamp()):
            return False
        return await self._guarded(self._scale_and_resize, record) is not None

    def evaluate(self, record: AppRecord) -> Decision | None:
        """What to do with the replicas, decided from what is known now.

        None when there is nothing to decide on, or the app's own interval has not passed.
        """
        now = self._now()
        if not self._is_due(record, now):
            return None
        observation = observe(record, self._registry, now, self._stale_after)
        if record.spec is None or observation is None:
            return None
        if record.history is None:
            record.history = _history(record, record.spec, observation)
        if record.target:
            record.history = handed_over(record.target, observation, record.history)
        mark_evaluated(record, now, self._stale_after + timedelta(seconds=record.spec.scaling.interval_seconds or 0))
        record.decision = self._decided(record, record.spec, observation, record.history)
        record.history = remember(record.history, record.decision, record.spec)
        if not record.decision.changes and not record.decision.resizes:
            self._note_decided(record, now)
        return record.decision

    def advances(self, record: AppRecord) -> bool:
        """Whether a change of the pods' size that is under way has something to do now."""
        return self._resizer.advances(record)

    def _decided(
        self, record: AppRecord, spec: ScalableAppSpec, observation: Observation, history: History
    ) -> Decision:
        usage, sizes = self._resizer.observe(record, self._stale_after), record.sizing.history
        if usage is None or sizes is None:
            return decide(spec, observation, history)
        decision, record.sizing.history = decide_both(spec, observation, history, usage, sizes)
        if decision.sizing:
            record.sizing.recommended = decision.sizing.recommended
        return decision

    def _is_due(self, record: AppRecord, now: datetime) -> bool:
        """A changed spec is decided on at once; so is what has been decided, but not carried out yet."""
        if record.spec is None or record.decided_generation != record.generation:
            return True
        return due(record.spec.scaling, record.decided_at, now)

    def _note_decided(self, record: AppRecord, now: datetime) -> None:
        record.decided_at, record.decided_generation = now, record.generation

    async def _act(self, record: AppRecord) -> Exception | None:
        """Children, then replicas: one failing does not stop the other. Returns what went wrong first."""
        record.problem = None
        failures = [await self._guarded(stage, record) for stage in (self._apply_children, self._scale_and_resize)]
        return next((failure for failure in failures if failure), None)

    async def _guarded(self, stage: Callable[[AppRecord], Awaitable[None]], record: AppRecord) -> Exception | None:
        try:
            await stage(record)
        except ClusterError as error:
            record.problem = record.problem or AppProblem("ApplyFailed", str(error), holds=False)
            return error
        except Exception as error:
            log.exception("%s: internal error; the app is left as it is, and will be retried", record.key)
            record.problem = AppProblem("InternalError", f"internal error in the operator, please report it: {error!r}")
            return error
        return None

    async def _apply_children(self, record: AppRecord) -> None:
        """Bring the children in line, each for itself. Raises the first ClusterError at the end."""
        record.foreign = ""
        if record.spec is None or record.target:
            return
        self._resizer.restore(record)
        errors: list[ClusterError] = []
        await self._mounts.learn(record)
        features = replace(self._features, gateway_api=not self._registry.no_gateway_api)
        manifests = children(record.key, record.uid, record.spec, features, template_of(record))
        if not await self._pods.passes(record, record.spec, manifests[0]):
            return
        for manifest in manifests:
            try:
                await self._apply_child(record, manifest)
            except ClusterError as error:
                errors.append(error)
        for manifest in unwanted(record.key, record.spec):
            child = record.children.get(_id(manifest))
            if child and child.owner == record.uid and not self._still_leads(record, manifest["kind"]):
                await self._cluster.delete(manifest)
        if errors:
            raise errors[0]

    def _still_leads(self, record: AppRecord, kind: str) -> bool:
        """Whether that is the former Ingress of an app whose Gateways do not lead to it yet."""
        if kind != INGRESS or record.spec is None:
            return False
        exposure = exposure_of(record.key, record.spec.entry_point, record.entry_point, self._registry.no_gateway_api)
        return exposure is not None and not exposure.accepted

    async def _apply_child(self, record: AppRecord, manifest: Manifest) -> None:
        spec_hash = manifest["metadata"]["annotations"][ANNOTATION_SPEC_HASH]
        child = record.children.get(_id(manifest))
        ours = child if child and child.owner == record.uid else None
        if ours and ours.compared and ours.synced_hash == spec_hash:
            return
        losses = record.losses
        live = ours.live if ours else await self._cluster.read(manifest)
        if live and not owned_by(live, record.uid):
            self._note_foreign(record, live)
        elif live and deviations(live, manifest) <= _accepted(ours, spec_hash):
            found = live
        elif ours and ours.synced_hash == spec_hash:
            found = await self._repaired(record, manifest, ours)
        else:
            found = await self._written(record, manifest, exists=bool(ours or live))
            log.info("%s: %s %s applied", record.key, *_id(manifest))
        if record.losses == losses:  # else it may be gone already, and the turn that follows looks again
            self._registry.child_synced(record, found, manifest)

    async def _written(self, record: AppRecord, manifest: Manifest, *, exists: bool) -> Manifest:
        if _id(manifest) != record.deployment_id:
            return await self._cluster.apply(manifest)
        if exists:
            return await apply_deployment(self._cluster, record, manifest)
        return await create_deployment(self._cluster, record, manifest, self._now())

    async def _repaired(self, record: AppRecord, manifest: Manifest, child: Child) -> Manifest:
        """Revert a change of what was in sync before; less often if the change keeps coming back."""
        kind, name = _id(manifest)
        by = f", last by {child.editor!r}" if child.editor else ""
        if not record.repairs.take(self._now().timestamp()):
            raise Conflict(
                f"{kind} {record.key.namespace}/{name} is changed again each time the operator reverts it{by}; to see "
                f"by whom: kubectl get {kind} -n {record.key.namespace} {name} -o yaml --show-managed-fields"
            )
        try:
            repaired = await self._written(record, manifest, exists=True)
        except ClusterError:
            record.repairs.put_back()
            raise
        fields = ", ".join(islice(differences(child.live, manifest), _MOST_FIELDS))
        message = f"{kind} {record.key.namespace}/{name}: a change of {fields}{by} has been reverted"
        log.info("%s: %s", record.key, message)
        await self._cluster.emit(Event(record.key, record.uid, "Normal", "Reverted", message))
        return repaired

    def _note_foreign(self, record: AppRecord, live: Manifest) -> NoReturn:
        what = f"{live['kind']} {record.key.namespace}/{live['metadata']['name']}"
        owners = [owner for owner in live["metadata"].get("ownerReferences") or () if owner.get("controller")]
        whose = f"{owners[0].get('kind')} {owners[0].get('name')}" if owners else ""
        if whose == f"{KIND} {record.key.name}":
            message = f"{what} belongs to a deleted ScalableApp of this name; waiting until it is removed"
            record.problem = AppProblem("Deploying", message)
            raise ClusterError(message)
        record.foreign = (
            f"{what} exists and {f'belongs to {whose}' if whose else 'was not created by this ScalableApp'}; "
            "it is not touched. Delete or rename it, or give the ScalableApp another name"
        )
        record.problem = AppProblem("Conflicted", record.foreign, holds=_id(live) == record.deployment_id)
        raise Conflict(record.foreign)

    async def _scale_and_resize(self, record: AppRecord) -> None:
        """Replicas and size: decided from what is known now, applied, recorded and reported."""
        await restore_replicas(self._cluster, self._registry, record)
        decision = self.evaluate(record)
        record.scale_failed = False
        if decision and decision.changes:
            await self._scale(record, decision)
        before = template_of(record)
        if await self._resizer.open(record, decision):
            await self._report(record)  # the intent first, so that a restart in between finds it
        await self._resizer.lead(record, self._report)
        if template_of(record) != before:
            await self._report(record)
            await self._apply_children(record)

    async def _scale(self, record: AppRecord, decision: Decision) -> None:
        change = f"{decision.replicas_from} -> {decision.replicas_to} replicas"
        record.scaling_to = decision.replicas_to
        try:
            await self._set_replicas(record, decision.replicas_to)
        except ClusterError as error:
            if isinstance(error, NotFound):
                record.remove_child(record.deployment_id)
            record.scale_failed = True
            record.problem = AppProblem("FailedRescale", f"{change} failed: {error}", holds=False)
            raise
        self._note_decided(record, decision.at)
        log.info("%s: %s (%s): %s", record.key, change, decision.reason, decision.message)
        self._registry.scaled(record, decision.replicas_to)
        if record.spec and record.history is not None:
            moved = decision.replicas_to - decision.replicas_from
            record.history = record_scale(record.history, decision.at, moved, record.spec)
        if record.sizing.history is not None:
            record.sizing.history = replicas_changed(record.sizing.history, decision)
        message = f"{change} ({decision.reason}): {decision.message}"
        await self._cluster.emit(Event(record.key, record.uid, "Normal", "SuccessfulRescale", message))

    async def _set_replicas(self, record: AppRecord, replicas: int) -> None:
        if record.target:
            await self._cluster.scale_target(record.key.namespace, record.target.ref, replicas)
        else:
            await self._cluster.scale(record.key, replicas)

    async def _reported(self, record: AppRecord) -> bool:
        """Report; False when the ScalableApp itself is gone."""
        try:
            await self._report(record)
        except NotFound:
            return False
        except ClusterError:
            raise
        except Exception:
            log.exception("%s: internal error while writing the status, which will be retried", record.key)
            raise
        return True

    async def _report(self, record: AppRecord) -> None:
        """Write the status when something in it is worth a write now; an Event for what has gone wrong."""
        now = self._now()
        previous = record.status
        status = build_status(state_of(record, self._registry, now), previous, now)
        change = change_of(previous, status)
        record.ready = next(entry["status"] for entry in status["conditions"] if entry["type"] == "Ready")
        record.abnormal = abnormal(status["conditions"])
        altered = record.own_status.altered if record.own_status.may_repair(now) else None
        if change is Change.MEASURED and not record.may_report_measures and altered is None:
            record.reported, record.reported_at = record.reported or record.decision, record.reported_at or now
            return
        if change is not Change.NONE or altered is not None:
            record.own_status.wrote(status)  # its echo may come before the answer
            there = previous if altered is None else altered
            answer = await self._cluster.patch_status(record.key, patch_of(there, status))
            record.status = status
            record.own_status.wrote(answer)
            if altered is not None:
                record.own_status.repaired()
                log.info("%s: its status was changed and has been reverted", record.key)
        record.reported, record.reported_at, record.may_report_measures = record.decision, now, False
        for bad in turned_bad(previous, status):
            await self._cluster.emit(Event(record.key, record.uid, "Warning", bad.reason, bad.message))


def _accepted(child: Child | None, spec_hash: str) -> Deviations:
    return child.accepted if child and child.synced_hash == spec_hash else frozenset()


def _id(manifest: Manifest) -> ChildId:
    return ChildId(manifest["kind"], manifest["metadata"]["name"])


def _history(record: AppRecord, spec: ScalableAppSpec, observation: Observation) -> History:
    """What status remembers; without recommendations in it, that of an app nobody has decided on yet.

    What is older than the windows says nothing of them: the operator may have been away.
    """
    remembered = history_from(record.status, observation.now)
    window = timedelta(seconds=longest_window_seconds(spec.scaling.horizontal.behavior))
    recommendations = remembered.recommendations or first_seen(observation).recommendations
    if newest_recommendation(record.status) <= observation.now - window:
        record.guessed_at = observation.now
        recommendations = (*remembered.recommendations, *first_seen(observation).recommendations)
    if spec.scaling.horizontal.objective and "decision" in record.status:
        record.replay_until = observation.now + timedelta(seconds=REPLAY_SECONDS)
    return replace(remembered, recommendations=recommendations)
