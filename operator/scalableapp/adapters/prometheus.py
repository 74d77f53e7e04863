"""Prometheus, as the loop sees it: one query per metric kind for all apps, and users' own queries, each on its own.

How old values may be: a value per pod is a rate over a short window, so it ends with its samples. Of a user's query
that only picks samples, timestamp() tells the age. Of one that computes, Prometheus does not tell the age of the
samples behind it: it uses samples up to 5 minutes old (--query.lookback-delta) where no newer ones are.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from scalableapp.adapters.containers import ContainerSeries
from scalableapp.adapters.crowds import Crowds
from scalableapp.adapters.per_pod import (
    Refusals,
    inspection_answer,
    latency_answer,
    pod_answer,
    short_answer,
    windows_of,
)
from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.adapters.prometheus_file import Source
from scalableapp.adapters.prometheus_http import LARGEST_ANSWER_BYTES, Queries
from scalableapp.adapters.prometheus_queries import (
    DURATION,
    FAILURES,
    KINDS,
    LATENCIES,
    REQUESTS,
    USAGE,
    Grouped,
    flaws_of,
    grouped_query,
    inspection_query,
    requests_query,
    sizes_query,
)
from scalableapp.adapters.scrape_times import ScrapeTimes
from scalableapp.adapters.user_queries import QUERIES_IN_FLIGHT, UserQueries, with_query
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import (
    ContainerAnswer,
    LatencyAnswer,
    MetricsRequest,
    PodAnswer,
    QueryAnswer,
    Refusal,
    Snapshot,
    UsageMetric,
)

_KIND_OF_USAGE = {
    UsageMetric.MEMORY_PEAK: MetricType.MEMORY,
    UsageMetric.THROTTLED: MetricType.CPU,
    UsageMetric.CPU_PRESSURE: MetricType.CPU,
}
_RPS, _CPU, _LATENCY, _FAILURES = MetricType.REQUESTS_PER_SECOND, MetricType.CPU, MetricType.LATENCY, "failures"
# How often pods are scraped, and whether their series can be used, changes with somebody's configuration.
_INSPECTION_SECONDS, _INSPECT_AGAIN_SECONDS = 60.0, 15.0
# With more, the matcher costs Prometheus more than the series of other namespaces do.
MOST_NAMESPACES = 50
# Kinds, failures, latencies, a burst window or two, what sizes are decided on, and containers.
_KINDS_IN_FLIGHT = 11
_SIZES_BYTES = 2**20

# A query that times out should be able to report that itself.
_GRACE_SECONDS = 0.2
_BREAKS_AFTER = 3
_BREAK_SECONDS = (3.0, 5.0)

_TYPE_OF = {REQUESTS: MetricType.REQUESTS_PER_SECOND, DURATION: MetricType.LATENCY}

_Key = TypeVar("_Key", bound=Hashable)
_Answered = TypeVar("_Answered", PodAnswer, LatencyAnswer, QueryAnswer)
# Asks Prometheus until a monotonic time, in a thread.
_Job = Callable[[float], _Answered]

log = logging.getLogger(__name__)


class PrometheusMetrics:
    """Implements ports.Metrics. `observe` is told metric type and seconds of each query, from other threads.

    `most_bytes` is the size of the largest answer that is read.
    """

    def __init__(
        self,
        where: str | Source,
        *,
        timeout_seconds: float = 4.0,
        observe: Callable[[str, float], None] = lambda _type, _seconds: None,
        most_bytes: int = LARGEST_ANSWER_BYTES,
    ) -> None:
        self._prometheus = Queries(where, timeout_seconds, _KINDS_IN_FLIGHT + QUERIES_IN_FLIGHT, most_bytes)
        self._timeout = timeout_seconds
        self._observe = observe
        # Kinds have threads of their own: a user's slow query must not hold them up.
        self._kind_threads = ThreadPoolExecutor(_KINDS_IN_FLIGHT, "prometheus-kind")
        self._users = UserQueries(partial(self._timed, MetricType.PROMETHEUS), timeout_seconds, self._too_late())
        self._breaker = _Breaker()
        self._scrape_times = {kind: ScrapeTimes() for kind in (*KINDS, _LATENCY)}
        self._flawed: dict[MetricType, Refusals] = {}
        self._inspect_at: dict[MetricType, float] = {}
        self._crowds = {metric: Crowds(metric, most_bytes) for metric in (REQUESTS, DURATION)}
        self._count_at: dict[str, float] = {}
        self._containers = ContainerSeries(self._taken, self._within_time, self._too_late())

    def close(self) -> None:
        """Let go of threads and connections; what is under way ends by its time-out."""
        self._kind_threads.shutdown(wait=False, cancel_futures=True)
        self._users.close()
        self._prometheus.close()

    async def collect(self, request: MetricsRequest) -> Snapshot:
        """Answers to everything wanted, within the time-out; what is not answered by then has a problem."""
        kinds = sorted(request.kinds & KINDS.keys())
        if not await self._reachable():
            return _all_unreachable(request, self._breaker.message)
        scraped_by = _RPS if _RPS in kinds or not request.latencies else _LATENCY
        await self._count(request)
        await self._inspect([*kinds, *([_LATENCY] if scraped_by is _LATENCY else [])], request.namespaces)
        matcher, usages = partial(self._matcher, request.namespaces), tuple(UsageMetric) if request.usage else ()
        per_kind: dict[MetricType | int | str, _Job[PodAnswer]] = {
            **{kind: partial(self._ask_kind, kind, matcher(KINDS[kind].metric)) for kind in kinds},
            **{window: partial(self._ask_burst, window, matcher(REQUESTS)) for window in sorted(request.bursts)},
            **({_FAILURES: partial(self._ask_failures, matcher(REQUESTS))} if request.failures else {}),
            **{usage: partial(self._ask_usage, usage, matcher(USAGE[usage].metric)) for usage in usages},
        }
        latencies = {"": partial(self._ask_latencies, scraped_by, matcher(DURATION))} if request.latencies else {}
        late = DataProblem.UNREACHABLE, self._too_late()
        of_containers, of_kinds, of_latencies, of_queries = await asyncio.gather(
            self._containers.collect(request.containers, _namespace_matcher(request.deployed_by_others)),
            self._within_time(per_kind, PodAnswer({}, *late)),
            self._within_time(latencies, LatencyAnswer({}, *late)),
            self._users.collect(request.queries, _GRACE_SECONDS),
        )
        of_pods: list[PodAnswer | ContainerAnswer] = [*of_kinds.values(), *of_containers.values()]
        self._breaker.learn([*of_pods, *of_latencies.values(), *of_queries.values()])
        return Snapshot(
            datetime.now(UTC),
            {kind: of_kinds[kind] for kind in kinds},
            of_queries,
            {window: of_kinds[window] for window in request.bursts},
            of_latencies.get(""),
            of_kinds.get(_FAILURES),
            {usage: of_kinds[usage] for usage in usages},
            of_containers,
        )

    async def _reachable(self) -> bool:
        """False while the breaker is open; when its time has come, one cheap query decides."""
        if not self._breaker.open:
            return True
        if not self._breaker.may_probe():
            return False
        late = QueryAnswer(None, DataProblem.UNREACHABLE, self._too_late())
        answers = await self._within_time({"": partial(self._users.ask, "vector(1)")}, late)
        self._breaker.learn(list(answers.values()))
        return not self._breaker.open

    async def _within_time(self, jobs: Mapping[_Key, _Job[_Answered]], late: _Answered) -> dict[_Key, _Answered]:
        if not jobs:
            return {}
        ends, run = time.monotonic() + self._timeout, asyncio.get_running_loop().run_in_executor
        futures = {key: run(self._kind_threads, job, ends) for key, job in jobs.items()}
        _, pending = await asyncio.wait(futures.values(), timeout=self._timeout + _GRACE_SECONDS)
        for future in pending:
            future.cancel()
        return {key: late if future in pending else _result(future, late) for key, future in futures.items()}

    async def _count(self, request: MetricsRequest) -> None:
        """Now and then, and when an answer was too large: which namespaces have more series than can be read."""
        wanted = {REQUESTS} if _RPS in request.kinds or request.bursts or request.failures else set[str]()
        wanted |= {DURATION} if request.latencies else set()
        now = time.monotonic()
        due = [metric for metric in sorted(wanted) if now >= self._count_at.get(metric, 0.0)]
        matcher = _namespace_matcher(request.namespaces)
        jobs = {metric: partial(self._ask_sizes, metric, matcher) for metric in due}
        late = PodAnswer({}, DataProblem.UNREACHABLE, self._too_late())
        for metric, answer in (await self._within_time(jobs, late)).items():
            self._count_at[metric] = now + (_INSPECT_AGAIN_SECONDS if answer.problem else _INSPECTION_SECONDS)

    async def _inspect(self, kinds: Sequence[MetricType], namespaces: Collection[str]) -> None:
        """Now and then, and at first: how often the pods are scraped, and whether their series can be used."""
        now = time.monotonic()
        due = [kind for kind in kinds if now >= self._inspect_at.get(kind, 0.0)]
        jobs = {
            kind: partial(self._ask_inspection, kind, self._matcher(namespaces, KINDS.get(kind, LATENCIES).metric))
            for kind in due
        }
        late = PodAnswer({}, DataProblem.UNREACHABLE, self._too_late())
        for kind, answer in (await self._within_time(jobs, late)).items():
            self._inspect_at[kind] = now + (_INSPECT_AGAIN_SECONDS if answer.problem else _INSPECTION_SECONDS)
            if answer.problem is None:
                self._flawed[kind] = dict(answer.refused)

    def _matcher(self, namespaces: Collection[str], metric: str) -> str:
        """The namespaces that are asked for."""
        return _namespace_matcher(namespaces, self._left_out(metric))

    def _left_out(self, metric: str) -> Mapping[str, Refusal]:
        return self._crowds[metric].left_out if metric in self._crowds else {}

    def _ask_sizes(self, metric: str, matcher: str, ends: float) -> PodAnswer:
        query = sizes_query(metric, matcher)
        answer = self._timed(_TYPE_OF[metric], query, ends=ends, most_bytes=_SIZES_BYTES)
        if answer.problem is None:
            self._crowds[metric].counted(answer)
        return PodAnswer({}, answer.problem, with_query(answer, query))

    def _ask_inspection(self, kind: MetricType, matcher: str, ends: float) -> PodAnswer:
        grouped = KINDS.get(kind, LATENCIES)
        flaws = flaws_of(grouped, matcher)

        def take(answer: Answer) -> PodAnswer:
            return PodAnswer({}, refused=inspection_answer(answer, flaws, self._scrape_times[kind]))

        return self._taken(
            kind, grouped.metric, inspection_query(grouped, matcher, flaws), take, empty=PodAnswer(), ends=ends
        )

    def _ask_kind(self, kind: MetricType, matcher: str, ends: float) -> PodAnswer:
        """A value for each pod of the namespaces, in the kind's unit: requests/s, cores, bytes."""
        return self._values(KINDS[kind], kind, kind, matcher, ends, with_newest=True)

    def _ask_failures(self, matcher: str, ends: float) -> PodAnswer:
        """Failed requests per second of each pod."""
        return self._values(FAILURES, _RPS, _RPS, matcher, ends)

    def _ask_usage(self, usage: UsageMetric, matcher: str, ends: float) -> PodAnswer:
        """What sizes are decided on, of each pod's app container."""
        return self._values(USAGE[usage], _KIND_OF_USAGE[usage], _CPU, matcher, ends)

    def _values(
        self,
        grouped: Grouped,
        kind: MetricType,
        scraped_as: MetricType,
        matcher: str,
        ends: float,
        *,
        with_newest: bool = False,
    ) -> PodAnswer:
        """Values for each pod; how often it is scraped is known of the kind `scraped_as`."""
        scrape_times, flawed = self._scrape_times[scraped_as], self._flawed.get(scraped_as, {})
        query = grouped_query(grouped, matcher, windows_of(grouped, scrape_times), with_newest=with_newest)

        def take(answer: Answer) -> PodAnswer:
            found = pod_answer(answer, grouped, scrape_times, flawed, with_newest=with_newest)
            left_out = self._left_out(grouped.metric)
            return replace(found, left_out=left_out) if found.scrapes or left_out else _nothing_of(grouped.metric)

        return self._taken(kind, grouped.metric, query, take, empty=PodAnswer(), ends=ends, of_rates=grouped.of_rate)

    def _ask_burst(self, window: int, matcher: str, ends: float) -> PodAnswer:
        """Requests per second of each pod that is scraped often enough for the window."""

        def take(answer: Answer) -> PodAnswer:
            found = short_answer(answer, window, self._scrape_times[_RPS], self._flawed.get(_RPS, {}))
            left_out = self._left_out(REQUESTS)
            any_ = found.values or found.refused or left_out
            return replace(found, left_out=left_out) if any_ else _nothing_of(REQUESTS)

        return self._taken(
            _RPS, REQUESTS, requests_query(matcher, window), take, empty=PodAnswer(), ends=ends, of_rates=True
        )

    def _ask_latencies(self, scraped_as: MetricType, matcher: str, ends: float) -> LatencyAnswer:
        """The histogram of the last minute, or of four scrapes, of each pod."""
        scrape_times, flawed = self._scrape_times[scraped_as], self._flawed.get(scraped_as, {})
        with_newest = scraped_as is _LATENCY
        query = grouped_query(LATENCIES, matcher, windows_of(LATENCIES, scrape_times), with_newest=with_newest)

        def take(answer: Answer) -> LatencyAnswer:
            found = latency_answer(answer, LATENCIES, scrape_times, flawed, with_newest=with_newest)
            left_out = self._left_out(DURATION)
            if found.scrapes or left_out:
                return replace(found, left_out=left_out)
            message = f"Prometheus has no {DURATION} with the labels namespace, pod and le; do the apps export it?"
            return LatencyAnswer({}, DataProblem.EMPTY, message)

        return self._taken(_LATENCY, DURATION, query, take, empty=LatencyAnswer(), ends=ends, of_rates=True)

    def _taken(
        self,
        kind: MetricType,
        metric: str,
        query: str,
        take: Callable[[Answer], _Answered],
        *,
        empty: _Answered,
        ends: float,
        of_rates: bool = False,
    ) -> _Answered:
        """What `take` makes of the answer to a query for all apps; `empty` with the problem where there is one."""

        def checked(answer: Answer) -> _Answered:
            if answer.problem is None:
                return take(answer)
            if answer.problem is DataProblem.TOO_MANY_SERIES and metric in self._crowds:
                self._crowds[metric].overflowed()
                self._count_at[metric] = 0.0  # the next look leaves out more
            return replace(empty, problem=answer.problem, message=with_query(answer, query))

        started = time.monotonic()
        found = self._prometheus.ask_for(query, checked, of_rates=of_rates, ends=ends)
        self._observe(kind, time.monotonic() - started)
        return found

    def _timed(self, metric_type: MetricType, query: str, **bounds: Any) -> Answer:
        started = time.monotonic()
        answer = self._prometheus.ask(query, **bounds)
        self._observe(metric_type, time.monotonic() - started)
        return answer

    def _too_late(self) -> str:
        return (
            f"Prometheus at {self._prometheus.url} did not answer within {self._timeout:g} s; "
            "check its load and look for slow queries"
        )


