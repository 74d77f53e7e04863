"""How large pods should be: one chain of rules per resource, from the need to the requested size.

Need: the percentile of the decaying histogram and what the last minute shows, with a margin on top, as the VPA
recommender has it (pkg/recommender/logic/estimator.go: percentile, then margin, then confidence); a floor where a
container was killed or throttled. Then the bounds of the spec and of the cluster, rounding, hysteresis, pace.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from scalableapp.core.api.vertical_fields import Vertical
from scalableapp.core.explain import clock, count, duration
from scalableapp.core.size import Amount, Resource, Size, SizeStep, Sizing, amount_text, format_amount, rounded_up
from scalableapp.core.vertical.backoff import repeats
from scalableapp.core.vertical.bounds import Bounding, allowed, bounded, limit_bound, with_limit
from scalableapp.core.vertical.change import resizable
from scalableapp.core.vertical.peaks import highest
from scalableapp.core.vertical.pressure import active
from scalableapp.core.vertical.usage import (
    REMEMBERED_HALF_LIVES,
    ClusterLimits,
    Floor,
    Learned,
    SizeHistory,
    Usage,
    kept_for,
    lasting_value,
)

# One change may raise a request to so many times what it was, or cut it to its inverse share: what bad data can do.
LARGEST_RAISE = 4.0
LARGEST_CUT = 2.0
# Below this many seconds of history nothing is known yet: rates are taken over a minute, starts take one.
LEAST_HISTORY_SECONDS = 60.0
# VPA's widening of the bounds (its confidence multipliers), in half-lives of history instead of days.
_UPPER_WIDENING = 0.5
_LOWER_WIDENING = 0.01
# Before an app is known for so long, no size is reduced: many are idle in their first hour.
FIRST_SECONDS = 3600.0
# CPU that pods can use without it may exceed their request by so many times the tolerance before a rollout raises it.
_OF_ROLLOUTS = 2.0
# A limit so near to what it should be is left as it is.
_NEAR = 0.1


# The size stays: it fits, or a change of it waits; the message says which. One reason for both: that may change with
# every sample, and each new reason is a write of the status.
KEPT = "SizeKept"
# Reasons of changes that cannot wait.
URGENT = {Resource.CPU: "CPUPressure", Resource.MEMORY: "OOMKilled"}


class Need(NamedTuple):
    """What a pod needs of a resource, and why. `urgent` ignores the pace: pods have too little of it now."""

    value: float
    message: str
    urgent: bool = False


class Verdict(NamedTuple):
    """What became of one resource."""

    amount: Amount
    recommended: Amount
    reason: str
    steps: tuple[SizeStep, ...]
    limited: bool = False
    active: bool = True
    bound: str = ""


def recommend(vertical: Vertical, usage: Usage, history: SizeHistory, now: datetime, planned: int) -> Sizing:
    """The size for `planned` pods. `history` has learnt what is seen now. Pure, and never raises on measured data."""
    verdicts = {
        resource: _verdict(resource, _Case(vertical, usage, history, now, max(1, planned)))
        for resource in vertical.resources
    }
    size = recommended = usage.size
    for resource, verdict in verdicts.items():
        size = size.having(resource, verdict.amount)
        recommended = recommended.having(resource, verdict.recommended)
    size = _in_place_first(usage, size)
    leading = _most_relevant(usage.size, size, verdicts)
    return Sizing(
        usage.size,
        size,
        recommended,
        leading.reason,
        "; ".join(verdict.steps[-1].message for verdict in verdicts.values()),
        tuple(step for verdict in verdicts.values() for step in verdict.steps),
        active=any(verdict.active for verdict in verdicts.values()),
        limited=any(verdict.limited for verdict in verdicts.values()),
        bound="; ".join(filter(None, (verdict.bound for verdict in verdicts.values()))),
    )


def _in_place_first(usage: Usage, size: Size) -> Size:
    """Of two changes of which only one can be made in place, that one: the other replaces the pods, and comes after."""
    if not usage.in_place or resizable(usage.size, size):
        return size
    parts = (usage.size.having(resource, size.of(resource)) for resource in Resource)
    return next((part for part in parts if part != usage.size and resizable(usage.size, part)), size)


def held(usage: Usage, sizing: Sizing, rule: str, reason: str, why: str) -> Sizing:
    """The sizing with the present size kept, and one more step that says why."""
    message = f"pods keep {usage.size}: {why}"
    return replace(
        sizing, size_to=usage.size, reason=reason, message=message, steps=(*sizing.steps, SizeStep(rule, message))
    )


def _most_relevant(before: Size, after: Size, verdicts: dict[Resource, Verdict]) -> Verdict:
    """A change before none, urgent ones before the rest, a raise before a cut."""

    def rank(entry: tuple[Resource, Verdict]) -> tuple[bool, bool, bool]:
        resource, verdict = entry
        old, new = before.of(resource), after.of(resource)
        return new != old, verdict.reason in URGENT.values(), (new.request or 0) > (old.request or 0)

    return max(verdicts.items(), key=rank)[1]


class _Case(NamedTuple):
    vertical: Vertical
    usage: Usage
    history: SizeHistory
    now: datetime
    planned: int

    @property
    def bounding(self) -> Bounding:
        return Bounding(self.vertical, self.usage)


def _verdict(resource: Resource, case: _Case) -> Verdict:
    """One resource's chain."""
    current, learned = case.usage.size.of(resource), case.history.learned[resource]
    need, unusable = _need(resource, learned, case), _unusable(case.usage, case.history)
    if need is None or (unusable and not need.urgent):
        return _unchanged(resource, current, unusable)
    value, bound, cut = bounded(resource, _kept(resource, need, current, case), case.bounding)
    recommended = with_limit(resource, value, current, case.bounding)
    if unusable and (recommended.request or 0) <= (current.request or 0):
        return _unchanged(resource, current, unusable)
    steps = [SizeStep(_rule(resource), need.message)]
    bounds = tuple(
        filter(None, (f"{resource} {bound}" if bound else "", limit_bound(resource, recommended, case.bounding)))
    )
    steps += [SizeStep("Bounds", told) for told in bounds]
    amount, reason, message = _paced(resource, need, recommended, current, case)
    if amount != current and (why := _held_back(resource, amount, need, case)):
        amount, reason, message = current, "BackOff", why
    steps.append(SizeStep("Pace", message))
    known = not case.usage.cluster_limits.get(resource, ClusterLimits()).unread
    too_little = cut and known and rounded_up(resource, need.value) > value * (1 + case.vertical.behavior.up_ratio)
    told = f"{resource} {bound}, but {format_amount(resource, rounded_up(resource, need.value))} are needed"
    return Verdict(amount, recommended, reason, tuple(steps), cut, bound=told if too_little else "")


