"""Windows and periods count time that passes, not what the wall clock shows.

Where the clock is put forward or back, everything that is remembered is moved with it, so that it keeps its age.
"""

from dataclasses import replace
from datetime import timedelta

from scalableapp.core.learning.forecast import LoadHistory
from scalableapp.core.learning.objective import Learned
from scalableapp.core.model import NO_SURPLUS, History
from scalableapp.core.vertical.change import Change
from scalableapp.core.vertical.usage import Floor, SizeHistory
from scalableapp.core.vertical.usage import Learned as Usage


def moved(history: History, by: timedelta) -> History:
    """All times of the history, moved."""
    return replace(
        history,
        recommendations=tuple(replace(entry, at=entry.at + by) for entry in history.recommendations),
        scale_events=tuple(replace(event, at=event.at + by) for event in history.scale_events),
        outage=replace(history.outage, since=history.outage.since + by) if history.outage else None,
        loads=_moved_loads(history.loads, by),
        learned=_moved_learned(history.learned, by.total_seconds()),
    )


def unwatched(history: History, seconds: timedelta) -> History:
    """After a time without access to the metrics: it counts neither for the windows nor as idle time."""
    recommendations = tuple(replace(entry, at=entry.at + seconds) for entry in history.recommendations)
    return replace(history, recommendations=recommendations, surplus=NO_SURPLUS)


def moved_sizes(history: SizeHistory, by: timedelta) -> SizeHistory:
    """All times of what decisions on sizes remember, moved."""
    return replace(
        history,
        learned={resource: _moved_usage(usage, by) for resource, usage in history.learned.items()},
        changed_at=history.changed_at + by if history.changed_at else None,
        resumed_at=history.resumed_at + by if history.resumed_at else None,
        scaled=replace(history.scaled, at=history.scaled.at + by) if history.scaled else None,
        failures=tuple(failure._replace(at=failure.at + by) for failure in history.failures),
    )


def moved_change(change: Change, by: timedelta) -> Change:
    """All times of a change of size that is under way, moved."""
    done_at = change.done_at + by if change.done_at else None
    return replace(change, opened_at=change.opened_at + by, since=change.since + by, done_at=done_at)


def _moved_usage(usage: Usage, by: timedelta) -> Usage:
    return replace(
        usage,
        histogram=usage.histogram.moved(by.total_seconds()),
        recent=tuple(sample._replace(at=sample.at + by) for sample in usage.recent),
        peaks=tuple(peak._replace(at=peak.at + by) for peak in usage.peaks),
        floor=_moved_floor(usage.floor, by),
        killed=_moved_floor(usage.killed, by),
    )


def _moved_floor(floor: Floor | None, by: timedelta) -> Floor | None:
    if floor is None:
        return None
    return floor._replace(until=floor.until + by, since=floor.since + by if floor.since else None)


def _moved_loads(loads: LoadHistory, by: timedelta) -> LoadHistory:
    """The buckets stay: they are of hours and days, as the wall clock has them."""
    return replace(
        loads,
        recent=tuple(sample._replace(at=sample.at + by) for sample in loads.recent),
        pending=tuple(forecast._replace(due=forecast.due + by) for forecast in loads.pending),
    )


def _moved_learned(learned: Learned, seconds: float) -> Learned:
    return replace(
        learned,
        recent=tuple(moment._replace(at=moment.at + seconds) for moment in learned.recent),
        minute_ended=learned.minute_ended + seconds,
        judged=learned.judged + seconds,
        verdict=replace(learned.verdict, at=learned.verdict.at + seconds) if learned.verdict else None,
        push=replace(learned.push, at=learned.push.at + seconds),
        trial=learned.trial.moved(seconds),
        bad_at=learned.bad_at + seconds,
    )
