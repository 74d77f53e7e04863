"""What is known of each app: the slim facts that decisions need, taken from watch events as they come.

No I/O here. Each method that takes an event returns the key of the app whose turn has come by it, or None when
nothing changed that matters.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from scalableapp.core import promql
from scalableapp.core.conditions import Abnormal, Trouble
from scalableapp.core.metrics import Metric, MetricType
from scalableapp.core.model import AppKey, ChildId, Decision, History, PodState
from scalableapp.core.objective_fields import LatencyObjective
from scalableapp.core.resources import LABEL_APP, cache_name_problem, child_names, name_problem
from scalableapp.core.rooms import NamespaceRoom
from scalableapp.core.size import Size
from scalableapp.core.sized import Sized, template_size
from scalableapp.core.spec import ScalableAppSpec, parse_spec
from scalableapp.core.status import Status
from scalableapp.core.tokens import TokenBucket
from scalableapp.errors import SpecError
from scalableapp.ports import Manifest, Snapshot

DEPLOYMENT = "Deployment"
INGRESS = "Ingress"
# Edits of children are undone at once, but a controller that insists on its own is not fought at full speed.
REPAIRS_RATE = 1 / 30
REPAIRS_BURST = 5


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """Counts of a Deployment. `replicas` is what its spec asks for, the others are of its status.

    `size` is what its template gives the app's container.
    """

    generation: int
    replicas: int
    running: int = 0
    updated: int = 0
    ready: int = 0
    stuck: bool = False
    size: Size | None = None

    @property
    def rollout(self) -> bool:
        """Whether pods of an older template still run beside the new ones, and will give way to them."""
        return self.running > self.updated and not self.stuck


@dataclass(slots=True)
class Child:
    """A live child: `live` until it has been compared with what we want, then only the verdict.

    `settled` is the hash of the desired manifest with which the child is in line, or as near as the cluster
    lets it be.
    """

    owner: str
    fingerprint: int
    live: Manifest | None
    settled: str = ""


@dataclass(slots=True)
class AppRecord:
    """All that is known of one app. `uid` is empty until the ScalableApp itself has been seen.

    `guessed_at` is when its history began with a guess of what was recommended before; None where status told.
    `recall_until` is how long what it has taught is waited for after a restart; None where nothing is.
    """

    key: AppKey
    uid: str = ""
    generation: int = 0
    deleting: bool = False
    spec: ScalableAppSpec | None = None
    problem: SpecError | None = None
    metrics: tuple[Metric, ...] = ()
    queries: dict[str, str] = field(default_factory=dict)
    deployment: DeploymentFacts | None = None
    scaled_at_generation: int = -1
    pods: dict[str, PodState] = field(default_factory=dict)
    children: dict[ChildId, Child] = field(default_factory=dict)
    load_balancer: Mapping[str, Any] = field(default_factory=dict)
    foreign: str = ""
    trouble: Trouble | None = None
    scale_failed: bool = False
    sizing: Sized = field(default_factory=Sized)
    oom_kills: int = 0
    repairs: TokenBucket = field(default_factory=lambda: TokenBucket(REPAIRS_RATE, REPAIRS_BURST))
    ready: str = "Unknown"
    abnormal: tuple[Abnormal, ...] = ()
    history: History | None = None
    guessed_at: datetime | None = None
    recall_until: datetime | None = None
    decision: Decision | None = None
    settled_at: datetime | None = None
    settled_generation: int = -1
    reported: Decision | None = None
    reported_at: datetime | None = None
    may_report_measures: bool = False
    _status: str = "{}"

    @property
    def status(self) -> Status:
        """The status as it was last read or written; kept as text, which takes a fifth of the memory."""
        loaded: Status = json.loads(self._status)
        return loaded

    @status.setter
    def status(self, status: Mapping[str, Any]) -> None:
        self._status = json.dumps(status, separators=(",", ":"))

    @property
    def sizes(self) -> bool:
        """Whether the size of its pods is decided on."""
        return self.spec is not None and self.spec.scaling.mode.sizes

    @property
    def objective(self) -> LatencyObjective | None:
        """What the user wants of the app, if that is how it is scaled."""
        return self.spec.objective if self.spec else None

    @property
    def deployment_id(self) -> ChildId:
        """The Deployment that runs the app; others may run beside it."""
        return ChildId(DEPLOYMENT, self.key.name)

    @property
    def own_deployment(self) -> DeploymentFacts | None:
        """The Deployment's counts, if it is the app's own."""
        child = self.children.get(self.deployment_id)
        return self.deployment if child and child.owner == self.uid else None

    @property
    def empty(self) -> bool:
        """Whether nothing of the app is left."""
        return not (self.uid or self.children or self.pods)


class Registry:
    """All apps by key, the last answers of Prometheus, the autoscalers of others, and the room in each namespace."""

    def __init__(self) -> None:
        self._records: dict[AppKey, AppRecord] = {}
        self.snapshot: Snapshot | None = None
        self.autoscalers: Mapping[AppKey, str] = {}
        self.rooms: Mapping[str, NamespaceRoom] = {}

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
        if record.uid and record.generation == metadata["generation"] and record.deleting == deleting:
            return None
        if not record.uid:
            record.uid = metadata["uid"]
            record.status = body.get("status") or {}
        record.generation, record.deleting = metadata["generation"], deleting
        _parse(record, body.get("spec") or {})
        return key

    def app_gone(self, key: AppKey, uid: str = "") -> None:
        """A ScalableApp was deleted (that of this uid, if given): it is forgotten, with all that was its own.

        Its successor of the same name may have been told of before.
        """
        record = self._records.get(key)
        if record and uid in ("", record.uid):
            del self._records[key]

    def keep_only(self, existing: Collection[AppKey], known_before: Iterable[AppKey]) -> list[AppKey]:
        """Forget the apps of `known_before` that a full list did not find. Returns their keys."""
        gone = [key for key in known_before if key not in existing]
        for key in gone:
            self.app_gone(key)
        return gone

    def child_seen(self, body: Mapping[str, Any]) -> AppKey | None:
        """A labelled child was listed, added or changed, by whomever."""
        found = child_of(body["kind"], body["metadata"])
        if found is None:
            return None
        key, child = found
        record = self._record(key)
        counted = _count(record, child, body)
        fingerprint = _fingerprint(body, scaled=child == record.deployment_id)
        known = record.children.get(child)
        if known and known.fingerprint == fingerprint:
            return key if counted else None
        record.children[child] = Child(_owner(body), fingerprint, _slim(body), known.settled if known else "")
        return key

    def child_settled(self, record: AppRecord, live: Mapping[str, Any], seal: str) -> None:
        """A child was written, or found to be, as the manifest of that seal wants it: the echo of it is no news."""
        child = ChildId(live["kind"], live["metadata"]["name"])
        if "status" in live:
            _count(record, child, live)
        fingerprint = _fingerprint(live, scaled=child == record.deployment_id)
        record.children[child] = Child(_owner(live), fingerprint, None, seal)

    def child_gone(self, body: Mapping[str, Any]) -> AppKey | None:
        """A labelled child was deleted."""
        found = child_of(body["kind"], body["metadata"])
        return self.child_lost(*found) if found else None

    def child_lost(self, key: AppKey, child: ChildId) -> AppKey | None:
        """A child turned out to be gone, though nobody told."""
        record = self._records.get(key)
        if record is None:
            return None
        record.children.pop(child, None)
        if child == record.deployment_id:
            record.deployment = None
        if child.kind == INGRESS:
            record.load_balancer = {}
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

    def pod_seen(self, key: AppKey, pod: PodState) -> None:
        """A pod of the app was listed, added or changed."""
        record = self._record(key)
        known = record.pods.get(pod.name)
        if pod.oom_killed_at and (known is None or known.oom_killed_at != pod.oom_killed_at):
            record.oom_kills += 1
        record.pods[pod.name] = pod

    def pod_gone(self, key: AppKey, name: str) -> None:
        """A pod of the app was deleted."""
        if record := self._records.get(key):
            record.pods.pop(name, None)
            self._left(record)

    def scaled(self, record: AppRecord, replicas: int) -> None:
        """The Deployment was told to have `replicas`; events from before that no longer count."""
        facts = record.deployment
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
        self._records[old.key] = new
        return new

    def _left(self, record: AppRecord) -> AppKey | None:
        if record.empty:
            self._records.pop(record.key, None)
        return record.key if record.uid else None


def _parse(record: AppRecord, raw: Mapping[str, Any]) -> None:
    """The spec, once per generation; with a wrong one the app is left as it is."""
    record.spec, record.problem, record.metrics, record.queries = None, None, (), {}
    try:
        spec = _spec(record.key, raw)
        record.queries = _queries(spec, record.key)
        record.spec, record.metrics = spec, spec.metrics
    except SpecError as error:
        record.problem = error


def _spec(key: AppKey, raw: Mapping[str, Any]) -> ScalableAppSpec:
    """The spec of an app whose name goes with it. Raises SpecError."""
    if problem := name_problem(key):
        raise SpecError((problem,))
    spec = parse_spec(raw)
    if problem := cache_name_problem(key, spec):
        raise SpecError((problem,))
    return spec


def _queries(spec: ScalableAppSpec, key: AppKey) -> dict[str, str]:
    """The users' queries by metric label, ready to be asked."""
    return {
        metric.label: promql.bind(metric.query, key, index)
        for index, metric in enumerate(spec.metrics)
        if metric.type is MetricType.PROMETHEUS and metric.query
    }


