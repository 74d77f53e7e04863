"""Workloads that are scaled through spec.targetRef, and their pods: what there is of both goes to the registry.

One watch for each kind and namespace that has targets, and one for the pods in it. A pod is a target's if the selector
of its scale matches, and if the target owns it: selectors alone catch pods of others (kubernetes/enhancements#5325).
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from scalableapp.adapters.kube_api import KubeApi, collection
from scalableapp.adapters.podwatch import pod_state
from scalableapp.adapters.scales import NotScalable, Scales, missing_rule
from scalableapp.adapters.watch import Change, Gone, Listed, Seen, Unserved, Watch
from scalableapp.core.label_selectors import matches
from scalableapp.core.model import AppKey, PodState
from scalableapp.core.status.conditions import AppProblem
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.target import NOT_READ, Target
from scalableapp.engine.workloads import APPS, COUNTED, Workload, counts_of, workload_of
from scalableapp.engine.workqueue import AsyncWorkQueue
from scalableapp.errors import ClusterError, NotFound
from scalableapp.ports import Cluster, Event

log = logging.getLogger(__name__)

# How soon a new target is followed, and what has changed of others is passed on.
SYNC_SECONDS = 1.0
# What cannot be had now is asked for again.
AGAIN_SECONDS = 10.0
# Scales that are read at a time, of kinds whose objects do not tell by themselves.
_SCALES_AT_A_TIME = 16


class Kind(NamedTuple):
    """A kind of workload."""

    api_version: str
    kind: str


_PODS, _REPLICA_SETS = Kind("v1", "Pod"), Kind(APPS, "ReplicaSet")
# The controllers of others may run pods through ReplicaSets of theirs.
_WITHOUT_REPLICA_SETS = {Kind(APPS, "StatefulSet"), _REPLICA_SETS}
_NO_SELECTOR = (
    "its scale subresource states no selector of its pods (status.selector), so nobody can tell which they are; "
    "name the workload that runs them"
)
_Aimed = tuple[AppRecord, Target]


@dataclass(slots=True)
class _Pod:
    """A pod of a namespace: who controls it, and the app that it has been passed on for."""

    owner: str
    labels: Mapping[str, str]
    state: PodState
    app: AppKey | None = None


@dataclass(slots=True)
class _Place:
    """What is known of a namespace that has targets.

    `missing` says of a kind why it cannot be watched, `owners` by uid who controls a ReplicaSet, `apps` by uid of a
    workload which app has it, and its selector. `changed` are workloads that have something new to pass on, `stirred`
    says that all may have, `dirty` that pods may be another app's.
    """

    aimed: set[Kind] = field(default_factory=set)
    keys: set[AppKey] = field(default_factory=set)
    changed: set[tuple[Kind, str]] = field(default_factory=set)
    stirred: bool = True
    dirty: bool = False
    tasks: dict[Kind, asyncio.Task[None]] = field(default_factory=dict)
    listed: set[Kind] = field(default_factory=set)
    missing: dict[Kind, AppProblem] = field(default_factory=dict)
    workloads: dict[tuple[Kind, str], Workload] = field(default_factory=dict)
    pods: dict[str, _Pod] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    apps: dict[str, tuple[AppKey, str]] = field(default_factory=dict)

    def workload_of(self, target: Target) -> Workload | None:
        """The workload that a target names, if it is there."""
        return self.workloads.get((_kind(target), target.ref.name))

    def needed(self, target: Target) -> set[Kind]:
        """What must have been listed before anything of a target is known."""
        kind = _kind(target)
        return {kind, _PODS} if kind in _WITHOUT_REPLICA_SETS else {kind, _PODS, _REPLICA_SETS}

    def app_of(self, pod: _Pod) -> AppKey | None:
        """The app whose target owns the pod, where its selector matches."""
        found = self.apps.get(pod.owner) or self.apps.get(self.owners.get(pod.owner, ""))
        return found[0] if found and matches(found[1], pod.labels) else None


@dataclass(slots=True)
class Targets:
    """Keeps the registry's records of apps with a targetRef up to date. `cluster` is told Events."""

    registry: Registry
    queue: AsyncWorkQueue
    cluster: Cluster
    api: KubeApi
    scales: Scales
    _places: dict[str, _Place] = field(default_factory=dict)
    _left: dict[AppKey, tuple[str, Target, DeploymentFacts]] = field(default_factory=dict)

    async def follow(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self.sync(group)
                except Exception:
                    log.exception("Internal error while following targets; tried again")
                await asyncio.sleep(SYNC_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter is no secret

    async def sync(self, group: asyncio.TaskGroup) -> None:
        """Follow what is to be followed, and pass on what is known."""
        aimed: dict[str, list[_Aimed]] = {}
        for record in self.registry.apps():
            if record.target and not record.deleting:
                aimed.setdefault(record.key.namespace, []).append((record, record.target))
        for namespace in self._places.keys() - aimed.keys():
            self._stop(self._places[namespace], set())
            del self._places[namespace]
        for namespace, records in aimed.items():
            place = self._places.setdefault(namespace, _Place())
            self._watch(group, namespace, place, {_kind(target) for _, target in records})
            await self._read_scales(namespace, place, records)
            await self._passed_to(place, records)
            await asyncio.sleep(0)  # others have their turn
        await self._tell_of_the_left()

    async def _passed_to(self, place: _Place, records: list[_Aimed]) -> None:
        """Pass on what has changed in a namespace."""
        keys = {record.key for record, _ in records}
        all_of_them, place.stirred = place.stirred or keys != place.keys, False
        changed, place.changed, place.keys = place.changed, set(), keys
        due = [
            (record, target)
            for record, target in records
            if all_of_them or target.fresh or (_kind(target), target.ref.name) in changed or not _counts(target)
        ]
        if due:
            self._aim(place, records)
        if place.dirty:
            self._assign(place)
        for record, target in due:
            await self._deliver(place, record, target)

    def _watch(self, group: asyncio.TaskGroup, namespace: str, place: _Place, kinds: set[Kind]) -> None:
        place.aimed, wanted = kinds, kinds | {_PODS}
        if kinds - _WITHOUT_REPLICA_SETS:
            wanted.add(_REPLICA_SETS)
        self._stop(place, wanted)
        for kind in wanted - place.tasks.keys():
            follow = self._follow(namespace, place, kind)
            place.tasks[kind] = group.create_task(follow, name=f"{kind.kind} targets {namespace}")

    def _stop(self, place: _Place, wanted: set[Kind]) -> None:
        for kind in place.tasks.keys() - wanted:
            place.tasks.pop(kind).cancel()
            self._forget(place, kind)

    async def _follow(self, namespace: str, place: _Place, kind: Kind) -> None:
        """Watch one kind in one namespace until cancelled. A kind that cannot be had costs its own targets alone."""
        while True:
            try:
                await self._watched(namespace, place, kind)
            except ClusterError as error:
                log.warning("Targets in %s: %s; tried again", namespace, error)
                reason = "InvalidTarget" if isinstance(error, NotScalable) else "TargetUnreadable"
                self._forget(place, kind)
                place.missing[kind] = AppProblem(reason, str(error))
            await asyncio.sleep(AGAIN_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter is no secret

    async def _watched(self, namespace: str, place: _Place, kind: Kind) -> None:
        plural = "pods" if kind == _PODS else await self.scales.plural(*kind)
        watch = Watch(self.api, collection(kind.api_version, plural, namespace), f"{plural} in {namespace}", "")
        async for change in watch.changes():
            try:
                self._take(place, kind, change)
            except (KeyError, TypeError, ValueError, AttributeError):
                log.exception("An object of kind %s in %s cannot be parsed and is ignored", kind.kind, namespace)
                self._unreadable(place, kind, change)

    def _forget(self, place: _Place, kind: Kind) -> None:
        """What is known of a kind is not kept up to date any more."""
        if kind == _PODS:
            for name in list(place.pods):
                self._gone(place, kind, name)
        for known in [known for known in place.workloads if known[0] == kind]:
            del place.workloads[known]
        if kind == _REPLICA_SETS:
            place.owners.clear()
        place.listed.discard(kind)
        place.missing.pop(kind, None)
        place.stirred = place.dirty = True

    def _unreadable(self, place: _Place, kind: Kind, change: Change) -> None:
        """What was known of the object before is no longer true."""
        if isinstance(change, Seen) and (name := change.body["metadata"].get("name")):
            self._gone(place, kind, name)

    def _take(self, place: _Place, kind: Kind, change: Change) -> None:
        match change:
            case Listed():
                place.listed.add(kind)
                place.missing.pop(kind, None)
                place.stirred = True
            case Unserved(reason, denied):
                place.listed.discard(kind)
                place.missing[kind] = AppProblem("TargetUnreadable", _unread(kind, reason) if denied else reason)
                place.stirred = True
            case Seen(body):
                self._seen(place, kind, body)
            case Gone(_, name):
                self._gone(place, kind, name)

    def _seen(self, place: _Place, kind: Kind, body: Any) -> None:
        metadata = body["metadata"]
        if kind == _PODS:
            self._pod_seen(place, body)
            return
        if kind == _REPLICA_SETS:
            place.dirty |= metadata["uid"] not in place.owners
            place.owners[metadata["uid"]] = _owner(metadata)
        if kind not in place.aimed:
            return
        # Objects in a list bear no kind of their own.
        workload = workload_of({**body, "apiVersion": kind.api_version, "kind": kind.kind})
        place.workloads[kind, metadata["name"]] = workload
        place.changed.add((kind, metadata["name"]))

    def _gone(self, place: _Place, kind: Kind, name: str) -> None:
        if kind == _PODS:
            if (pod := place.pods.pop(name, None)) and pod.app:
                self.registry.pod_gone(pod.app, name)
            return
        workload = place.workloads.pop((kind, name), None)
        place.changed.add((kind, name))
        if workload:
            place.owners.pop(workload.uid, None)

    def _pod_seen(self, place: _Place, body: Mapping[str, Any]) -> None:
        metadata = body["metadata"]
        known = place.pods.get(metadata["name"])
        pod = _Pod(_owner(metadata), metadata.get("labels") or {}, pod_state(body), known.app if known else None)
        place.pods[metadata["name"]] = pod
        self._pass_on(place, metadata["name"], pod)

    def _pass_on(self, place: _Place, name: str, pod: _Pod) -> None:
        """To the app whose target owns the pod, if one does; the one that had it before has lost it."""
        app = place.app_of(pod)
        if pod.app and pod.app != app:
            self.registry.pod_gone(pod.app, name)
        pod.app = app
        if app and (due := self.registry.pod_seen(app, pod.state)):
            self.queue.add(due)

    async def _read_scales(self, namespace: str, place: _Place, records: list[_Aimed]) -> None:
        """Of targets whose kinds tell nothing by themselves, and that have changed."""
        unread = [
            (record, target, workload)
            for record, target in records
            if not _counts(target) and (workload := place.workload_of(target)) and workload.facts is None
        ]
        for record, target, workload in unread[:_SCALES_AT_A_TIME]:
            try:
                scale = await self.scales.read(namespace, target.ref)
            except NotFound:
                continue  # it is gone, which the watch will tell
            except ClusterError as error:
                self._lost(record, target, AppProblem("TargetUnreadable", f"{target.ref}: {error}"))
                continue
            if not scale.selector:
                self._lost(record, target, AppProblem("InvalidTarget", f"{target.ref}: {_NO_SELECTOR}"))
                continue
            workload.selector, workload.facts = scale.selector, counts_of(workload, scale.replicas, scale.running)
            place.stirred = True

    def _aim(self, place: _Place, records: list[_Aimed]) -> None:
        """Whose pods are whose: the oldest app of each workload has it."""
        apps: dict[str, tuple[AppKey, str]] = {}
        holders: dict[str, AppRecord] = {}
        for record, target in sorted(records, key=lambda aimed: (aimed[0].created, aimed[0].key)):
            workload = place.workload_of(target)
            if workload is None:
                continue
            holder = holders.setdefault(workload.uid, record)
            if holder is record:
                apps[workload.uid] = (record.key, workload.selector)
            self._note_conflict(record, target, "" if holder is record else _conflict(target, holder))
        place.dirty |= apps != place.apps or any(target.fresh for _, target in records)
        place.apps = apps

    def _assign(self, place: _Place) -> None:
        """Pass on all pods anew: targets have come or changed, or ReplicaSets that own pods were seen after these."""
        place.dirty = False
        for name, pod in place.pods.items():
            self._pass_on(place, name, pod)

    def _note_conflict(self, record: AppRecord, target: Target, conflict: str) -> None:
        if conflict != target.conflict:
            target.conflict = conflict
            self.queue.add(record.key)

    async def _deliver(self, place: _Place, record: AppRecord, target: Target) -> None:
        """Pass on the counts of the app's workload once its pods are known, or why there are none."""
        lacking = next((place.missing[kind] for kind in place.needed(target) if kind in place.missing), None)
        if lacking or not place.needed(target) <= place.listed:
            self._lost(record, target, lacking or NOT_READ)
            return
        workload = place.workload_of(target)
        if workload is None:
            missing = f"{target.named(record.key.namespace)} does not exist; correct spec.targetRef"
            self._lost(record, target, AppProblem("TargetNotFound", missing))
        elif workload.facts is not None:
            await self._tell(record, target, workload, workload.facts)

    def _lost(self, record: AppRecord, target: Target, problem: AppProblem) -> None:
        if target.problem != problem or record.deployment:
            record.target_lost(problem)
            self.queue.add(record.key)

    async def _tell(self, record: AppRecord, target: Target, workload: Workload, facts: DeploymentFacts) -> None:
        problem = target.problem
        record.target_seen(workload.template, workload.selector)
        if not _counts(target):
            facts = replace(facts, ready=sum(pod.ready and not pod.deleting for pod in record.pods.values()))
        new = self.registry.target_counted(record, facts, workload.setter)
        if new or target.fresh or target.problem != problem:
            self.queue.add(record.key)
        if target.fresh and workload.loses_volumes:
            await self.cluster.emit(_volumes_deleted(record, target))
        target.fresh = False

    async def _tell_of_the_left(self) -> None:
        """A ScalableApp that is deleted leaves its workload as it runs, which is told in an Event."""
        there = {
            record.key: (record.uid, record.target, record.deployment)
            for record in self.registry.apps()
            if record.target and record.deployment
        }
        for key, (uid, target, facts) in list(self._left.items()):
            record = self.registry.get(key)
            if record is None or record.uid != uid:
                message = (
                    f"the ScalableApp was deleted; {target.named(key.namespace)} keeps the {facts.replicas} replicas "
                    "that it has, and nobody scales it now"
                )
                await self.cluster.emit(Event(key, uid, "Normal", "TargetLeft", message))
        self._left = there


def _kind(target: Target) -> Kind:
    return Kind(target.ref.api_version, target.ref.kind)


def _counts(target: Target) -> bool:
    """Whether objects of this kind tell their counts by themselves."""
    return (target.ref.api_version, target.ref.kind) in COUNTED


def _unread(kind: Kind, reason: str) -> str:
    """Why objects of a kind cannot be watched, with the rule that is missing."""
    group = kind.api_version.rpartition("/")[0]
    refused, _, _ = reason.partition("; grant ")
    return f"{refused}; {missing_rule(group, f'{kind.kind.lower()}s', 'list and watch')}"


def _owner(metadata: Mapping[str, Any]) -> str:
    owners = metadata.get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _conflict(target: Target, holder: AppRecord) -> str:
    return (
        f"ScalableApp {holder.key} is older and scales {target.named(holder.key.namespace)} already; delete one of the "
        "two"
    )


def _volumes_deleted(record: AppRecord, target: Target) -> Event:
    message = (
        f"StatefulSet {record.key.namespace}/{target.ref.name} deletes the volumes of each pod that is removed "
        "(persistentVolumeClaimRetentionPolicy.whenScaled: Delete), and their data with them"
    )
    return Event(record.key, record.uid, "Warning", "VolumesDeleted", message)