def _nothing_of(metric: str) -> PodAnswer:
    message = f"Prometheus has no {metric} with the labels namespace and pod; kubectl scalableapp check tells why"
    return PodAnswer({}, DataProblem.EMPTY, message)


def _result(future: asyncio.Future[_Answered], late: _Answered) -> _Answered:
    """What a job found. An internal error in one costs its own answer, never the look."""
    error = future.exception()
    if error is None:
        return future.result()
    log.error("Internal error while reading an answer of Prometheus", exc_info=error)
    message = f"the answer of Prometheus cannot be read ({error!r}); this is a bug of the operator"
    return replace(late, problem=DataProblem.WRONG_TYPE, message=message[:300])


class _Breaker:
    """After some ticks in which Prometheus was not reached at all, ticks no longer wait for it."""

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = 0.0
        self.message = ""

    @property
    def open(self) -> bool:
        """Whether to leave Prometheus alone."""
        return self._failures >= _BREAKS_AFTER

    def may_probe(self) -> bool:
        """Whether it is time to look whether Prometheus is back."""
        return time.monotonic() >= self._probe_at

    def learn(self, answers: Sequence[PodAnswer | ContainerAnswer | LatencyAnswer | QueryAnswer]) -> None:
        """Take a tick's answers into account."""
        if not answers:
            return
        if any(answer.problem is not DataProblem.UNREACHABLE for answer in answers):
            self._failures = 0
            return
        self._failures += 1
        self._probe_at = time.monotonic() + random.uniform(*_BREAK_SECONDS)  # noqa: S311 - jitter is no secret
        self.message = f"{answers[0].message}; asked again in at most {_BREAK_SECONDS[1]:.0f} s"


