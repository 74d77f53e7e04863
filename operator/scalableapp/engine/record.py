"""One app's record: the slim facts that decisions need, as taken from the objects of the watches. No I/O here."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, Self

from scalableapp.core.api import promql
from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.api.promql import OWN_NAMESPACE, QueryRules
from scalableapp.core.api.scaling import Mode
from scalableapp.core.api.sharing import share_parts
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.children.contest import ReplicaSetting, editor_of
from scalableapp.core.children.drift import Deviations
from scalableapp.core.children.mounts import Source, Version
from scalableapp.core.children.resources import MANAGED_BY, cache_name_problem, name_problem
from scalableapp.core.children.routing import API_VERSIONS as ENTRY_POINTS
from scalableapp.core.children.routing import kind_of, slim_status
from scalableapp.core.model import AppKey, ChildId, Decision, History, PodState
from scalableapp.core.quality import leaves
from scalableapp.core.status.conditions import Abnormal, AppProblem
from scalableapp.core.status.status import Status
from scalableapp.core.targets import Template
from scalableapp.core.tokens import TokenBucket
from scalableapp.core.vertical.sized import Sized
from scalableapp.engine.facts import DeploymentFacts, facts_of
from scalableapp.engine.own_status import LONGEST_STATUS, OwnStatus
from scalableapp.engine.target import Target
from scalableapp.errors import FieldProblem, SpecError
from scalableapp.ports import Manifest

log = logging.getLogger(__name__)

DEPLOYMENT = "Deployment"
# Edits of children are undone at once, but a controller that insists on its own is not fought at full speed.
REPAIRS_RATE = 1 / 30
REPAIRS_BURST = 5
# While a scaling fails, it is tried at each look, and all that belongs to a turn every third time or so.
WHOLE_TURNS_RATE = 1 / 15
WHOLE_TURNS_BURST = 3
# An ordinary Deployment has 3 kB. Anyone may create objects with our labels, as large as the API server takes them.
LONGEST_CHILD = 8192


@dataclass(slots=True)
class Child:
    """A live child: `live` until it has been compared with what we want, then only the verdict.

    `text` holds it meanwhile, None afterwards. It is empty if it is too long: then the child is applied, not compared.
    `synced_hash` is the hash of the desired manifest with which the child is in line, or as near as the cluster
    lets it be; `accepted` is in what it differs from that all the same, as the API server writes values in its own way.
    `editor` is the manager other than us who changed it last, "" where none is known.
    """

    owner: str
    fingerprint: int
    text: str | None
    synced_hash: str = ""
    accepted: Deviations = frozenset()
    editor: str = ""

    @property
    def live(self) -> Manifest | None:
        """The child as it was seen; None where it is not held."""
        return json.loads(self.text) if self.text else None

    @property
    def compared(self) -> bool:
        """Whether it has been compared since it was seen."""
        return self.text is None

    @classmethod
    def of(cls, body: Mapping[str, Any], *, scaled: bool) -> Self:
        """A child as it is seen now. The replicas of the `scaled` one move without being out of line."""
        slim = _slim(body)
        text = json.dumps(slim, separators=(",", ":"))
        kept = text if len(text) <= LONGEST_CHILD else ""
        return cls(_owner(body), _fingerprint(slim, scaled=scaled), kept, editor=editor_of(body, MANAGED_BY))


class Dated(NamedTuple):
    """A pod as the API server has it, and with its times by the operator's clock."""

    reported: PodState
    pod: PodState


