"""A clock, a Prometheus and a telemetry in memory."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import RequestSource
from scalableapp.ports import (
    ContainerAnswer,
    LatencyAnswer,
    MetricsRequest,
    PodAnswer,
    QueryAnswer,
    ServedBy,
    Snapshot,
    UsageMetric,
)

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@dataclass
class FakeMetrics:
    """Implements ports.Metrics: values per kind and pod, answers per query."""

    clock: Clock
    pods: dict[MetricType, PodAnswer] = field(default_factory=dict)
    queries: dict[str, QueryAnswer] = field(default_factory=dict)
    bursts: dict[int, PodAnswer] = field(default_factory=dict)
    usage: dict[UsageMetric, PodAnswer] = field(default_factory=dict)
    latencies: LatencyAnswer = field(default_factory=LatencyAnswer)
    failures: PodAnswer = field(default_factory=PodAnswer)
    containers: dict[MetricType, ContainerAnswer] = field(default_factory=dict)
    sources: dict[RequestSource, Snapshot] = field(default_factory=dict)
    served: ServedBy | None = None
    asked: list[MetricsRequest] = field(default_factory=list)

    async def collect(self, request: MetricsRequest) -> Snapshot:
        self.asked.append(request)
        return Snapshot(
            self.clock.now(),
            {kind: self.pods.get(kind, PodAnswer()) for kind in request.kinds},
            {query: self.queries[query] for query in request.queries if query in self.queries},
            {window: self.bursts.get(window, PodAnswer()) for window in request.bursts},
            self.latencies if request.latencies else None,
            self.failures if request.failures else None,
            self.usage if request.usage else {},
            {kind: self.containers.get(kind, ContainerAnswer()) for kind in request.containers},
            {source: self.sources.get(source, Snapshot(self.clock.now())) for source in request.sources},
            self.served if request.looked_for.namespaces else None,
        )


@dataclass
class FakeTelemetry:
    """Counts what it is told, by name."""

    called: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.called.append(name)
