"""What the pods of a Deployment used, from Prometheus: one moment after the other, as far back as it remembers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scalableapp.adapters.prometheus_file import Source
from scalableapp.adapters.prometheus_queries import cores_query, memory_peak_query, requests_query
from scalableapp.adapters.request_past import pods_of
from scalableapp.commands.plugin.series import ranged
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey

_KINDS = (MetricType.CPU, MetricType.MEMORY, MetricType.REQUESTS_PER_SECOND)
_LEAST_STEP_SECONDS = 30
_MOST_STEPS = 2000
_FEW_STEPS = 400
_LEAST_SECONDS = 3600.0
# Clusters are scraped every 15 to 60 s: a rate needs two samples, also after a missed one.
_LEAST_WINDOW_SECONDS = 180.0
_LEAST_PEAK_SECONDS = 120.0


class UsageSample(NamedTuple):
    """Values of the pods at a moment: cores, bytes (the peak since the last one) or requests per second."""

    at: float
    values: tuple[float, ...]

    @property
    def total(self) -> float:
        """Of all pods together."""
        return sum(self.values)


@dataclass(frozen=True)
class UsageHistory:
    """Moments by kind of metric, oldest first, `step` seconds apart; a kind that nobody measures has none."""

    step: float
    moments: Mapping[MetricType, tuple[UsageSample, ...]] = field(default_factory=dict)

    def of(self, kind: MetricType) -> tuple[UsageSample, ...]:
        """The moments of a kind."""
        return self.moments.get(kind, ())

    @property
    def times(self) -> list[float]:
        """Every moment at which anything is known, Unix time, oldest first."""
        return sorted({used.at for moments in self.moments.values() for used in moments})


async def read_usage(where: str | Source, key: AppKey, container: str, seconds: float, now: float) -> UsageHistory:
    """Usage of the pods of a Deployment in the last `seconds`. Raises MetricsUnavailable when it cannot be asked.

    Where Prometheus' memory, or the Deployment, is younger than that, its time is looked at in shorter steps.
    """
    usage = await _read(where, key, container, seconds, now)
    known = usage.times
    if len(known) < _FEW_STEPS and usage.step > _LEAST_STEP_SECONDS:
        age = now - known[0] + usage.step if known else 0.0
        usage = await _read(where, key, container, max(_LEAST_SECONDS, age), now)
    return usage


async def _read(where: str | Source, key: AppKey, container: str, seconds: float, now: float) -> UsageHistory:
    step = float(max(_LEAST_STEP_SECONDS, -(-int(seconds) // _MOST_STEPS)))
    since, until = (now - seconds) // step * step, now // step * step
    moments = {}
    for kind in _KINDS:
        found: dict[float, list[float]] = {}
        for series in await ranged(where, _query(kind, pods_of([key]), container, step), since, until, step):
            for at, value in series.points:
                if 0 <= value < float("inf"):
                    found.setdefault(at, []).append(value)
        if found:
            moments[kind] = tuple(UsageSample(at, tuple(found[at])) for at in sorted(found))
    return UsageHistory(step, moments)


def _query(kind: MetricType, pods: str, container: str, step: float) -> str:
    """A value for each pod."""
    window = max(_LEAST_WINDOW_SECONDS, step)
    of_container = f'container="{container}",{pods}'
    if kind is MetricType.CPU:
        return cores_query(of_container, window)
    if kind is MetricType.MEMORY:
        return memory_peak_query(of_container, max(_LEAST_PEAK_SECONDS, step))
    return requests_query(pods, window)
