"""What a decision remembers: kept small enough to live in status, and exact.

Of the recommendations only those are kept that a stabilisation window could still choose: none that a
later one surpasses. What the windows yield is the same as from the full list.
"""

import math
from dataclasses import replace
from datetime import datetime, timedelta

from scalableapp.core.api.scaling import Behavior
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.model import Decision, History, Observation, Recommendation, ScaleEvent

# Backstop for what grows with an app: 1,800 s, the longest period, at one change per 5 s.
MOST_ENTRIES = 360
# No window of the metrics is longer, so that a cut is known while its load does not show yet (settling.py).
LEAST_EVENTS_SECONDS = 300


def first_seen(observation: Observation) -> History:
    """History of an app without a decision so far: as in HPA, what runs counts as recommended.

    So the first scale-down waits for the stabilisation window, as after a restart without a status.
    """
    return History(recommendations=(Recommendation(observation.now, observation.replicas),))


def remember(history: History, decision: Decision, spec: ScalableAppSpec) -> History:
    """`history` with the decision's recommendation, outage, start-ups and loads.

    Without what no window or period in force reaches any more. The same object when nothing changed.
    """
    behavior = spec.scaling.horizontal.behavior
    known = _not_from_the_future(history.recommendations, decision.at)
    asked = (decision.recommendation,) if decision.recommendation else ()
    recommendations = _still_eligible((*known, *asked), decision.at, behavior)
    events = _recent(history.scale_events, decision.at, behavior)
    remembered = History(
        recommendations,
        events,
        decision.outage,
        decision.startups,
        decision.loads,
        decision.learned,
        decision.surplus,
    )
    return history if remembered == history else remembered


def _not_from_the_future(entries: tuple[Recommendation, ...], now: datetime) -> tuple[Recommendation, ...]:
    """What a clock that was put back has left in the future is dated now, or it would count for longer than it may."""
    if not entries or entries[-1].at <= now:
        return entries
    return tuple([replace(entry, at=min(entry.at, now)) for entry in entries])


def record_scale(history: History, at: datetime, change: int, spec: ScalableAppSpec) -> History:
    """`history` with a change of replicas that was carried out at `at`; `change` is signed."""
    events = (*history.scale_events, ScaleEvent(at, change))
    return replace(history, scale_events=_recent(events, at, spec.scaling.horizontal.behavior))


def longest_window_seconds(behavior: Behavior) -> float:
    """How far back recommendations count."""
    return float(max(behavior.scale_up.stabilization_window_seconds, behavior.scale_down.window_seconds))


def _still_eligible(
    entries: tuple[Recommendation, ...], now: datetime, behavior: Behavior
) -> tuple[Recommendation, ...]:
    up_cutoff = now - timedelta(seconds=behavior.scale_up.stabilization_window_seconds)
    down_cutoff = now - timedelta(seconds=behavior.scale_down.window_seconds)
    kept: list[Recommendation] = []
    highest, lowest = -1, math.inf
    for entry in reversed(entries):
        eligible_down = entry.replicas > highest and entry.at > down_cutoff
        eligible_up = entry.replicas < lowest and entry.at > up_cutoff
        if eligible_down or eligible_up:
            kept.append(entry)
        highest, lowest = max(highest, entry.replicas), min(lowest, entry.replicas)
    return tuple(reversed(kept[:MOST_ENTRIES]))


def _recent(events: tuple[ScaleEvent, ...], now: datetime, behavior: Behavior) -> tuple[ScaleEvent, ...]:
    if not events:
        return events
    policies = (*behavior.scale_up.policies, *behavior.scale_down.policies)
    reach = max([LEAST_EVENTS_SECONDS, *(policy.period_seconds for policy in policies)])
    cutoff = now - timedelta(seconds=reach)
    recent = tuple(event for event in events if event.at > cutoff)[-MOST_ENTRIES:]
    if recent and recent[-1].at > now:
        recent = tuple([replace(event, at=min(event.at, now)) for event in recent])
    return recent
