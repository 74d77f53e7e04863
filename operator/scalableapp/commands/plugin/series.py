"""Range queries that the commands ask Prometheus, in pieces that it answers in one go."""

import asyncio
import math
from collections.abc import Mapping

from scalableapp.adapters.prometheus_answers import RangeAnswer, Series
from scalableapp.adapters.prometheus_file import Source
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.errors import MetricsUnavailable

# Prometheus answers at most 11,000 steps; and an answer of one series of this many is some 200 kB.
_STEPS_A_QUERY = 8000
_MOST_STEPS = 16_000
_LEAST_STEP_SECONDS = 15.0
_TIMEOUT_SECONDS = 30.0


async def ranged(where: str | Source, query: str, since: float, until: float, step: float) -> list[Series]:
    """The series of a query from `since` to `until`, Unix time; long ones come in pieces. Raises MetricsUnavailable."""
    prometheus = Queries(where, _TIMEOUT_SECONDS, 1)
    found: list[Series] = []
    try:
        while since <= until:
            last = min(until, since + (_STEPS_A_QUERY - 1) * step)
            answer = await asyncio.to_thread(prometheus.ask_range, query, since, last, step)
            if answer.problem:
                raise MetricsUnavailable(_with_fix(answer))
            found += answer.series
            since = last + step
    finally:
        prometheus.close()
    return found


def _with_fix(answer: RangeAnswer) -> str:
    """What went wrong, with what who sits at a terminal can do; the adapter speaks to who runs the operator."""
    if answer.problem not in (DataProblem.UNREACHABLE, DataProblem.REDIRECTED):
        return answer.message
    return f"{answer.message.partition('; ')[0]}; pass the URL of a working Prometheus as --prometheus"


def joined(series: list[Series]) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
    """The pieces put together: finite points by labels, oldest first."""
    found: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for piece in series:
        points = found.setdefault(_id(piece.labels), [])
        points += [point for point in piece.points if math.isfinite(point[1])]
    return found


def _id(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


async def decided(
    where: str | Source, key: AppKey, seconds: float, now: float
) -> tuple[list[tuple[float, int]], float]:
    """The numbers decided on for an app in the last `seconds`, and the step between them. Raises MetricsUnavailable.

    Where Prometheus gives scraped series the labels of what it scrapes, the app's own are called exported_namespace
    and exported_app; both ways are asked for.
    """
    step = max(_LEAST_STEP_SECONDS, math.ceil(seconds / _MOST_STEPS))
    query = f"max({' or '.join(_selectors(key))})"
    found = joined(await ranged(where, query, (now - seconds) // step * step, now, step))
    return [(at, round(value)) for points in found.values() for at, value in points], step


def _selectors(key: AppKey) -> list[str]:
    namespaces, names = ("exported_namespace", "namespace"), ("exported_app", "app")
    return [
        f'scalableapp_desired_replicas{{{namespace}="{key.namespace}",{name}="{key.name}"}}'
        for namespace in namespaces
        for name in names
    ]
