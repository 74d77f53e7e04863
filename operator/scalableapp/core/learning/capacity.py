"""What one pod handles within the objective, learned from the load per pod and the share of slow requests.

The share of requests that wait longer than a limit grows exponentially with utilisation (M/M/k:
P(W > w) = C(k, k*rho) * exp(-(1 - rho) * mu * w)), so ln(share) is nearly a line in ln(load per pod). The line is
fitted by weighted least squares, its slope held to a prior (ridge regression); where it crosses the limit is the
capacity.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

# Old minutes fade with this half-life, so that the line follows the app and a day's range of loads stays in it.
_KEPT_PER_MINUTE = 0.5 ** (1 / 720)
# d ln(share) / d ln(load) of the model above is 7..9 for four workers near the limit. Too steep errs to the safe
# side: fewer requests per pod. The prior weighs as much as 20 well-measured minutes of unit variance in ln(load).
_PRIOR_SLOPE, _PRIOR_WEIGHT, _LEAST_SLOPE = 8.0, 20.0, 2.0
# The variance of ln(share) is 1/slow (Poisson) and a part that no count reduces.
_OWN_VARIANCE = 0.25
_BEST_WEIGHT = 1 / _OWN_VARIANCE
# A minute that is further off the line than this counts for less (Huber): something else than load made it slow.
_OUTLIER = 1.5
# The line's level follows within some ten minutes what the slope takes hours for: a slower release, a colder cache.
_LEVEL_GAIN = 0.1
_MOST_LEVEL = 2.0
# Fewer slow requests than this count as none: shares between two bounds of a histogram are interpolated.
_ONE_SLOW = 0.5
# Beyond this share, queues make a minute show nothing but "too much".
_OVERLOADED = 0.3
_OVERLOAD_STEP = 0.1
# A pod is given at most this much more than it has been seen to handle well: 28 %. Headroom may assume double, as a
# line through few minutes is a guess.
_MOST_TRUSTED, _MOST_EXPECTED = 0.25, math.log(2.0)
_TRUSTED_ROOM = 0.5
# CPU as a second signal: above this share of its limit a pod counts as full, whatever the latency is.
_MOST_UTILISATION = 0.85


class Limits(NamedTuple):
    """At most `slow_limit` (0..1) of a minute's requests may take longer than `seconds`."""

    slow_limit: float
    seconds: float


class Minute(NamedTuple):
    """A minute: requests, those per second and pod, the share of slow ones, CPU used of the limit.

    Where the load was not steady, queues and averages blur the line; that pods carried it well counts all the same.
    """

    requests: float
    per_pod: float
    slow_share: float
    utilisation: float | None = None
    steady: bool = True


class _Line(NamedTuple):
    """Sums of the regression of y = ln(share) on x = ln(load per pod)."""

    weight: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def with_point(self, x: float, y: float, weight: float) -> "_Line":
        point = (1.0, x, y, x * x, x * y)
        return _Line(*(_KEPT_PER_MINUTE * old + weight * new for old, new in zip(self, point, strict=True)))

    @property
    def slope(self) -> float:
        if not self.weight:
            return _PRIOR_SLOPE
        mean_x, mean_y = self.x / self.weight, self.y / self.weight
        variance, covariance = self.xx / self.weight - mean_x * mean_x, self.xy / self.weight - mean_x * mean_y
        prior = _PRIOR_WEIGHT / self.weight
        return max((covariance + prior * _PRIOR_SLOPE) / (variance + prior), _LEAST_SLOPE)

    def at(self, x: float) -> float:
        return self.y / self.weight + self.slope * (x - self.x / self.weight)

    def where(self, y: float) -> float:
        return self.x / self.weight + (y - self.y / self.weight) / self.slope


