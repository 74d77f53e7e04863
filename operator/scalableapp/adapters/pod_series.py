"""What the series of pods say that are asked for together: of the apps' default source and containers, or of a source.

One query per kind for all apps. Now and then the series themselves are looked at: how often they are scraped, whether
they can be used, and whether there is room for all of them in an answer.
"""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from scalableapp.adapters.asking import Answered, Asking, Job
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
from scalableapp.adapters.prometheus_queries import (
    USAGE,
    Grouped,
    flaws_of,
    grouped_query,
    inspection_query,
    sizes_query,
)
from scalableapp.adapters.request_queries import RequestQueries
from scalableapp.adapters.scrape_times import ScrapeTimes
from scalableapp.adapters.user_queries import with_query
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import LatencyAnswer, MetricsRequest, PodAnswer, Refusal, Snapshot, UsageMetric

_KIND_OF_USAGE = {
    UsageMetric.MEMORY_PEAK: MetricType.MEMORY,
    UsageMetric.THROTTLED: MetricType.CPU,
    UsageMetric.CPU_PRESSURE: MetricType.CPU,
}
_RPS, _CPU, _LATENCY, _FAILURES = MetricType.REQUESTS_PER_SECOND, MetricType.CPU, MetricType.LATENCY, "failures"
# How often pods are scraped, and whether their series can be used, changes with somebody's configuration.
INSPECTION_SECONDS, INSPECT_AGAIN_SECONDS = 60.0, 15.0
# With more, the matcher costs Prometheus more than the series of other namespaces do.
MOST_NAMESPACES = 50
_SIZES_BYTES = 2**20