def _kept(resource: Resource, need: Need, current: Amount, case: _Case) -> float:
    """The need, or as much of the present request as has been needed within the time that counts for cuts."""
    lasts = kept_for(resource, case.history.learned[resource].histogram.half_life, in_place=case.usage.in_place)
    peak = highest(case.history.learned[resource].peaks, case.now - lasts)
    share = case.planned if resource is Resource.CPU else 1
    kept = peak / share * (1 + case.vertical.need(resource).margin_percent / 100)
    return max(need.value, min(kept, current.request or 0.0))


def _held_back(resource: Resource, amount: Amount, need: Need, case: _Case) -> str:
    """Why that change of the resource has to wait after a failed one. A kill of after it does not wait."""
    size = case.usage.size.having(resource, amount)
    killed = case.history.learned[Resource.MEMORY].floor if resource is Resource.MEMORY and need.urgent else None
    since = killed.since if killed else None
    failures = [entry for entry in case.history.failures if since is None or entry.at >= since]
    return repeats(failures, size, resource, case.now)


def _unchanged(resource: Resource, current: Amount, unusable: tuple[str, str] | None) -> Verdict:
    reason, why = unusable or ("AwaitingSamples", "its usage is not known yet")
    message = f"keeps {amount_text(resource, current)}: {why}"
    return Verdict(current, current, reason, (SizeStep(_rule(resource), message),), active=False)


def _unusable(usage: Usage, history: SizeHistory) -> tuple[str, str] | None:
    """Reason and message for why usage must not change a size now."""
    if usage.problem:
        return usage.problem.value, usage.message
    if usage.unsettled:
        return "PodsUnsettled", usage.unsettled
    return None if history.ready else ("AwaitingHistory", "the usage history has not been loaded yet")


