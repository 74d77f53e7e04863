"""`behavior`: stabilisation windows and scaling policies, with autoscaling/v2's arithmetic.

Formulas and rounding are those of pkg/controller/podautoscaler/horizontal.go in Kubernetes 1.36
(stabilizeRecommendationWithBehaviors, convertDesiredReplicasWithBehaviorRate).
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from scalableapp.core.api.scaling import Policy, PolicyType, ScaleDown, ScaleUp, SelectPolicy
from scalableapp.core.explain import Reason, clock, count, duration
from scalableapp.core.horizontal.bounds import bounds_at
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.model import Recommendation, ScaleEvent


def stabilization(case: Case, number: int) -> RuleResult | None:
    """Moves from the current replicas only as far as every recommendation in the windows allows.

    Up: not above the lowest recommendation in scaleUp's window. Down: not below the highest one in
    scaleDown's. What the metrics need now counts in both.
    """
    up = _not_from_the_future(case, _within(case, case.horizontal.behavior.scale_up.stabilization_window_seconds))
    down = _within(case, case.down_window_seconds)
    lowest = min([entry.replicas for entry in up], default=number)
    highest = max([entry.replicas for entry in down], default=number)
    value = min(max(case.current, min(lowest, number)), max(highest, number))
    if value > number:
        return _stabilized(case, number, value, [entry for entry in down if entry.replicas >= value][-1], down)
    if value < number:
        return _stabilized(case, number, value, [entry for entry in up if entry.replicas <= value][-1], up)
    return None


def _within(case: Case, window_seconds: int) -> list[Recommendation]:
    if not window_seconds:
        return []
    cutoff = case.observation.now - timedelta(seconds=window_seconds)
    return [entry for entry in case.history.recommendations if entry.at > cutoff]


def _not_from_the_future(case: Case, entries: list[Recommendation]) -> list[Recommendation]:
    """Without those of a clock that was put back, which must not delay a scale-up."""
    return [entry for entry in entries if entry.at <= case.observation.now]


def _stabilized(
    case: Case, number: int, value: int, binding: Recommendation, window: Iterable[Recommendation]
) -> RuleResult:
    up, now, behavior = value < number, case.observation.now, case.horizontal.behavior
    seconds = behavior.scale_up.stabilization_window_seconds if up else case.down_window_seconds
    ends = binding.at + timedelta(seconds=seconds)
    following = [number, *(entry.replicas for entry in window if entry.at > binding.at)]
    then = _then(case, ends, min(following) if up else max(following), value)
    message = (
        f"the stabilisation window holds {value} until {clock(ends, now)}, because {binding.replicas} "
        f"{'was' if binding.replicas == 1 else 'were'} recommended at {clock(binding.at, now)}; {then}"
    )
    reason = Reason.SCALE_UP_STABILIZED if up else Reason.SCALE_DOWN_STABILIZED
    return RuleResult("Stabilization", value, reason, message, limits=True)


def _then(case: Case, at: datetime, number: int, held: int) -> str:
    """The number that follows at that time, within the bounds in force then; a number outside them never comes."""
    bound = bounds_at(case.horizontal, at).beyond(number)
    following = bound.value if bound else number
    if bound and following == held:
        return f"then {bound} applies"
    source = f" ({bound.stated_by})" if bound else ""
    return f"then {following}{source} {'if still' if following > held else 'unless more are'} needed"


def rate(case: Case, number: int) -> RuleResult | None:
    """Limits the change to what the policies leave of their periods. From 0, one pod is always allowed."""
    if number > case.current:
        return _limit_up(case, number, case.horizontal.behavior.scale_up)
    if number < case.current:
        return _limit_down(case, number, case.horizontal.behavior.scale_down)
    return None


def _limit_up(case: Case, number: int, rules: ScaleUp) -> RuleResult | None:
    if rules.select_policy is SelectPolicy.DISABLED:
        return _disabled(case, number, "Up", Reason.SCALE_UP_LIMIT)
    select = min if rules.select_policy is SelectPolicy.MIN else max
    limit, policy = select(((_most(policy, case), policy) for policy in rules.policies), key=_limit_of)
    limit = max(limit, case.current, 1)  # earlier changes are not reverted, and a percentage of 0 pods is 0 pods
    return _limited(case, number, limit, policy) if number > limit else None


def _limit_down(case: Case, number: int, rules: ScaleDown) -> RuleResult | None:
    if rules.select_policy is SelectPolicy.DISABLED:
        return _disabled(case, number, "Down", Reason.SCALE_DOWN_LIMIT)
    select = max if rules.select_policy is SelectPolicy.MIN else min
    limit, policy = select(((_fewest(policy, case), policy) for policy in rules.policies), key=_limit_of)
    limit = min(limit, case.current)
    return _limited(case, number, limit, policy) if number < limit else None


def _limit_of(candidate: tuple[int, Policy]) -> int:
    return candidate[0]


def _most(policy: Policy, case: Case) -> int:
    start = _period_start(policy, case)
    if policy.type is PolicyType.PODS:
        return start + policy.value
    return math.ceil(start * (1 + policy.value / 100))  # up, or 1 pod would never become 2


def _fewest(policy: Policy, case: Case) -> int:
    start = _period_start(policy, case)
    if policy.type is PolicyType.PODS:
        return start - policy.value
    return int(start * (1 - policy.value / 100))


def _period_start(policy: Policy, case: Case) -> int:
    """Replicas there were when the policy's period began."""
    return case.current - sum(event.change for event in _in_period(policy, case))


def _in_period(policy: Policy, case: Case) -> Iterable[ScaleEvent]:
    """Entries in the future are of a clock that was put back: they must not delay a scale-up."""
    now = case.observation.now
    cutoff = now - timedelta(seconds=policy.period_seconds)
    return (event for event in case.history.scale_events if cutoff < event.at and (event.at <= now or event.change < 0))


def _limited(case: Case, number: int, limit: int, policy: Policy) -> RuleResult:
    up = number > case.current
    amount = f"{policy.value} %" if policy.type is PolicyType.PERCENT else count(policy.value, "pod")
    next_step = clock(_next_step(case, limit, policy, up), case.observation.now)
    message = (
        f"behavior.scale{'Up' if up else 'Down'} limits it to {limit} until {next_step} "
        f"({amount} per {duration(policy.period_seconds)})"
    )
    reason = Reason.SCALE_UP_LIMIT if up else Reason.SCALE_DOWN_LIMIT
    return RuleResult("Rate", limit, reason, message, limits=True)


def _next_step(case: Case, limit: int, policy: Policy, up: bool) -> datetime:
    """When the policy allows more: when the oldest change leaves its period, or this one does."""
    now = case.observation.now
    same_way: list[datetime] = [event.at for event in _in_period(policy, case) if (event.change > 0) == up]
    oldest = min(same_way, default=now) if limit == case.current else now
    return oldest + timedelta(seconds=policy.period_seconds)


def _disabled(case: Case, number: int, direction: str, reason: Reason) -> RuleResult:
    message = f"scale-{direction.lower()} to {number} is disabled by behavior.scale{direction}.selectPolicy"
    return RuleResult("Rate", case.current, reason, message, limits=True)
