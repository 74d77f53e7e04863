"""`behavior`: stabilisation windows and scaling policies, with autoscaling/v2's arithmetic.

Formulas and rounding are those of pkg/controller/podautoscaler/horizontal.go in Kubernetes 1.36
(stabilizeRecommendationWithBehaviors, convertDesiredReplicasWithBehaviorRate).
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from scalableapp.core.api.scaling import Policy, PolicyType, ScaleDown, ScaleUp, SelectPolicy
from scalableapp.core.explain import Reason, clock, count, duration, when
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.model import Recommendation, ScaleEvent


def stabilization(case: Case, number: int) -> RuleResult | None:
    """Moves from the current replicas only as far as every recommendation in the windows allows.

    Up: not above the lowest recommendation in scaleUp's window. Down: not below the highest one in
    scaleDown's. What the metrics ask for now counts in both.
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
    """Without those of a clock that was put back, which must not hold up a scale-up."""
    return [entry for entry in entries if entry.at <= case.observation.now]


def _stabilized(
    case: Case, number: int, value: int, binding: Recommendation, window: Iterable[Recommendation]
) -> RuleResult:
    up, now, behavior = value < number, case.observation.now, case.horizontal.behavior
    seconds = behavior.scale_up.stabilization_window_seconds if up else case.down_window_seconds
    ends = binding.at + timedelta(seconds=seconds)
    longer = duration((ends - now).total_seconds())
    held = f"held {longer} longer" if value == case.current else f"held at {value} for {longer} longer"
    following = [number, *(entry.replicas for entry in window if entry.at > binding.at)]
    message = (
        f"scale-{'up' if up else 'down'} to {number} {held} by the stabilisation window: "
        f"{binding.replicas} was recommended at {clock(binding.at, now)}; "
        f"{min(following) if up else max(following)} from {clock(ends, now)} on, "
        f"{'if as much is still' if up else 'unless more is'} asked for"
    )
    reason = Reason.SCALE_UP_STABILIZED if up else Reason.SCALE_DOWN_STABILIZED
    return RuleResult("Stabilization", value, reason, message, limits=True)


def rate(case: Case, number: int) -> RuleResult | None:
    """Cuts the change to what the policies leave of their periods. From 0, one pod is always let through."""
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
    limit = max(limit, case.current, 1)  # the period's past is not taken back, and a percentage of 0 pods is 0 pods
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
    """What lies in the future is of a clock that was put back: it must not hold up a scale-up."""
    now = case.observation.now
    cutoff = now - timedelta(seconds=policy.period_seconds)
    return (event for event in case.history.scale_events if cutoff < event.at and (event.at <= now or event.change < 0))


def _limited(case: Case, number: int, limit: int, policy: Policy) -> RuleResult:
    up = number > case.current
    amount = f"{policy.value} %" if policy.type is PolicyType.PERCENT else count(policy.value, "pod")
    message = (
        f"scale-{'up' if up else 'down'} to {number} limited to {limit} by the policy of {amount} per "
        f"{duration(policy.period_seconds)}; more {when(_next_step(case, limit, policy, up), case.observation.now)}"
    )
    reason = Reason.SCALE_UP_LIMIT if up else Reason.SCALE_DOWN_LIMIT
    return RuleResult("Rate", limit, reason, message, limits=True)


def _next_step(case: Case, limit: int, policy: Policy, up: bool) -> datetime:
    """When the policy gives way: when the oldest change leaves its period, or this step's own does."""
    now = case.observation.now
    same_way: list[datetime] = [event.at for event in _in_period(policy, case) if (event.change > 0) == up]
    oldest = min(same_way, default=now) if limit == case.current else now
    return oldest + timedelta(seconds=policy.period_seconds)


def _disabled(case: Case, number: int, direction: str, reason: Reason) -> RuleResult:
    message = (
        f"scale-{direction.lower()} to {number} is switched off by behavior.scale{direction}.selectPolicy Disabled"
    )
    return RuleResult("Rate", case.current, reason, message, limits=True)
