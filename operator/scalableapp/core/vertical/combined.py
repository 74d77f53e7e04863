"""One decision for both directions: how many pods, and how large.

Replicas are decided first, on absolute demand, which does not depend on the size. Sizes follow for the planned number
of pods. Replicas change first: while they change, or wait to be reduced, sizes are not reduced; while a scale-up is
needed and allowed, CPU is not raised, unless pods are throttled. Both change at the same time, or within a cool-down,
only where both increase; but a scale-up is never delayed. Where behavior forbids replicas to move, sizes do not
wait for them.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from scalableapp.core.api.scaling import Mode, SelectPolicy
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.explain import clock, count
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import Decision, History, Observation, ScaleEvent, Step
from scalableapp.core.quantity import format_number, parse_quantity
from scalableapp.core.size import Resource, Size, Sizing, format_amount
from scalableapp.core.vertical.pressure import learn
from scalableapp.core.vertical.recommendation import URGENT, held, recommend
from scalableapp.core.vertical.usage import SizeHistory, Usage

# After a change in one direction, the time in which the other waits: until replicas have started, load has spread, and
# rates over a minute no longer contain the change.
COOL_DOWN_SECONDS = 120.0

__all__ = ["decide_both"]


def decide_both(
    spec: ScalableAppSpec,
    observation: Observation,
    history: History,
    usage: Usage | None,
    sizes: SizeHistory,
) -> tuple[Decision, SizeHistory]:
    """Replicas and size, with the chain of both in one decision; and what vertical decisions remember.

    Without usage, or in mode Horizontal, replicas only. Pure, as `decide` is.
    """
    decision = decide(spec, observation, history)
    if spec.scaling.mode is Mode.HORIZONTAL or usage is None:
        return decision, sizes
    now = observation.now
    sizes = learn(sizes, usage, spec.scaling.vertical, now)
    sizing = _guarded(spec, observation, decision, usage, sizes)
    if spec.scaling.mode is Mode.COMBINED:
        decision = _after_change_of_size(decision, usage, sizes, now)
        sizing = _after_replicas(spec, sizes, decision, usage, sizing)
    if spec.scaling.dry_run and sizing.changes:
        message = f"would resize pods from {sizing.size_from} to {sizing.size_to}, but spec.scaling.dryRun is set"
        sizing = held(usage, sizing, "DryRun", "DryRun", message)
    return _with_sizing(spec, usage, decision, sizing), sizes


def carried_out(sizes: SizeHistory, decision: Decision) -> SizeHistory:
    """What is remembered once a decision has been carried out as a whole."""
    if decision.sizing and decision.sizing.changes:
        sizes = size_changed(sizes, decision.at)
    return replicas_changed(sizes, decision) if decision.changes else sizes


def size_changed(sizes: SizeHistory, at: datetime) -> SizeHistory:
    """What is remembered of a change of size."""
    return replace(sizes, changed_at=at)


def replicas_changed(sizes: SizeHistory, decision: Decision) -> SizeHistory:
    """What is remembered of a change of replicas."""
    return replace(sizes, scaled=ScaleEvent(decision.at, decision.replicas_to - decision.replicas_from))


def _guarded(
    spec: ScalableAppSpec, observation: Observation, decision: Decision, usage: Usage, sizes: SizeHistory
) -> Sizing:
    """The recommendation for the planned replicas, held where no change is allowed now."""
    sizing = recommend(spec.scaling.vertical, usage, sizes, observation.now, decision.replicas_to)
    if spec.scaling.paused:
        return held(usage, sizing, "Paused", "Paused", "spec.scaling.paused is set")
    if conflict := observation.conflict or observation.size_conflict:
        return held(usage, sizing, "Conflict", "Conflicted", conflict)
    if usage.busy:
        return _while_busy(usage, sizing)
    return sizing


def _while_busy(usage: Usage, sizing: Sizing) -> Sizing:
    """What pods lack now they get even while another change is under way; all else waits for its end."""
    kept = usage.size
    if sizing.reason in URGENT.values() and sizing.raises:
        resource = next(resource for resource, reason in URGENT.items() if reason == sizing.reason)
        kept = kept.having(resource, sizing.size_to.of(resource))
    if kept == usage.size:
        return held(usage, sizing, "Busy", "ResizeInProgress", usage.busy)
    return sizing if kept == sizing.size_to else replace(sizing, size_to=kept)


def _after_change_of_size(decision: Decision, usage: Usage, sizes: SizeHistory, now: datetime) -> Decision:
    """No scale-down during and right after a change of size. A scale-up is never delayed: requests would fail."""
    if decision.replicas_to >= decision.replicas_from or decision.reason in _AT_ONCE:
        return decision
    left = COOL_DOWN_SECONDS - (now - sizes.changed_at).total_seconds() if sizes.changed_at else 0.0
    if not usage.busy and not 0 < left <= COOL_DOWN_SECONDS:
        return decision
    ends = f" until {clock(now + timedelta(seconds=left), now)}" if not usage.busy else ""
    why = usage.busy or "the size of the pods has just been changed"
    message = f"held at {decision.replicas_from}{ends}: {why}"
    step = Step("SizeCoolDown", decision.replicas_from, message)
    return replace(
        decision,
        replicas_to=decision.replicas_from,
        reason="SizeCoolDown",
        message=f"{decision.message}; {message}",
        steps=(*decision.steps, step),
        limited=True,
    )


_AT_ONCE = frozenset({"Pinned", "TooManyReplicas"})


def _after_replicas(
    spec: ScalableAppSpec, sizes: SizeHistory, decision: Decision, usage: Usage, sizing: Sizing
) -> Sizing:
    """The part of the sizing that does not have to wait for the replicas."""
    if not sizing.changes:
        return sizing
    kept = usage.size
    for resource in Resource:
        amount, before = sizing.size_to.of(resource), usage.size.of(resource)
        if amount != before and not _waits(spec, sizes, decision, sizing, resource):
            kept = kept.having(resource, amount)
    if kept == sizing.size_to:
        return sizing
    why = _waits_for(spec, decision)
    if kept == usage.size:
        return held(usage, sizing, "ReplicasFirst", "ReplicasFirst", why)
    return replace(sizing, size_to=kept, message=f"{sizing.message}; other changes wait: {why}")


def _waits(spec: ScalableAppSpec, sizes: SizeHistory, decision: Decision, sizing: Sizing, resource: Resource) -> bool:
    """Whether a change of this resource has to wait for the replicas."""
    moved = (sizing.size_to.of(resource).request or 0.0) - (sizing.size_from.of(resource).request or 0.0)
    recent = _recent_change(sizes, decision)
    if moved <= 0:
        return recent != 0 or _wants_replicas(spec, decision)
    if recent < 0:
        return sizing.reason not in URGENT.values()
    if resource is Resource.MEMORY or sizing.reason == URGENT[resource]:
        return False
    return _wants_more(decision) and not _stays(spec, decision)


def _recent_change(sizes: SizeHistory, decision: Decision) -> int:
    """Replicas added (more than 0) or removed now or within the cool-down; 0 for none."""
    if decision.changes:
        return decision.replicas_to - decision.replicas_from
    recent = sizes.scaled is not None and 0 <= (decision.at - sizes.scaled.at).total_seconds() < COOL_DOWN_SECONDS
    return sizes.scaled.change if sizes.scaled and recent else 0


def _asked(decision: Decision) -> int:
    return decision.recommendation.replicas if decision.recommendation else decision.replicas_to


def _wants_replicas(spec: ScalableAppSpec, decision: Decision) -> bool:
    """Whether the metrics need another number than there is, whether it is set or not."""
    return decision.changes or (_asked(decision) != decision.replicas_from and not _stays(spec, decision))


def _stays(spec: ScalableAppSpec, decision: Decision) -> bool:
    """Whether replicas cannot move where the metrics want them: at a bound, or as selectPolicy is Disabled."""
    behavior = spec.scaling.horizontal.behavior
    rules = behavior.scale_up if _wants_more(decision) else behavior.scale_down
    disabled = rules.select_policy is SelectPolicy.DISABLED
    return not decision.changes and (disabled or decision.reason in ("TooManyReplicas", "TooFewReplicas"))


def _wants_more(decision: Decision) -> bool:
    return max(_asked(decision), decision.replicas_to) > decision.replicas_from


def _waits_for(spec: ScalableAppSpec, decision: Decision) -> str:
    if decision.changes:
        return f"replicas change from {decision.replicas_from} to {decision.replicas_to} first"
    if _wants_replicas(spec, decision):
        return f"the metrics need {count(_asked(decision), 'replica')}, and replicas change first"
    return f"replicas were changed less than {COOL_DOWN_SECONDS:.0f} s ago"


def _with_sizing(spec: ScalableAppSpec, usage: Usage, decision: Decision, sizing: Sizing) -> Decision:
    """The decision with the size, its steps, and what both cost."""
    number = decision.replicas_to
    steps = [Step(step.rule, number, step.message) for step in sizing.steps]
    steps.append(Step("Cost", number, cost(spec, decision, sizing)))
    reason = sizing.reason if sizing.changes and not decision.changes else decision.reason
    if spec.scaling.mode is Mode.VERTICAL:
        reason = decision.reason if decision.changes else sizing.reason
    return replace(
        decision,
        reason=reason,
        message=f"{decision.message}; {sizing.message}",
        steps=(*decision.steps, *steps),
        sizing=sizing,
        limited=decision.limited or sizing.limited,
        **_measured(spec, decision, usage, sizing),
    )


def _measured(spec: ScalableAppSpec, decision: Decision, usage: Usage, sizing: Sizing) -> dict[str, Any]:
    """Whether the usage can be read: in mode Vertical that alone counts."""
    if spec.scaling.mode is not Mode.VERTICAL:
        return {}
    known = not decision.active and decision.reason in ("Paused", "Conflicted")
    return {
        "active": sizing.active and not known,
        "data_problem": usage.problem,
        "data_message": usage.message if usage.problem else "",
    }


def cost(spec: ScalableAppSpec, decision: Decision, sizing: Sizing) -> str:
    """Requested cores and bytes before and after, in all pods; and the difference an hour where prices are stated."""
    before = {r: _requested(sizing.size_from, r, decision.replicas_from) for r in Resource}
    after = {r: _requested(sizing.size_to, r, decision.replicas_to) for r in Resource}
    parts = [
        f"{resource} {format_amount(resource, before[resource])} -> {format_amount(resource, after[resource])}"
        for resource in Resource
    ]
    text = f"total requests: {', '.join(parts)}"
    prices = spec.scaling.prices
    if prices is None:
        return text
    cores, gibibytes = (
        after[Resource.CPU] - before[Resource.CPU],
        (after[Resource.MEMORY] - before[Resource.MEMORY]) / 2**30,
    )
    change = cores * parse_quantity(prices.cpu_core_hour) + gibibytes * parse_quantity(prices.memory_gibibyte_hour)
    sign = "+" if change >= 0 else "-"
    return f"{text}; {sign}{format_number(abs(change)) if change else '0'} per hour"


def _requested(size: Size, resource: Resource, replicas: int) -> float:
    return (size.of(resource).request or 0.0) * replicas
