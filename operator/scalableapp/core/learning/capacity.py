"""What one pod handles within the objective, learned from the load per pod and the share of slow requests.

The share of requests that wait longer than a limit grows exponentially with utilisation (M/M/k:
P(W > w) = C(k, k*rho) * exp(-(1 - rho) * mu * w)), so ln(share) is nearly a line in ln(load per pod). The line is
fitted by weighted least squares, its slope held to a prior (ridge regression); where it crosses the limit is the
capacity.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from scalableapp.core.learning.floor import NO_FLOOR, Floor, Minute

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
# Fewer slow requests than this count as none: shares between two bounds of a histogram are interpolated.
_ONE_SLOW = 0.5
# Beyond this share, queues make a minute show nothing but "too much".
_OVERLOADED = 0.3
# What was seen of a load per pod fades by so much of it a minute, 3 % an hour: a lower bound sinks, an upper one rises.
_FADING = 0.0005
# A pod is given at most this much more than it has been seen to handle well: 28 %. Headroom may assume double, as a
# line through few minutes is a guess.
_MOST_TRUSTED, _MOST_EXPECTED = 0.25, math.log(2.0)
_TRUSTED_ROOM = 0.5
# Pods are given at least this much less than what was too much for them.
_LEAST_BEYOND = 0.05
# CPU as a second signal: above this share of its limit a pod counts as full, whatever the latency is.
_MOST_UTILISATION = 0.85


class Limits(NamedTuple):
    """At most `slow_limit` (0..1) of a minute's requests may take longer than `seconds`."""

    slow_limit: float
    seconds: float


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

    def moved(self, by: float) -> "_Line":
        xx = self.xx + 2 * by * self.x + by * by * self.weight
        return _Line(self.weight, self.x + by * self.weight, self.y, xx, self.xy + by * self.y)

    def at(self, x: float) -> float:
        return self.y / self.weight + self.slope * (x - self.x / self.weight)

    def where(self, y: float) -> float:
        return self.x / self.weight + (y - self.y / self.weight) / self.slope


