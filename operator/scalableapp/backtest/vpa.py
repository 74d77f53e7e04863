"""The Vertical Pod Autoscaler's recommender and updater with their defaults, re-implemented to compare with.

From kubernetes/autoscaler 55c37cd (VPA 1.7): pkg/recommender/util/{histogram,decaying_histogram}.go,
model/aggregations.go, logic/{estimator,recommender}.go, pkg/updater/priority. Percentiles 0.5, 0.9 and 0.95 of decaying
histograms (half-life 24 h, buckets from 0.01 core and 10 MB on, each 5 % wider), a margin of 15 %, bounds widened while
history is short; of memory only the peak of each 24 h counts. A pod is evicted when a request is out of the bounds, or
when it is 12 h old and its requests differ by a tenth from the target.
"""

import math
from dataclasses import dataclass, field

_GROWTH = 1.05
_HALF_LIFE = 86_400.0
_DAY = 86_400.0
_CPU_FIRST, _MEMORY_FIRST = 0.01, 1e7
_SAMPLE_WEIGHT = 0.1
_EPSILON = 1e-4
_MARGIN = 1.15
_LEAST = {"cpu": 0.025, "memory": 250.0 * 2**20}
_MOST_EXPONENT = 100.0
_OOM_RATIO, _OOM_BYTES = 1.2, 100.0 * 2**20
_OLD_SECONDS, _DIFFERENT = 12 * 3600.0, 0.1


@dataclass(slots=True)
class Histogram:
    """VPA's decaying exponential histogram. Times are seconds since 1970."""

    first: float
    weights: dict[int, float] = field(default_factory=dict)
    reference: float = 0.0

    def add(self, at: float, value: float, weight: float) -> None:
        """Add a sample, or take one away with a negative weight."""
        if not self.reference:
            self.reference = at
        if (at - self.reference) / _HALF_LIFE > _MOST_EXPONENT:
            self._move(at)
        bucket = self._bucket(value)
        self.weights[bucket] = self.weights.get(bucket, 0.0) + weight * 2.0 ** ((at - self.reference) / _HALF_LIFE)

    def percentile(self, share: float) -> float:
        """The upper end of the bucket in which the percentile lies; 0 without samples."""
        heavy = {bucket: weight for bucket, weight in self.weights.items() if weight > _EPSILON * _SAMPLE_WEIGHT}
        wanted, seen = share * math.fsum(heavy.values()), 0.0
        for bucket in sorted(heavy):
            seen += heavy[bucket]
            if seen >= wanted * (1 - 1e-12):
                return self.first * (_GROWTH ** (bucket + 1) - 1) / (_GROWTH - 1)
        return 0.0

    def _bucket(self, value: float) -> int:
        if value < self.first:
            return 0
        return int(math.log(value / self.first * (_GROWTH - 1) + 1) / math.log(_GROWTH))

    def _move(self, at: float) -> None:
        factor = 2.0 ** ((self.reference - at) / _HALF_LIFE)
        self.weights = {bucket: weight * factor for bucket, weight in self.weights.items()}
        self.reference = at


@dataclass(frozen=True, slots=True)
class Bounds:
    """A recommendation of one resource."""

    target: float
    lower: float
    upper: float


@dataclass(slots=True)
class Recommender:
    """Takes a sample a minute."""

    cpu: Histogram = field(default_factory=lambda: Histogram(_CPU_FIRST))
    memory: Histogram = field(default_factory=lambda: Histogram(_MEMORY_FIRST))
    started: float | None = None
    samples: int = 0
    interval_ends: float = 0.0
    peak: float = 0.0

    def observe(self, at: float, cpu: float, memory: float) -> None:
        """Usage of the container at a moment."""
        self.started = at if self.started is None else self.started
        self.samples += 1
        self.cpu.add(at, cpu, _SAMPLE_WEIGHT)
        self._memory(at, memory)

    def killed(self, at: float, request: float) -> None:
        """The container was killed for its memory."""
        used = max(request, self.peak)
        self._memory(at, max(used + _OOM_BYTES, used * _OOM_RATIO))

    def _memory(self, at: float, used: float) -> None:
        """Keeps the peak of each interval of 24 h, dated at its end."""
        if at > self.interval_ends:
            skipped = 0.0 if not self.interval_ends else math.floor((at - self.interval_ends) / _DAY) * _DAY
            self.interval_ends = (self.interval_ends or at) + skipped + _DAY
            self.peak = used
            self.memory.add(self.interval_ends, used, 1.0)
        elif used > self.peak:
            self.memory.add(self.interval_ends, self.peak, -1.0)
            self.memory.add(self.interval_ends, used, 1.0)
            self.peak = used

    def bounds(self, at: float) -> dict[str, Bounds]:
        """Target and bounds by resource."""
        days = (at - (self.started or at)) / _DAY
        confidence = max(1e-9, min(days, self.samples / 1440))
        return {
            name: _bounds(histogram, _LEAST[name], confidence)
            for name, histogram in (("cpu", self.cpu), ("memory", self.memory))
        }


def _bounds(histogram: Histogram, least: float, confidence: float) -> Bounds:
    target, lower, upper = (histogram.percentile(share) * _MARGIN for share in (0.9, 0.5, 0.95))
    lower, upper = lower * (1 + 0.001 / confidence) ** -2, upper * (1 + 1 / confidence)
    return Bounds(*(max(least, value) for value in (target, lower, upper)))


def evicts(bounds: dict[str, Bounds], requests: dict[str, float], pod_seconds: float) -> bool:
    """Whether the updater evicts a pod of that age, so that its successor gets the targets."""
    if any(not bounds[name].lower <= request <= bounds[name].upper for name, request in requests.items()):
        return True
    different = sum(abs(bounds[name].target - request) / request for name, request in requests.items())
    return pod_seconds >= _OLD_SECONDS and different >= _DIFFERENT
