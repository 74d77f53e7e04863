"""How large pods should be: one chain of rules per resource, from the need to the requested size.

Need: the percentile of the decaying histogram and what the last minute shows, with a margin on top, as the VPA
recommender has it (pkg/recommender/logic/estimator.go: percentile, then margin, then confidence); a floor where a
container was killed or throttled. Then the bounds of the spec and of the cluster, rounding, hysteresis, pace.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from scalableapp.core.api.vertical_fields import LimitsPolicy, Vertical
from scalableapp.core.explain import clock, count, duration
from scalableapp.core.size import (
    Amount,
    Resource,
    Size,
    SizeStep,
    Sizing,
    amount_text,
    format_amount,
    rounded_down,
    rounded_up,
)
from scalableapp.core.vertical.usage import (
    REMEMBERED_HALF_LIVES,
    ClusterLimits,
    FailedResize,
    Floor,
    Learned,
    SizeHistory,
    Usage,
)

# One change may raise a request to so many times what it was, or cut it to its inverse share: what bad data can do.
LARGEST_RAISE = 4.0
LARGEST_CUT = 2.0
# Below this many seconds of history nothing is known yet: rates are taken over a minute, starts take one.
LEAST_HISTORY_SECONDS = 60.0
# VPA's widening of the bounds (its confidence multipliers), in half-lives of history instead of days.
_UPPER_WIDENING = 0.5
_LOWER_WIDENING = 0.01
# A failed resize is not tried again for so long, twice as long after each further one.
FIRST_BACK_OFF_SECONDS = 300.0
LONGEST_BACK_OFF_SECONDS = 86400.0
# A size this close to the failed one counts as the same.
_SAME = 0.05


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
    leading = _most_relevant(usage.size, verdicts)
    return Sizing(
        usage.size,
        size,
        recommended,
        leading.reason,
        "; ".join(verdict.steps[-1].message for verdict in verdicts.values()),
        tuple(step for verdict in verdicts.values() for step in verdict.steps),
        active=any(verdict.active for verdict in verdicts.values()),
        limited=any(verdict.limited for verdict in verdicts.values()),
    )


def held(usage: Usage, sizing: Sizing, rule: str, reason: str, why: str) -> Sizing:
    """The sizing with the present size kept, and one more step that says why."""
    message = f"pods keep {usage.size}: {why}"
    return replace(
        sizing, size_to=usage.size, reason=reason, message=message, steps=(*sizing.steps, SizeStep(rule, message))
    )


def _most_relevant(before: Size, verdicts: dict[Resource, Verdict]) -> Verdict:
    """A change before none, urgent ones before the rest, a raise before a cut."""

    def rank(entry: tuple[Resource, Verdict]) -> tuple[bool, bool, bool]:
        resource, verdict = entry
        old = before.of(resource)
        raised = (verdict.amount.request or 0) > (old.request or 0)
        return verdict.amount != old, verdict.reason in URGENT.values(), raised

    return max(verdicts.items(), key=rank)[1]


class _Case(NamedTuple):
    vertical: Vertical
    usage: Usage
    history: SizeHistory
    now: datetime
    planned: int


def _verdict(resource: Resource, case: _Case) -> Verdict:
    """One resource's chain."""
    current, learned = case.usage.size.of(resource), case.history.learned[resource]
    need = _need(resource, learned, case)
    unusable = _unusable(case.usage, case.history)
    if need is None or (not need.urgent and unusable):
        reason, why = unusable or ("AwaitingSamples", "its usage is not known yet")
        message = f"keeps {amount_text(resource, current)}: {why}"
        return Verdict(current, current, reason, (SizeStep(_rule(resource), message),), active=False)
    bounded, bound, cut = _bounded(resource, need.value, case)
    recommended = _limits(resource, bounded, current, case)
    steps = [SizeStep(_rule(resource), need.message)]
    if bound:
        steps.append(SizeStep("Bounds", f"{resource} {bound}"))
    amount, reason, message = _paced(resource, need, recommended, current, case)
    steps.append(SizeStep("Pace", message))
    return Verdict(amount, recommended, reason, tuple(steps), cut)


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
    rules, floor = case.vertical.need(resource), _floor(learned, case.now)
    measured = learned.histogram.percentile(rules.percentile)
    if measured is None:
        return Need(floor.value, _because(resource, floor), urgent=True) if floor else None
    recent = _recent(resource, learned)
    share = case.planned if resource is Resource.CPU else 1
    usage = max(measured, recent) / share
    value = usage * (1 + rules.margin_percent / 100)
    which = "the last minute" if recent > measured else f"percentile {rules.percentile}"
    whose = f" per pod on {count(case.planned, 'pod')}" if share > 1 else ""
    message = (
        f"{resource} usage is {format_amount(resource, rounded_up(resource, usage))}{whose} ({which}), "
        f"{format_amount(resource, rounded_up(resource, value))} with {rules.margin_percent} % margin"
    )
    if floor and floor.value > value:
        return Need(floor.value, f"{message}; {_because(resource, floor)}", urgent=True)
    return Need(value, message)


