"""The tick: whom to look at, when, and with which metrics; and the workers that bring apps in line.

Ticks keep to a fixed grid of the monotonic clock; one that comes late takes the place of those it missed. What
fails for one app is told in its status, counted and tried again with back-off; the others never notice.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from scalableapp.adapters.telemetry import Telemetry
from scalableapp.adapters.telemetry_apps import AppView
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.api.scaling import Mode
from scalableapp.core.horizontal.bounds import bounds_at
from scalableapp.core.model import SCHEDULE, AppKey, Decision
from scalableapp.core.status.conditions import AppProblem
from scalableapp.core.status.status import measures_moved
from scalableapp.core.tokens import TokenBucket
from scalableapp.engine.attribution import Attribution
from scalableapp.engine.looks import LookFailed, Looks, Part
from scalableapp.engine.needs import Needs, unreadable
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.workqueue import AsyncWorkQueue
from scalableapp.errors import ClusterError, Unavailable
from scalableapp.ports import Metrics

log = logging.getLogger(__name__)

# The event loop gets its turn after so many apps: about 25 ms of deciding.
APPS_AT_A_STRETCH = 500
# Measured values alone are told at most so often per app, and by so many apps a second over all.
MEASURES_SECONDS = 60.0
MEASURES_RATE = 5.0
MEASURES_BURST = 25.0


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
    _looks: Looks = field(init=False)
    _attribution: Attribution = field(default_factory=Attribution)
    _faults: dict[AppKey, AppProblem] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._looks = Looks(self.interval_seconds, self.clock, self.now)

    async def run(self, workers: int) -> None:
        """First a tick, so that no app is judged on metrics nobody has asked for; then ticks and workers."""
        self._looks.began()
        try:
            await self._guarded_tick()
            async with asyncio.TaskGroup() as group:
                for number in range(workers):
                    group.create_task(self._work(), name=f"worker {number}")
                group.create_task(self._ticks(), name="ticks")
        finally:
            self._looks.ended()

    def stalled(self) -> str:
        """Why the loop must be taken for dead; "" while it is well, or does not run."""
        return self._looks.stalled()

    async def tick(self) -> None:
        """Ask Prometheus once for all apps, then look at each.

        Raises LookFailed. Where the answers cannot be read the apps are looked at all the same, and told so.
        """
        failures = [await _failure(part, step) for part, step in ((Part.METRICS, self._ask), (Part.APPS, self._look))]
        if failure := next(filter(None, failures), None):
            raise failure

    async def _ask(self) -> None:
        needs = Needs(self.registry.sources)
        self._faults.clear()
        self.registry.look_begins()
        for record in self.registry.apps():
            with self._apart(record, "preparing its queries"):
                needs.add(record)
        request = needs.request(self.registry.sources.looked_for(self.registry.apps()))
        try:
            snapshot = await self.metrics.collect(request)
        except Exception as error:
            self.registry.snapshot = unreadable(request, self.now(), f"internal error in the operator: {error!r}")
            raise
        self.registry.sources.served(snapshot.served, self.registry.apps())
        self.registry.snapshot = self._attribution.of(snapshot, self._users_of_proxies())
        with self._telling():
            self.telemetry.collected(snapshot)

    def _users_of_proxies(self) -> dict[RequestSource, dict[AppKey, AppKey]]:
        """The apps of each source that counts per app, each with the name that its workload has."""
        users: dict[RequestSource, dict[AppKey, AppKey]] = {}
        for record in self.registry.apps():
            source = self.registry.sources.choose(record).further
            if source and source.per_app:
                users.setdefault(source, {})[record.key] = record.workload
        return users

    async def _look(self) -> None:
        for number, record in enumerate(self.registry.apps(), start=1):
            with self._apart(record, "deciding"):
                self._evaluate(record)
            self._note_fault(record)
            if number % APPS_AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        with self._telling():
            self.telemetry.readiness(Counter(record.ready for record in self.registry.apps()))

    @contextmanager
    def _apart(self, record: AppRecord, doing: str) -> Iterator[None]:
        """What fails for one app is told in its status and counted, and costs no other app its look."""
        try:
            yield
        except Exception as error:
            if record.fault is None and record.key not in self._faults:
                log.exception("%s: internal error while %s", record.key, doing)
            message = f"internal error in the operator while {doing}, please report it: {error!r}"
            self._faults[record.key] = AppProblem("InternalError", message)
            with self._telling():
                self.telemetry.failed(error)

    def _note_fault(self, record: AppRecord) -> None:
        """What went wrong with it in this look is reported, and that it does not any more."""
        before, record.fault = record.fault, self._faults.get(record.key)
        if record.fault or before:
            self._retry_later(record)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Our own metrics are a courtesy: what fails about them stops nothing."""
        try:
            yield
        except Exception as error:
            log.exception("Some of the operator's own metrics could not be updated")
            with suppress(Exception):
                self.telemetry.failed(error)

    async def work(self, record: AppRecord) -> None:
        """One app's turn, and when its next one comes."""
        key = record.key
        try:
            exists = await self.reconciler.reconcile(record)
        except Exception as error:  # noqa: BLE001 - the reconciler has logged and reported it
            delay = self.queue.failed(key, error.retry_after_seconds if isinstance(error, Unavailable) else 0.0)
            with self._telling():
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
        started = self.clock()
        try:
            await self.tick()
        except LookFailed as failure:
            log.exception("A tick failed; the next one starts in %.0f s", self.interval_seconds)
            self._looks.failed(failure)
            with self._telling():
                self.telemetry.tick_failed(failure.part)
        else:
            self._looks.good()
            with self._telling():
                self.telemetry.ticked(self.clock() - started, len(self.queue), list(self._views()))
        before, self.registry.not_evaluated = self.registry.not_evaluated, self._looks.problem()
        if bool(before) != bool(self.registry.not_evaluated):
            for record in self.registry.apps():
                self._retry_later(record)

    def _views(self) -> Iterator[AppView]:
        now = self.now()
        for record in self.registry.apps():
            # What cannot be told of one app, deciding has met and logged; the others are told of.
            with suppress(Exception):
                yield _view(record, now)

    def _evaluate(self, record: AppRecord) -> None:
        """Decide again; the app is queued if something follows from that."""
        decision = self.reconciler.evaluate(record)
        if self.reconciler.advances(record):
            self._retry_later(record)
        if decision is None:
            return
        with self._telling():
            self.telemetry.decided(decision)
        if decision.changes:
            # One that fails is worth a try at each look, too, but not before what others wait for.
            self.queue.add(record.key, urgent=not record.scale_failed)
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


async def _failure(part: Part, step: Callable[[], Awaitable[None]]) -> LookFailed | None:
    """What went wrong in that part of a look."""
    try:
        await step()
    except Exception as error:  # noqa: BLE001 - passed on with its cause
        failure = LookFailed(part, error)
        failure.__cause__ = error
        return failure
    return None


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
        tuple((report.name, report.without_sample > 0) for report in decision.metrics),
        tuple(step.message for step in decision.steps if step.rule == SCHEDULE),
    )
