"""The doors to the outside, one Protocol each: what the loop needs, not what the clients offer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.children.mounts import Source, Version
from scalableapp.core.horizontal.replay import Moment, PodsMoment
from scalableapp.core.learning.latency import Histogram
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.core.size import Resource, Size

Manifest = dict[str, Any]


# Why the data of a pod is of no use.
Refusal = tuple[DataProblem, str]


@dataclass(frozen=True, slots=True)
class PodAnswer:
    """Answer to one grouped query of the whole cluster: a value per (namespace, pod), or why there is none.

    `scrapes` tells of pods that Prometheus knows, `refused` of those whose value is left out, and why; `left_out` of
    namespaces that are not asked for, as what they have would not leave room for others.
    """

    values: Mapping[tuple[str, str], float] = field(default_factory=dict)
    problem: DataProblem | None = None
    message: str = ""
    scrapes: Mapping[tuple[str, str], Scrape] = field(default_factory=dict)
    refused: Mapping[tuple[str, str], Refusal] = field(default_factory=dict)
    left_out: Mapping[str, Refusal] = field(default_factory=dict)


class UsageMetric(StrEnum):
    """What sizes are decided on in addition to CPU usage in the last minute: bytes, share of periods or of time."""

    MEMORY_PEAK = "MemoryPeak"
    THROTTLED = "Throttled"
    CPU_PRESSURE = "CPUPressure"


@dataclass(frozen=True, slots=True)
class LatencyAnswer:
    """Answer to the grouped query for latencies: a histogram per (namespace, pod), or why there is none.

    The rest as in PodAnswer.
    """

    histograms: Mapping[tuple[str, str], Histogram] = field(default_factory=dict)
    problem: DataProblem | None = None
    message: str = ""
    scrapes: Mapping[tuple[str, str], Scrape] = field(default_factory=dict)
    refused: Mapping[tuple[str, str], Refusal] = field(default_factory=dict)
    left_out: Mapping[str, Refusal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerAnswer:
    """Answer to the query for containers of pods that others deploy: of each (namespace, pod) a value per container.

    The rest as in PodAnswer.
    """

    values: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    problem: DataProblem | None = None
    message: str = ""
    scrapes: Mapping[tuple[str, str], Scrape] = field(default_factory=dict)
    refused: Mapping[tuple[str, str], Refusal] = field(default_factory=dict)

    def of_pods(self, container: str | None, needed: Collection[str]) -> PodAnswer:
        """Values of one container, or of all in sum; of pods that all of the `needed` containers are known of.

        A pod that runs uses something: 0 is no value. Nor is what is left of a pod when a container cannot be used.
        """
        if container:
            values = {pod: found.get(container, 0.0) for pod, found in self.values.items()}
        else:
            values = {pod: sum(found.values()) for pod, found in self.values.items() if found.keys() >= set(needed)}
        used = {pod: value for pod, value in values.items() if value > 0 and pod not in self.refused}
        return PodAnswer(used, self.problem, self.message, self.scrapes, self.refused)


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """Answer to one user's query: one number and, where Prometheus tells, its age in seconds; or why there is none."""

    value: float | None = None
    problem: DataProblem | None = None
    message: str = ""
    age: float | None = field(default=None, compare=False)


# Metrics that a pod serves, by (namespace, pod).
ServedBy = Mapping[tuple[str, str], frozenset[str]]


class LookedFor(NamedTuple):
    """Metrics that pods of some namespaces may serve; nothing is looked for without namespaces."""

    namespaces: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()


