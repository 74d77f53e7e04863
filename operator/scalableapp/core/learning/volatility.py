"""How far load runs away while a new pod starts: what head-room has to cover."""

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Self

# Growth over one reaction time is resolved up to a doubling, and headroom never exceeds that: without such a cap,
# bursts over a base near zero made a simulated app cost 16 times what it needed.
MOST_GROWTH = math.log(2.0)
_BINS = 35
_WIDTH = MOST_GROWTH / _BINS
# Long enough to know a tail, short enough to know the time of day; from 30 minutes to 8 hours little changes.
_HALF_LIFE_SECONDS = 3600.0
# Before anything was seen: growth beyond h with probability exp(-h/0.08) (30 %: one in fifty), as if for 10 minutes.
_FIRST_SCALE = 0.08
_FIRST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Volatility:
    """Histogram of ln(load / load one reaction time before), in seconds of observation, the older the lighter.

    `seconds[0]` had no growth, `seconds[i]` growth in the i-th bin, the last one more than MOST_GROWTH.
    """

    seconds: tuple[float, ...]

    @classmethod
    def unknown(cls) -> Self:
        """Before anything was seen: rather too wild than too calm, and soon outweighed."""
        beyond = [math.exp(-_WIDTH * edge / _FIRST_SCALE) for edge in range(_BINS + 1)]
        within = (upper - lower for upper, lower in pairwise(beyond))
        return cls(tuple(_FIRST_SECONDS * share for share in (0.0, *within, beyond[-1])))

    def seen(self, growth: float, elapsed_seconds: float) -> "Volatility":
        """With one more observation of ln(load / load before), which stands for `elapsed_seconds`."""
        keep = 0.5 ** (elapsed_seconds / _HALF_LIFE_SECONDS)
        counts = [keep * count for count in self.seconds]
        counts[_bin(growth)] += elapsed_seconds
        return Volatility(tuple(counts))

    def beyond(self) -> "Beyond":
        """The tail: a function of growth, built once per decision."""
        summed = list(accumulate(reversed(self.seconds)))
        return Beyond(summed[-2::-1], summed[-1])


class Beyond:
    """Probability that load grows by more than a factor before new pods are ready."""

    __slots__ = ("_seconds", "_total")

    def __init__(self, seconds: list[float], total: float) -> None:
        self._seconds = seconds  # seconds[i] of `total` had growth beyond i bins
        self._total = total

    def __call__(self, growth: float) -> float:
        """Share of time with ln(load / load before) above `growth`, which must not be negative."""
        position = growth / _WIDTH
        if position >= _BINS:
            return self._seconds[_BINS] / self._total
        index = int(position)
        lower, upper = self._seconds[index], self._seconds[index + 1]
        return (lower + (upper - lower) * (position - index)) / self._total


def _bin(growth: float) -> int:
    if growth <= 0:
        return 0
    return min(int(growth / _WIDTH), _BINS) + 1
