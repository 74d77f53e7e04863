"""The decision: one table of rules, folded in order over the number of replicas.

Every rule sees the case and the number so far, and may say a new number and why (core/rules.py). The
first rule that `ends` is the last one asked.
"""

from collections.abc import Iterator
from itertools import accumulate

from scalableapp.core.behavior import rate, stabilization
from scalableapp.core.explain import Reason, count
from scalableapp.core.guards import conflicted, out_of_bounds, paused, pinned, rollout
from scalableapp.core.history import first_seen, record_scale, remember
from scalableapp.core.horizontal import Proposal, Tolerance, propose
from scalableapp.core.model import Decision, History, Observation, Recommendation, Step
from scalableapp.core.rules import Case, Rule, Ruling
from scalableapp.core.spec import ScalableAppSpec

__all__ = ["decide", "first_seen", "record_scale", "remember"]


def decide(spec: ScalableAppSpec, observation: Observation, history: History) -> Decision:
    """How many replicas the app shall have, and the chain of rules that led there.

    Pure: the same arguments give the same decision. Never raises on measured data.
    """
    tolerance = Tolerance.of(spec.scaling.horizontal.behavior)
    proposals = tuple(propose(metric, observation, tolerance) for metric in spec.metrics)
    case = Case(spec, observation, history, proposals)
    return _decision(case, _dry_run(case, _fold(case)))


def _metrics(case: Case, number: int) -> Ruling:
    """The largest proposal wins. A metric that failed may be the one that needs more, so none goes down then."""
    best = max(case.proposals, key=_wish)
    failed = [proposal for proposal in case.proposals if proposal.failure]
    if failed and _wish(best) < number:
        return _refused(case, number, best, min(failed, key=_has_only_to_wait))
    return Ruling(
        best.report.name,
        _wish(best),
        Reason.DESIRED_WITHIN_RANGE,
        best.message,
        asked=_wish(best),
        before=_steps_before(case, best),
    )


def _refused(case: Case, number: int, best: Proposal, failed: Proposal) -> Ruling:
    all_failed = best.replicas is None
    refusal = f"held at {count(number, 'replica')}" if all_failed else f"scale-down to {_wish(best)} refused"
    return Ruling(
        failed.report.name,
        number,
        failed.failure.reason if failed.failure else "",
        f"{refusal}: {failed.message}",
        ends=True,
        limits=not all_failed,
        active=not all_failed,
        before=_steps_before(case, failed),
    )


def _steps_before(case: Case, last: Proposal) -> tuple[Step, ...]:
    """What the other metrics say; the number after each is the largest so far."""
    others = [proposal for proposal in case.proposals if proposal is not last]
    largest = accumulate(map(_wish, others), max)
    return tuple(
        Step(proposal.report.name, case.current if number == _NO_WISH else number, proposal.message)
        for proposal, number in zip(others, largest, strict=True)
    )


_NO_WISH = -1


def _wish(proposal: Proposal) -> int:
    return _NO_WISH if proposal.replicas is None else proposal.replicas


def _has_only_to_wait(proposal: Proposal) -> bool:
    return proposal.failure is None or proposal.failure.problem is None


def _bounds(case: Case, number: int) -> Ruling | None:
    """What the metrics ask for, cut to minReplicas..maxReplicas."""
    least, most = case.horizontal.min_replicas, case.horizontal.max_replicas
    if number > most:
        return Ruling("Bounds", most, Reason.TOO_MANY_REPLICAS, f"limited to {most} by maxReplicas", limits=True)
    if number < least:
        return Ruling("Bounds", least, Reason.TOO_FEW_REPLICAS, f"limited to {least} by minReplicas", limits=True)
    return None


RULES: tuple[Rule, ...] = (
    paused,
    conflicted,
    pinned,
    out_of_bounds,
    rollout,
    _metrics,
    stabilization,
    _bounds,
    rate,
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
    data = next((p.failure for p in case.proposals if p.failure and p.failure.problem), None)
    asked = next((ruling.asked for ruling in rulings if ruling.asked is not None), None)
    return Decision(
        at=now,
        replicas_from=case.current,
        replicas_to=rulings[-1].value,
        reason=str(rulings[-1].reason),
        message=_told(case, rulings),
        steps=tuple(_steps(rulings)),
        metrics=tuple(proposal.report for proposal in case.proposals),
        recommendation=None if asked is None else Recommendation(now, asked),
        active=all(ruling.active for ruling in rulings),
        limited=any(ruling.limits for ruling in rulings),
        data_problem=data.problem if data else None,
        data_message=data.message if data else "",
    )


def _told(case: Case, rulings: list[Ruling]) -> str:
    """What was measured, then what each rule made of it; a dry run says its upshot first."""
    chain = "; ".join(ruling.message for ruling in rulings if ruling.reason != Reason.DRY_RUN)
    if rulings[-1].reason != Reason.DRY_RUN:
        return chain
    return f"would scale {case.current} -> {rulings[-2].value}: {chain}"


def _steps(rulings: list[Ruling]) -> Iterator[Step]:
    for ruling in rulings:
        yield from ruling.before
        yield Step(ruling.rule, ruling.value, ruling.message)
