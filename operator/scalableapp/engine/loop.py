"""The tick: whom to look at, when, and with which metrics; and the workers that bring apps in line.

Ticks keep to a fixed grid of the monotonic clock; one that comes late takes the place of those it missed. What
fails for one app is logged, counted and tried again with back-off; the loop goes on.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from scalableapp.adapters.telemetry import Telemetry
from scalableapp.adapters.telemetry_apps import AppView
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.scaling import Mode
from scalableapp.core.horizontal.bounds import bounds_at
from scalableapp.core.horizontal.objective_plan import RATE_WINDOW_SECONDS
from scalableapp.core.model import SCHEDULE, Decision
from scalableapp.core.status.status import measures_moved
from scalableapp.core.tokens import TokenBucket
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.workqueue import AsyncWorkQueue
from scalableapp.errors import ClusterError
from scalableapp.ports import Metrics, MetricsRequest

log = logging.getLogger(__name__)

# The event loop gets its turn after so many apps: about 25 ms of deciding.
APPS_AT_A_STRETCH = 500
# Measured values alone are told at most so often per app, and by so many apps a second over all.
MEASURES_SECONDS = 60.0
MEASURES_RATE = 5.0
MEASURES_BURST = 25.0
# A tick may be late by collecting with all time-outs; after so many intervals it hangs.
STALLED_INTERVALS = 6


@dataclass(slots=True, kw_only=True)
class Loop:
    """Runs ticks and workers until cancelled. `clock` is monotonic seconds, `now` the wall clock in UTC."""

    registry: Registry
    queue: AsyncWorkQueue
    metrics: Metrics
    reconciler: Reconciler
    telemetry: Telemetry
    interval_seconds: float
    clock: Callable[[], float]
    now: Callable[[], datetime]
    _measures: TokenBucket = field(default_factory=lambda: TokenBucket(MEASURES_RATE, MEASURES_BURST))
    _tick_started: float | None = None

    async def run(self, workers: int) -> None:
        """First a tick, so that no app is judged on metrics nobody has asked for; then ticks and workers."""
        await self._guarded_tick()
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(), name=f"worker {number}")
            group.create_task(self._ticks(), name="ticks")

    def stalled(self) -> str:
        """Why the loop must be taken for dead; "" while it lives. Before its first tick it is not judged."""
        if self._tick_started is None:
            return ""
        age = self.clock() - self._tick_started
        if age < STALLED_INTERVALS * self.interval_seconds:
            return ""
        return (
            f"the evaluation loop started its last tick {age:.0f} s ago; its interval is {self.interval_seconds:.0f} s"
        )

    async def tick(self) -> None:
        """Ask Prometheus once for all apps, then look at each."""
        self.registry.snapshot = await self.metrics.collect(self._metrics_request())
        self.telemetry.collected(self.registry.snapshot)
        self.telemetry.readiness(Counter(record.ready for record in self.registry.apps()))
        for number, record in enumerate(self.registry.apps(), start=1):
            self._evaluate(record)
            if number % APPS_AT_A_STRETCH == 0:
                await asyncio.sleep(0)

    async def work(self, record: AppRecord) -> None:
        """One app's turn, and when its next one comes."""
        key = record.key
        try:
            exists = await self.reconciler.reconcile(record)
        except Exception as error:  # noqa: BLE001 - the reconciler has logged and reported it
            delay = self.queue.failed(key)
            self.telemetry.failed(error)
            if isinstance(error, ClusterError):
                log.warning("%s: %s; next attempt in %.1f s", key, error, delay)
        else:
            self.queue.done(key)
            if not exists:
                log.info("%s: the ScalableApp is gone", key)
                self.registry.app_gone(key)
                self.queue.forget(key)

    async def _work(self) -> None:
        while True:
            key = await self.queue.next()
            record = self.registry.get(key)
            if record is None:
                self.queue.done(key)
            else:
                await self.work(record)

    async def _ticks(self) -> None:
        due = self.clock() + self.interval_seconds
        while True:
            await asyncio.sleep(max(0.0, due - self.clock()))
            await self._guarded_tick()
            missed = max(0.0, self.clock() - due) // self.interval_seconds
            due += (missed + 1) * self.interval_seconds

    async def _guarded_tick(self) -> None:
        self._tick_started = started = self.clock()
        try:
            await self.tick()
            self.telemetry.ticked(self.clock() - started, len(self.queue), list(self._views()))
        except Exception as error:
            log.exception("A tick failed; the next one starts in %.0f s", self.interval_seconds)
            self.telemetry.failed(error)

    def _views(self) -> Iterator[AppView]:
        now = self.now()
        for record in self.registry.apps():
            # What cannot be told of one app, deciding has met and logged; the others are told of.
            with suppress(Exception):
                yield _view(record, now)

    def _metrics_request(self) -> MetricsRequest:
        kinds: set[MetricType] = set()
        namespaces: set[str] = set()
        queries: dict[str, str] = {}
        bursts: set[int] = set()
        objective = sizes = watched = False
        for record in self.registry.apps():
            kinds.update(metric.type for metric in record.metrics)
            queries.update(dict.fromkeys(record.queries.values(), record.key.namespace))
            namespaces.add(record.key.namespace)
            if record.spec and record.spec.scaling.horizontal.burst:
                bursts.add(record.spec.scaling.horizontal.burst.window_seconds)
            objective |= record.objective is not None
            sizes |= record.sizes
            watched |= record.sizing.change is not None
        if objective:
            kinds |= {MetricType.REQUESTS_PER_SECOND, MetricType.CPU, MetricType.LATENCY}
            bursts.add(RATE_WINDOW_SECONDS)
        if sizes:
            kinds.add(MetricType.CPU)
        return MetricsRequest(
            frozenset(kinds - {MetricType.PROMETHEUS, MetricType.LATENCY}),
            frozenset(namespaces),
            queries,
            frozenset(bursts),
            latencies=MetricType.LATENCY in kinds or watched,
            failures=objective,
            usage=sizes,
        )

    def _evaluate(self, record: AppRecord) -> None:
        """Decide again; the app is queued if something follows from that."""
        key = record.key
        try:
            decision = self.reconciler.evaluate(record)
        except Exception:
            if key not in self.queue:
                log.exception("%s: internal error while deciding", key)
            self._retry_later(record)
            return
        if self.reconciler.advances(record):
            self._retry_later(record)
        if decision is None:
            return
        self.telemetry.decided(decision)
        if decision.changes and not record.scale_failed:
            self.queue.add(key)
        elif decision.resizes or record.reported is None or _differs(record.reported, decision):
            self._retry_later(record)
        elif self._measures_due(record, decision):
            record.may_report_measures = True
            self._retry_later(record)

    def _retry_later(self, record: AppRecord) -> None:
        """A turn now, sooner than that of a resync; but not before a back-off that is under way has passed."""
        if record.key not in self.queue or not self.queue.backs_off(record.key):
            self.queue.add(record.key)

    def _measures_due(self, record: AppRecord, decision: Decision) -> bool:
        if record.reported is None or record.reported_at is None or record.may_report_measures:
            return False
        # Each app has its own share of the minute, so that apps that started together do not write together.
        share = crc32(str(record.key).encode()) % 16
        age = (self.now() - record.reported_at).total_seconds()
        due = age >= MEASURES_SECONDS + share and measures_moved(record.reported, decision)
        return due and self._measures.take(self.clock())


def _view(record: AppRecord, now: datetime) -> AppView:
    """What the operator's metrics tell of the app; bounds, budget and size where they are what it is scaled by."""
    facts, spec = record.own_deployment, record.spec
    counts = (facts.replicas, facts.ready) if facts else None
    bounds = budget = None
    if spec and spec.scaling.mode is not Mode.VERTICAL:
        least, most = bounds_at(spec.scaling.horizontal, now)
        bounds, budget = (least.value, most.value), spec.objective.shares.budget if spec.objective else None
    size, recommended = (record.sizing.size, record.sizing.recommended) if record.sizes else (None, None)
    return AppView(record.key, record.decision, counts, bounds, budget, record.abnormal, size, recommended)


def _differs(reported: Decision, decision: Decision) -> bool:
    return _identity(reported) != _identity(decision)


def _identity(decision: Decision) -> tuple[object, ...]:
    """What of a decision is worth telling at once."""
    return (
        decision.replicas_from,
        decision.replicas_to,
        decision.reason,
        decision.active,
        decision.limited,
        decision.data_problem,
        tuple(report.name for report in decision.metrics),
        tuple(step.message for step in decision.steps if step.rule == SCHEDULE),
    )
