"""What kills for memory and throttled CPU teach: usage alone does not show how much more would have been used."""

from dataclasses import replace
from datetime import datetime, timedelta

from scalableapp.core.api.vertical_fields import LimitsPolicy, Vertical
from scalableapp.core.explain import duration
from scalableapp.core.size import Amount, Resource, rounded_up
from scalableapp.core.vertical.usage import (
    RECENT_SECONDS,
    Floor,
    Learned,
    SizeHistory,
    Usage,
    kept_for,
    with_usage,
)

# VPA's rule for a container that was killed for its memory (--oom-bump-up-ratio, --oom-min-bump-up-bytes): it would
# have needed more than it had, but it is unknown how much more.
OOM_RATIO = 1.2
OOM_BYTES = 100 * 2**20
# Killed again so soon, it is far from enough: then the request grows so many times, and what is too much of that is
# given back after an hour.
SOON_SECONDS = 600.0
AGAIN_RATIO = 2.0
_HOUR = timedelta(hours=1)
# A quarter of the periods throttled is a pod that people feel to be slow.
THROTTLED_SHARE = 0.25
# For throttling, no request becomes more than so many times what a pod uses.
LARGEST_MULTIPLE = 10.0
# More CPU has helped if pods are throttled less, or use more, by a tenth.
_HELPED = 0.1


def learn(history: SizeHistory, usage: Usage, vertical: Vertical, now: datetime) -> SizeHistory:
    """`history` with what is seen now: usage, kills, throttling."""
    history = with_usage(history, usage, vertical, now)
    return _throttling(_kills(history, usage, vertical, now), usage, vertical, now)


def active(floor: Floor | None, now: datetime) -> Floor | None:
    """The floor, as long as it counts."""
    return floor if floor and floor.until > now else None


def _kills(history: SizeHistory, usage: Usage, vertical: Vertical, now: datetime) -> SizeHistory:
    """New kills for memory: the request that brings the limit to what VPA adds after one, or more after a second."""
    before, kills = history.oom_kills, usage.oom_kills
    history = replace(history, oom_kills=kills)
    amount = usage.killed or usage.size.memory
    had = amount.limit or amount.request
    if kills <= before or had is None or Resource.MEMORY not in vertical.resources:
        return history
    learned = history.learned[Resource.MEMORY]
    last, why = learned.killed, "a container was OOM-killed"
    request = needed = rounded_up(Resource.MEMORY, max(had * OOM_RATIO, had + OOM_BYTES) * _share(amount))
    if last and last.since and timedelta(0) <= now - last.since <= timedelta(seconds=SOON_SECONDS):
        why = f"a container was OOM-killed again within {duration((now - last.since).total_seconds())}"
        request = rounded_up(Resource.MEMORY, max(request, (amount.request or had) * AGAIN_RATIO))
    known = active(learned.killed, now)
    lasts = kept_for(Resource.MEMORY, learned.histogram.half_life)
    killed = Floor(max(needed, known.value if known else 0.0), now + lasts, "containers were OOM-killed", now)
    return _with(history, Resource.MEMORY, replace(learned, floor=Floor(request, now + _HOUR, why, now), killed=killed))


def _throttling(history: SizeHistory, usage: Usage, vertical: Vertical, now: datetime) -> SizeHistory:
    """More CPU while pods are throttled, as long as that helps, and within a multiple of what they use."""
    request, limit = usage.size.cpu
    if limit is not None and vertical.limits is LimitsPolicy.REQUESTS_ONLY:
        return history  # no request helps against a limit that stays
    settled = history.changed_at is None or (now - history.changed_at).total_seconds() > RECENT_SECONDS
    throttled = usage.throttled or 0.0
    if throttled <= THROTTLED_SHARE or not request or not settled or Resource.CPU not in vertical.resources:
        return history
    learned = history.learned[Resource.CPU]
    used = max(usage.per_pod.get(Resource.CPU, ()), default=None)
    last, why = active(learned.floor, now), f"pods lack CPU {throttled * 100:.0f} % of the time"
    until = now + kept_for(Resource.CPU, learned.histogram.half_life, in_place=usage.in_place)
    if last and not _helped(last, request, throttled, used):
        why = f"{why}, which more CPU did not reduce"
        return _with(history, Resource.CPU, replace(learned, floor=last._replace(value=request, until=until, why=why)))
    most = LARGEST_MULTIPLE * used if used is not None else request * 2
    value = rounded_up(Resource.CPU, max(request, min(request * (1 + min(1.0, throttled)), most)))
    floor = Floor(value, until, why, now, request, throttled, used or 0.0)
    return _with(history, Resource.CPU, replace(learned, floor=floor))


def _helped(last: Floor, request: float, throttled: float, used: float | None) -> bool:
    """Whether a raise since then was of use; without one it is not known, and it is taken to be."""
    if request <= last.request:
        return True
    return throttled <= last.throttled * (1 - _HELPED) or (used or 0.0) > last.used * (1 + _HELPED)


def _with(history: SizeHistory, resource: Resource, learned: Learned) -> SizeHistory:
    return replace(history, learned={**history.learned, resource: learned})


def _share(amount: Amount) -> float:
    """Request over limit; 1 without a limit."""
    return amount.request / amount.limit if amount.request and amount.limit else 1.0
