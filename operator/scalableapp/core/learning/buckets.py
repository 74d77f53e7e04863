"""Means of a load over 5 minutes, for 8 days: what a season of an hour, a day or a week is read from."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat

BUCKET_SECONDS = 300
MOST_BUCKETS = 8 * 24 * 12
_NOTHING = math.nan


@dataclass(frozen=True, slots=True)
class Buckets:
    """Closed buckets from number `first` on, and an open one.

    A bucket's number is its seconds since 1970 over 300; its mean is NaN where nothing was seen.
    """

    first: int = 0
    means: tuple[float, ...] = ()
    number: int = -1
    total: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, samples: Iterable[tuple[datetime, float]]) -> "Buckets":
        """What adding the samples one by one, oldest first, comes to; days of them in one go."""
        means: list[float] = []
        number, total, count = -1, 0.0, 0
        for at, load in samples:
            if (now := int(at.timestamp() // BUCKET_SECONDS)) == number:
                total, count = total + load, count + 1
                continue
            if count:
                means += [total / count, *repeat(_NOTHING, min(now - number - 1, MOST_BUCKETS))]
            number, total, count = now, load, 1
        means = means[-MOST_BUCKETS:]
        return cls(number - len(means) if count else 0, tuple(means), number, total, count)

    def add(self, at: datetime, load: float) -> "Buckets":
        """With one more sample, which must not be older than the last one."""
        number = int(at.timestamp() // BUCKET_SECONDS)
        if number == self.number:
            return Buckets(self.first, self.means, number, self.total + load, self.count + 1)
        if not self.count:
            return Buckets(number, (), number, load, 1)
        gap = (_NOTHING,) * min(number - self.number - 1, MOST_BUCKETS)
        means = (*self.means, self.total / self.count, *gap)[-MOST_BUCKETS:]
        return Buckets(number - len(means), means, number, load, 1)

    def at(self, moment: datetime) -> float | None:
        """The load at a moment, between the middles of two closed buckets; None where one of them is missing."""
        position = moment.timestamp() / BUCKET_SECONDS - 0.5 - self.first
        left = math.floor(position)
        if not 0 <= left < len(self.means) - 1:
            return None
        value = self.means[left] + (position - left) * (self.means[left + 1] - self.means[left])
        return None if math.isnan(value) else value
