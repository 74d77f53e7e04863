"""A decaying histogram with exponential buckets: what a value has been, the recent past counting most.

The idea of the VPA recommender (pkg/recommender/util/decaying_histogram.go in kubernetes/autoscaler): a sample of age
a weighs 2^(-a / half-life), buckets grow by 5 %, a percentile is the upper end of its bucket, so that it is at most
5 % too high and never too low. Other than VPA's, buckets have no smallest one, so that small pods are seen.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

GROWTH = 1.05
_LOG_GROWTH = math.log(GROWTH)
# Weights are kept relative to a moment, which moves on before they grow out of hand; what has become this
# small by then is forgotten.
_LARGEST_EXPONENT = 20.0
_FORGOTTEN = 1e-4
_ZERO = -(2**31)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Weights by bucket. Times are seconds since 1970; `reference` is when a sample weighs 1.

    `first` and `last` are the times of the oldest and newest sample, `samples` is how many there have been.
    """

    half_life: float
    reference: float = 0.0
    weights: Mapping[int, float] = field(default_factory=dict)
    first: float = 0.0
    last: float = 0.0
    samples: int = 0

    def add(self, at: float, value: float) -> "Histogram":
        """With one more sample; `value` must be finite. One that is older than the newest weighs by its age."""
        if not self.samples:
            return Histogram(self.half_life, at, {_bucket(value): 1.0}, at, at, 1)
        exponent = (at - self.reference) / self.half_life
        if exponent > _LARGEST_EXPONENT:
            return self._moved_on(at).add(at, value)
        bucket = _bucket(value)
        weights = {**self.weights, bucket: self.weights.get(bucket, 0.0) + 2.0**exponent}
        span = min(self.first, at), max(self.last, at)
        return Histogram(self.half_life, self.reference, weights, *span, self.samples + 1)

    def moved(self, seconds: float) -> "Histogram":
        """All times moved, so that samples keep their age where the clock was put."""
        if not self.samples:
            return self
        return replace(self, reference=self.reference + seconds, first=self.first + seconds, last=self.last + seconds)

    def percentile(self, percent: float) -> float | None:
        """The value that `percent` of the weight lies at or below; None without samples."""
        if not self.weights:
            return None
        wanted = math.fsum(self.weights.values()) * percent / 100 * (1 - 1e-9)
        seen = 0.0
        bucket = _ZERO
        for bucket in sorted(self.weights):
            seen += self.weights[bucket]
            if seen >= wanted:
                break
        return _end(bucket)

    def _moved_on(self, at: float) -> "Histogram":
        factor = 2.0 ** max(-1000.0, (self.reference - at) / self.half_life)
        moved = {bucket: weight * factor for bucket, weight in self.weights.items()}
        least = _FORGOTTEN * max(1.0, *moved.values())
        kept = {bucket: weight for bucket, weight in moved.items() if weight >= least}
        return Histogram(self.half_life, at, kept, self.first, self.last, self.samples)


def _bucket(value: float) -> int:
    return math.ceil(round(math.log(value) / _LOG_GROWTH, 6)) if value > 0 else _ZERO


def _end(bucket: int) -> float:
    return 0.0 if bucket == _ZERO else GROWTH**bucket