def child_of(kind: str, metadata: Mapping[str, Any]) -> tuple[AppKey, ChildId] | None:
    """Whose child an object is by its labels and its name; None for no app's."""
    app = (metadata.get("labels") or {}).get(LABEL_APP)
    if not app:
        return None
    key = AppKey(metadata["namespace"], app)
    return (key, ChildId(kind, metadata["name"])) if metadata["name"] in child_names(key) else None


def _owner(body: Mapping[str, Any]) -> str:
    owners = body["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


_COMPARED = ("namespace", "name", "labels", "annotations", "ownerReferences")


def _slim(body: Mapping[str, Any]) -> Manifest:
    """What a comparison with the desired manifest looks at."""
    metadata = {name: value for name, value in body["metadata"].items() if name in _COMPARED}
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": metadata,
        "spec": body.get("spec") or {},
    }


def _fingerprint(body: Mapping[str, Any], *, scaled: bool) -> int:
    """Changes whenever something changes that can be out of line; not with status, nor the replicas of the `scaled`."""
    slim = _slim(body)
    spec = {name: value for name, value in slim["spec"].items() if not (scaled and name == "replicas")}
    annotations = {
        name: value for name, value in (slim["metadata"].get("annotations") or {}).items() if name != _REVISION
    }
    metadata = slim["metadata"] | {"annotations": annotations}
    return hash(json.dumps([metadata, spec], sort_keys=True))


# The Deployment controller counts its rollouts here.
_REVISION = "deployment.kubernetes.io/revision"


def _count(record: AppRecord, child: ChildId, body: Mapping[str, Any]) -> bool:
    """Take over what a child's status says. Returns whether it says something new."""
    if child.kind == INGRESS:
        found = {"status": {"loadBalancer": (body.get("status") or {}).get("loadBalancer") or {}}}
        changed, record.load_balancer = found != record.load_balancer, found
        return changed
    if child != record.deployment_id:
        return False
    facts = _facts(body)
    if record.deployment and facts.generation <= record.scaled_at_generation:
        facts = replace(facts, replicas=record.deployment.replicas)
    changed, record.deployment = facts != record.deployment, facts
    return changed


def _facts(body: Mapping[str, Any]) -> DeploymentFacts:
    status = body.get("status") or {}
    stuck = any(
        entry.get("type") == "Progressing" and entry.get("reason") == "ProgressDeadlineExceeded"
        for entry in status.get("conditions") or ()
    )
    return DeploymentFacts(
        generation=body["metadata"].get("generation", 0),
        replicas=(body.get("spec") or {}).get("replicas", 1),
        running=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        stuck=stuck,
        size=template_size(body),
    )