@dataclass(slots=True)
class AppRecord:
    """All that is known of one app. `uid` is empty until the ScalableApp itself has been seen.

    `removed_pods` holds pods that are gone: Prometheus tells for a while of what they carried.
    `guessed_at` is when its history began with a guess of what was recommended before; None where status told.
    `replay_until` is how long what it has taught is waited for after a restart; None where nothing is.
    `losses` counts the children that were reported to be gone.
    `lost_replicas` is what the app's Deployment had when it was deleted, until it has been recreated with as many.
    `changed_in` is the look that was the last to begin when replicas were last changed, by whomever; `spent_in` the one
    whose readings our own last change was decided on.
    `dated` holds the pods as they came, each with its times as decisions take them (podtimes.py); `unseen_since` is
    since when pods are missing among them, `watched_since` when the app was first looked at.
    `unanswered`: the API server did not answer in the app's last turn.
    `scaling_to` is what we set last, or are setting; `replica_settings` are replicas that others set a short while ago.
    `fault` is what went wrong with it in the last look at all apps, None if nothing did.
    `target` is the workload that the spec names in place of an image, None for an app that is deployed.
    `mounted` holds the versions of ConfigMaps and Secrets that its pods are to mount, `mounts_read` the last ones read;
    `unfollowed` those that the operator may not read.
    `entry_points` holds the slim status of what leads to the app, by kind: Ingress, HTTPRoute.
    `recognised` are the request sources whose metrics its pods serve, as far as that was looked for.
    """

    key: AppKey
    uid: str = ""
    created: str = ""
    generation: int = 0
    deleting: bool = False
    spec: ScalableAppSpec | None = None
    spec_error: SpecError | None = None
    metrics: tuple[Metric, ...] = ()
    queries: dict[str, str] = field(default_factory=dict)
    target: Target | None = None
    deployment: DeploymentFacts | None = None
    scaled_at_generation: int = -1
    losses: int = 0
    lost_replicas: int | None = None
    pods: dict[str, PodState] = field(default_factory=dict)
    removed_pods: dict[str, PodState] = field(default_factory=dict)
    dated: dict[str, Dated] = field(default_factory=dict)
    changed_in: int = -1
    spent_in: int = -1
    watched_since: datetime | None = None
    unseen_since: datetime | None = None
    children: dict[ChildId, Child] = field(default_factory=dict)
    entry_points: dict[str, Manifest] = field(default_factory=dict)
    recognised: tuple[str, ...] = ()
    foreign: str = ""
    problem: AppProblem | None = None
    fault: AppProblem | None = None
    scale_failed: bool = False
    whole_turns: TokenBucket = field(default_factory=lambda: TokenBucket(WHOLE_TURNS_RATE, WHOLE_TURNS_BURST))
    unanswered: bool = False
    scaling_to: int | None = None
    replica_settings: tuple[ReplicaSetting, ...] = ()
    sizing: Sized = field(default_factory=Sized)
    oom_kills: int = 0
    mounted: dict[Source, str] = field(default_factory=dict)
    mounts_read: dict[Source, Version] = field(default_factory=dict)
    unfollowed: set[Source] = field(default_factory=set)
    repairs: TokenBucket = field(default_factory=lambda: TokenBucket(REPAIRS_RATE, REPAIRS_BURST))
    ready: str = "Unknown"
    abnormal: tuple[Abnormal, ...] = ()
    history: History | None = None
    guessed_at: datetime | None = None
    replay_until: datetime | None = None
    decision: Decision | None = None
    evaluated_at: datetime | None = None
    decided_at: datetime | None = None
    decided_generation: int = -1
    reported: Decision | None = None
    reported_at: datetime | None = None
    may_report_measures: bool = False
    own_status: OwnStatus = field(default_factory=OwnStatus)
    _status: str = "{}"

    @property
    def status(self) -> Status:
        """The status as it was last read or written; kept as text, which takes a fifth of the memory."""
        loaded: Status = json.loads(self._status)
        return loaded

    @status.setter
    def status(self, status: Mapping[str, Any]) -> None:
        text = json.dumps(status, separators=(",", ":"))
        self._status = text if len(text) <= LONGEST_STATUS else "{}"

    @property
    def sizes(self) -> bool:
        """Whether the size of its pods is decided on."""
        return self.spec is not None and self.spec.scaling.mode.sizes

    @property
    def objective(self) -> LatencyObjective | None:
        """What the user wants of the app, if that is how it is scaled."""
        return self.spec.objective if self.spec else None

    @property
    def needs_requests(self) -> bool:
        """Whether its requests or their durations are decided on, or watched while its size changes."""
        of_requests = (MetricType.REQUESTS_PER_SECOND, MetricType.LATENCY)
        wanted = self.objective is not None or any(metric.type in of_requests for metric in self.metrics)
        return wanted or self.sizing.change is not None

    @property
    def entry_point(self) -> Manifest:
        """The slim status of the Ingress or HTTPRoute that the spec asks for; empty while there is none."""
        kind = kind_of(self.spec.entry_point) if self.spec else None
        return self.entry_points.get(kind, {}) if kind else {}

    @property
    def deployment_id(self) -> ChildId:
        """The Deployment that runs the app; others may run beside it."""
        return ChildId(DEPLOYMENT, self.key.name)

    @property
    def own_deployment(self) -> DeploymentFacts | None:
        """The counts of the app's own Deployment, or of the workload that it scales."""
        if self.target:
            return self.deployment
        child = self.children.get(self.deployment_id)
        return self.deployment if child and child.owner == self.uid else None

    @property
    def unseen(self) -> int:
        """By how many replicas the pods that the watch has reported differ from what the Deployment has, or is to have.

        A Deployment that cannot create pods has no more than it counts. Pods of the same label may run beside its own.
        """
        facts = self.own_deployment
        if facts is None:
            return 0
        staying = [pod for pod in self.pods.values() if not leaves(pod)]
        there = min(facts.running, facts.replicas) if facts.refused else facts.replicas
        ready = sum(pod.ready for pod in staying)
        gone = ready - facts.ready if len(staying) <= facts.running else 0
        return max(0, there - len(staying), min(facts.ready, facts.replicas) - ready, gone)

    @property
    def workload(self) -> AppKey:
        """The name of its Deployment, or of the workload that it scales: pods and proxies' series are named by it."""
        return AppKey(self.key.namespace, self.target.ref.name) if self.target else self.key

    @property
    def empty(self) -> bool:
        """Whether nothing of the app is left."""
        return not (self.uid or self.children or self.pods)

    def read(
        self, raw: Mapping[str, Any], problem: FieldProblem | None = None, rules: QueryRules = OWN_NAMESPACE
    ) -> None:
        """Take over a spec, once per generation; with a wrong one, or a `problem`, the app is left as it is."""
        self.spec, self.spec_error, self.metrics, self.queries = None, None, (), {}
        self.scale_failed = False
        if problem:
            self.spec_error = SpecError((problem,))
            return
        try:
            spec = _spec(self.key, raw)
            self.queries = _queries(spec, self.key, rules)
            self._aim(spec)
            self._take(self.target.deployed() if self.target else spec)
        except SpecError as error:
            self.spec_error = error
        except Exception as error:
            log.exception("%s: internal error while reading the spec; the app is left as it is", self.key)
            message = f"internal error in the operator while reading it: {error!r}"
            self.spec_error = SpecError((FieldProblem("spec", message[:500], "please report it"),))

    def _aim(self, spec: ScalableAppSpec) -> None:
        """At the workload that the spec names, if it names one; what was known of another is forgotten."""
        before, self.target = self.target, Target.of(spec, self.target)
        if (before.ref if before else None) != (self.target.ref if self.target else None):
            self.deployment, self.scaled_at_generation = None, -1
            self.pods, self.removed_pods, self.dated = {}, {}, {}

    def _take(self, spec: ScalableAppSpec | None) -> None:
        if spec:
            self.spec, self.metrics = spec, spec.metrics

    def target_seen(self, template: Template, selector: str) -> None:
        """The workload is there; with another template the percentages of its requests are other amounts."""
        target = self.target
        if target is None:
            return
        target.selector = selector
        if target.problem or template != target.template:
            target.template = template
            self.spec, self.metrics = None, ()
            self._take(target.deployed())

    def target_lost(self, problem: AppProblem) -> None:
        """The workload is not there, or cannot be read."""
        if self.target:
            self.target.problem, self.deployment, self.scaled_at_generation = problem, None, -1

    def count(self, child: ChildId, body: Mapping[str, Any]) -> bool:
        """Take over what a child's status says. Returns whether it says something new."""
        if child.kind in ENTRY_POINTS:
            found = slim_status(child.kind, body)
            changed, self.entry_points[child.kind] = found != self.entry_points.get(child.kind), found
            return changed
        if child != self.deployment_id or self.target:
            return False
        facts = facts_of(body)
        if self.deployment and facts.generation <= self.scaled_at_generation:
            facts = replace(facts, replicas=self.deployment.replicas)
        before = (self.deployment.problem, self.deployment.additions) if self.deployment else (None, "")
        self.may_report_measures |= (facts.problem, facts.additions) != before  # the words alone are worth a write
        changed, self.deployment = facts != self.deployment, facts
        return changed

    def remove_child(self, child: ChildId) -> None:
        """A child is gone, and what its status said with it."""
        if child == self.deployment_id and not self.target:
            if facts := self.own_deployment:
                self.lost_replicas = facts.replicas
            self.deployment, self.scaled_at_generation = None, -1
        self.children.pop(child, None)
        self.entry_points.pop(child.kind, None)