def _floor(learned: Learned, now: datetime) -> Floor | None:
    return learned.floor if learned.floor and learned.floor.until > now else None


def _because(resource: Resource, floor: Floor) -> str:
    return f"{floor.why}: {resource} needs at least {format_amount(resource, floor.value)}"


def _recent(resource: Resource, learned: Learned) -> float:
    """Of memory the peak; of CPU what every sample shows, once there are some."""
    values = [sample.value for sample in learned.recent]
    if resource is Resource.MEMORY:
        return max(values, default=0.0)
    return min(values) if len(values) > 3 else 0.0


def _bounded(resource: Resource, need: float, case: _Case) -> tuple[float, str, bool]:
    """The need rounded and within all bounds, the message for the bound that changed it, and whether it was limited."""
    value, bounded, cut = rounded_up(resource, need), "", False
    # The user's bounds first: what the cluster refuses cannot be had, whatever they say.
    for bound, what, is_most in (*_stated(resource, case), *_of_cluster(resource, case)):
        if is_most and value > bound:
            value, cut = rounded_down(resource, bound), True
            bounded = f"limited to {format_amount(resource, bound)} by {what}"
        elif not is_most and value < bound:
            value, bounded = bound, f"raised to {format_amount(resource, bound)} by {what}"
    return value, bounded, cut


_Bound = tuple[float, str, bool]  # and whether it is the most


def _stated(resource: Resource, case: _Case) -> Iterator[_Bound]:
    most = case.vertical.most.get(resource)
    if most is not None:
        yield most, f"maxAllowed.{resource}", True
    yield case.vertical.least[resource], f"minAllowed.{resource}", False


def _of_cluster(resource: Resource, case: _Case) -> Iterator[_Bound]:
    allowed = case.usage.cluster_limits.get(resource, ClusterLimits())
    if allowed.most is not None:
        yield allowed.most, allowed.whose, True
    limit, what = _fixed_limit(resource, allowed, case)
    if limit is not None:
        yield limit, what, True
    if allowed.least is not None:
        yield allowed.least, allowed.whose, False
    if limit is not None and allowed.ratio:
        yield rounded_up(resource, limit / allowed.ratio), f"maxLimitRequestRatio {allowed.ratio:g} and {what}", False


def _allowed(resource: Resource, value: float, case: _Case) -> float:
    """The value within what the cluster allows: a smaller step would be refused."""
    for bound, _, is_most in _of_cluster(resource, case):
        value = min(value, bound) if is_most else max(value, bound)
    return value


def _fixed_limit(resource: Resource, allowed: ClusterLimits, case: _Case) -> tuple[float | None, str]:
    """The limit that pods will have whatever is requested; None where it follows the request, or there is none."""
    policy, limit = case.vertical.limits, case.usage.size.of(resource).limit
    if policy is LimitsPolicy.NONE or limit is None:
        return allowed.default_limit, f"the namespace's default limit of {resource}"
    if policy is LimitsPolicy.REQUESTS_ONLY:
        why = f"its limit, which limits: RequestsOnly does not change; raise spec.resources.limits.{resource}"
        return _at_most(limit, allowed.most_limit), why
    return None, ""


def _at_most(value: float, most: float | None) -> float:
    return value if most is None else min(value, most)


