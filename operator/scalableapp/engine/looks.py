"""How the looks at all apps go: when the last good one ended, and why there has been none since.

A look is good once the apps were judged by what Prometheus answered, even by its silence: an outage that was handled
is no failure. What goes wrong for one app is told in that app's status, and fails no look.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from scalableapp.core.explain import clock as time_of_day
from scalableapp.core.status.conditions import AppProblem

# Collecting may use all time-outs of the queries, 9 s; after this and so many intervals no look is under way any more.
STALLED_INTERVALS = 6
STALLED_SECONDS = 10.0
# Two looks may fail before the apps are told.
TOLD_INTERVALS = 3


class Part(StrEnum):
    """Which part of a look failed; adapters/telemetry.py counts them."""

    METRICS = "Metrics"
    APPS = "Apps"


class LookFailed(Exception):
    """A look at all apps did not get through, for a fault of ours; the error itself is its cause."""

    def __init__(self, part: Part, error: Exception) -> None:
        super().__init__(f"{_WHAT[part]}: {error!r}")
        self.part = part


_WHAT = {
    Part.METRICS: "the answers of Prometheus could not be read",
    Part.APPS: "the apps could not be evaluated",
}


class Looks:
    """Judges them. `clock` is monotonic seconds, `now` the wall clock in UTC."""

    def __init__(self, interval_seconds: float, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._interval = interval_seconds
        self._clock = clock
        self._now = now
        self._good: tuple[float, datetime] | None = None
        self._failure: LookFailed | None = None

    def began(self) -> None:
        """The loop has begun; from now on looks are expected."""
        self.good()

    def ended(self) -> None:
        """The loop does not run any more, so it is not judged."""
        self._good = None

    def good(self) -> None:
        """A look went well."""
        self._good, self._failure = (self._clock(), self._now()), None

    def failed(self, failure: LookFailed) -> None:
        """A look did not get through."""
        self._failure = failure

    def stalled(self) -> str:
        """Why the loop must be taken for dead; "" while it is well, or does not run."""
        age = self._age()
        if age < STALLED_INTERVALS * self._interval + STALLED_SECONDS:
            return ""
        why = f"the last one failed: {self._failure}" if self._failure else "none has ended since"
        return f"no evaluation of all apps has succeeded for {age:.0f} s; the interval is {self._interval:.0f} s; {why}"

    def problem(self) -> AppProblem | None:
        """What each app is told once its last good look is too old; None before."""
        if self._good is None or self._failure is None or self._age() < TOLD_INTERVALS * self._interval:
            return None
        since = time_of_day(self._good[1], self._now())
        return AppProblem(
            "NotEvaluated",
            f"no app has been evaluated since {since}, and replicas stay unchanged: {self._failure}; "
            "see the operator's log",
        )

    def _age(self) -> float:
        return self._clock() - self._good[0] if self._good else 0.0
