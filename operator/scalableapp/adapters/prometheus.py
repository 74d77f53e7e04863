"""Prometheus, as the loop sees it: one query per metric kind for all apps, and users' own queries, each on its own.

How old values may be: a value per pod is a rate over a short window, so it ends with its samples. Of a user's query
that only picks samples, timestamp() tells the age. Of one that computes, Prometheus does not tell the age of the
samples behind it: it uses samples up to 5 minutes old (--query.lookback-delta) where no newer ones are.
"""

import asyncio
import math
import random
import re
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from scalableapp.adapters.per_pod import (
    Refusals,
    inspection_answer,
    latency_answer,
    pod_answer,
    short_answer,
    windows_of,
)
from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.adapters.prometheus_queries import (
    DURATION,
    FAILURES,
    KINDS,
    LATENCIES,
    USAGE,
    Grouped,
    flaws_of,
    grouped_query,
    inspection_query,
    requests_query,
)
from scalableapp.adapters.scrape_times import ScrapeTimes
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.promql import plain_selector
from scalableapp.core.model import DataProblem
from scalableapp.ports import LatencyAnswer, MetricsRequest, PodAnswer, QueryAnswer, Snapshot, UsageMetric

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
MOST_QUERIES = 500
# Kinds, failures, latencies, a burst window or two, and what sizes are decided on.
_KINDS_IN_FLIGHT = 9
QUERIES_IN_FLIGHT = 8
# A sample may be 3 scrapes old, and in any case this old.
FRESH_SECONDS = 60.0
_LATEST_SCRAPES = 3
_LOOKBACK_SECONDS = 300.0

# A query that times out should be able to report that itself.
_GRACE_SECONDS = 0.2
_BREAKS_AFTER = 3
_BREAK_SECONDS = (10.0, 15.0)

_Key = TypeVar("_Key", bound=Hashable)
_Answered = TypeVar("_Answered", PodAnswer, LatencyAnswer, QueryAnswer)


