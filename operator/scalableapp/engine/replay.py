"""What a restart would forget, got back from Prometheus' memory: learned loads, and recommendations not in status.

In the background and a few apps at a time: meanwhile apps are decided on with what is known. An app of which
Prometheus remembers nothing starts cold, as a new one does.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import NoReturn

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.horizontal.history import longest_window_seconds
from scalableapp.core.horizontal.prediction import rejoined, replayed
from scalableapp.core.horizontal.replay import (
    Moment,
    kinds_of,
    past_recommendations,
    replay_history,
    with_past_recommendations,
)
from scalableapp.core.learning.objective import restored
from scalableapp.core.model import AppKey
from scalableapp.core.size import Resource
from scalableapp.engine.needs import OF_CONTAINERS
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.engine.sources import Chosen
from scalableapp.engine.usage import remembered_seconds, replay_usage
from scalableapp.ports import MetricsHistory, PastData

log = logging.getLogger(__name__)

# Their loads of 8 days are 10 MB while they are replayed.
APPS_AT_A_TIME = 25
PAUSE_SECONDS = 5.0
# Half an hour in all; by then the loads that were seen since say as much.
MOST_TRIES = 8
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 10.0, 600.0


class Replayer:
    """Looks for apps whose past is wanted, and replays it. `now` is the wall clock, aware and in UTC."""

    def __init__(self, registry: Registry, history: MetricsHistory, now: Callable[[], datetime]) -> None:
        self._registry = registry
        self._history = history
        self._now = now
        self._replayed: set[tuple[AppKey, str, str]] = set()
        self._failures = 0

    async def follow(self) -> NoReturn:
        """Until cancelled. An internal error costs these apps their history, but never stops the operator."""
        while True:
            try:
                pause = await self.replay_next()
            except Exception:
                log.exception("Internal error while replaying history; these apps continue without it")
                pause = PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def replay_next(self) -> float:
        """Replay the next apps; the seconds until the next call."""
        guessed, unlearned, unsized = self._guessed(), self._unlearned(), self._unsized()
        waiting = {*map(self._id, guessed), *map(self._id, unlearned), *map(self._id, unsized)}
        if not waiting:
            return PAUSE_SECONDS
        message = await self._recommendations(guessed) or await self._usage(unsized) or await self._loads(unlearned)
        if not message:
            self._failures = 0
            return 0.0
        self._failures += 1
        if self._failures < MOST_TRIES:
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * (1 << self._failures - 1))
            log.info("History of %d app(s) not loaded yet: %s", len(waiting), message)
            return pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter is no secret
        log.warning("%d app(s) start without history: %s", len(waiting), message)
        self._failures = 0
        for record in unsized:
            replay_usage(record, {})
        self._done(guessed, unlearned)
        return PAUSE_SECONDS

    def _guessed(self) -> list[AppRecord]:
        """Apps that go by a guess of their recommendations, and of whose metrics Prometheus can tell the past."""
        now = self._now()
        return list(islice((record for record in self._registry.apps() if self._guesses(record, now)), APPS_AT_A_TIME))

    def _unlearned(self) -> list[AppRecord]:
        """Apps that go by past loads which have not been replayed."""
        learning = (record for record in self._registry.apps() if record.history and _learns(record))
        wanted = [record for record in learning if self._source(record).found and _named(record)]
        self._replayed &= set(map(self._id, wanted))
        return list(islice((record for record in wanted if self._id(record) not in self._replayed), APPS_AT_A_TIME))

    def _unsized(self) -> list[AppRecord]:
        """Apps whose sizes are decided on, and whose usage of before has not been read."""
        waiting = (r for r in self._registry.apps() if r.sizes and r.sizing.history and not r.sizing.history.ready)
        return list(islice(waiting, APPS_AT_A_TIME))

    def _done(self, guessed: Iterable[AppRecord], unlearned: Iterable[AppRecord]) -> None:
        for record in guessed:
            record.guessed_at = None
        for record in unlearned:
            self._replayed.add(self._id(record))
            record.replay_until = None

    async def _recommendations(self, apps: Collection[AppRecord]) -> str:
        """Replay the stabilisation windows of the apps. Returns why Prometheus could not be asked, "" if it was."""
        if not apps:
            return ""
        kinds = frozenset[MetricType]().union(*(kinds_of(record.spec) or () for record in apps if record.spec))
        seconds = max(_window(record) for record in apps)
        for source, group in self._by_source(apps).items():
            found = await self._history.pods([record.workload for record in group], kinds, seconds, self._now(), source)
            if found.problem:
                return found.message
            for record in group:
                await self._recommended(record, found)
        return ""

    async def _recommended(self, record: AppRecord, found: PastData) -> None:
        spec, guessed_at = record.spec, record.guessed_at
        if spec is None or guessed_at is None:
            return
        record.guessed_at = None
        past = await asyncio.to_thread(past_recommendations, spec, found.pods.get(record.workload, ()))
        if record.history is None or record.spec is not spec:
            record.guessed_at = guessed_at  # changed meanwhile: the next look takes it up
            return
        replayed_ = with_past_recommendations(record.history, guessed_at, past, _window(record))
        if replayed_ is not record.history:
            log.info("%s: replayed the recommendations of the last %.0f s", record.key, _window(record))
            record.history = replayed_

    async def _usage(self, apps: Collection[AppRecord]) -> str:
        """Read the usage of the apps. Returns why Prometheus could not be asked, "" if it was."""
        if not apps:
            return ""
        wanted = {record.key: {r: remembered_seconds(record, r) for r in Resource} for record in apps}
        found = await self._history.usage(wanted, self._now())
        if found.problem:
            return found.message
        for record in apps:
            replay_usage(record, found.usage.get(record.key, {}))
        return ""

    async def _loads(self, apps: Collection[AppRecord]) -> str:
        """Replay the loads of the apps. Returns why Prometheus could not be asked, "" if it was."""
        if not apps:
            return ""
        for source, group in self._by_source(apps).items():
            found = await self._history.loads({r.workload: _slow_seconds(r) for r in group}, self._now(), source)
            if found.problem:
                return found.message
            for record in group:
                await self._load(record, found)
        return ""

    def _source(self, record: AppRecord) -> Chosen:
        return self._registry.sources.choose(record)

    def _by_source(self, apps: Iterable[AppRecord]) -> dict[RequestSource | None, list[AppRecord]]:
        """The apps by their source; None for the default one."""
        found: dict[RequestSource | None, list[AppRecord]] = {}
        for record in apps:
            found.setdefault(self._source(record).further, []).append(record)
        return found

    def _id(self, record: AppRecord) -> tuple[AppKey, str, str]:
        """What counts as one app: its loads are replayed again when another source counts them."""
        found = self._source(record).found
        return record.key, record.uid, found.name if found else ""

    def _guesses(self, record: AppRecord, now: datetime) -> bool:
        """Whether it goes by a guess, and values of its pods can tell better."""
        kinds = kinds_of(record.spec) if record.spec else None
        if record.guessed_at is None or not kinds or not _named(record) or (record.target and kinds & OF_CONTAINERS):
            return False
        source = self._source(record)
        of_pods = not record.needs_requests or (source.found is not None and not source.per_app)
        return of_pods and now - record.guessed_at < timedelta(seconds=_window(record))

    async def _load(self, record: AppRecord, found: PastData) -> None:
        moments, spec = found.moments.get(record.workload, ()), record.spec
        self._replayed.add(self._id(record))
        try:
            await self._replay(record, spec, moments)
        finally:
            record.replay_until = None

    async def _replay(self, record: AppRecord, spec: ScalableAppSpec | None, moments: Sequence[Moment]) -> None:
        if not moments or record.history is None or spec is None:
            log.info("%s: Prometheus has no load history; learning starts from scratch", record.key)
            return
        startups = record.history.startups
        loads = [(moment.at, moment.load) for moment in moments]
        past = await asyncio.to_thread(replayed, loads, startups) if _predicts(record) else None
        replayed_history = (
            await asyncio.to_thread(replay_history, spec, moments, startups) if _slow_seconds(record) else None
        )
        history = record.history
        if past:
            history = replace(history, loads=rejoined(past, history.loads, startups))
        if replayed_history and (replayed_history.learned.capacity or not history.learned.capacity):
            history = replace(history, learned=restored(replayed_history.learned, history.learned))
        record.history = history
        log.info(
            "%s: replayed %d load samples since %s", record.key, len(moments), f"{moments[0].at:%Y-%m-%d %H:%M:%S} UTC"
        )


def _named(record: AppRecord) -> bool:
    """Whether names of pods tell whose they were: those of Deployments do, and of what names its pods as these do."""
    return record.target is None or record.target.ref.kind in ("Deployment", "Rollout")


def _learns(record: AppRecord) -> bool:
    return _predicts(record) or _slow_seconds(record) is not None


def _predicts(record: AppRecord) -> bool:
    return record.spec is not None and record.spec.scaling.horizontal.prediction.enabled


def _slow_seconds(record: AppRecord) -> float | None:
    """Seconds from which on requests are slow, of an app with an objective."""
    objective = record.spec.scaling.horizontal.objective if record.spec else None
    return objective.latency.seconds if objective else None


def _window(record: AppRecord) -> float:
    """The longest stabilisation window, in seconds."""
    return longest_window_seconds(record.spec.scaling.horizontal.behavior) if record.spec else 0.0