def _rule(resource: Resource) -> str:
    return "CPURequest" if resource is Resource.CPU else "MemoryRequest"


def _need(resource: Resource, learned: Learned, case: _Case) -> Need | None:
    """The request that the usage, or what happened to the pods, requires; None without any usage."""
    floor, measured = _floor(learned, case.now), learned.histogram.percentile(case.vertical.need(resource).percentile)
    if measured is None:
        return Need(floor.value, _because(resource, floor), urgent=True) if floor else None
    lacking = floor is not None and _unanswered(resource, floor, case)
    value, message = _usual(resource, measured, learned, case, lacking=lacking)
    if floor and floor.value > value:
        return Need(floor.value, f"{message}; {_because(resource, floor)}", urgent=True)
    killed = active(learned.killed, case.now)
    if killed and killed.value > value:
        return Need(killed.value, f"{message}; {_because(resource, killed)}", urgent=lacking)
    return Need(value, f"{message}; {floor.why}" if floor and lacking else message, urgent=lacking)


def _usual(resource: Resource, measured: float, learned: Learned, case: _Case, *, lacking: bool) -> tuple[float, str]:
    """What the usage requires, and how that was found. Pods that lack CPU need what they have just used, and more."""
    rules = case.vertical.need(resource)
    recent, peak = lasting_value(resource, learned.recent), 0.0
    if lacking:
        recent = max((sample.value for sample in learned.recent), default=0.0)
    if resource is Resource.MEMORY:
        peak = highest(learned.peaks, case.now - kept_for(resource, learned.histogram.half_life))
    share = case.planned if resource is Resource.CPU else 1
    values = {f"percentile {rules.percentile}": measured, "the last minute": recent, "the peak of the last days": peak}
    which = max(values, key=lambda name: values[name])
    usage = values[which] / share
    value = usage * (1 + rules.margin_percent / 100)
    whose = f" per pod on {count(case.planned, 'pod')}" if share > 1 else ""
    return value, (
        f"{resource} usage is {format_amount(resource, rounded_up(resource, usage))}{whose} ({which}), "
        f"{format_amount(resource, rounded_up(resource, value))} with {rules.margin_percent} % margin"
    )


def _unanswered(resource: Resource, floor: Floor, case: _Case) -> bool:
    """Whether pods lack it now: CPU at this look, memory since the last change, whatever the usage requires."""
    if resource is Resource.CPU or floor.since is None or case.history.changed_at is None:
        return floor.since == case.now
    return floor.since > case.history.changed_at


def _floor(learned: Learned, now: datetime) -> Floor | None:
    return active(learned.floor, now)


def _because(resource: Resource, floor: Floor) -> str:
    return f"{floor.why}: {resource} needs at least {format_amount(resource, floor.value)}"


def _paced(
    resource: Resource, need: Need, recommended: Amount, current: Amount, case: _Case
) -> tuple[Amount, str, str]:
    """The amount to set now, its reason, and why."""
    old, new = current.request, recommended.request or 0.0
    if old is None:
        return recommended, "RequestSet", f"sets {amount_text(resource, recommended)}: there was no request"
    if new > old:
        return _raised(resource, need, recommended, current, case)
    if new < old:
        return _cut(resource, recommended, current, case)
    if recommended.limit == current.limit or _near(recommended.limit, current.limit):
        return current, KEPT, f"{amount_text(resource, current)} fits"
    return (
        recommended,
        "LimitSet",
        f"sets {amount_text(resource, recommended)}: the limit follows limits: {case.vertical.limits}",
    )