class PrometheusMetrics:
    """Implements ports.Metrics. `observe` is told metric type and seconds of each query, from other threads."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 4.0,
        observe: Callable[[str, float], None] = lambda _type, _seconds: None,
    ) -> None:
        self._prometheus = Queries(url, timeout_seconds, _KINDS_IN_FLIGHT + QUERIES_IN_FLIGHT)
        self._timeout = timeout_seconds
        self._observe = observe
        # Kinds have threads of their own: a user's slow query must not hold them up.
        self._kind_threads = ThreadPoolExecutor(_KINDS_IN_FLIGHT, "prometheus-kind")
        self._query_threads = ThreadPoolExecutor(QUERIES_IN_FLIGHT, "prometheus-query")
        self._breaker = _Breaker()
        self._scrape_times = {kind: ScrapeTimes() for kind in (*KINDS, _LATENCY)}
        self._flawed: dict[MetricType, Refusals] = {}
        self._inspect_at: dict[MetricType, float] = {}

    def close(self) -> None:
        """Let go of threads and connections; what is under way ends by its time-out."""
        self._kind_threads.shutdown(wait=False, cancel_futures=True)
        self._query_threads.shutdown(wait=False, cancel_futures=True)
        self._prometheus.close()

    async def collect(self, request: MetricsRequest) -> Snapshot:
        """Answers to everything wanted, within the time-out; what is not answered by then has a problem."""
        kinds = sorted(request.kinds & KINDS.keys())
        queries = sorted(request.queries)
        if not await self._reachable():
            return _all_unreachable(request, self._breaker.message)
        matcher = _namespace_matcher(request.namespaces)
        scraped_by = _RPS if _RPS in kinds or not request.latencies else _LATENCY
        await self._inspect([*kinds, *([_LATENCY] if scraped_by is _LATENCY else [])], matcher)
        per_kind: dict[MetricType | int | str, Callable[[], PodAnswer]] = {
            **{kind: partial(self._ask_kind, kind, matcher) for kind in kinds},
            **{window: partial(self._ask_burst, window, matcher) for window in sorted(request.bursts)},
            **({_FAILURES: partial(self._ask_failures, matcher)} if request.failures else {}),
            **({usage: partial(self._ask_usage, usage, matcher) for usage in UsageMetric} if request.usage else {}),
        }
        per_query = {query: partial(self._ask_one, query) for query in queries[:MOST_QUERIES]}
        latencies = {"": partial(self._ask_latencies, scraped_by, matcher)} if request.latencies else {}
        late = DataProblem.UNREACHABLE, self._too_late()
        of_kinds, of_latencies, of_queries = await asyncio.gather(
            self._within_time(self._kind_threads, per_kind, PodAnswer({}, *late)),
            self._within_time(self._kind_threads, latencies, LatencyAnswer({}, *late)),
            self._within_time(self._query_threads, per_query, QueryAnswer(None, DataProblem.QUERY_FAILED, late[1])),
        )
        self._breaker.learn([*of_kinds.values(), *of_latencies.values(), *of_queries.values()])
        left_out = dict.fromkeys(queries[MOST_QUERIES:], _TOO_MANY)
        return Snapshot(
            datetime.now(UTC),
            {kind: of_kinds[kind] for kind in kinds},
            of_queries | left_out,
            {window: of_kinds[window] for window in request.bursts},
            of_latencies.get(""),
            of_kinds.get(_FAILURES),
            {usage: of_kinds[usage] for usage in UsageMetric} if request.usage else {},
        )

    async def _reachable(self) -> bool:
        """False while the breaker is open; when its time has come, one cheap query decides."""
        if not self._breaker.open:
            return True
        if not self._breaker.may_probe():
            return False
        probe = {"": partial(self._ask_one, "vector(1)")}
        late = QueryAnswer(None, DataProblem.UNREACHABLE, self._too_late())
        answers = await self._within_time(self._kind_threads, probe, late)
        self._breaker.learn(list(answers.values()))
        return not self._breaker.open

    async def _within_time(
        self, threads: ThreadPoolExecutor, jobs: Mapping[_Key, Callable[[], _Answered]], late: _Answered
    ) -> dict[_Key, _Answered]:
        if not jobs:
            return {}
        run = asyncio.get_running_loop().run_in_executor
        futures = {key: run(threads, job) for key, job in jobs.items()}
        _, pending = await asyncio.wait(futures.values(), timeout=self._timeout + _GRACE_SECONDS)
        for future in pending:
            future.cancel()
        return {key: late if future in pending else future.result() for key, future in futures.items()}

    async def _inspect(self, kinds: Sequence[MetricType], matcher: str) -> None:
        """Now and then, and at first: how often the pods are scraped, and whether their series can be used."""
        now = time.monotonic()
        due = [kind for kind in kinds if now >= self._inspect_at.get(kind, 0.0)]
        jobs = {kind: partial(self._ask_inspection, kind, matcher) for kind in due}
        late = PodAnswer({}, DataProblem.UNREACHABLE, self._too_late())
        for kind, answer in (await self._within_time(self._kind_threads, jobs, late)).items():
            self._inspect_at[kind] = now + (_INSPECT_AGAIN_SECONDS if answer.problem else _INSPECTION_SECONDS)
            if answer.problem is None:
                self._flawed[kind] = dict(answer.refused)

    def _ask_inspection(self, kind: MetricType, matcher: str) -> PodAnswer:
        grouped = KINDS.get(kind, LATENCIES)
        flaws = flaws_of(grouped, matcher)
        answer = self._timed(kind, inspection_query(grouped, matcher, flaws))
        if answer.problem:
            return PodAnswer({}, answer.problem, answer.message)
        return PodAnswer({}, refused=inspection_answer(answer, flaws, self._scrape_times[kind]))

    def _ask_kind(self, kind: MetricType, matcher: str) -> PodAnswer:
        """A value for each pod of the namespaces, in the kind's unit: requests/s, cores, bytes."""
        return self._values(KINDS[kind], kind, kind, matcher, with_newest=True)

    def _ask_failures(self, matcher: str) -> PodAnswer:
        """Failed requests per second of each pod."""
        return self._values(FAILURES, _RPS, _RPS, matcher)

    def _ask_usage(self, usage: UsageMetric, matcher: str) -> PodAnswer:
        """What sizes are decided on, of each pod's app container."""
        return self._values(USAGE[usage], _KIND_OF_USAGE[usage], _CPU, matcher)

    def _values(
        self, grouped: Grouped, kind: MetricType, scraped_as: MetricType, matcher: str, *, with_newest: bool = False
    ) -> PodAnswer:
        """Values for each pod; how often it is scraped is known of the kind `scraped_as`."""
        scrape_times, flawed = self._scrape_times[scraped_as], self._flawed.get(scraped_as, {})
        query = grouped_query(grouped, matcher, windows_of(grouped, scrape_times), with_newest=with_newest)
        answer = self._timed(kind, query, of_rates=grouped.of_rate)
        if answer.problem:
            return PodAnswer({}, answer.problem, _with_query(answer, query))
        found = pod_answer(answer, grouped, scrape_times, flawed, with_newest=with_newest)
        return found if found.scrapes else _nothing_of(grouped.metric)

    def _ask_burst(self, window: int, matcher: str) -> PodAnswer:
        """Requests per second of each pod that is scraped often enough for the window."""
        query = requests_query(matcher, window)
        answer = self._timed(_RPS, query, of_rates=True)
        if answer.problem:
            return PodAnswer({}, answer.problem, _with_query(answer, query))
        found = short_answer(answer, window, self._scrape_times[_RPS], self._flawed.get(_RPS, {}))
        return found if found.values or found.refused else _nothing_of(KINDS[_RPS].metric)

    def _ask_latencies(self, scraped_as: MetricType, matcher: str) -> LatencyAnswer:
        """The histogram of the last minute, or of four scrapes, of each pod."""
        scrape_times, flawed = self._scrape_times[scraped_as], self._flawed.get(scraped_as, {})
        with_newest = scraped_as is _LATENCY
        query = grouped_query(LATENCIES, matcher, windows_of(LATENCIES, scrape_times), with_newest=with_newest)
        answer = self._timed(_LATENCY, query, of_rates=True)
        if answer.problem:
            return LatencyAnswer({}, answer.problem, _with_query(answer, query))
        found = latency_answer(answer, LATENCIES, scrape_times, flawed, with_newest=with_newest)
        if not found.scrapes:
            message = f"Prometheus has no {DURATION} with the labels namespace, pod and le; do the apps export it?"
            return LatencyAnswer({}, DataProblem.EMPTY, message)
        return found

    def _ask_one(self, query: str) -> QueryAnswer:
        answer = self._timed(MetricType.PROMETHEUS, query)
        problem = answer.problem, _with_query(answer, query)
        if answer.problem is None:
            problem = _not_one_number(answer, query)
        if problem[0] is not None:
            return QueryAnswer(None, *problem)
        selector, value = plain_selector(query), answer.samples[0].value
        return self._with_age(query, selector, value) if selector else QueryAnswer(value)

    def _with_age(self, query: str, selector: str, value: float) -> QueryAnswer:
        """The value, unless its newest sample is too old or its age cannot be read: it may not be of now."""
        answer = self._timed(MetricType.PROMETHEUS, f"time() - timestamp({selector})")
        if answer.problem:
            return QueryAnswer(None, answer.problem, f"the age of its samples cannot be read: {answer.message}")
        age = _only_value(answer)
        if age is None or not self._too_old(selector, age):
            return QueryAnswer(value, age=age)
        message = f"the newest sample of {query} is {age:.0f} s old; is its target still scraped?"
        return QueryAnswer(None, DataProblem.STALE, message)

    def _too_old(self, selector: str, age: float) -> bool:
        if age <= FRESH_SECONDS:
            return False
        query = f"count_over_time({selector}[{_LOOKBACK_SECONDS:.0f}s])"
        scrapes = _only_value(self._timed(MetricType.PROMETHEUS, query))
        return not scrapes or age > _LATEST_SCRAPES * _LOOKBACK_SECONDS / scrapes

    def _timed(self, metric_type: MetricType, query: str, *, of_rates: bool = False) -> Answer:
        started = time.monotonic()
        answer = self._prometheus.ask(query, of_rates=of_rates)
        self._observe(metric_type, time.monotonic() - started)
        return answer

    def _too_late(self) -> str:
        return (
            f"Prometheus at {self._prometheus.url} did not answer within {self._timeout:g} s; "
            "check its load and look for slow queries"
        )


