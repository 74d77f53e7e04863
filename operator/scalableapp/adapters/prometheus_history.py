"""What Prometheus remembers of apps: range queries grouped over many apps, bounded in points, and never in a hurry."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from scalableapp.adapters.prometheus_answers import Series
from scalableapp.adapters.prometheus_file import Source
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.adapters.prometheus_queries import (
    COUNTED_SECONDS,
    KINDS,
    USAGE,
    Grouped,
    fewest_samples_query,
)
from scalableapp.adapters.request_past import APP, POD_SUFFIX, Past, by_app, pods_of
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.horizontal.replay import Moment, PodsMoment
from scalableapp.core.learning.buckets import BUCKET_SECONDS
from scalableapp.core.learning.forecast import STEP_SECONDS
from scalableapp.core.learning.latency import bound_of, slow_share
from scalableapp.core.learning.scrapes import MINUTE_SECONDS, window_for
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.core.size import Resource
from scalableapp.ports import PastData, UsageMetric

DAYS = 8
# The forecasts' verdict goes by an hour, and needs the trend before it.
FINE_SECONDS = 4500.0
# What a pod carries shows at the busiest hours of a day.
_JUDGED_SECONDS = 86_400.0
# Of 25 apps an answer then holds 20,000 points, half a MB of JSON: reading it holds the process up for some ms.
STEPS_A_QUERY = 800
# With a series for each pod or bucket.
MANY_STEPS_A_QUERY = 60

_TIMEOUT_SECONDS = 30.0
# Several times what 25 apps have, unless one has buckets without end.
_LARGEST_ANSWER_BYTES = 8 * 2**20
_KIND_OF = {Resource.CPU: MetricType.CPU, Resource.MEMORY: MetricType.MEMORY}
_MOST_STEPS = 500
# Prometheus is left alone for as long as it took to answer.
_LEAST_PAUSE_SECONDS = 0.02


_T = TypeVar("_T")

log = logging.getLogger(__name__)


class _NoAnswer(Exception):
    """Prometheus could not be asked, or refused."""

    def __init__(self, problem: DataProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


class PrometheusHistory:
    """Implements ports.PastMetrics. `observe` is told what was asked and for how many seconds, from another thread."""

    def __init__(
        self, where: str | Source, *, observe: Callable[[str, float], None] = lambda _what, _seconds: None
    ) -> None:
        self._prometheus = Queries(where, _TIMEOUT_SECONDS, 1, _LARGEST_ANSWER_BYTES)
        self._observe = observe
        self._thread = ThreadPoolExecutor(1, "prometheus-past")

    def close(self) -> None:
        """Let go of thread and connection; what is under way ends by its time-out."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._prometheus.close()

    async def loads(
        self, apps: Mapping[AppKey, float | None], until: datetime, source: RequestSource | None = None
    ) -> PastData:
        """Loads of the last days in steps of 5 minutes, each told of its middle, and of the last 75 minutes of 15 s.

        `apps` maps to the seconds from which on requests are slow, None where that is not wanted; those of the last
        day are told with pods and slow shares.
        """
        return await _in_parts(lambda part: self._loads(part, until, Past(source)), apps)

    async def _loads(self, apps: Mapping[AppKey, float | None], until: datetime, past: Past) -> PastData:
        end = until.timestamp()
        border = (end - FINE_SECONDS) // BUCKET_SECONDS * BUCKET_SECONDS
        start, fine_start = border - DAYS * 86_400 + BUCKET_SECONDS, border + STEP_SECONDS
        try:
            window = await self._window(past.queries.rate, past.matcher(apps))
            coarse = await self._ask(past.loads(apps, "sum", BUCKET_SECONDS), start, border, BUCKET_SECONDS)
            fine = await self._ask(past.loads(apps, "sum", window), fine_start, end, STEP_SECONDS)
            pods = await self._ask(past.loads(apps, "count", window), fine_start, end, STEP_SECONDS)
            slow = await self._slow_shares(past, apps, window, (fine_start, end, STEP_SECONDS))
            judged = {key: seconds for key, seconds in apps.items() if seconds is not None}
            day_start = border - _JUDGED_SECONDS + BUCKET_SECONDS
            slow |= await self._slow_shares(past, judged, window, (day_start, border, BUCKET_SECONDS))
            if judged:
                by_pods = past.loads(judged, "count", window)
                pods += await self._ask(by_pods, day_start, border, BUCKET_SECONDS)
        except _NoAnswer as error:
            return PastData(problem=error.problem, message=str(error))
        found: dict[AppKey, list[Moment]] = {key: [] for key in apps}
        middle = timedelta(seconds=BUCKET_SECONDS / 2)
        # What counts for the app as a whole does not tell how many pods there were.
        counts = {} if past.per_app else {(key, at): int(value) for key, _, at, value in _points(pods, apps)}
        for key, _, at, load in _points(coarse, apps):
            found[key].append(Moment(at - middle, load, counts.get((key, at)), slow.get((key, at))))
        for key, _, at, load in _points(fine, apps):
            found[key].append(Moment(at, load, counts.get((key, at)), slow.get((key, at))))
        return PastData({key: moments for key, moments in found.items() if moments})

    async def _slow_shares(
        self,
        past: Past,
        apps: Mapping[AppKey, float | None],
        window: float,
        times: tuple[float, float, float],
    ) -> dict[tuple[AppKey, datetime], float]:
        """Share of slow and failed requests of the minute, or the window, before each moment, where that is told."""
        limits = {key: seconds for key, seconds in apps.items() if seconds is not None}
        failed_query, durations = past.queries.failures, past.queries.latencies
        if not limits or failed_query is None or durations is None:
            return {}
        matcher, window = past.matcher(limits), max(MINUTE_SECONDS, window)
        query = past.by_app(limits, "sum", failed_query.query(matcher, window))
        failures = await self._ask(query, *times)
        failed = {(key, at): value for key, _, at, value in _points(failures, limits)}
        histograms: dict[tuple[AppKey, datetime], dict[float, float]] = {}
        query = past.by_app(limits, "sum", durations.query(matcher, window), "le")
        latencies = await self._ask(query, *times, MANY_STEPS_A_QUERY)
        for key, labels, at, value in _points(latencies, limits):
            bound = bound_of(labels.get("le", ""))
            if bound is not None:
                histograms.setdefault((key, at), {})[bound / durations.in_a_second] = value
        shares = {
            moment: slow_share(histogram, limits[moment[0]], failed.get(moment, 0.0))
            for moment, histogram in histograms.items()
        }
        return {moment: share for moment, share in shares.items() if share is not None}

    async def pods(
        self,
        apps: Collection[AppKey],
        kinds: Collection[MetricType],
        seconds: float,
        until: datetime,
        source: RequestSource | None = None,
    ) -> PastData:
        """Values per pod of the last `seconds`, in steps of 15 s."""
        wanted = dict.fromkeys(apps)
        rate = Past(source).queries.rate
        grouped = {kind: rate if kind is MetricType.REQUESTS_PER_SECOND else KINDS[kind] for kind in sorted(kinds)}
        return await _in_parts(lambda part: self._pods(part, grouped, seconds, until), wanted)

    async def _pods(
        self, apps: Collection[AppKey], kinds: Mapping[MetricType, Grouped], seconds: float, until: datetime
    ) -> PastData:
        end = until.timestamp()
        found: dict[AppKey, dict[datetime, dict[MetricType, dict[str, float]]]] = {}
        for kind, grouped in kinds.items():
            matcher = pods_of(apps, grouped.owner)
            try:
                window = await self._window(grouped, matcher)
                query = by_app("sum", grouped.query(matcher, window), "pod")
                answer = await self._ask(query, end - seconds - STEP_SECONDS, end, STEP_SECONDS, MANY_STEPS_A_QUERY)
            except _NoAnswer as error:
                return PastData(problem=error.problem, message=str(error))
            for key, labels, at, value in _points(answer, apps):
                found.setdefault(key, {}).setdefault(at, {}).setdefault(kind, {})[labels.get("pod", "")] = value
        return PastData(pods={key: [PodsMoment(at, of_at[at]) for at in sorted(of_at)] for key, of_at in found.items()})

    async def usage(self, apps: Mapping[AppKey, Mapping[Resource, float]], until: datetime) -> PastData:
        """Usage of so many seconds by resource, in steps of a minute, of long times in longer ones."""
        return await _in_parts(lambda part: self._usage(part, until), apps)

    async def _usage(self, apps: Mapping[AppKey, Mapping[Resource, float]], until: datetime) -> PastData:
        end = until.timestamp()
        found: dict[AppKey, dict[Resource, list[tuple[float, float]]]] = {}
        for resource in Resource:
            seconds = max(wanted[resource] for wanted in apps.values())
            step = max(MINUTE_SECONDS, seconds // _MOST_STEPS)
            try:
                window = await self._window(KINDS[_KIND_OF[resource]], pods_of(apps))
                query = _usage_query(resource, pods_of(apps), window, step)
                answer = await self._ask(query, end - seconds, end, step)
            except _NoAnswer as error:
                return PastData(problem=error.problem, message=str(error))
            for key, _, at, value in _points(answer, apps):
                found.setdefault(key, {}).setdefault(resource, []).append((at.timestamp(), value))
        return PastData(usage={key: {r: sorted(points) for r, points in of.items()} for key, of in found.items()})

    async def _window(self, grouped: Grouped, matcher: str) -> float:
        """Seconds over which rates are taken: those that fit the pod that is scraped least often. Raises _NoAnswer."""
        answer = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._prometheus.ask, fewest_samples_query(grouped, matcher)
        )
        if answer.problem:
            raise _NoAnswer(answer.problem, answer.message)
        fewest = answer.samples[0].value if answer.samples else 0.0
        return window_for(COUNTED_SECONDS / fewest if fewest > 0 else None, grouped.window)

    async def _ask(self, query: str, start: float, end: float, step: float, steps: int = STEPS_A_QUERY) -> list[Series]:
        """A range up to `end`, asked for in pieces of so many steps with pauses between them. Raises _NoAnswer."""
        series: list[Series] = []
        for first, last in _pieces(start, end, step, steps):
            started = time.monotonic()
            answer = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._prometheus.ask_range, query, first, last, step
            )
            took = time.monotonic() - started
            self._observe("History", took)
            if answer.problem:
                raise _NoAnswer(answer.problem, answer.message)
            series += answer.series
            await asyncio.sleep(max(_LEAST_PAUSE_SECONDS, took))
        return series


