"""What a run cost and how well it served."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scalableapp.backtest.service import Floats
from scalableapp.backtest.simulator import Run

_DAY = 86_400


@dataclass(frozen=True)
class Score:
    """A run in numbers, over `seconds`. A minute is a violation when too many of its requests were slow."""

    seconds: int
    violation_minutes: int
    pod_hours: float
    actions: int
    flips: int
    slow_share: float

    @property
    def bad_percent(self) -> float:
        """Violation minutes in percent of all."""
        return 100 * self.violation_minutes / max(self.seconds // 60, 1)

    @property
    def actions_per_day(self) -> float:
        """Changes of replicas per day."""
        return self.actions * _DAY / self.seconds

    @property
    def flips_per_day(self) -> float:
        """Changes of direction per day."""
        return self.flips * _DAY / self.seconds


def score(run: Run, slow_limit: float, skip_seconds: int = 0) -> Score:
    """The run in numbers, without its first `skip_seconds`."""
    signs = [change > 0 for at, change in run.changes if at >= skip_seconds]
    arrivals, slow = run.arrivals[skip_seconds:], run.slow[skip_seconds:]
    return Score(
        seconds=len(arrivals),
        violation_minutes=int(np.sum(bad_minutes(arrivals, slow, slow_limit))),
        pod_hours=float(run.replicas[skip_seconds:].sum()) / 3600,
        actions=len(signs),
        flips=sum(one != other for one, other in pairwise(signs)),
        slow_share=float(slow.sum() / max(arrivals.sum(), 1.0)),
    )


def bad_minutes(arrivals: Floats, slow: Floats, slow_limit: float) -> Floats:
    """1 for each minute with more than `slow_limit` of its requests slow, else 0; a broken last minute counts."""
    starts = np.arange(0, len(arrivals), 60)
    requests, late = np.add.reduceat(arrivals, starts), np.add.reduceat(slow, starts)
    return (late > slow_limit * requests).astype(np.float64)
