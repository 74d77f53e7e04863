"""How much the load is expected to change while a new pod starts, from how it changed in the last minutes.

Noise comes back to the mean, a ramp goes on. Which of the two a load does is learned: the change, ln(load one reaction
time later / load), is regressed on ln(mean of a minute / load) and ln(mean of five minutes / load), by least squares
with a ridge towards no change (Hoerl, Kennard, Ridge Regression, Technometrics 12, 1970). Old observations fade. What
is left over, the residual, is what head-room has to cover (volatility.py).
"""

import math
from typing import NamedTuple

# As old as the loads of a minute, and of five minutes, are in the mean.
_SHORT_SECONDS, _LONG_SECONDS = 30.0, 150.0
_HALF_LIFE_SECONDS = 3 * 3600.0
# The ridge weighs as much as three minutes in which the means differ from the load by 5 %.
_RIDGE = 180 * 0.05**2
_MOST_CHANGE = math.log(2.0)


class Means(NamedTuple):
    """The load's exponentially weighted means over a minute and over five minutes."""

    short: float
    long: float

    def seen(self, load: float, elapsed_seconds: float) -> "Means":
        """With one more load."""
        short, long = (math.exp(-elapsed_seconds / span) for span in (_SHORT_SECONDS, _LONG_SECONDS))
        return Means(load + short * (self.short - load), load + long * (self.long - load))

    def beside(self, load: float) -> "Beside":
        """The means relative to a load, which must not be 0."""
        return Beside(_logarithm(self.short / load), _logarithm(self.long / load))


class Beside(NamedTuple):
    """ln(mean of a minute / load) and ln(mean of five minutes / load)."""

    short: float
    long: float


class Growth(NamedTuple):
    """Sums of the regression of the change y on a = ln(short mean / load) and b = ln(long mean / load)."""

    aa: float = 0.0
    ab: float = 0.0
    bb: float = 0.0
    ay: float = 0.0
    by: float = 0.0

    def seen(self, means: Beside, change: float, seconds: float) -> "Growth":
        """With the change that followed a load with these means, which stands for so many seconds."""
        (a, b), y = means, _bounded(change)
        keep = 0.5 ** (seconds / _HALF_LIFE_SECONDS)
        return Growth(
            keep * self.aa + seconds * a * a,
            keep * self.ab + seconds * a * b,
            keep * self.bb + seconds * b * b,
            keep * self.ay + seconds * a * y,
            keep * self.by + seconds * b * y,
        )

    def expected(self, means: Beside) -> float:
        """ln(load one reaction time later / load)."""
        a, b = means
        aa, bb = self.aa + _RIDGE, self.bb + _RIDGE
        determinant = aa * bb - self.ab * self.ab
        by_short, by_long = bb * self.ay - self.ab * self.by, aa * self.by - self.ab * self.ay
        return _bounded((a * by_short + b * by_long) / determinant)


NOTHING_GROWN = Growth()
NOTHING_BESIDE = Beside(0.0, 0.0)


def _logarithm(ratio: float) -> float:
    return _bounded(math.log(ratio)) if ratio > 0 else -_MOST_CHANGE


def _bounded(change: float) -> float:
    return min(max(change, -_MOST_CHANGE), _MOST_CHANGE)
