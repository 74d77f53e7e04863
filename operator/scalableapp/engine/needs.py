"""What a look asks Prometheus for: what each app needs, put together so that it is asked once for all of them."""

from dataclasses import dataclass, field
from datetime import datetime

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.horizontal.objective_plan import RATE_WINDOW_SECONDS
from scalableapp.core.model import DataProblem
from scalableapp.engine.record import AppRecord
from scalableapp.ports import (
    ContainerAnswer,
    LatencyAnswer,
    MetricsRequest,
    PodAnswer,
    QueryAnswer,
    Snapshot,
    UsageMetric,
)

# What is measured of containers; all else is measured of pods.
OF_CONTAINERS = {MetricType.CPU, MetricType.MEMORY}


@dataclass(slots=True)
class Needs:
    """Collects the apps' needs."""

    _kinds: set[MetricType] = field(default_factory=set)
    _namespaces: set[str] = field(default_factory=set)
    _queries: dict[str, str] = field(default_factory=dict)
    _bursts: set[int] = field(default_factory=set)
    _objective: bool = False
    _sizes: bool = False
    _watched: bool = False
    _containers: set[MetricType] = field(default_factory=set)
    _deployed_by_others: set[str] = field(default_factory=set)

    def add(self, record: AppRecord) -> None:
        """What this app needs, too."""
        kinds = {metric.type for metric in record.metrics}
        if record.target:
            self._add_containers(record, kinds & OF_CONTAINERS)
            kinds -= OF_CONTAINERS
        self._kinds |= kinds
        if record.spec:
            self._queries.update(dict.fromkeys(record.queries.values(), record.key.namespace))
        self._namespaces.add(record.key.namespace)
        if record.spec and record.spec.scaling.horizontal.burst:
            self._bursts.add(record.spec.scaling.horizontal.burst.window_seconds)
        self._objective |= record.objective is not None
        self._sizes |= record.sizes
        self._watched |= record.sizing.change is not None

    def _add_containers(self, record: AppRecord, kinds: set[MetricType]) -> None:
        """Of a pod that others deploy, CPU and memory are measured per container."""
        self._containers |= kinds | ({MetricType.CPU} if record.objective else set())
        self._deployed_by_others.add(record.key.namespace)

    def request(self) -> MetricsRequest:
        """All of it."""
        kinds, bursts = set(self._kinds), set(self._bursts)
        if self._objective:
            kinds |= {MetricType.REQUESTS_PER_SECOND, MetricType.CPU, MetricType.LATENCY}
            bursts.add(RATE_WINDOW_SECONDS)
        if self._sizes:
            kinds.add(MetricType.CPU)
        return MetricsRequest(
            frozenset(kinds - {MetricType.PROMETHEUS, MetricType.LATENCY}),
            frozenset(self._namespaces),
            dict(self._queries),
            frozenset(bursts),
            latencies=MetricType.LATENCY in kinds or self._watched,
            failures=self._objective,
            usage=self._sizes,
            containers=frozenset(self._containers),
            deployed_by_others=frozenset(self._deployed_by_others),
        )


def unreadable(request: MetricsRequest, at: datetime, message: str) -> Snapshot:
    """What there is to decide on when the answers could not be read: nothing, and why."""
    why = DataProblem.QUERY_FAILED, message
    return Snapshot(
        at,
        dict.fromkeys(request.kinds, PodAnswer({}, *why)),
        dict.fromkeys(request.queries, QueryAnswer(None, *why)),
        latencies=LatencyAnswer({}, *why) if request.latencies else None,
        failures=PodAnswer({}, *why) if request.failures else None,
        usage=dict.fromkeys(UsageMetric, PodAnswer({}, *why)) if request.usage else {},
        containers=dict.fromkeys(request.containers, ContainerAnswer({}, *why)),
    )
