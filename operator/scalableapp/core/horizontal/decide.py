"""The decision: one table of rules, folded in order over the number of replicas.

Every rule gets the case and the number so far, and may return a new number and why (core/horizontal/rules.py). The
first rule that `ends` stops the chain.
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
    owned_elsewhere,
    paused,
    pinned,
    replaying,
    rollout,
    scheduled,
    sized_only,
    waiting,
)
from scalableapp.core.horizontal.history import first_seen, record_scale, remember
from scalableapp.core.horizontal.interval import next_decision
from scalableapp.core.horizontal.objective_met import objective_met
from scalableapp.core.horizontal.objective_plan import plan_objective
from scalableapp.core.horizontal.objective_rules import guard, idle_time, objective, saturation, trial
from scalableapp.core.horizontal.outage import fallback, outage_after
from scalableapp.core.horizontal.prediction import learned, prediction
from scalableapp.core.horizontal.proposals import Proposal, Tolerance, propose
from scalableapp.core.horizontal.rules import Case, Rule, RuleResult
from scalableapp.core.horizontal.settling import once, settling, unseen, unseen_text
from scalableapp.core.horizontal.startup import learn
from scalableapp.core.learning.idle import Surplus
from scalableapp.core.model import (
    NO_SURPLUS,
    NOTHING_LEARNED,
    DataProblem,
    Decision,
    History,
    Observation,
    Recommendation,
    Step,
)
from scalableapp.core.quality import Failure, seconds_between

# Pods that have just been created, or have just become ready, are known a moment later.
UNSEEN_SECONDS = 10.0

__all__ = ["decide", "first_seen", "record_scale", "remember"]


def decide(spec: ScalableAppSpec, observation: Observation, history: History) -> Decision:
    """How many replicas the app needs, and the chain of rules that led there.

    Pure: the same arguments give the same decision. Never raises on measured data.
    """
    case = _case(spec, observation, history)
    return _decision(case, _dry_run(case, _fold(case)))


def _case(spec: ScalableAppSpec, observation: Observation, history: History) -> Case:
    horizontal, now = spec.scaling.horizontal, observation.now
    tolerance = Tolerance.of(horizontal.behavior)
    startups = learn(history.startups, observation.pods)
    objective_plan = plan_objective(spec, observation, history, startups)
    # Without a metric in addition to the objective, the default metric is used only where there is no plan.
    metrics = horizontal.metrics if objective_plan and objective_plan.plan else spec.metrics
    proposals = tuple(propose(metric, observation, tolerance) for metric in metrics)
    judged = (objective_plan.proposal, *proposals) if objective_plan else proposals
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
        objective_plan,
    )


def _bounds(case: Case, number: int) -> RuleResult | None:
    """The number so far, within the bounds in force."""
    least, most = case.bounds
    if number > most.value:
        return _limited("limited", most, Reason.TOO_MANY_REPLICAS)
    if number < least.value:
        return _limited("raised", least, Reason.TOO_FEW_REPLICAS)
    return None


def _limited(how: str, bound: Bound, reason: Reason) -> RuleResult:
    message = f"{how} to {bound.value} by {bound.stated_by}"
    return RuleResult("Bounds", bound.value, reason, message, limits=True)


RULES: tuple[Rule, ...] = (
    paused,
    conflicted,
    waiting,
    owned_elsewhere,
    pinned,
    scheduled,
    out_of_bounds,
    sized_only,
    replaying,
    combined,
    objective,
    saturation,
    trial,
    guard,
    fallback,
    activation,
    idle_time,
    stabilization,
    burst,
    prediction,
    rollout,
    unseen,
    settling,
    _bounds,
    rate,
    once,
    next_decision,
)


def _fold(case: Case) -> list[RuleResult]:
    results: list[RuleResult] = []
    number = case.current
    for rule in RULES:
        result = rule(case, number)
        if result is None:
            continue
        results.append(result)
        number = result.value
        if result.ends:
            break
    return results


def _dry_run(case: Case, results: list[RuleResult]) -> list[RuleResult]:
    """With spec.scaling.dryRun a change is reported, not made."""
    wanted = results[-1].value
    if not case.spec.scaling.dry_run or wanted == case.current:
        return results
    message = f"would scale {case.current} -> {wanted}, but spec.scaling.dryRun is set"
    return [*results, RuleResult("DryRun", case.current, Reason.DRY_RUN, message)]


def _decision(case: Case, results: list[RuleResult]) -> Decision:
    now = case.observation.now
    judged = (case.objective_plan.proposal, *case.proposals) if case.objective_plan else case.proposals
    data = _data_failure(case, judged)
    asked = _asked(results)
    return Decision(
        at=now,
        replicas_from=case.current,
        replicas_to=results[-1].value,
        reason=next(str(result.reason) for result in reversed(results) if result.reason),
        message=_message(case, results),
        steps=_steps(results),
        metrics=tuple([proposal.report for proposal in judged]),
        recommendation=None if asked is None else Recommendation(now, asked),
        active=False not in [result.active for result in results],
        limited=True in [result.limits for result in results],
        data_problem=data.problem if data else None,
        data_message=data.message if data else "",
        outage=case.outage,
        startups=case.startups,
        loads=case.loads,
        learned=case.objective_plan.learned if case.objective_plan else NOTHING_LEARNED,
        surplus=_surplus(results),
        objective=objective_met(case),
    )


def _data_failure(case: Case, judged: tuple[Proposal, ...]) -> Failure | None:
    """The first bad reading; else that pods are not known, which takes a moment where pods come."""
    bad = [proposal.failure for proposal in judged if proposal.failure and proposal.failure.problem]
    if bad:
        return bad[0]
    since = case.observation.unseen_since
    if since is None or seconds_between(since, case.observation.now) < UNSEEN_SECONDS:
        return None
    return Failure(DataProblem.PARTIAL.value, unseen_text(case.observation), DataProblem.PARTIAL)


def _surplus(results: list[RuleResult]) -> Surplus:
    if any(result.forgets for result in results):
        return NO_SURPLUS
    return next((result.surplus for result in results if result.surplus), NO_SURPLUS)


def _asked(results: list[RuleResult]) -> int | None:
    """What is remembered for the stabilisation windows."""
    if any(result.forgets for result in results):
        return None
    asked = [result.asked for result in results if result.asked is not None][-1:]
    asked += [result.asked_too for result in results if result.asked_too is not None]
    return max(asked) if asked else None


def _message(case: Case, results: list[RuleResult]) -> str:
    """What was measured, then what each rule made of it; a dry run puts its result first."""
    if results[-1].reason != Reason.DRY_RUN:
        return "; ".join([result.message for result in results])
    chain = "; ".join([result.message for result in results[:-1]])
    return f"would scale {case.current} -> {results[-2].value}: {chain}"


def _steps(results: list[RuleResult]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for result in results:
        steps += result.before
        steps.append(Step(result.rule, result.value, result.message))
    return tuple(steps)
