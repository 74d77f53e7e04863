"""The decision: one table of rules, folded in order over the number of replicas.

Every rule sees the case and the number so far, and may say a new number and why (core/horizontal/rules.py). The
first rule that `ends` is the last one asked.
"""

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.activation import activation
from scalableapp.core.horizontal.behavior import rate, stabilization
from scalableapp.core.horizontal.bounds import Bound, bounds_at
from scalableapp.core.horizontal.burst import burst
from scalableapp.core.horizontal.combine import combined
from scalableapp.core.horizontal.guards import (
    conflicted,
    out_of_bounds,
    paused,
    pinned,
    recalling,
    rollout,
    scheduled,
    sized_only,
)
from scalableapp.core.horizontal.history import first_seen, record_scale, remember
from scalableapp.core.horizontal.interval import outlook
from scalableapp.core.horizontal.objective_plan import pursue
from scalableapp.core.horizontal.objective_rules import idle_time, objective
from scalableapp.core.horizontal.outage import fallback, outage_after
from scalableapp.core.horizontal.prediction import learned, prediction
from scalableapp.core.horizontal.proposals import Tolerance, propose
from scalableapp.core.horizontal.rules import Case, Rule, Ruling
from scalableapp.core.horizontal.settling import settling
from scalableapp.core.horizontal.startup import learn
from scalableapp.core.learning.objective import Surplus
from scalableapp.core.model import NO_SURPLUS, NOTHING_LEARNED, Decision, History, Observation, Recommendation, Step

__all__ = ["decide", "first_seen", "record_scale", "remember"]


def decide(spec: ScalableAppSpec, observation: Observation, history: History) -> Decision:
    """How many replicas the app shall have, and the chain of rules that led there.

    Pure: the same arguments give the same decision. Never raises on measured data.
    """
    case = _case(spec, observation, history)
    return _decision(case, _dry_run(case, _fold(case)))


def _case(spec: ScalableAppSpec, observation: Observation, history: History) -> Case:
    horizontal, now = spec.scaling.horizontal, observation.now
    tolerance = Tolerance.of(horizontal.behavior)
    startups = learn(history.startups, observation.pods)
    pursuit = pursue(spec, observation, history, startups)
    # Without a metric that the user states beside the objective, one is only made up where there is no plan.
    metrics = horizontal.metrics if pursuit and pursuit.plan else spec.metrics
    proposals = tuple(propose(metric, observation, tolerance) for metric in metrics)
    judged = (pursuit.proposal, *proposals) if pursuit else proposals
    return Case(
        spec,
        horizontal,
        observation,
        observation.replicas,
        history,
        proposals,
        bounds_at(horizontal, now),
        outage_after(history.outage, judged, now, observation.replicas),
        startups,
        learned(spec, observation, history.loads, startups),
        pursuit,
    )


def _bounds(case: Case, number: int) -> Ruling | None:
    """What was asked for, cut to the bounds in force."""
    least, most = case.bounds
    if number > most.value:
        return _limited(number, most, Reason.TOO_MANY_REPLICAS)
    if number < least.value:
        return _limited(number, least, Reason.TOO_FEW_REPLICAS)
    return None


def _limited(number: int, bound: Bound, reason: Reason) -> Ruling:
    message = f"{number} limited to {bound.value} by {bound.stated_by}"
    return Ruling("Bounds", bound.value, reason, message, limits=True)


RULES: tuple[Rule, ...] = (
    paused,
    conflicted,
    pinned,
    scheduled,
    out_of_bounds,
    sized_only,
    recalling,
    combined,
    objective,
    fallback,
    activation,
    idle_time,
    stabilization,
    burst,
    prediction,
    rollout,
    settling,
    _bounds,
    rate,
    outlook,
)


def _fold(case: Case) -> list[Ruling]:
    rulings: list[Ruling] = []
    number = case.current
    for rule in RULES:
        ruling = rule(case, number)
        if ruling is None:
            continue
        rulings.append(ruling)
        number = ruling.value
        if ruling.ends:
            break
    return rulings


def _dry_run(case: Case, rulings: list[Ruling]) -> list[Ruling]:
    """With spec.scaling.dryRun a change is told, not done."""
    wanted = rulings[-1].value
    if not case.spec.scaling.dry_run or wanted == case.current:
        return rulings
    message = f"would scale {case.current} -> {wanted}, but spec.scaling.dryRun is set"
    return [*rulings, Ruling("DryRun", case.current, Reason.DRY_RUN, message)]


def _decision(case: Case, rulings: list[Ruling]) -> Decision:
    now = case.observation.now
    judged = (case.pursuit.proposal, *case.proposals) if case.pursuit else case.proposals
    bad = [proposal.failure for proposal in judged if proposal.failure and proposal.failure.problem]
    data = bad[0] if bad else None
    asked = _asked(rulings)
    return Decision(
        at=now,
        replicas_from=case.current,
        replicas_to=rulings[-1].value,
        reason=next(str(ruling.reason) for ruling in reversed(rulings) if ruling.reason),
        message=_told(case, rulings),
        steps=_steps(rulings),
        metrics=tuple([proposal.report for proposal in judged]),
        recommendation=None if asked is None else Recommendation(now, asked),
        active=False not in [ruling.active for ruling in rulings],
        limited=True in [ruling.limits for ruling in rulings],
        data_problem=data.problem if data else None,
        data_message=data.message if data else "",
        outage=case.outage,
        startups=case.startups,
        loads=case.loads,
        learned=case.pursuit.learned if case.pursuit else NOTHING_LEARNED,
        surplus=_surplus(rulings),
    )


def _surplus(rulings: list[Ruling]) -> Surplus:
    if any(ruling.forgets for ruling in rulings):
        return NO_SURPLUS
    return next((ruling.surplus for ruling in rulings if ruling.surplus), NO_SURPLUS)


def _asked(rulings: list[Ruling]) -> int | None:
    """What is remembered for the stabilisation windows."""
    if any(ruling.forgets for ruling in rulings):
        return None
    asked = [ruling.asked for ruling in rulings if ruling.asked is not None][-1:]
    asked += [ruling.asked_too for ruling in rulings if ruling.asked_too is not None]
    return max(asked) if asked else None


def _told(case: Case, rulings: list[Ruling]) -> str:
    """What was measured, then what each rule made of it; a dry run says its upshot first."""
    if rulings[-1].reason != Reason.DRY_RUN:
        return "; ".join([ruling.message for ruling in rulings])
    chain = "; ".join([ruling.message for ruling in rulings[:-1]])
    return f"would scale {case.current} -> {rulings[-2].value}: {chain}"


def _steps(rulings: list[Ruling]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for ruling in rulings:
        steps += ruling.before
        steps.append(Step(ruling.rule, ruling.value, ruling.message))
    return tuple(steps)