def _limits(resource: Resource, request: float, current: Amount, case: _Case) -> Amount:
    """The limit that goes with a request, by the policy."""
    policy, limit = case.vertical.limits, current.limit
    allowed = case.usage.cluster_limits.get(resource, ClusterLimits())
    if limit is None or (
        policy is LimitsPolicy.NONE and (allowed.default_limit is not None or not allowed.needs_limit)
    ):
        return Amount(request, None)
    if policy is LimitsPolicy.REQUESTS_ONLY:
        limit = _at_most(limit, allowed.most_limit)
        return Amount(min(request, limit), limit)
    scaled = rounded_up(resource, request * (limit / current.request if current.request else 1.0))
    if allowed.ratio and scaled > round(request * allowed.ratio, 9):
        scaled = max(request, rounded_down(resource, request * allowed.ratio))
    if allowed.most_limit is not None and scaled > allowed.most_limit:
        rounded = rounded_down(resource, allowed.most_limit)
        scaled = rounded if rounded >= request else allowed.most_limit
    return Amount(min(request, scaled), scaled)


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
    if recommended != current:
        return (
            recommended,
            "LimitSet",
            f"sets {amount_text(resource, recommended)}: the limit follows limits: {case.vertical.limits}",
        )
    return current, KEPT, f"{amount_text(resource, current)} fits"


def _raised(
    resource: Resource, need: Need, recommended: Amount, current: Amount, case: _Case
) -> tuple[Amount, str, str]:
    old, new = current.request or 0.0, recommended.request or 0.0
    confidence = _confidence(resource, case)
    lower = new * (1 + _LOWER_WIDENING / confidence) ** -2 / (1 + case.vertical.behavior.up_ratio)
    change = f"{amount_text(resource, current)} should become {amount_text(resource, recommended)}"
    if not need.urgent and old >= lower:
        return (
            current,
            KEPT,
            f"{amount_text(resource, current)} is close enough to {amount_text(resource, recommended)}",
        )
    if not need.urgent and (why := _too_soon(case, case.vertical.behavior.scale_up.interval_seconds, resource)):
        return current, KEPT, f"{change}: {why}"
    stepped = min(new, _allowed(resource, rounded_up(resource, old * LARGEST_RAISE), case))
    amount = recommended if stepped == new else _limits(resource, stepped, current, case)
    reason = URGENT[resource] if need.urgent else "RequestsRaised"
    pace = (
        ""
        if stepped == new
        else f"; at most {LARGEST_RAISE:g} times as much in one step: {amount_text(resource, amount)}"
    )
    return amount, reason, f"{change}{pace}"


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
    if why := _too_soon(case, interval, resource) or _waits(case, interval, case.history.resumed_at, _RESUMED):
        return current, KEPT, f"{change}: {why}"
    stepped = max(new, _allowed(resource, rounded_up(resource, old / LARGEST_CUT), case))
    amount = recommended if stepped == new else _limits(resource, stepped, current, case)
    pace = "" if stepped == new else f"; at most halved in one step: {amount_text(resource, amount)}"
    return amount, "RequestsCut", f"{change}{pace}"


def _confidence(resource: Resource, case: _Case) -> float:
    """Half-lives of history, as far as it is remembered, a sample counting for a minute at most."""
    histogram = case.history.learned[resource].histogram
    known = min(histogram.last - histogram.first, 60.0 * histogram.samples) / histogram.half_life
    return min(max(1e-3, known), REMEMBERED_HALF_LIVES)


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


def repeats(failure: FailedResize | None, size: Size, now: datetime) -> str:
    """Why the size would repeat a failed resize too soon; "" when it would not."""
    if failure is None or not any(_as_bad(failure, size, resource) for resource in Resource):
        return ""
    return backing_off(failure, now)


def backing_off(failure: FailedResize, now: datetime) -> str:
    """What failed a while ago and must not be retried yet; "" when it may be."""
    left = _back_off(failure) - (now - failure.at).total_seconds()
    if left <= 0:
        return ""
    retry = clock(now + timedelta(seconds=left), now)
    return f"{failure.size} was rolled back at {clock(failure.at, now)}: {failure.why}; no retry before {retry}"


def counted(failure: FailedResize | None, size: Size, now: datetime) -> int:
    """How many times in a row a size was rolled back, this time included."""
    if failure is None or not any(_as_bad(failure, size, resource) for resource in Resource):
        return 1
    return failure.times + 1 if (now - failure.at).total_seconds() < 2 * _back_off(failure) else 1


def _back_off(failure: FailedResize) -> float:
    return min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2.0 ** min(20, failure.times - 1))


def _as_bad(failure: FailedResize, size: Size, resource: Resource) -> bool:
    was, failed = failure.before.of(resource).request or 0.0, failure.size.of(resource).request or 0.0
    request = size.of(resource).request or 0.0
    if failed > was:
        return request >= failed * (1 - _SAME)
    return failed < was and request <= failed * (1 + _SAME)
