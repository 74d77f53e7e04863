"""The time that decisions go by: the wall clock's, with all that is remembered moved along when it jumps.

And the time in which nobody looked: a process that was stopped, or metrics that could not be read.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from scalableapp.core.vertical.clocks import moved, moved_change, moved_sizes, unwatched
from scalableapp.engine.podtimes import moved_pods
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry

log = logging.getLogger(__name__)

# What a clock is slewed by adds up to a jump in the end; so far it may differ.
LEAST_JUMP = timedelta(seconds=2)
_RECORD_TIMES = (
    "guessed_at",
    "replay_until",
    "decided_at",
    "reported_at",
    "evaluated_at",
    "watched_since",
    "unseen_since",
)


class Timekeeper:
    """`wall` is the wall clock in UTC, `steady` monotonic seconds; without it, a wall clock that never goes back."""

    def __init__(
        self, registry: Registry, wall: Callable[[], datetime], steady: Callable[[], float] | None = None
    ) -> None:
        self._registry = registry
        self._wall = wall
        self._steady = steady
        self._agreed: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """The wall clock's time. Whoever asks first after a jump finds everything moved along."""
        wall, steady = self._wall(), self._steady() if self._steady else 0.0
        jump = self._jump(wall, steady)
        if self._steady is None or self._agreed is None or abs(jump) >= LEAST_JUMP:
            self._agreed = wall, steady
        if abs(jump) >= LEAST_JUMP:
            log.warning("The clock was set %s by %s", "forward" if jump > timedelta(0) else "back", abs(jump))
            for record in self._registry.apps():
                _move(record, jump)
            snapshot = self._registry.snapshot
            taken_before = snapshot and abs(wall - snapshot.at) > abs(wall - snapshot.at - jump)
            if taken_before:
                self._registry.move_snapshot(jump)
        return wall

    def _jump(self, wall: datetime, steady: float) -> timedelta:
        if self._agreed is None:
            return timedelta(0)
        passed = wall - self._agreed[0]
        if self._steady is None:
            return min(passed, timedelta(0))
        return passed - timedelta(seconds=steady - self._agreed[1])


def mark_evaluated(record: AppRecord, now: datetime, longest: timedelta) -> None:
    """The app is looked at. The time since the last look counts only where that one could see, and `longest` is kept.

    Else a single reading would be the whole window: after a pause of the process, or an outage of the metrics.
    """
    before, record.evaluated_at = record.evaluated_at, now
    if before is None or record.history is None or now <= before:
        return
    saw = record.decision is not None and record.decision.recommendation is not None
    if not saw or now - before > longest:
        record.history = unwatched(record.history, now - before)


def _move(record: AppRecord, by: timedelta) -> None:
    sizing = record.sizing
    record.dated = moved_pods(record.dated, by)
    record.replica_settings = tuple(setting._replace(at=setting.at + by) for setting in record.replica_settings)
    record.history = moved(record.history, by) if record.history else None
    sizing.history = moved_sizes(sizing.history, by) if sizing.history else None
    sizing.change = moved_change(sizing.change, by) if sizing.change else None
    for name in _RECORD_TIMES:
        at: datetime | None = getattr(record, name)
        setattr(record, name, at + by if at else None)
