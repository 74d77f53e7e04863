"""What is slow however light the load is: a heavy route, a client's timeout, a dependency. No pod mends that.

The share of slow requests is floor + rise * (load per pod)^8, near the limit of a queue's steepness. Both are fitted by
weighted least squares, old minutes fade; where the load per pod did not vary, all of it is taken for the rise.
"""

import math
from typing import NamedTuple

_STEEPNESS = 8.0
_KEPT_PER_MINUTE = 0.5 ** (1 / 360)
# The variance of a share is that of its count (Poisson), and a part of its square that no count reduces.
_OWN_VARIANCE = 0.25
# Loads per pod must have varied by this variance of their 8th power, relative to its mean, to tell the two apart.
_LEAST_VARIANCE = 0.05
_FARTHEST = 1.0
# Of the limit the floor is taken to leave at least this part to the rise.
_LEAST_ROOM = 0.1
# Below this utilisation it is not CPU that makes requests slow: whether pods help then is tried (trial.py).
_CPU_IDLE = 0.6
# A share is beyond its limit by more than chance from so many standard deviations on.
_SIGNIFICANT = 2.0


class Minute(NamedTuple):
    """A minute: requests, those per second and pod, the share of slow ones, CPU used of the limit.

    Where the load was not steady, queues and averages blur the line; that pods carried it well counts all the same.
    """

    requests: float
    per_pod: float
    slow_share: float
    utilisation: float | None = None
    steady: bool = True

    def clearly_above(self, limit: float) -> bool:
        """Whether the slow share is above a limit by more than chance."""
        deviation = math.sqrt(limit * (1 - limit) / max(self.requests, 1.0))
        return self.slow_share > limit + _SIGNIFICANT * deviation

    @property
    def cpu_idle(self) -> bool:
        """Whether CPU is not, or not known to be, what makes requests slow."""
        return self.utilisation is None or self.utilisation < _CPU_IDLE


class Floor(NamedTuple):
    """Sums of the regression of the slow share on (load per pod)^8, around ln(load per pod) of `around`."""

    around: float = 0.0
    weight: float = 0.0
    r: float = 0.0
    s: float = 0.0
    rr: float = 0.0
    rs: float = 0.0

    def seen(self, minute: Minute, x: float) -> "Floor":
        """With one more steady minute, at x = ln(load per pod)."""
        around = self.around if self.weight else x
        r, share = math.exp(_STEEPNESS * min(max(x - around, -_FARTHEST), _FARTHEST)), minute.slow_share
        expected = max(share, 0.5 / max(minute.requests, 1.0))
        weight = 1 / (expected / max(minute.requests, 1.0) + _OWN_VARIANCE * expected * expected)
        point = (1.0, r, share, r * r, r * share)
        sums = (_KEPT_PER_MINUTE * old + weight * new for old, new in zip(self[1:], point, strict=True))
        return Floor(around, *sums)

    @property
    def share(self) -> float:
        """The share that is slow without any load."""
        if not self.weight or not self.r:
            return 0.0
        mean_r, mean_s = self.r / self.weight, self.s / self.weight
        prior = _LEAST_VARIANCE * mean_r * mean_r
        variance, covariance = self.rr / self.weight - mean_r**2, self.rs / self.weight - mean_r * mean_s
        rise = (covariance + prior * mean_s / mean_r) / (variance + prior)
        return min(max(mean_s - max(rise, 0.0) * mean_r, 0.0), 1.0)

    def below(self, limit: float) -> float:
        """The floor, or as much of it as leaves room for a rise up to the limit."""
        return min(self.share, (1 - _LEAST_ROOM) * limit)


NO_FLOOR = Floor()
