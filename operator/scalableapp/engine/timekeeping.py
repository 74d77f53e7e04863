"""The time that decisions go by: the wall clock's, with all that is remembered moved along when it jumps.

Pods bear times of other clocks, the API server's and the nodes'. What changes while the operator looks has changed
since the last look, whatever these clocks show.

And the time in which nobody looked: a process that was stopped, or metrics that could not be read.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from scalableapp.core.model import PodState
from scalableapp.core.vertical.clocks import moved, moved_change, moved_sizes, unwatched
from scalableapp.engine.record import AppRecord, Dated
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
_POD_TIMES = ("started_at", "readiness_changed_at", "created_at", "ended_at", "oom_killed_at", "left_at")


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


def date_pods(record: AppRecord, now: datetime) -> None:
    """Bring `record.dated` up to date, and note since when pods are missing in it.

    At the first look the pods' times are taken as they are. Later a time that is new lies between the last look and
    now; all times of a pod that is new are moved as its latest one.
    """
    earliest = record.evaluated_at if record.watched_since else None
    record.watched_since = record.watched_since or now
    before, record.dated = record.dated, {}
    for pod in (*record.pods.values(), *record.removed_pods.values()):
        known = before.get(pod.name)
        if known is None or known.reported is not pod:
            known = Dated(pod, _dated(pod, known, earliest, now))
        record.dated[pod.name] = known
    record.unseen_since = (record.unseen_since or now) if record.unseen else None


def _dated(pod: PodState, known: Dated | None, earliest: datetime | None, now: datetime) -> PodState:
    times: dict[str, datetime] = {name: at for name in _POD_TIMES if (at := getattr(pod, name))}
    if known is None:
        latest = max(times.values())
        by = _between(latest, earliest, now) - latest
        return _moved_pod(pod, by) if by else pod
    dated: dict[str, Any] = {
        name: getattr(known.pod, name) if getattr(known.reported, name) == at else _between(at, earliest, now)
        for name, at in times.items()
    }
    return replace(pod, **dated) if dated != times else pod


def _between(at: datetime, earliest: datetime | None, latest: datetime) -> datetime:
    return min(latest, max(at, earliest) if earliest else at)


def left_at(record: AppRecord, name: str) -> datetime | None:
    """When a pod left, by the operator's clock where it has been dated."""
    dated = record.dated.get(name)
    return (dated.pod if dated else record.removed_pods[name]).left_at


def _moved_pod(pod: PodState, by: timedelta) -> PodState:
    return replace(pod, **{name: at + by for name in _POD_TIMES if (at := getattr(pod, name))})


def _move(record: AppRecord, by: timedelta) -> None:
    sizing = record.sizing
    record.dated = {name: Dated(reported, _moved_pod(pod, by)) for name, (reported, pod) in record.dated.items()}
    record.replica_settings = tuple(setting._replace(at=setting.at + by) for setting in record.replica_settings)
    record.history = moved(record.history, by) if record.history else None
    sizing.history = moved_sizes(sizing.history, by) if sizing.history else None
    sizing.change = moved_change(sizing.change, by) if sizing.change else None
    for name in _RECORD_TIMES:
        at: datetime | None = getattr(record, name)
        setattr(record, name, at + by if at else None)
