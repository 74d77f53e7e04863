"""Minimum and maximum replicas at a moment: minReplicas and maxReplicas, or what active schedules set instead."""

from datetime import datetime
from typing import NamedTuple

from scalableapp.core.api.scaling import Horizontal
from scalableapp.core.api.schedules import Schedule

_FLOOR, _CAP = "minReplicas", "maxReplicas"


class Bound(NamedTuple):
    """A number of replicas, and what sets it."""

    value: int
    field: str
    schedule: str = ""

    @property
    def stated_by(self) -> str:
        """What sets it: minReplicas of schedule office-hours."""
        return f"{self.field}{self._whose}"

    def __str__(self) -> str:
        return f"{self.field} {self.value}{self._whose}"

    @property
    def _whose(self) -> str:
        return f" of schedule {self.schedule}" if self.schedule else ""


class Bounds(NamedTuple):
    """Minimum and maximum replicas."""

    least: Bound
    most: Bound

    def beyond(self, number: int) -> Bound | None:
        """The bound that `number` is outside of, if any."""
        if number > self.most.value:
            return self.most
        return self.least if number < self.least.value else None


def bounds_at(horizontal: Horizontal, now: datetime) -> Bounds:
    """The bounds in force. Of several active schedules the highest floor and the lowest cap count.

    Should they cross, the floor wins: too many pods cost money, too few cost requests.
    """
    least, most = Bound(horizontal.min_replicas, _FLOOR), Bound(horizontal.max_replicas, _CAP)
    if not horizontal.schedules:
        return Bounds(least, most)
    active = [schedule for schedule in horizontal.schedules if is_active(schedule, now)]
    floors = [Bound(s.min_replicas, _FLOOR, s.name) for s in active if s.min_replicas is not None]
    caps = [Bound(s.max_replicas, _CAP, s.name) for s in active if s.max_replicas is not None]
    least, most = max(floors, default=least), min(caps, default=most)
    return Bounds(least, most if least.value <= most.value else least)


def is_active(schedule: Schedule, now: datetime) -> bool:
    """Whether it has started more recently than it ended."""
    return schedule.started.last(now) > schedule.ended.last(now)


def next_change(schedules: tuple[Schedule, ...], now: datetime) -> str:
    """What the active schedules set and until when; if none is active, which comes next."""
    active = [schedule for schedule in schedules if is_active(schedule, now)]
    if active:
        return "; ".join(
            f"schedule {s.name} sets {_bounds_of(s)} until {s.ended.text(s.ended.next(now))}" for s in active
        )
    following = min(schedules, key=lambda schedule: schedule.started.next(now))
    starts_at = following.started.text(following.started.next(now))
    return f"no schedule is active; {following.name} starts at {starts_at} with {_bounds_of(following)}"


def _bounds_of(schedule: Schedule) -> str:
    stated = ((_FLOOR, schedule.min_replicas), (_CAP, schedule.max_replicas))
    return " and ".join(f"{field} {value}" for field, value in stated if value is not None)
