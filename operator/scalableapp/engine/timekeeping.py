"""The time that decisions go by: the wall clock's, with all that is remembered moved along when it jumps.

And the time in which nobody looked: a process that was stopped, or metrics that could not be read.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from scalableapp.core.vertical.clocks import moved, moved_change, moved_sizes, unwatched
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry

log = logging.getLogger(__name__)

# Clocks are slewed by less between two looks.
LEAST_JUMP = timedelta(seconds=2)


class Timekeeper:
    """`wall` is the wall clock in UTC, `steady` monotonic seconds; without it, a wall clock that never goes back."""

    def __init__(
        self, registry: Registry, wall: Callable[[], datetime], steady: Callable[[], float] | None = None
    ) -> None:
        self._registry = registry
        self._wall = wall
        self._steady = steady
        self._last: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """The wall clock's time. Whoever asks first after a jump finds everything moved along."""
        wall, steady = self._wall(), self._steady() if self._steady else 0.0
        jump = self._jump(wall, steady)
        self._last = wall, steady
        if abs(jump) >= LEAST_JUMP:
            log.warning("The clock was set %s by %s", "forward" if jump > timedelta(0) else "back", abs(jump))
            for record in self._registry.apps():
                _move(record, jump)
            if snapshot := self._registry.snapshot:
                self._registry.snapshot = replace(snapshot, at=snapshot.at + jump)
        return wall

    def _jump(self, wall: datetime, steady: float) -> timedelta:
        if self._last is None:
            return timedelta(0)
        passed = wall - self._last[0]
        if self._steady is None:
            return min(passed, timedelta(0))
        return passed - timedelta(seconds=steady - self._last[1])


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
    record.history = moved(record.history, by) if record.history else None
    sizing.history = moved_sizes(sizing.history, by) if sizing.history else None
    sizing.change = moved_change(sizing.change, by) if sizing.change else None
    for name in ("guessed_at", "replay_until", "decided_at", "reported_at", "evaluated_at"):
        at: datetime | None = getattr(record, name)
        setattr(record, name, at + by if at else None)
