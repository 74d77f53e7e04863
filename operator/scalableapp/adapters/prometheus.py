"""Prometheus, as the loop sees it: one query per metric kind for all apps, and users' own queries, each on its own.

How old values may be: a value per pod is a rate over a short window, so it ends with its samples. Of a user's query
that only picks samples, timestamp() tells the age. Of one that computes, Prometheus does not tell the age of the
samples behind it: it uses samples up to 5 minutes old (--query.lookback-delta) where no newer ones are.
"""

import asyncio
import random
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from scalableapp.adapters.asking import GRACE_SECONDS, Asking, Observe
from scalableapp.adapters.containers import ContainerSeries
from scalableapp.adapters.pod_series import MOST_NAMESPACES, PodSeries, namespace_matcher
from scalableapp.adapters.prometheus_file import Source
from scalableapp.adapters.prometheus_http import LARGEST_ANSWER_BYTES, Queries
from scalableapp.adapters.prometheus_queries import KINDS
from scalableapp.adapters.request_queries import RequestQueries, queries_of
from scalableapp.adapters.served import ServedMetrics
from scalableapp.adapters.user_queries import QUERIES_IN_FLIGHT, UserQueries
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import RequestSource
from scalableapp.core.model import DataProblem
from scalableapp.ports import (
    ContainerAnswer,
    LatencyAnswer,
    MetricsRequest,
    PodAnswer,
    QueryAnswer,
    Snapshot,
    UsageMetric,
)

__all__ = ["MOST_NAMESPACES", "PrometheusMetrics"]

# Kinds, failures, latencies, a burst window or two, what sizes are decided on, and containers.
_KINDS_IN_FLIGHT = 11
# Rate, failures, latencies and a burst window of a further source or two.
_SOURCES_IN_FLIGHT = 6
_BREAKS_AFTER = 3
_BREAK_SECONDS = (3.0, 5.0)
_RPS = MetricType.REQUESTS_PER_SECOND


class PrometheusMetrics:
    """Implements ports.Metrics. `observe` is told metric type and seconds of each query, from other threads.

    `most_bytes` is the size of the largest answer that is read.
    """

    def __init__(
        self,
        where: str | Source,
        *,
        timeout_seconds: float = 4.0,
        observe: Observe = lambda _type, _seconds: None,
        most_bytes: int = LARGEST_ANSWER_BYTES,
    ) -> None:
        in_flight = _KINDS_IN_FLIGHT + _SOURCES_IN_FLIGHT + QUERIES_IN_FLIGHT
        self._prometheus = Queries(where, timeout_seconds, in_flight, most_bytes)
        self._most_bytes = most_bytes
        # Each has threads of its own: a user's slow query, or a slow source, must not hold up the kinds.
        self._asking = Asking(self._prometheus, _KINDS_IN_FLIGHT, "prometheus-kind", timeout_seconds, observe)
        self._sources_asking = Asking(
            self._prometheus, _SOURCES_IN_FLIGHT, "prometheus-source", timeout_seconds, observe
        )
        ask = partial(self._asking.ask, MetricType.PROMETHEUS)
        self._users = UserQueries(ask, timeout_seconds, self._asking.too_late())
        self._breaker = _Breaker()
        others = {kind: grouped for kind, grouped in KINDS.items() if kind is not _RPS}
        self._pods = PodSeries(self._asking, RequestQueries(), others, most_bytes)
        self._containers = ContainerSeries(self._asking)
        self._sources: dict[RequestSource, PodSeries] = {}
        self._served = ServedMetrics(self._sources_asking)

    def close(self) -> None:
        """Let go of threads and connections; what is under way ends by its time-out."""
        self._asking.close()
        self._sources_asking.close()
        self._users.close()
        self._prometheus.close()

    async def collect(self, request: MetricsRequest) -> Snapshot:
        """Answers to everything wanted, within the time-out; what is not answered by then has a problem."""
        if not await self._reachable():
            return _all_unreachable(request, self._breaker.message)
        of_containers, of_pods, of_queries, of_sources, served = await asyncio.gather(
            self._containers.collect(request.containers, namespace_matcher("namespace", request.deployed_by_others)),
            self._pods.collect(request),
            self._users.collect(request.queries, GRACE_SECONDS),
            asyncio.gather(*self._collect_sources(request.sources)),
            self._served.look(request.looked_for),
        )
        sources = dict(zip(request.sources, of_sources, strict=True))
        of_all_sources = (answer for found in of_sources for answer in _answers_of(found))
        self._breaker.learn([*_answers_of(of_pods), *of_containers.values(), *of_queries.values(), *of_all_sources])
        return replace(
            of_pods,
            at=datetime.now(UTC),
            queries=of_queries,
            containers=of_containers,
            sources=sources,
            served=served,
        )

    def _collect_sources(
        self, wanted: Mapping[RequestSource, MetricsRequest]
    ) -> Iterator[Coroutine[None, None, Snapshot]]:
        """Ask for each source, in order; what is known of those that nobody uses any more is forgotten."""
        self._sources = {
            source: self._sources.get(source)
            or PodSeries(self._sources_asking, queries_of(source), {}, self._most_bytes)
            for source in wanted
        }
        return (series.collect(wanted[source]) for source, series in self._sources.items())

    async def _reachable(self) -> bool:
        """False while the breaker is open; when its time has come, one cheap query decides."""
        if not self._breaker.open:
            return True
        if not self._breaker.may_probe():
            return False
        late = QueryAnswer(None, DataProblem.UNREACHABLE, self._asking.too_late())
        answers = await self._asking.within_time({"": partial(self._users.ask, "vector(1)")}, late)
        self._breaker.learn(list(answers.values()))
        return not self._breaker.open


def _answers_of(found: Snapshot) -> Iterator[PodAnswer | LatencyAnswer]:
    """All answers on pods."""
    yield from (*found.kinds.values(), *found.bursts.values(), *found.usage.values())
    yield from filter(None, (found.failures, found.latencies))


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
        sources={source: _all_unreachable(wanted, message) for source, wanted in request.sources.items()},
    )
