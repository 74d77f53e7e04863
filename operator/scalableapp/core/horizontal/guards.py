"""Rules that come before the metrics: who may decide at all, and bounds that hold at once."""

from scalableapp.core.api.scaling import Mode
from scalableapp.core.explain import Reason, clock, count, count_with_verb
from scalableapp.core.horizontal.behavior import rate
from scalableapp.core.horizontal.bounds import next_change
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.model import SCHEDULE, Step


def paused(case: Case, number: int) -> RuleResult | None:
    """spec.scaling.paused: replicas stay as they are, even outside the bounds."""
    if not case.spec.scaling.paused:
        return None
    return _hold("Paused", Reason.PAUSED, number, "spec.scaling.paused is set; set it to false to resume scaling")


def conflicted(case: Case, number: int) -> RuleResult | None:
    """Another autoscaler scales this workload: the two would fight, so replicas stay as they are."""
    other = case.observation.conflict
    return _hold("Conflict", Reason.CONFLICTED, number, other) if other else None


def waiting(case: Case, number: int) -> RuleResult | None:
    """A workload that another autoscaler scales is left to it until that is gone; a dry run shows the number beside."""
    other = case.observation.hand_over
    if not other or case.spec.scaling.dry_run:
        return None
    message = f"{other}; it is left alone until that one is gone, and a dry run shows what would be decided"
    return _hold("HandOver", Reason.WAITING_FOR_HAND_OVER, number, message)


def owned_elsewhere(case: Case, number: int) -> RuleResult | None:
    """Somebody else keeps setting the replicas: nothing is written for a while, instead of a fight."""
    owner = case.observation.owned_elsewhere
    return _hold("Owner", Reason.REPLICAS_OWNED_ELSEWHERE, number, owner) if owner else None


def pinned(case: Case, number: int) -> RuleResult | None:
    """spec.replicas, as `kubectl scale sapp` sets it: exactly this number, at once, even 0 or beyond the bounds."""
    pin = case.spec.replicas
    if pin is None:
        return None
    change = "" if pin == number else f" (now {number})"
    fix = "" if case.spec.scaling.mode is Mode.VERTICAL else "; remove spec.replicas to scale by metrics again"
    message = f"spec.replicas sets {count(pin, 'replica')}{change}{fix}"
    return RuleResult("Pin", pin, Reason.PINNED, message, ends=True, active=False)


def scheduled(case: Case, number: int) -> RuleResult | None:
    """Reports what the schedules set; the rules for the bounds apply it."""
    schedules = case.horizontal.schedules
    if not schedules:
        return None
    return RuleResult(SCHEDULE, number, "", next_change(schedules, case.observation.now))


def out_of_bounds(case: Case, number: int) -> RuleResult | None:
    """Replicas outside min..max are corrected at once, as HPA does: that needs no metrics.

    With behavior.appliesToBounds the policies limit how fast.

    A Deployment that was scaled to 0 by hand is out of bounds, too, and is restored to minReplicas. (HPA
    treats 0 as "disabled".) Here an app is switched off by `spec.replicas: 0` and frozen by
    `spec.scaling.paused`; were 0 a third switch, an app would stay dead after its pin is removed.
    """
    least, most = case.bounds
    if least.value <= number <= most.value:
        return None
    slowly = case.horizontal.behavior.applies_to_bounds
    pace = " as fast as behavior allows" if slowly else " at once"
    if number > most.value:
        message = f"{count_with_verb(number, 'replica')} above {most}: scales down to {most.value}{pace}"
        result = RuleResult("Bounds", most.value, Reason.TOO_MANY_REPLICAS, message, ends=True, limits=True)
    else:
        message = f"{count_with_verb(number, 'replica')} below {least}: scales up to {least.value}{pace}"
        result = RuleResult("Bounds", least.value, Reason.TOO_FEW_REPLICAS, message, ends=True, limits=True)
    return _paced(case, result) if slowly else result


def _paced(case: Case, result: RuleResult) -> RuleResult:
    pace = rate(case, result.value)
    if pace is None:
        return result
    message = f"{result.message}; {pace.message}"
    return pace._replace(message=message, ends=True, before=(Step(result.rule, result.value, result.message),))


def sized_only(case: Case, number: int) -> RuleResult | None:
    """Mode Vertical: replicas stay as they are, within the bounds."""
    if case.spec.scaling.mode is not Mode.VERTICAL:
        return None
    message = f"keeps {count(number, 'replica')}: spec.scaling.mode is Vertical"
    return RuleResult("Mode", number, Reason.MODE_VERTICAL, message, ends=True, active=False)


def rollout(case: Case, number: int) -> RuleResult | None:
    """A rollout blocks scale-down. Load that is counted over the whole app may still add pods."""
    if not case.observation.distorted or number > case.current:
        return None
    message = (
        "a rollout is in progress and its extra pods distort the metrics; until it is complete, replicas are only "
        f"added, by metrics of the whole app{' and CPU' if case.observation.up_only else ''}"
    )
    hold = _hold("Rollout", Reason.ROLLOUT_IN_PROGRESS, case.current, message)
    return hold._replace(forgets=True)


def replaying(case: Case, number: int) -> RuleResult | None:
    """After a restart an objective has learned nothing until Prometheus' history has been replayed."""
    until, now = case.observation.replay_until, case.observation.now
    if until is None or now >= until:
        return None
    message = (
        "the operator has just started and loads the app's history from Prometheus; decisions resume when it is "
        f"loaded, at {clock(until, now)} at the latest"
    )
    return _hold("Replay", Reason.REPLAYING_HISTORY, number, message)


def _hold(rule: str, reason: Reason, number: int, why: str) -> RuleResult:
    return RuleResult(rule, number, reason, f"held at {count(number, 'replica')}: {why}", ends=True, active=False)