_NO_LINE = _Line()


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is known of a pod's capacity, as ln(requests per second).

    `log_trusted` is what a pod is given to carry, `log_estimate` what it can most likely carry: the two differ until
    pods have been seen to carry it.
    """

    log_trusted: float
    log_estimate: float
    highest_well: float = -math.inf
    level: float = 0.0
    line: _Line = _NO_LINE
    minutes: int = 0

    @classmethod
    def first(cls, minute: Minute, limits: Limits) -> "Capacity":
        """Before anything was learned: what one minute says, with the prior's slope and the same bounds."""
        x = math.log(minute.per_pod)
        if minute.slow_share <= _OVERLOADED:
            return cls(x, x).seen(minute, limits)
        carried = min(x - math.log(minute.slow_share / limits.slow_limit) / _PRIOR_SLOPE, _full(x, minute.utilisation))
        return cls(carried, carried)

    @property
    def per_pod(self) -> float:
        """Requests per second that one pod is given to carry."""
        return math.exp(self.log_trusted)

    def seen(self, minute: Minute, limits: Limits) -> "Capacity":
        """With one more minute."""
        if minute.slow_share > _OVERLOADED:
            return self._overloaded() if minute.steady else self
        x = math.log(minute.per_pod)
        slow = minute.slow_share * minute.requests + 0.5  # half a request, since ln(0) is no number
        y = math.log(slow / (minute.requests + 1))
        line, level = self._with(x, y, slow) if self._is_news(minute, x, y) else (self.line, self.level)
        highest = max(self.highest_well, x) if minute.slow_share <= limits.slow_limit else self.highest_well
        crossing = line.where(math.log(limits.slow_limit) - level)
        least, most = _one_at_a_time(minute, y, limits), _full(x, minute.utilisation)
        trusted, estimate = (
            min(max(min(crossing, highest + beyond), least), most) for beyond in (_MOST_TRUSTED, _MOST_EXPECTED)
        )
        return Capacity(trusted, estimate, highest, level, line, self.minutes + 1)

    def _is_news(self, minute: Minute, x: float, y: float) -> bool:
        """Whether the minute says something of the line.

        That few requests had no slow one among them is no news where the line expects fewer than one: taken for more,
        each quiet night would make pods look slower than they are.
        """
        if not self.line.weight:
            return True
        none_slow = minute.slow_share * minute.requests < _ONE_SLOW
        return minute.steady and not (none_slow and y >= self.line.at(x) + self.level)

    def _with(self, x: float, y: float, slow: float) -> tuple[_Line, float]:
        """Line and level with one more point, of so many slow requests."""
        error = y - self.line.at(x) - self.level if self.line.weight else 0.0
        weight = 1 / (1 / slow + _OWN_VARIANCE) * min(1.0, _OUTLIER / max(abs(error), 1e-9))
        line = self.line.with_point(x, y, weight)
        return line, self.level + _LEVEL_GAIN * weight / _BEST_WEIGHT * (y - line.at(x) - self.level)

    def _overloaded(self) -> "Capacity":
        step = min(_OVERLOAD_STEP, _MOST_LEVEL - self.level)
        less = step / self.line.slope
        return replace(
            self,
            level=self.level + step,
            log_trusted=self.log_trusted - less,
            log_estimate=min(self.log_estimate, self.log_trusted) - less,
        )


def _one_at_a_time(minute: Minute, log_share: float, limits: Limits) -> float:
    """ln(load per pod) that even a server of one request at a time would carry with the latencies of this minute.

    The sojourn time of M/M/1 is exponential with rate mu - lambda (Kleinrock, Queueing Systems I, 3.2), so
    ln(share) = -(mu - lambda) * seconds, and the share reaches its limit when lambda has grown by ln(limit / share) /
    seconds. Half of that is trusted, as services differ. Without it an idle app would be taken for one that can do no
    more, and would keep pods that its few requests never need.
    """
    room = max(0.0, math.log(limits.slow_limit) - log_share) / limits.seconds
    return math.log(minute.per_pod + _TRUSTED_ROOM * room)


def _full(x: float, utilisation: float | None) -> float:
    """ln(load per pod) at which CPU would reach its limit, were it in proportion."""
    return x + math.log(_MOST_UTILISATION / utilisation) if utilisation else math.inf