def _nothing_of(metric: str) -> PodAnswer:
    message = f"Prometheus has no {metric} with the labels namespace and pod; is it scraping the pods?"
    return PodAnswer({}, DataProblem.EMPTY, message)


_TOO_MANY = QueryAnswer(
    None,
    DataProblem.QUERY_FAILED,
    f"the operator runs at most {MOST_QUERIES} different user queries at a time, and this one exceeds the limit; "
    "use RequestsPerSecond or CPU, which need one query for all apps",
)


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

    def learn(self, answers: Sequence[PodAnswer | LatencyAnswer | QueryAnswer]) -> None:
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
    )


def _namespace_matcher(namespaces: Collection[str]) -> str:
    if len(namespaces) > MOST_NAMESPACES:
        return ""
    # A hyphen means nothing outside brackets, and Prometheus turns plain alternatives into a fast look-up.
    escaped = (re.escape(name).replace(r"\-", "-").replace("\\", "\\\\") for name in sorted(namespaces))
    return f'namespace=~"{"|".join(escaped)}"'


def _only_value(answer: Answer) -> float | None:
    return answer.samples[0].value if len(answer.samples) == 1 else None


def _not_one_number(answer: Answer, query: str) -> tuple[DataProblem | None, str]:
    if not answer.samples:
        return DataProblem.EMPTY, f"the query returns nothing: {query}; do its metrics exist, with these labels?"
    if len(answer.samples) > 1:
        count = len(answer.samples)
        return DataProblem.WRONG_TYPE, f"the query returns {count} series: {query}; wrap it in sum(...) or max(...)"
    value = answer.samples[0].value
    if math.isnan(value):
        return DataProblem.NOT_A_NUMBER, f"the query returns NaN: {query}; it divides 0 by 0, or a quantile has no data"
    if math.isinf(value):
        return DataProblem.INFINITE, f"the query returns {value:+}: {query}; it divides by 0"
    return None, ""


_NOT_OF_THE_QUERY = {DataProblem.UNREACHABLE, DataProblem.UNAUTHORIZED, DataProblem.REDIRECTED}


def _with_query(answer: Answer, query: str) -> str:
    """The message with the query, unless Prometheus was not reached: then the query is not to blame."""
    return answer.message if answer.problem in _NOT_OF_THE_QUERY else f"{answer.message}; the query is {query}"
