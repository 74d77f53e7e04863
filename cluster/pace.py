"""How long the rest of a long work takes."""

import time

_LEAST_SECONDS = 5.0
# What was expected counts as much as two minutes of experience, so that the first step does not decide alone.
_TRUST_SECONDS = 120.0


class Pace:
    """Steps with the seconds expected for each; how long the rest takes follows from how long those before took."""

    def __init__(self, seconds: list[int]) -> None:
        self._expected, self._count, self._started = seconds, 0, time.monotonic()

    def finished(self) -> None:
        """Counts one more step as done."""
        self._count += 1

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def left(self) -> float:
        """Seconds that the rest is likely to take."""

        def slower(expected: float) -> float:
            return (self.elapsed() + _TRUST_SECONDS) / (expected + _TRUST_SECONDS)

        done = sum(self._expected[: self._count])
        # The step under way may already have taken longer than it should.
        factor = max(slower(done) if done else 1.0, slower(sum(self._expected[: self._count + 1])))
        return max(sum(self._expected) * factor - self.elapsed(), _LEAST_SECONDS)

    def shown(self, step: str) -> str:
        """Which step of how many, and about how long until all are done."""
        return f"{self._count + 1} of {len(self._expected)}, {step}; about {minutes(self.left())} left for all"


def minutes(seconds: float) -> str:
    """A duration for people: `40 s`, `7 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
