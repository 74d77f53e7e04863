"""How far load runs away from what was expected while a new pod starts: what head-room has to cover."""

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Self

# Growth over one reaction time is resolved up to a doubling, and headroom never exceeds that: without such a cap,
# bursts over a base near zero made a simulated app cost 16 times what it needed.
MOST_GROWTH = math.log(2.0)
_BINS = 35
_WIDTH = MOST_GROWTH / _BINS
# Long enough to know a tail, short enough to know the time of day.
_HALF_LIFE_SECONDS = 2 * 3600.0
_LARGEST_SCALE = 1e6
# Before anything was seen: growth beyond h with probability exp(-h/0.08) (30 %: one in fifty), as if for 10 minutes.
_FIRST_SCALE = 0.08
_FIRST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Volatility:
    """Histogram of ln(load / load that was expected) one reaction time later, in seconds, the older the lighter.

    Bins go from -MOST_GROWTH to MOST_GROWTH; the first and the last hold what is beyond. Instead of old seconds getting
    lighter, new ones get heavier: they count `scale` times.
    """

    seconds: tuple[float, ...]
    scale: float = 1.0

    @classmethod
    def unknown(cls) -> Self:
        """Before anything was seen: rather too wild than too calm, and soon outweighed."""
        beyond = [math.exp(-_WIDTH * edge / _FIRST_SCALE) for edge in range(_BINS + 1)]
        within = (upper - lower for upper, lower in pairwise(beyond))
        return cls(tuple(_FIRST_SECONDS * share for share in (*([0.0] * (_BINS + 1)), *within, beyond[-1])))

    def seen(self, residual: float, elapsed_seconds: float) -> "Volatility":
        """With one more observation of ln(load / load expected), which stands for `elapsed_seconds`."""
        scale, counts = self.scale * 2.0 ** (elapsed_seconds / _HALF_LIFE_SECONDS), list(self.seconds)
        if scale > _LARGEST_SCALE:
            scale, counts = 1.0, [count / scale for count in counts]
        counts[_bin(residual)] += scale * elapsed_seconds
        return Volatility(tuple(counts), scale)

    def beyond(self) -> "Beyond":
        """The tail: a function of growth, built once per decision."""
        summed = list(accumulate(reversed(self.seconds)))
        return Beyond(summed[-2::-1], summed[-1])


class Beyond:
    """Probability that load grows beyond what was expected by more than a factor before new pods are ready."""

    __slots__ = ("_seconds", "_total")

    def __init__(self, seconds: list[float], total: float) -> None:
        self._seconds = seconds  # seconds[i] of `total` had a residual beyond -MOST_GROWTH + i bins
        self._total = total

    def __call__(self, residual: float) -> float:
        """Share of time with ln(load / load expected) above `residual`."""
        position = residual / _WIDTH + _BINS
        if position <= 0:
            return 1.0
        if position >= 2 * _BINS:
            return self._seconds[-1] / self._total
        index = int(position)
        lower, upper = self._seconds[index], self._seconds[index + 1]
        return (lower + (upper - lower) * (position - index)) / self._total


def _bin(residual: float) -> int:
    return min(max(math.ceil(residual / _WIDTH) + _BINS, 0), 2 * _BINS + 1)