class PodSeries:
    """The series behind the queries of a request source, and behind other kinds. Used from several threads.

    `most_bytes` is the size of the largest answer that is read.
    """

    def __init__(
        self, asking: Asking, requests: RequestQueries, others: Mapping[MetricType, Grouped], most_bytes: int
    ) -> None:
        self._asking = asking
        self._requests = requests
        self._kinds = {_RPS: requests.rate, **others}
        self._inspected = self._kinds | ({_LATENCY: requests.latencies} if requests.latencies else {})
        self._scrape_times = {kind: ScrapeTimes() for kind in self._inspected}
        self._flawed: dict[MetricType, Refusals] = {}
        self._inspect_at: dict[MetricType, float] = {}
        crowded = (_RPS, _LATENCY) if requests.rate.owner.namespace else ()
        self._crowds = {
            kind: Crowds(grouped.metric, most_bytes) for kind, grouped in self._inspected.items() if kind in crowded
        }
        self._count_at: dict[MetricType, float] = {}

    async def collect(self, request: MetricsRequest) -> Snapshot:
        """Answers to what is wanted of these series, within the time-out."""
        kinds = sorted(request.kinds & self._kinds.keys())
        latencies = self._requests.latencies if request.latencies else None
        failures = self._requests.failures if request.failures else None
        scraped_by = _RPS if _RPS in kinds or not latencies else _LATENCY
        await self._count(request)
        await self._inspect([*kinds, *([_LATENCY] if scraped_by is _LATENCY else [])], request.namespaces)
        matcher = partial(self._matcher, request.namespaces)
        jobs: dict[MetricType | int | str, Job[PodAnswer]] = {
            **{kind: partial(self._ask_kind, kind, matcher(kind)) for kind in kinds},
            **{window: partial(self._ask_burst, window, matcher(_RPS)) for window in sorted(request.bursts)},
            **({_FAILURES: partial(self._ask_failures, failures, matcher(_RPS))} if failures else {}),
            **(
                {usage: partial(self._ask_usage, usage, matcher(usage)) for usage in UsageMetric}
                if request.usage
                else {}
            ),
        }
        durations = {"": partial(self._ask_latencies, latencies, scraped_by, matcher(_LATENCY))} if latencies else {}
        late = DataProblem.UNREACHABLE, self._asking.too_late()
        found, of_latencies = await asyncio.gather(
            self._asking.within_time(jobs, PodAnswer({}, *late)),
            self._asking.within_time(durations, LatencyAnswer({}, *late)),
        )
        return Snapshot(
            datetime.now(UTC),
            {kind: found[kind] for kind in kinds},
            bursts={window: found[window] for window in request.bursts},
            latencies=of_latencies.get(""),
            failures=found.get(_FAILURES),
            usage={usage: found[usage] for usage in UsageMetric} if request.usage else {},
        )

    async def _count(self, request: MetricsRequest) -> None:
        """Now and then, and when an answer was too large: which namespaces have more series than can be read."""
        wanted = {_RPS} if _RPS in request.kinds or request.bursts or request.failures else set[MetricType]()
        wanted |= {_LATENCY} if request.latencies else set()
        now = time.monotonic()
        due = [kind for kind in sorted(wanted & self._crowds.keys()) if now >= self._count_at.get(kind, 0.0)]
        matcher = namespace_matcher(self._label, request.namespaces)
        jobs = {kind: partial(self._ask_sizes, kind, matcher) for kind in due}
        late = PodAnswer({}, DataProblem.UNREACHABLE, self._asking.too_late())
        for kind, answer in (await self._asking.within_time(jobs, late)).items():
            self._count_at[kind] = now + (INSPECT_AGAIN_SECONDS if answer.problem else INSPECTION_SECONDS)

    async def _inspect(self, kinds: Sequence[MetricType], namespaces: Collection[str]) -> None:
        """Now and then, and at first: how often the pods are scraped, and whether their series can be used."""
        now = time.monotonic()
        due = [kind for kind in kinds if now >= self._inspect_at.get(kind, 0.0)]
        jobs = {kind: partial(self._ask_inspection, kind, self._matcher(namespaces, kind)) for kind in due}
        late = PodAnswer({}, DataProblem.UNREACHABLE, self._asking.too_late())
        for kind, answer in (await self._asking.within_time(jobs, late)).items():
            self._inspect_at[kind] = now + (INSPECT_AGAIN_SECONDS if answer.problem else INSPECTION_SECONDS)
            if answer.problem is None:
                self._flawed[kind] = dict(answer.refused)

    @property
    def _label(self) -> str:
        return self._requests.rate.owner.namespace

    def _matcher(self, namespaces: Collection[str], kind: MetricType | UsageMetric) -> str:
        """The namespaces that are asked for."""
        return namespace_matcher(self._label, namespaces, self._left_out(kind))

    def _left_out(self, kind: MetricType | UsageMetric) -> Mapping[str, Refusal]:
        crowds = self._crowds.get(kind) if isinstance(kind, MetricType) else None
        return crowds.left_out if crowds else {}

    def _ask_sizes(self, kind: MetricType, matcher: str, ends: float) -> PodAnswer:
        query = sizes_query(self._inspected[kind], matcher)
        answer = self._asking.ask(kind, query, ends=ends, most_bytes=_SIZES_BYTES)
        if answer.problem is None:
            self._crowds[kind].counted(answer)
        return PodAnswer({}, answer.problem, with_query(answer, query))

    def _ask_inspection(self, kind: MetricType, matcher: str, ends: float) -> PodAnswer:
        grouped = self._inspected[kind]
        flaws = flaws_of(grouped, matcher)

        def take(answer: Answer) -> PodAnswer:
            return PodAnswer({}, refused=inspection_answer(answer, flaws, self._scrape_times[kind]))

        query = inspection_query(grouped, matcher, flaws)
        return self._taken(kind, query, take, empty=PodAnswer(), ends=ends)

    def _ask_kind(self, kind: MetricType, matcher: str, ends: float) -> PodAnswer:
        """A value for each pod of the namespaces, in the kind's unit: requests/s, cores, bytes."""
        return self._values(self._kinds[kind], kind, kind, matcher, ends, with_newest=True)

    def _ask_failures(self, failures: Grouped, matcher: str, ends: float) -> PodAnswer:
        """Failed requests per second of each pod."""
        return self._values(failures, _RPS, _RPS, matcher, ends)

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
            left_out = self._left_out(kind)
            return replace(found, left_out=left_out) if found.scrapes or left_out else _nothing_of(grouped)

        return self._taken(kind, query, take, empty=PodAnswer(), ends=ends, of_rates=grouped.of_rate)

    def _ask_burst(self, window: int, matcher: str, ends: float) -> PodAnswer:
        """Requests per second of each pod that is scraped often enough for the window."""
        rate = self._requests.rate

        def take(answer: Answer) -> PodAnswer:
            found = short_answer(answer, window, self._scrape_times[_RPS], self._flawed.get(_RPS, {}))
            left_out = self._left_out(_RPS)
            any_ = found.values or found.refused or left_out
            return replace(found, left_out=left_out) if any_ else _nothing_of(rate)

        return self._taken(_RPS, rate.query(matcher, window), take, empty=PodAnswer(), ends=ends, of_rates=True)

    def _ask_latencies(self, latencies: Grouped, scraped_as: MetricType, matcher: str, ends: float) -> LatencyAnswer:
        """The histogram of the last minute, or of four scrapes, of each pod."""
        scrape_times, flawed = self._scrape_times[scraped_as], self._flawed.get(scraped_as, {})
        with_newest = scraped_as is _LATENCY
        query = grouped_query(latencies, matcher, windows_of(latencies, scrape_times), with_newest=with_newest)

        def take(answer: Answer) -> LatencyAnswer:
            found = latency_answer(answer, latencies, scrape_times, flawed, with_newest=with_newest)
            left_out = self._left_out(_LATENCY)
            if found.scrapes or left_out:
                return replace(found, left_out=left_out)
            labels = f"{_labels_of(latencies)} and le"
            message = f"Prometheus has no {latencies.metric} with the labels {labels}; do the apps export it?"
            return LatencyAnswer({}, DataProblem.EMPTY, message)

        return self._taken(_LATENCY, query, take, empty=LatencyAnswer(), ends=ends, of_rates=True)

    def _taken(
        self,
        kind: MetricType,
        query: str,
        take: Callable[[Answer], Answered],
        *,
        empty: Answered,
        ends: float,
        of_rates: bool = False,
    ) -> Answered:
        """What `take` makes of the answer to a query for all apps; `empty` with the problem where there is one."""

        def checked(answer: Answer) -> Answered:
            if answer.problem is None:
                return take(answer)
            if answer.problem is DataProblem.TOO_MANY_SERIES and kind in self._crowds:
                self._crowds[kind].overflowed()
                self._count_at[kind] = 0.0  # the next look leaves out more
            return replace(empty, problem=answer.problem, message=with_query(answer, query))

        return self._asking.ask_for(kind, query, checked, of_rates=of_rates, ends=ends)


def _nothing_of(grouped: Grouped) -> PodAnswer:
    missing = f"Prometheus has no {grouped.metric} with the labels {_labels_of(grouped)}"
    fix = "is it scraping the proxy that has it?" if grouped.owner.relayed else "kubectl scalableapp check tells why"
    return PodAnswer({}, DataProblem.EMPTY, f"{missing}; {fix}")


def _labels_of(grouped: Grouped) -> str:
    more = ", " if grouped.of_newest else " and "
    return more.join(filter(None, grouped.owner[:2]))


def namespace_matcher(label: str, namespaces: Collection[str], without: Collection[str] = ()) -> str:
    """A matcher for the namespaces by that label; none where they are too many, or no label has them."""
    if not label:
        return ""
    if len(namespaces) > MOST_NAMESPACES:
        return f'{label}!~"{_alternatives(without)}"' if without else ""
    return f'{label}=~"{_alternatives(set(namespaces) - set(without))}"'


def _alternatives(names: Collection[str]) -> str:
    # A hyphen means nothing outside brackets, and Prometheus turns plain alternatives into a fast look-up.
    return "|".join(re.escape(name).replace(r"\-", "-").replace("\\", "\\\\") for name in sorted(names))
