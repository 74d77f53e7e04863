"""All apps: their records by key, fed by watch events as they come.

No I/O here. Each method that takes an event returns the key of the app whose turn has come by it, or None when
nothing changed that matters.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from scalableapp.core.api.budget import SHARE_OF_MEMORY, Budget
from scalableapp.core.api.presets import AUTO
from scalableapp.core.api.promql import OWN_NAMESPACE, QueryRules
from scalableapp.core.children.contest import TIMES, ReplicaSetting, StatusChange, recent, setter_of, status_setter_of
from scalableapp.core.children.drift import ANNOTATION_SPEC_HASH, deviations
from scalableapp.core.children.resources import KIND, LABEL_APP, MANAGED_BY, child_names
from scalableapp.core.model import AppKey, ChildId, PodState
from scalableapp.core.size import SizeConflict
from scalableapp.core.status.conditions import AppProblem
from scalableapp.core.vertical.limits import NamespaceLimits
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.record import AppRecord, Child
from scalableapp.engine.sources import Sources, recognised_before
from scalableapp.ports import Snapshot

# A guard against churn; a window of the metrics is soon over.
MAX_REMOVED_PODS = 1000
# The memory limit of the manifest.
MEMORY = 256 * 2**20
NOT_CHECKED = "the operator has not checked for the Gateway API yet"


class Registry:
    """All apps by key, the last answers of Prometheus, the autoscalers of others, and the limits in each namespace.

    `looks` counts the times that Prometheus has been asked, one under way included; `answered_look` is that of the
    snapshot.
    `budget` bounds the specs; by default as for the manifest's memory limit. `rules` are those of users' queries.
    `not_evaluated` says why no app can be, if that is so.
    `sources` are the request sources, and tell which an app has.
    `no_gateway_api` says in words why no HTTPRoute can be made in this cluster, "" where they can.
    """

    def __init__(self, budget: Budget | None = None, rules: QueryRules = OWN_NAMESPACE, requests: str = AUTO) -> None:
        self._records: dict[AppKey, AppRecord] = {}
        self._rules = rules
        self._budget = budget or Budget(int(MEMORY * SHARE_OF_MEMORY))
        self._holds_strangers = True  # until all apps are known
        self._snapshot: Snapshot | None = None
        self.looks = self.answered_look = 0
        self.autoscalers: Mapping[AppKey, str] = {}
        self.resizers: Mapping[AppKey, SizeConflict] = {}
        self.namespace_limits: Mapping[str, NamespaceLimits] = {}
        self.not_evaluated: AppProblem | None = None
        self.no_gateway_api = NOT_CHECKED
        self.sources = Sources(requests)

    def __len__(self) -> int:
        return sum(1 for _ in self.apps())

    def apps(self) -> Iterator[AppRecord]:
        """Records of the ScalableApps that exist."""
        return (record for record in list(self._records.values()) if record.uid)

    def get(self, key: AppKey) -> AppRecord | None:
        """The record of an existing ScalableApp."""
        record = self._records.get(key)
        return record if record and record.uid else None

    def app_seen(self, body: Mapping[str, Any]) -> AppKey | None:
        """A ScalableApp was listed, added or changed."""
        metadata = body["metadata"]
        key = AppKey(metadata["namespace"], metadata["name"])
        record = self._record(key)
        if record.uid and record.uid != metadata["uid"]:
            record = self._renew(record)
        deleting = "deletionTimestamp" in metadata
        altered = record.uid != "" and self._status_altered(record, body)
        if record.uid and record.generation == metadata["generation"] and record.deleting == deleting:
            return key if altered else None
        if not record.uid:
            record.uid, record.created = metadata["uid"], metadata.get("creationTimestamp", "")
            record.status = body.get("status") or {}
            record.own_status.wrote(record.status)
            record.recognised = recognised_before(record.status)
        record.generation, record.deleting = metadata["generation"], deleting
        spec = body.get("spec") or {}
        record.read(spec, self._budget.take(key, spec), self._rules)
        return key

    def _status_altered(self, record: AppRecord, body: Mapping[str, Any]) -> bool:
        at = self.snapshot.at if self.snapshot else None
        change = StatusChange(at, status_setter_of(body, MANAGED_BY)) if at else None
        return record.own_status.seen(body.get("status") or {}, change)

    def app_gone(self, key: AppKey, uid: str = "") -> None:
        """A ScalableApp was deleted (that of this uid, if given): it is forgotten, with all that was its own.

        Its successor of the same name may have been reported before.
        """
        record = self._records.get(key)
        if record and uid in ("", record.uid):
            del self._records[key]
            self._budget.release(key)

    def keep_only(self, existing: Collection[AppKey], known_before: Iterable[AppKey]) -> list[AppKey]:
        """Forget the apps of `known_before` that a full list did not find. Returns their keys."""
        gone = [key for key in known_before if key not in existing]
        for key in gone:
            self.app_gone(key)
        return gone

    @property
    def snapshot(self) -> Snapshot | None:
        """The last answers of Prometheus."""
        return self._snapshot

    @snapshot.setter
    def snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot, self.answered_look = snapshot, self.looks

    def move_snapshot(self, by: timedelta) -> None:
        """The clock that dates it was put."""
        if self._snapshot:
            self._snapshot = replace(self._snapshot, at=self._snapshot.at + by)

    def look_begins(self) -> None:
        """Prometheus is asked from now on: what it answers knows of nothing that happens later."""
        self.looks += 1

    def child_seen(self, body: Mapping[str, Any]) -> AppKey | None:
        """A labelled child was listed, added or changed, by whomever."""
        found = child_of(body["kind"], body["metadata"])
        if found is None:
            return None
        key, child = found
        record = self._record(key)
        before = record.deployment
        counted = self._count(record, child, body)
        self._note_setter(record, before, body)
        seen = Child.of(body, scaled=child == record.deployment_id)
        if not (record.uid or self._holds_strangers):
            seen = replace(seen, text="")
        known = record.children.get(child)
        if known and known.fingerprint == seen.fingerprint:
            return key if counted else None
        if known:
            seen = replace(seen, synced_hash=known.synced_hash, accepted=known.accepted)
        record.children[child] = seen
        return key

    def _count(self, record: AppRecord, child: ChildId, body: Mapping[str, Any]) -> bool:
        """Take over what a child's status says, and note when replicas have been changed, by whomever."""
        before = record.deployment
        counted = record.count(child, body)
        if before and record.deployment and before.replicas != record.deployment.replicas:
            record.changed_in = self.looks
        return counted

    def forget_strangers(self) -> None:
        """Of children of apps that do not exist, which anyone may create, no more is kept than that they are there."""
        self._holds_strangers = False
        for record in self._records.values():
            if not record.uid:
                record.children = {child: replace(known, text="") for child, known in record.children.items()}

    def _note_setter(self, record: AppRecord, before: DeploymentFacts | None, body: Mapping[str, Any]) -> None:
        """Replicas that are neither what they were nor what we set them to are somebody else's."""
        facts = record.deployment
        if before is None or facts is None or facts.replicas == before.replicas or self.snapshot is None:
            return
        self._note_other(record, facts.replicas, setter_of(body, MANAGED_BY))

    def _note_other(self, record: AppRecord, replicas: int, setter: str) -> None:
        """Unless it is the echo of our own setting, which may come before the answer."""
        if replicas == record.scaling_to or self.snapshot is None:
            return
        setting = ReplicaSetting(self.snapshot.at, replicas, setter)
        record.replica_settings = (*recent(record.replica_settings, setting.at), setting)
        if record.target and len(record.replica_settings) >= TIMES:
            record.target.yield_to(record.replica_settings, record.key.namespace)
            record.replica_settings = ()

    def child_synced(self, record: AppRecord, live: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        """A child was written, or found to be, as the manifest wants it: the echo of it is no news."""
        child = ChildId(live["kind"], live["metadata"]["name"])
        if "status" in live:
            self._count(record, child, live)
        seen = Child.of(live, scaled=child == record.deployment_id)
        spec_hash = manifest["metadata"]["annotations"][ANNOTATION_SPEC_HASH]
        accepted = deviations(live, manifest)
        record.children[child] = replace(seen, text=None, synced_hash=spec_hash, accepted=accepted)

    def child_gone(self, body: Mapping[str, Any]) -> AppKey | None:
        """A labelled child was deleted."""
        found = child_of(body["kind"], body["metadata"])
        return self.child_lost(*found) if found else None

    def child_lost(self, key: AppKey, child: ChildId) -> AppKey | None:
        """A child turned out to be gone, though nobody told."""
        record = self._records.get(key)
        if record is None:
            return None
        record.remove_child(child)
        record.losses += 1
        return self._left(record)

    def has_child(self, key: AppKey, child: ChildId) -> bool:
        """Whether that labelled child is known."""
        record = self._records.get(key)
        return record is not None and child in record.children

    def children_of(self, kind: str) -> list[tuple[AppKey, ChildId]]:
        """All children of that kind that are known, each with its app."""
        return [
            (key, child) for key, record in self._records.items() for child in record.children if child.kind == kind
        ]

    def pod_seen(self, key: AppKey, pod: PodState) -> AppKey | None:
        """A pod of the app was listed, added or changed. What it says when it does not come up is news."""
        record = self._record(key)
        known = record.pods.get(pod.name)
        if pod.oom_killed_at and (known is None or known.oom_killed_at != pod.oom_killed_at):
            record.oom_kills += 1
        record.pods[pod.name] = pod
        record.removed_pods.pop(pod.name, None)
        before = known.message if known else ""
        if not record.uid or _reason(before) == _reason(pod.message):
            return None
        record.may_report_measures = True  # the words alone are worth a write
        return key

    def pod_gone(self, key: AppKey, name: str) -> None:
        """A pod of the app was deleted."""
        if record := self._records.get(key):
            self._note_removed(record, record.pods.pop(name, None))
            self._left(record)

    def _note_removed(self, record: AppRecord, pod: PodState | None) -> None:
        if pod and self.snapshot and len(record.removed_pods) < MAX_REMOVED_PODS:
            left_at = pod.left_at or self.snapshot.at
            record.removed_pods[pod.name] = replace(pod, ready=False, deleting=True, left_at=left_at)

    def target_counted(self, record: AppRecord, facts: DeploymentFacts, setter: str) -> bool:
        """The workload of an app was listed or changed; whether it says something new. `setter` set its replicas last.

        Events from before our own last change of replicas no longer count.
        """
        before = record.deployment
        if before and facts.generation <= record.scaled_at_generation:
            facts = replace(facts, replicas=before.replicas)
        record.may_report_measures |= before is None or before.problem != facts.problem
        record.deployment = facts
        if before and before.replicas != facts.replicas:
            record.changed_in = self.looks
            self._note_other(record, facts.replicas, setter)
        return facts != before

    def scaled(self, record: AppRecord, replicas: int) -> None:
        """The Deployment was told to have `replicas`; events from before that no longer count."""
        facts = record.deployment
        record.changed_in, record.spent_in = self.looks, self.answered_look
        if facts:
            record.scaled_at_generation = facts.generation
            record.deployment = replace(facts, replicas=replicas)

    def _record(self, key: AppKey) -> AppRecord:
        if key not in self._records:
            self._records[key] = AppRecord(key)
        return self._records[key]

    def _renew(self, old: AppRecord) -> AppRecord:
        """Deleted and made again under the same name: only what lives beside it is still true."""
        new = AppRecord(old.key, deployment=old.deployment, pods=old.pods, children=old.children)
        new.removed_pods, new.dated, new.changed_in = old.removed_pods, old.dated, old.changed_in
        self._records[old.key] = new
        return new

    def _left(self, record: AppRecord) -> AppKey | None:
        if record.empty:
            self._records.pop(record.key, None)
        return record.key if record.uid else None


def _reason(message: str) -> str:
    """Without the message, in which times and counts may move."""
    return ":".join(message.split(":")[:2])


def child_of(kind: str, metadata: Mapping[str, Any]) -> tuple[AppKey, ChildId] | None:
    """Whose child an object is by its owner or else its label, and its name; None for no app's.

    The label may have been changed by hand, which is to be reverted as any other change.
    """
    owners = metadata.get("ownerReferences") or ()
    owner = next((entry["name"] for entry in owners if entry.get("controller") and entry.get("kind") == KIND), "")
    app = owner or (metadata.get("labels") or {}).get(LABEL_APP)
    if not app:
        return None
    key = AppKey(metadata["namespace"], app)
    return (key, ChildId(kind, metadata["name"])) if metadata["name"] in child_names(key) else None
