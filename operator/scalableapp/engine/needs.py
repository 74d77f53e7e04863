"""What a look asks Prometheus for: what each app needs, put together so that it is asked once for all of them."""

from dataclasses import dataclass, field
from datetime import datetime

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.horizontal.objective_plan import RATE_WINDOW_SECONDS
from scalableapp.core.model import DataProblem
from scalableapp.engine.record import AppRecord
from scalableapp.engine.sources import Sources
from scalableapp.ports import (
    NOTHING,
    ContainerAnswer,
    LatencyAnswer,
    LookedFor,
    MetricsRequest,
    PodAnswer,
    QueryAnswer,
    Snapshot,
    UsageMetric,
)

# What is measured of containers; all else is measured of pods.
OF_CONTAINERS = {MetricType.CPU, MetricType.MEMORY}
_OF_REQUESTS = {MetricType.REQUESTS_PER_SECOND, MetricType.LATENCY}


@dataclass(slots=True)
class Needs:
    """Collects the apps' needs. Those of requests from another source than the default one are kept apart by it."""

    sources: Sources = field(default_factory=Sources)
    _kinds: set[MetricType] = field(default_factory=set)
    _namespaces: set[str] = field(default_factory=set)
    _queries: dict[str, str] = field(default_factory=dict)
    _bursts: set[int] = field(default_factory=set)
    _objective: bool = False
    _sizes: bool = False
    _watched: bool = False
    _containers: set[MetricType] = field(default_factory=set)
    _deployed_by_others: set[str] = field(default_factory=set)

    _of_sources: dict[RequestSource, "Needs"] = field(default_factory=dict)

    def add(self, record: AppRecord) -> None:
        """What this app needs, too."""
        if record.spec:
            self._queries.update(dict.fromkeys(record.queries.values(), record.key.namespace))
        self._namespaces.add(record.key.namespace)
        self._sizes |= record.sizes
        kinds = {metric.type for metric in record.metrics} - _OF_REQUESTS
        if record.objective:
            kinds.add(MetricType.CPU)
        if record.target:
            self._add_containers(record, kinds & OF_CONTAINERS)
            kinds -= OF_CONTAINERS
        self._kinds |= kinds
        chosen = self.sources.choose(record)
        if not record.needs_requests or chosen.problem:
            return
        of_requests = self._of_sources.setdefault(chosen.further, Needs()) if chosen.further else self
        of_requests._add_requests(record)  # noqa: SLF001 - of the same class

    def _add_requests(self, record: AppRecord) -> None:
        self._namespaces.add(record.key.namespace)
        self._kinds.update(metric.type for metric in record.metrics if metric.type in _OF_REQUESTS)
        if record.spec and record.spec.scaling.horizontal.burst:
            self._bursts.add(record.spec.scaling.horizontal.burst.window_seconds)
        self._objective |= record.objective is not None
        self._watched |= record.sizing.change is not None

    def _add_containers(self, record: AppRecord, kinds: set[MetricType]) -> None:
        """Of a pod that others deploy, CPU and memory are measured per container."""
        self._containers |= kinds
        self._deployed_by_others.add(record.key.namespace)

    def request(self, looked_for: LookedFor = NOTHING) -> MetricsRequest:
        """All of it."""
        kinds, bursts = set(self._kinds), set(self._bursts)
        if self._objective:
            kinds |= {MetricType.REQUESTS_PER_SECOND, MetricType.LATENCY}
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
            sources={source: needs.request() for source, needs in self._of_sources.items()},
            looked_for=looked_for,
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
        sources={source: unreadable(wanted, at, message) for source, wanted in request.sources.items()},
    )