def _spec(key: AppKey, raw: Mapping[str, Any]) -> ScalableAppSpec:
    """The spec of an app whose name goes with it. Raises SpecError."""
    if problem := name_problem(key):
        raise SpecError((problem,))
    spec = parse_spec(raw)
    share_parts(spec)
    if problem := cache_name_problem(key, spec):
        raise SpecError((problem,))
    return spec


def _queries(spec: ScalableAppSpec, key: AppKey, rules: QueryRules) -> dict[str, str]:
    """The users' queries by metric label, ready to be asked."""
    metrics = () if spec.scaling.mode is Mode.VERTICAL else spec.scaling.horizontal.metrics
    of_users = {
        index: metric.query
        for index, metric in enumerate(metrics)
        if metric.type is MetricType.PROMETHEUS and metric.query
    }
    promql.check_total(of_users)
    return {metrics[index].label: promql.bind(query, key, index, rules) for index, query in of_users.items()}


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


# The Deployment controller counts its rollouts here.
_REVISION = "deployment.kubernetes.io/revision"


def _fingerprint(slim: Manifest, *, scaled: bool) -> int:
    """Changes whenever something changes that can be out of line; not with status, nor the replicas of the `scaled`."""
    spec = {name: value for name, value in slim["spec"].items() if not (scaled and name == "replicas")}
    annotations = {
        name: value for name, value in (slim["metadata"].get("annotations") or {}).items() if name != _REVISION
    }
    metadata = slim["metadata"] | {"annotations": annotations}
    return hash(json.dumps([metadata, spec], sort_keys=True))
