"""How often Prometheus scrapes, and what follows from it: the window of a rate, and where scrapes are too rare.

A rate needs two samples, and four to be worth something: of two it swings by half. Windows come in few sizes, so that
one query asks for each; a measured interval is rounded up to the next usual one.
"""

from typing import NamedTuple

MINUTE_SECONDS = 60.0
LEAST_WINDOW_SECONDS = 30.0
LONGEST_INTERVAL_SECONDS = 60.0
_SCRAPES_A_WINDOW = 4
_FEWEST_SCRAPES = 2
_USUAL_SECONDS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, LONGEST_INTERVAL_SECONDS)
# Scrapes come late, one is missed, a node dates its samples itself.
_SLACK, _MOST_SLACK = 1.15, 1.25
_LATE = 2.5


class Scrape(NamedTuple):
    """The scrapes of a pod: seconds between two, age of the newest sample, window of the rates; None if unknown.

    `gone`: there is no newest sample, as the last scrape failed or the target is no longer there.
    """

    interval: float | None = None
    age: float | None = None
    window: float = LEAST_WINDOW_SECONDS
    gone: bool = False

    @property
    def overdue(self) -> bool:
        """Whether the newest sample is gone, or so old that scrapes were missed: then a rate is too low."""
        if self.gone or self.age is None:
            return self.gone
        return self.age > _LATE * (self.interval or LONGEST_INTERVAL_SECONDS / 2)


def too_rare(interval: float) -> bool:
    """Whether scrapes this far apart are of no use to decide on."""
    return interval > LONGEST_INTERVAL_SECONDS * _MOST_SLACK


def usual_interval(interval: float) -> float:
    """The interval that was most likely configured where this one is measured."""
    return next((each for each in _USUAL_SECONDS if interval <= each * _SLACK), LONGEST_INTERVAL_SECONDS)


def window_for(interval: float | None, least: float) -> float:
    """Seconds over which a rate is taken: four scrapes, and at least `least`."""
    if interval is None:
        return least
    return max(least, _SCRAPES_A_WINDOW * usual_interval(interval))


def fits(interval: float | None, window: float) -> bool:
    """Whether a configured window contains the scrapes that a rate needs at least."""
    return interval is None or _FEWEST_SCRAPES * interval <= window * _SLACK