def _near(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= _NEAR * other


def _raised(
    resource: Resource, need: Need, recommended: Amount, current: Amount, case: _Case
) -> tuple[Amount, str, str]:
    old, new = current.request or 0.0, recommended.request or 0.0
    confidence = _confidence(resource, case)
    tolerance = case.vertical.behavior.up_ratio * (_OF_ROLLOUTS if _spared(resource, new, current, case) else 1.0)
    lower = new * (1 + _LOWER_WIDENING / confidence) ** -2 / (1 + tolerance)
    change = f"{amount_text(resource, current)} should become {amount_text(resource, recommended)}"
    if not need.urgent and old >= lower:
        return (
            current,
            KEPT,
            f"{amount_text(resource, current)} is close enough to {amount_text(resource, recommended)}",
        )
    if not need.urgent and (why := _too_soon(case, case.vertical.behavior.scale_up.interval_seconds, resource)):
        return current, KEPT, f"{change}: {why}"
    stepped = min(new, allowed(resource, rounded_up(resource, old * LARGEST_RAISE), case.bounding))
    amount = recommended if stepped == new else with_limit(resource, stepped, current, case.bounding)
    reason = URGENT[resource] if need.urgent else "RequestsRaised"
    pace = (
        ""
        if stepped == new
        else f"; at most {LARGEST_RAISE:g} times as much in one step: {amount_text(resource, amount)}"
    )
    return amount, reason, f"{change}{pace}"


def _spared(resource: Resource, needed: float, current: Amount, case: _Case) -> bool:
    """Whether a raise would replace pods which can use the CPU that they need, as it is below their limit."""
    within = current.limit is None or needed <= current.limit
    return resource is Resource.CPU and not case.usage.in_place and within


def _cut(resource: Resource, recommended: Amount, current: Amount, case: _Case) -> tuple[Amount, str, str]:
    old, new = current.request or 0.0, recommended.request or 0.0
    upper = new * (1 + _UPPER_WIDENING / _confidence(resource, case)) * (1 + case.vertical.behavior.down_ratio)
    change = f"{amount_text(resource, current)} should become {amount_text(resource, recommended)}"
    if old <= upper:
        return (
            current,
            KEPT,
            f"{amount_text(resource, current)} is close enough to {amount_text(resource, recommended)}",
        )
    if case.usage.thin:
        return current, KEPT, f"{change}: {case.usage.thin}"
    interval = case.vertical.behavior.scale_down.interval_seconds
    if why := _first_hour(resource, interval, case):
        return current, KEPT, f"{change}: {why}"
    if why := _too_soon(case, interval, resource) or _waits(case, interval, case.history.resumed_at, _RESUMED):
        return current, KEPT, f"{change}: {why}"
    stepped = max(new, allowed(resource, rounded_up(resource, old / LARGEST_CUT), case.bounding))
    amount = recommended if stepped == new else with_limit(resource, stepped, current, case.bounding)
    pace = "" if stepped == new else f"; at most halved in one step: {amount_text(resource, amount)}"
    return amount, "RequestsCut", f"{change}{pace}"


def _confidence(resource: Resource, case: _Case) -> float:
    """Half-lives of history, as far as it is remembered, a sample counting for a minute at most."""
    histogram = case.history.learned[resource].histogram
    known = min(histogram.last - histogram.first, 60.0 * histogram.samples) / histogram.half_life
    return min(max(1e-3, known), REMEMBERED_HALF_LIVES)


def _first_hour(resource: Resource, interval: float, case: _Case) -> str:
    """Why nothing is reduced yet; shorter for those who let usage count for less time."""
    histogram = case.history.learned[resource].histogram
    life = {Resource.CPU: 4, Resource.MEMORY: 2}[resource] * histogram.half_life
    needed = max(interval, min(FIRST_SECONDS, life))
    known = histogram.last - histogram.first
    if known >= needed:
        return ""
    return f"only {duration(known)} of usage history, {duration(needed)} are needed before a request is lowered"


def _too_soon(case: _Case, interval: float, resource: Resource) -> str:
    """Why a change has to wait, if so: too little history, or one a short while ago."""
    histogram = case.history.learned[resource].histogram
    known = histogram.last - histogram.first
    if known < LEAST_HISTORY_SECONDS:
        return f"only {duration(known)} of usage history, {LEAST_HISTORY_SECONDS:.0f} s are needed"
    return _waits(case, interval, case.history.changed_at, "the last change was")


_RESUMED = "the operator started"


def _waits(case: _Case, interval: float, since: datetime | None, what: str) -> str:
    if since is None or (case.now - since).total_seconds() >= interval:
        return ""
    ends = since + timedelta(seconds=interval)
    return f"waits until {clock(ends, case.now)}, because {what} at {clock(since, case.now)}"