_NO_LINE = _Line()


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is known of a pod's capacity, as ln(requests per second).

    `log_trusted` is what a pod is given to carry, `log_estimate` what it can most likely carry: the two differ until
    pods have been seen to carry it. They were lately seen to carry `carried`, and not to carry `too_much`; the most
    they were ever seen to carry is `highest_well`.
    """

    log_trusted: float
    log_estimate: float
    highest_well: float = -math.inf
    carried: float = -math.inf
    too_much: float = math.inf
    level: float = 0.0
    line: _Line = _NO_LINE
    floor: Floor = NO_FLOOR
    minutes: int = 0

    @classmethod
    def first(cls, minute: Minute, limits: Limits) -> "Capacity":
        """Before anything was learned: what one minute says, with the prior's slope and the same bounds."""
        x = math.log(minute.per_pod)
        return cls(x, x).seen(minute, limits)

    @property
    def per_pod(self) -> float:
        """Requests per second that one pod is given to carry."""
        return math.exp(self.log_trusted)

    def seen(self, minute: Minute, limits: Limits) -> "Capacity":
        """With one more minute."""
        x, limit = math.log(minute.per_pod), limits.slow_limit
        known = replace(self.faded(), floor=self.floor.seen(minute, x) if minute.steady else self.floor)
        if minute.slow_share > limit and minute.cpu_idle:
            return known.as_at_limit(minute, x, limits)
        if minute.slow_share <= limit:
            known = known.carrying(x)
        elif minute.steady and minute.clearly_above(limit):
            known = known.contradicted(x - max(known.beyond(minute, limits), _LEAST_BEYOND))
        return known.fitted(minute._replace(slow_share=min(minute.slow_share, max(limit, _OVERLOADED))), x, limits)

    def as_at_limit(self, minute: Minute, x: float, limits: Limits) -> "Capacity":
        """With a bad minute whose CPU is not what made it bad: it says no more than one at the limit would.

        It does not move the line, nor anything of pods that never were good: what they carry is tried (trial.py).
        """
        if math.isinf(self.carried):
            return self
        found = self.fitted(minute._replace(slow_share=limits.slow_limit), x, limits)
        trusted, estimate = min(self.log_trusted, found.log_trusted), min(self.log_estimate, found.log_estimate)
        return replace(self, log_trusted=trusted, log_estimate=estimate)

    def contradicted(self, x: float) -> "Capacity":
        """Pods were seen to carry no more than this."""
        return replace(
            self,
            too_much=min(self.too_much, x),
            carried=min(self.carried, x),
            log_trusted=min(self.log_trusted, x),
            log_estimate=min(self.log_estimate, x),
        )

    def bounded_by(self, known: "Capacity") -> "Capacity":
        """The same line, with what pods were known to carry, and not to carry."""
        return replace(
            self,
            log_trusted=known.log_trusted,
            log_estimate=max(known.log_trusted, min(self.log_estimate, known.too_much)),
            carried=known.carried,
            too_much=known.too_much,
        )

    def carrying(self, x: float) -> "Capacity":
        """Pods were seen to carry this; then no less than this is too much."""
        return replace(
            self,
            carried=max(self.carried, x),
            highest_well=max(self.highest_well, x),
            too_much=max(self.too_much, x),
        )

    def resized(self, times: float) -> "Capacity":
        """Of pods with so many times the CPU, which are taken to carry so many times as much."""
        by = math.log(times)
        return replace(
            self,
            log_trusted=self.log_trusted + by,
            log_estimate=self.log_estimate + by,
            highest_well=self.highest_well + by,
            carried=self.carried + by,
            too_much=self.too_much + by,
            line=self.line.moved(by),
            floor=self.floor._replace(around=self.floor.around + by),
        )

    def faded(self) -> "Capacity":
        """A minute later."""
        return replace(self, carried=self.carried - _FADING, too_much=self.too_much + _FADING)

    def beyond(self, minute: Minute, limits: Limits) -> float:
        """How far ln(load per pod) was beyond what the limit allows, by the prior's slope."""
        floor = self.floor.below(limits.slow_limit)
        return math.log((minute.slow_share - floor) / (limits.slow_limit - floor)) / _PRIOR_SLOPE

    def fitted(self, minute: Minute, x: float, limits: Limits) -> "Capacity":
        """With the line through one more minute, of what is slow beyond the floor."""
        floor = self.floor.below(limits.slow_limit)
        slow = max(minute.slow_share - floor, 0.0) * minute.requests + 0.5  # half a request, since ln(0) is no number
        y = math.log(slow / (minute.requests + 1))
        line, level = self._with(x, y, slow) if self._is_news(minute, x, y, slow) else (self.line, self.level)
        crossing = line.where(math.log(limits.slow_limit - floor) - level)
        known = replace(self, line=line, level=level, minutes=self.minutes + 1)
        least = _one_at_a_time(minute, limits) if minute.slow_share <= limits.slow_limit else -math.inf
        highest = self.highest_well if self.highest_well > -math.inf else x
        trusted, estimate = (max(min(crossing, highest + more), least) for more in (_MOST_TRUSTED, _MOST_EXPECTED))
        return known.bounded(trusted, estimate, _full(x, minute.utilisation))

    def bounded(self, trusted: float, estimate: float, full: float) -> "Capacity":
        """Never below what pods carry, never above what was too much for them, nor what their CPU allows."""
        most = min(self.too_much, full)
        trusted, estimate = (min(max(of, self.carried), most) for of in (trusted, estimate))
        return replace(self, log_trusted=trusted, log_estimate=max(trusted, estimate))

    def _is_news(self, minute: Minute, x: float, y: float, slow: float) -> bool:
        """Whether the minute says something of the line.

        That few requests had no slow one among them is no news where the line expects fewer than one: taken for more,
        each quiet night would make pods look slower than they are. What is better than the line is news, steady or not.
        """
        if not self.line.weight:
            return True
        better = y < self.line.at(x) + self.level
        none_slow = slow < 0.5 + _ONE_SLOW
        return better or (minute.steady and not none_slow)

    def _with(self, x: float, y: float, slow: float) -> tuple[_Line, float]:
        """Line and level with one more point, of so many slow requests."""
        error = y - self.line.at(x) - self.level if self.line.weight else 0.0
        weight = 1 / (1 / slow + _OWN_VARIANCE) * min(1.0, _OUTLIER / max(abs(error), 1e-9))
        line = self.line.with_point(x, y, weight)
        return line, self.level + _LEVEL_GAIN * weight / _BEST_WEIGHT * (y - line.at(x) - self.level)


def _one_at_a_time(minute: Minute, limits: Limits) -> float:
    """ln(load per pod) that even a server of one request at a time would carry with the latencies of this minute.

    The sojourn time of M/M/1 is exponential with rate mu - lambda (Kleinrock, Queueing Systems I, 3.2), so
    ln(share) = -(mu - lambda) * seconds, and the share reaches its limit when lambda has grown by ln(limit / share) /
    seconds. Half of that is trusted, as services differ. Without it an idle app would be taken for one that can do no
    more, and would keep pods that its few requests never need.
    """
    share = (minute.slow_share * minute.requests + 0.5) / (minute.requests + 1)
    room = max(0.0, math.log(limits.slow_limit / share)) / limits.seconds
    return math.log(minute.per_pod + _TRUSTED_ROOM * room)


def _full(x: float, utilisation: float | None) -> float:
    """ln(load per pod) at which CPU would reach its limit, were it in proportion."""
    return x + math.log(_MOST_UTILISATION / utilisation) if utilisation else math.inf
