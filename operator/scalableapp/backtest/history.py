"""An app's load, and what one of its pods carries, from Prometheus' history."""

import math
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scalableapp.adapters.prometheus_answers import Series
from scalableapp.adapters.prometheus_file import Source as Connected
from scalableapp.adapters.prometheus_file import source_of
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.adapters.request_past import Past
from scalableapp.backtest.errors import OptionError, TraceError
from scalableapp.backtest.load import Trace
from scalableapp.core.address import printable_address
from scalableapp.core.api.presets import DEFAULT, PRESETS
from scalableapp.core.learning.capacity import Capacity, Limits
from scalableapp.core.learning.floor import Minute
from scalableapp.core.learning.latency import bound_of, slow_share
from scalableapp.core.model import AppKey
from scalableapp.errors import WrongAddress, WrongConnection

_STEP_SECONDS = 60
# Four scrapes of 30 s, two of 60 s.
_WINDOW_SECONDS = 120.0
# Prometheus answers at most 11,000 points a series; and long answers are better asked for in pieces.
_CHUNK_SECONDS = 5 * 86_400
_TIMEOUT_SECONDS = 30
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# What is "just carried" where the app states no objective: as its default has it.
USUAL_LIMITS = Limits(0.05, 0.25)
_FEWEST_MINUTES = 60
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


class Source(NamedTuple):
    """Where an app's history is: address of Prometheus or the connection to it, NAMESPACE/NAME of the app, preset."""

    where: str | Path | Connected
    app: str
    requests: str = DEFAULT

    @property
    def prometheus(self) -> str:
        """Prometheus in words."""
        if callable(self.where):
            return f"Prometheus at {self.where().address.url}"
        return f"Prometheus at {printable_address(str(self.where))}"

    @property
    def matcher(self) -> str:
        """Labels that our Prometheus component gives the app's series; with another source, names of its pods."""
        namespace, _, name = self.app.partition("/")
        if not _LABEL.match(namespace) or not _LABEL.match(name):
            raise OptionError(f"--app {self.app}: write NAMESPACE/NAME, as in shop/web")
        if self.requests == DEFAULT:
            return f'namespace="{namespace}",app="{name}"'
        return self.past.matcher([AppKey(namespace, name)])

    @property
    def past(self) -> Past:
        """What the preset says of the past."""
        if self.requests not in PRESETS:
            raise OptionError(
                f"--requests {self.requests}: a back-test knows the request sources that come with the operator "
                f"({', '.join(PRESETS)}); choose one of them, or pass --trace"
            )
        return Past(PRESETS[self.requests].source)

    @property
    def load_query(self) -> str:
        """Requests per second of each pod, or as a proxy counts them."""
        return self.past.queries.rate.query(self.matcher, _WINDOW_SECONDS)


def seconds_of(text: str) -> float:
    """Seconds of "30m", "12h", "7d". Raises OptionError."""
    match = re.fullmatch(r"(\d+)([smhdw])", text)
    if match is None or int(match[1]) == 0:
        raise OptionError(f"--since {text}: write a number and a unit, as in 12h or 7d")
    return float(int(match[1]) * _UNITS[match[2]])


def load(source: Source, since_seconds: float, now: float | None = None) -> tuple[Trace, tuple[str, ...]]:
    """Requests per second of the last `since_seconds`, and what is missing of them, in words.

    Raises TraceError when Prometheus cannot be asked or knows nothing of the app.
    """
    end = (time.time() if now is None else now) // _STEP_SECONDS * _STEP_SECONDS
    points = _range(source, f"sum({source.load_query})", end - since_seconds, end)
    if len(points) <= 1:
        metric, further = source.past.queries.rate.metric, source.requests != DEFAULT
        raise TraceError(
            f"{source.prometheus} has no {metric}{{{source.matcher}}} "
            f"between {_time(end - since_seconds)} and {_time(end)}; check --app, and that "
            f"{'--requests is what counts its requests' if further else 'its series have the labels namespace and app'}"
        )
    notes = tuple(_missing(source, [at for at, _ in points], end - since_seconds, end))
    times = np.asarray([at for at, _ in points])
    rates = np.asarray([rate for _, rate in points])
    return Trace(source.app, times - times[0], rates, float(times[0])), notes