NOTHING = LookedFor()


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """What one tick asks Prometheus for.

    `kinds` are measured per pod, one query each for all apps in `namespaces`; `queries` are users' own,
    variables already filled in, each with the namespace it is asked for. `bursts` are short windows, in
    seconds, over which requests/s are wanted beside those of the kind. `latencies`: the histograms of the last
    minute, too; `failures`: the failed requests per second in it; `usage`: what sizes are decided on beside CPU.
    `containers` are kinds that are measured per container, in the namespaces `deployed_by_others`.

    All of requests is of the default source; `sources` says what is wanted of others. `looked_for` are metrics by which
    the sources of apps are recognised.
    """

    kinds: frozenset[MetricType]
    namespaces: frozenset[str]
    queries: Mapping[str, str] = field(default_factory=dict)
    bursts: frozenset[int] = frozenset()
    latencies: bool = False
    failures: bool = False
    usage: bool = False
    containers: frozenset[MetricType] = frozenset()
    deployed_by_others: frozenset[str] = frozenset()
    sources: Mapping[RequestSource, "MetricsRequest"] = field(default_factory=dict)
    looked_for: LookedFor = NOTHING


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All answers of one tick. `at` is our clock when the answers were in.

    `sources` are those of other request sources; `served` is what pods serve, None where that is not known.
    """

    at: datetime
    kinds: Mapping[MetricType, PodAnswer] = field(default_factory=dict)
    queries: Mapping[str, QueryAnswer] = field(default_factory=dict)
    bursts: Mapping[int, PodAnswer] = field(default_factory=dict)
    latencies: LatencyAnswer | None = None
    failures: PodAnswer | None = None
    usage: Mapping[UsageMetric, PodAnswer] = field(default_factory=dict)
    containers: Mapping[MetricType, ContainerAnswer] = field(default_factory=dict)
    sources: Mapping[RequestSource, "Snapshot"] = field(default_factory=dict)
    served: ServedBy | None = None


class Metrics(Protocol):
    """Prometheus, as the loop sees it. Never raises for bad data: a problem is part of the answer."""

    async def collect(self, request: MetricsRequest) -> Snapshot:
        """Answers to everything wanted, within the configured time-out."""
        ...


@dataclass(frozen=True, slots=True)
class PastData:
    """What Prometheus remembers of some apps, oldest first, or why it could not be asked."""

    moments: Mapping[AppKey, Sequence[Moment]] = field(default_factory=dict)
    pods: Mapping[AppKey, Sequence[PodsMoment]] = field(default_factory=dict)
    usage: Mapping[AppKey, Mapping[Resource, Sequence[tuple[float, float]]]] = field(default_factory=dict)
    problem: DataProblem | None = None
    message: str = ""


class MetricsHistory(Protocol):
    """Prometheus' memory. It may take its time, and never raises for bad data: a problem is part of the answer."""

    async def loads(
        self, apps: Mapping[AppKey, float | None], until: datetime, source: RequestSource | None = None
    ) -> PastData:
        """Loads of the last days, in steps of 5 minutes and for the last hour of 15 s, as `source` counted them.

        The value of an app is the number of seconds from which on its requests are slow; None where that is not asked.
        """
        ...

    async def pods(
        self,
        apps: Collection[AppKey],
        kinds: Collection[MetricType],
        seconds: float,
        until: datetime,
        source: RequestSource | None = None,
    ) -> PastData:
        """Values per pod of the last `seconds`, in steps of 15 s."""
        ...

    async def usage(self, apps: Mapping[AppKey, Mapping[Resource, float]], until: datetime) -> PastData:
        """Usage of the last seconds that each resource of an app maps to, as pairs of Unix time and value.

        CPU is what all pods used, each taken for as busy as the one at 90 %; memory is the largest pod's.
        """
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event on a ScalableApp."""

    key: AppKey
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Cluster(Protocol):
    """The Kubernetes API, as the loop sees it. Raises only ClusterError and its kinds."""

    async def read(self, manifest: Manifest) -> Manifest | None:
        """The live object that `manifest` names (apiVersion, kind, metadata), None when there is none."""
        ...

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply as scalableapp-operator; the object as it stands afterwards."""
        ...

    async def check(self, manifest: Manifest) -> None:
        """Whether `apply` would succeed: a dry run of it, which changes nothing. Raises what it would raise."""
        ...

    async def delete(self, manifest: Manifest) -> None:
        """Delete the named object; done when it is gone already."""
        ...

    async def resize(self, key: AppKey, pod: str, size: Size) -> None:
        """Give a running pod of the app another size in place, through its resize subresource."""
        ...

    async def resize_later_pods(self, deployment: Manifest, size: Size) -> None:
        """Give the template of a Deployment's present ReplicaSet another size: its pods stay, later ones have it."""
        ...

    async def scale(self, key: AppKey, replicas: int) -> None:
        """Set the Deployment's replicas through its scale subresource."""
        ...

    async def scale_target(self, namespace: str, target: TargetRef, replicas: int) -> None:
        """Set the replicas of a workload that somebody else manages, through its scale subresource."""
        ...

    async def resource_versions(self, namespace: str, kind: str) -> Mapping[str, str]:
        """The resource version of each ConfigMap or Secret of a namespace, by name."""
        ...

    async def mount_version(self, namespace: str, source: Source) -> Version | None:
        """What a ConfigMap or Secret holds now, in short; None where there is none."""
        ...

    async def keep_replicas(self, key: AppKey, replicas: int) -> None:
        """Own the replicas that the Deployment has, as `scale` does. Raises Conflict if they are others by now."""
        ...

    async def patch_status(self, key: AppKey, status: Mapping[str, Any]) -> Manifest:
        """Merge-patch the ScalableApp's status subresource; None removes a field. Returns the status afterwards."""
        ...

    async def emit(self, event: Event) -> None:
        """Post an Event. A failure is logged, never raised: an Event is a courtesy."""
        ...
