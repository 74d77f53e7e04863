"""The operator's own metrics, all of them.

Number of series: some hundred, and about ten for each ScalableApp (telemetry_apps.py). Every other label takes its
values from a fixed set. tools/metrics_reference.py makes docs/metrics.md of what stands here.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

import scalableapp
from scalableapp import errors
from scalableapp.adapters.progress import Stage
from scalableapp.adapters.telemetry_apps import AppsCollector, AppView
from scalableapp.core.model import DataProblem, Decision
from scalableapp.ports import LatencyAnswer, PodAnswer, Snapshot

_LAG_SECONDS = 1.0
# Nothing that the operator does keeps the event loop from its turn for so long.
_HANGS_SECONDS = 30.0
_TICK_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_OUR_FAULT = "InternalError"
TICK_CAUSES = ("Metrics", "Apps")


class Telemetry:
    """What the operator says of itself. All methods are cheap and never raise."""

    def __init__(self) -> None:
        # A creation timestamp for each counter is not needed, and would be one more series.
        disable_created_metrics()  # type: ignore[no-untyped-call] # unannotated upstream
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._apps = AppsCollector()
        self.registry.register(self._apps)
        self._worst_lag = 0.0
        self._turned_at = time.monotonic()
        build = Info("scalableapp_build", "Version of the operator.", registry=self.registry)
        build.info({"version": scalableapp.__version__})
        self._make_metrics_of_the_loop()
        self._make_metrics_of_the_process()
        self._make_metrics_of_apps()
        self._make_metrics_of_requests()

    def _make_metrics_of_the_loop(self) -> None:
        self._tick = Histogram(
            "scalableapp_tick_duration_seconds",
            "Duration of an evaluation of all apps, including queries to Prometheus.",
            buckets=_TICK_BUCKETS,
            registry=self.registry,
        )
        self._tick_ended = Gauge(
            "scalableapp_last_tick_timestamp_seconds",
            "Unix time of the last successful evaluation of all apps; time() minus this is its age.",
            registry=self.registry,
        )
        self._failed_ticks = Counter(
            "scalableapp_failed_ticks",
            "Evaluations of all apps that failed, by cause: Metrics if the answers of Prometheus could not be read, "
            "Apps if the apps could not be evaluated.",
            ["cause"],
            registry=self.registry,
        )
        for cause in TICK_CAUSES:
            self._failed_ticks.labels(cause)
        self._interval = Gauge(
            "scalableapp_tick_interval_seconds", "Time between the starts of two evaluations.", registry=self.registry
        )
        self._queue = Gauge(
            "scalableapp_work_queue_depth", "Number of apps waiting to be reconciled.", registry=self.registry
        )
        self._lag = Gauge(
            "scalableapp_event_loop_lag_seconds",
            "Largest delay of the event loop during the last evaluation.",
            registry=self.registry,
        )
        self._failures = Counter(
            "scalableapp_failures",
            "Failed operations that will be retried, by kind; InternalError is a bug in the operator.",
            ["kind"],
            registry=self.registry,
        )
        self._failures.labels(_OUR_FAULT)

    def _make_metrics_of_the_process(self) -> None:
        self._lease = Gauge(
            "scalableapp_lease_held",
            "1 if this operator is active: it holds the Lease, and everything else that it waits for is there.",
            registry=self.registry,
        )
        self._waiting = Gauge(
            "scalableapp_waiting_for",
            "1 for what this operator waits for before it is active, by stage; all 0 while it is active.",
            ["stage"],
            registry=self.registry,
        )
        for stage in Stage:
            self._waiting.labels(stage)
        self._unwatched = Gauge(
            "scalableapp_waiting_for_namespaces",
            "Namespaces of SCALABLEAPP_NAMESPACES that are not served, as they are missing or cannot be watched.",
            registry=self.registry,
        )

    def _make_metrics_of_apps(self) -> None:
        self._ready = Gauge(
            "scalableapp_apps", "ScalableApps, by status of their Ready condition.", ["ready"], registry=self.registry
        )
        self._decisions = Counter(
            "scalableapp_decisions",
            "Evaluations of apps, by the decision's reason.",
            ["reason"],
            registry=self.registry,
        )
        self._problems = Counter(
            "scalableapp_data_problems",
            "Answers of Prometheus that could not be used, or not for some pods, by kind of problem.",
            ["problem"],
            registry=self.registry,
        )
        for problem in DataProblem:  # from zero on, or rate() would miss the first
            self._problems.labels(problem.value)

    def _make_metrics_of_requests(self) -> None:
        self._requests = Histogram(
            "scalableapp_api_request_duration_seconds",
            "Requests to the Kubernetes API, each attempt separately; code is the HTTP status, or 0 without an answer.",
            ["verb", "code"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._queries = Histogram(
            "scalableapp_prometheus_query_duration_seconds",
            "Queries to Prometheus, by metric type.",
            ["type"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )

    def collected(self, snapshot: Snapshot) -> None:
        """Prometheus has answered, or not."""
        for problem in _problems(snapshot):
            self._problems.labels(problem.value).inc()

    def decided(self, decision: Decision) -> None:
        """An app was evaluated."""
        self._decisions.labels(decision.reason).inc()

    def paced(self, interval_seconds: float) -> None:
        """So often all apps are evaluated."""
        self._interval.set(interval_seconds)

    def waits_for(self, awaited: Stage | None) -> None:
        """What the operator waits for; None while it acts. Of apps only one that acts can tell."""
        if awaited is not None:
            self._apps.views = ()
        self._lease.set(awaited is None)
        for stage in Stage:
            self._waiting.labels(stage).set(stage is awaited)

    def unwatched(self, namespaces: int) -> None:
        """So many of the namespaces that it is to serve cannot be watched."""
        self._unwatched.set(namespaces)

    def ticked(self, seconds: float, queue_depth: int, apps: Sequence[AppView]) -> None:
        """A look at all apps went well; `apps` are those that exist."""
        self._tick.observe(seconds)
        self._tick_ended.set(time.time())
        self._queue.set(queue_depth)
        self._lag.set(self._worst_lag)
        self._worst_lag = 0.0
        self._apps.views = apps

    def tick_failed(self, cause: str) -> None:
        """A look at all apps failed: `cause` is one of TICK_CAUSES."""
        self._failed_ticks.labels(cause).inc()

    def readiness(self, counts: Mapping[str, int]) -> None:
        """How many apps are Ready True, False, Unknown."""
        for status in ("True", "False", "Unknown"):
            self._ready.labels(status).set(counts.get(status, 0))

    def failed(self, error: Exception) -> None:
        """Something went wrong and will be tried again."""
        kind = type(error).__name__ if isinstance(error, errors.ScalableAppError) else _OUR_FAULT
        self._failures.labels(kind).inc()

    def requested(self, verb: str, code: int, seconds: float) -> None:
        """The Kubernetes API was asked."""
        self._requests.labels(verb, str(code)).observe(seconds)

    def queried(self, metric_type: str, seconds: float) -> None:
        """Prometheus was asked. Called from other threads too."""
        self._queries.labels(metric_type).observe(seconds)

    async def measure_lag(self) -> NoReturn:
        """Watch how late the event loop is, until cancelled."""
        while True:
            before = self._turned_at = time.monotonic()
            await asyncio.sleep(_LAG_SECONDS)
            self._worst_lag = max(self._worst_lag, time.monotonic() - before - _LAG_SECONDS)

    def hangs(self) -> str:
        """Why the event loop must be taken for dead; "" while it turns. Asked from another thread."""
        silent = time.monotonic() - self._turned_at
        return f"the event loop has not turned for {silent:.0f} s" if silent > _HANGS_SECONDS else ""


def _problems(snapshot: Snapshot) -> Iterator[DataProblem]:
    """Of all answers of a tick but those on CPU pressure and throttling, which many clusters do not measure."""
    for source in snapshot.sources.values():
        yield from _problems(source)
    asked = [answer.problem for answer in snapshot.kinds.values()]
    asked += [answer.problem for answer in snapshot.queries.values()]
    asked += [snapshot.latencies.problem] if snapshot.latencies else []
    yield from (problem for problem in asked if problem)
    answers: list[PodAnswer | LatencyAnswer] = [*snapshot.kinds.values(), snapshot.latencies or LatencyAnswer()]
    for answer in answers:  # once for all pods and namespaces that have the same
        yield from {problem for problem, _ in (*answer.refused.values(), *answer.left_out.values())}
    # Nothing failed, or scrapes are too far apart for a short window: that is no problem.
    beside = [answer.problem for answer in snapshot.bursts.values()]
    beside += [snapshot.failures.problem] if snapshot.failures else []
    yield from (problem for problem in beside if problem not in (None, DataProblem.EMPTY))
