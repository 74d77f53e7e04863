"""spec.scaling.intervalSeconds: how often an app is decided on."""

from datetime import datetime, timedelta

from scalableapp.core.api.scaling import Scaling
from scalableapp.core.explain import when
from scalableapp.core.horizontal.rules import Case, RuleResult

# Ticks come on a grid, some a moment early: 29.9 s after the last one is 30 s, or it would become 35 s.
TICK_JITTER_SECONDS = 0.5


def due(scaling: Scaling, last: datetime | None, now: datetime) -> bool:
    """Whether an app that was last decided on at `last` is to be decided on again, by intervalSeconds.

    A clock that was put back never makes it wait.
    """
    if scaling.interval_seconds is None or last is None:
        return True
    return not timedelta(0) <= now - last < timedelta(seconds=scaling.interval_seconds - TICK_JITTER_SECONDS)


def next_decision(case: Case, number: int) -> RuleResult | None:
    """Reports when the next decision is made for an app with its own interval."""
    seconds = case.spec.scaling.interval_seconds
    if seconds is None:
        return None
    now = case.observation.now
    following = when(now + timedelta(seconds=seconds), now)
    return RuleResult("Interval", number, "", f"next decision {following}, as intervalSeconds is {seconds}")