def capacity(source: Source, trace: Trace, limits: Limits = USUAL_LIMITS) -> float:
    """Requests per second that one pod carries within the limits, learned from the same time.

    Raises TraceError when there is too little to learn from.
    """
    start, end = trace.started_at, trace.started_at + float(trace.seconds[-1])
    learned: Capacity | None = None
    for minute in _minutes(source, start, end, limits.seconds):
        learned = learned.seen(minute, limits) if learned else Capacity.first(minute, limits)
    if learned is None or learned.minutes < _FEWEST_MINUTES:
        seen = learned.minutes if learned else 0
        raise TraceError(
            f"{source.app} has {seen} minutes with load and a histogram of durations, fewer than "
            f"{_FEWEST_MINUTES}; pass --pod-capacity as a number"
        )
    return learned.per_pod


def _minutes(source: Source, start: float, end: float, limit_seconds: float) -> Iterator[Minute]:
    """Minutes with load: requests, those per pod, share of slow ones."""
    durations = source.past.queries.latencies
    if durations is None or source.past.per_app:
        raise TraceError(
            f"request source {source.requests} does not show what one pod handled; pass --pod-capacity as a number"
        )
    histogram = f"sum by (le) ({durations.query(source.matcher, _WINDOW_SECONDS)})"
    histograms: dict[float, dict[float, float]] = {}
    for le, points in _series(source, histogram, start, end, label="le"):
        bound = bound_of(le)
        if bound is None:
            continue
        for at, rate in points:
            histograms.setdefault(at, {})[bound / durations.in_a_second] = rate
    pods = dict(_range(source, f"count({source.load_query} > 0)", start, end))
    for at, found in sorted(histograms.items()):
        slow, total = slow_share(found, limit_seconds), found.get(math.inf, 0.0)
        if slow is not None and pods.get(at):
            yield Minute(total * _STEP_SECONDS, total / pods[at], slow)


def _range(source: Source, query: str, start: float, end: float) -> list[tuple[float, float]]:
    """Points of a query that returns one series."""
    return [point for _, points in _series(source, query, start, end) for point in points]


def _series(
    source: Source, query: str, start: float, end: float, label: str = ""
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Points of each series, with the value of one of its labels; long ones come in pieces."""
    prometheus = _connected(source)
    try:
        while start <= end:
            stop = min(start + _CHUNK_SECONDS, end)
            for series in _asked(prometheus, source, query, start, stop):
                yield series.labels.get(label, ""), [point for point in series.points if math.isfinite(point[1])]
            start = stop + _STEP_SECONDS
    finally:
        prometheus.close()


def _connected(source: Source) -> Queries:
    try:
        return Queries(source_of(source.where), _TIMEOUT_SECONDS, 1)
    except WrongAddress as error:
        raise OptionError(f"the URL of --prometheus {error}") from error
    except WrongConnection as error:
        raise OptionError(f"--prometheus-config {error}") from error


def _asked(prometheus: Queries, source: Source, query: str, start: float, stop: float) -> tuple[Series, ...]:
    answer = prometheus.ask_range(query, start, stop, _STEP_SECONDS)
    if answer.problem:
        raise TraceError(f"{source.prometheus} did not answer {query}: {answer.message}; check --prometheus")
    return answer.series


def _missing(source: Source, times: list[float], start: float, end: float) -> Iterator[str]:
    """Ranges without a point in words. A single missing point is none: the line between its neighbours fills it."""
    for before, after in pairwise((start - _STEP_SECONDS, *times, end + _STEP_SECONDS)):
        if after - before <= 2 * _STEP_SECONDS + 1:
            continue
        filled = "it is interpolated" if start < before and after < end else "the back-test skips it"
        first, last = _time(before + _STEP_SECONDS), _time(after - _STEP_SECONDS)
        yield f"history of {source.app} is missing from {first} to {last}; {filled}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