async def _in_parts(ask: Callable[[Mapping[AppKey, _T]], Awaitable[PastData]], apps: Mapping[AppKey, _T]) -> PastData:
    """What Prometheus remembers of apps: of each half where an answer is too large; nothing of one whose own is."""
    found = await ask(apps)
    if found.problem is not DataProblem.TOO_MANY_SERIES:
        return found
    if len(apps) == 1:
        log.warning("%s starts without history: %s", next(iter(apps)), found.message)
        return PastData()
    keys = list(apps)
    halves = keys[: len(keys) // 2], keys[len(keys) // 2 :]
    first, second = [await _in_parts(ask, {key: apps[key] for key in half}) for half in halves]
    if first.problem or second.problem:
        return first if first.problem else second
    return PastData({**first.moments, **second.moments}, {**first.pods, **second.pods}, {**first.usage, **second.usage})


def _pieces(start: float, end: float, step: float, steps: int) -> Iterator[tuple[float, float]]:
    """Ranges of whole steps that end with `end`."""
    first = end - (end - start) // step * step
    while first <= end:
        last = min(first + (steps - 1) * step, end)
        yield first, last
        first = last + step


def _usage_query(resource: Resource, matcher: str, window: float, step: float) -> str:
    """Bytes of each app's largest pod, or cores of all its pods if each were as busy as the one at 90 %."""
    if resource is Resource.MEMORY:
        return by_app("max", USAGE[UsageMetric.MEMORY_PEAK].query(matcher, max(window, step)))
    cores = KINDS[MetricType.CPU].query(matcher, window)
    labels = f"(namespace, {APP})"
    named = f'label_replace({cores}, "{APP}", "$1", "pod", "(.+)-{POD_SUFFIX}")'
    return f"quantile by {labels} (0.9, {named}) * count by {labels} ({named})"


def _points(
    found: Iterable[Series], apps: Collection[AppKey]
) -> Iterator[tuple[AppKey, Mapping[str, str], datetime, float]]:
    """App, labels, time and finite value of each point of the apps.

    Names of one namespace may be there in another, too.
    """
    for series in found:
        labels = series.labels
        key = AppKey(labels.get("namespace", ""), labels.get(APP, ""))
        if key in apps:
            for at, value in series.points:
                if math.isfinite(value):
                    yield key, labels, datetime.fromtimestamp(at, UTC), value