def _all_unreachable(request: MetricsRequest, message: str) -> Snapshot:
    lost = DataProblem.UNREACHABLE, message
    return Snapshot(
        datetime.now(UTC),
        dict.fromkeys(request.kinds & KINDS.keys(), PodAnswer({}, *lost)),
        dict.fromkeys(request.queries, QueryAnswer(None, *lost)),
        latencies=LatencyAnswer({}, *lost) if request.latencies else None,
        failures=PodAnswer({}, *lost) if request.failures else None,
        usage=dict.fromkeys(UsageMetric, PodAnswer({}, *lost)) if request.usage else {},
        containers=dict.fromkeys(request.containers, ContainerAnswer({}, *lost)),
    )


def _namespace_matcher(namespaces: Collection[str], without: Collection[str] = ()) -> str:
    if len(namespaces) > MOST_NAMESPACES:
        return f'namespace!~"{_alternatives(without)}"' if without else ""
    return f'namespace=~"{_alternatives(set(namespaces) - set(without))}"'


def _alternatives(names: Collection[str]) -> str:
    # A hyphen means nothing outside brackets, and Prometheus turns plain alternatives into a fast look-up.
    return "|".join(re.escape(name).replace(r"\-", "-").replace("\\", "\\\\") for name in sorted(names))
