"""Fewest and most replicas at a moment: minReplicas and maxReplicas, or what active schedules put in their place."""

from datetime import datetime
from typing import NamedTuple

from scalableapp.core.occasions import Schedule
from scalableapp.core.scaling import Horizontal


class Bounds(NamedTuple):
    """Fewest and most replicas, and what says so."""

    least: int
    most: int
    least_by: str = "minReplicas"
    most_by: str = "maxReplicas"


def bounds_at(horizontal: Horizontal, now: datetime) -> Bounds:
    """The bounds in force. Of several active schedules the highest floor and the lowest cap count.

    Should they cross, the floor wins: too many pods cost money, too few cost requests.
    """
    bounds = Bounds(horizontal.min_replicas, horizontal.max_replicas)
    active = [schedule for schedule in horizontal.schedules if is_active(schedule, now)]
    floors = [(s.min_replicas, f"minReplicas of schedule {s.name}") for s in active if s.min_replicas is not None]
    caps = [(s.max_replicas, f"maxReplicas of schedule {s.name}") for s in active if s.max_replicas is not None]
    least, least_by = max(floors, default=(bounds.least, bounds.least_by))
    most, most_by = min(caps, default=(bounds.most, bounds.most_by))
    return Bounds(least, most, least_by, most_by) if least <= most else Bounds(least, least, least_by, least_by)


def is_active(schedule: Schedule, now: datetime) -> bool:
    """Whether it has started more recently than it ended."""
    return schedule.started.last(now) > schedule.ended.last(now)


def outlook(schedules: tuple[Schedule, ...], now: datetime) -> str:
    """What the active schedules set and until when; if none is active, which comes next."""
    active = [schedule for schedule in schedules if is_active(schedule, now)]
    if active:
        return "; ".join(
            f"schedule {s.name} sets {_bounds_of(s)} until {_moment(s, s.ended.next(now))}" for s in active
        )
    following = min(schedules, key=lambda schedule: schedule.started.next(now))
    starts = _moment(following, following.started.next(now))
    return f"no schedule is active; {following.name} starts at {starts} with {_bounds_of(following)}"


def _bounds_of(schedule: Schedule) -> str:
    floor = "" if schedule.min_replicas is None else f"minReplicas {schedule.min_replicas}"
    cap = "" if schedule.max_replicas is None else f"maxReplicas {schedule.max_replicas}"
    return " and ".join(filter(None, (floor, cap)))


def _moment(schedule: Schedule, at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} {schedule.timezone}"
