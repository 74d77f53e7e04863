"""The metrics' proposals become one number. A metric that failed may need more replicas, so it blocks scale-down."""

import math
from collections.abc import Callable

from scalableapp.core.api.scaling import Combine
from scalableapp.core.explain import Reason, count
from scalableapp.core.horizontal.proposals import Proposal
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.model import Step
from scalableapp.core.quantity import format_number


def combined(case: Case, number: int) -> RuleResult | None:
    """The largest, the smallest or the average proposal, as spec.scaling.horizontal.combine says.

    Nothing where an objective decides and no metric is set in addition to it.
    """
    if not case.proposals:
        return None
    usable = [proposal for proposal in case.proposals if proposal.replicas is not None]
    if not usable:
        return _held(case, number)
    result = _COMBINED[case.horizontal.combine](case, usable)
    failed = case.failed
    return _refused(case, result.value, number, failed) if failed and result.value < number else result


def _largest(case: Case, usable: list[Proposal]) -> RuleResult:
    return _of_one(case, max(usable, key=_replicas))


def _smallest(case: Case, usable: list[Proposal]) -> RuleResult:
    return _of_one(case, min(usable, key=_replicas))


def _of_one(case: Case, chosen: Proposal) -> RuleResult:
    return RuleResult(
        chosen.report.name,
        _replicas(chosen),
        Reason.DESIRED_WITHIN_RANGE,
        chosen.message,
        asked=_replicas(chosen),
        before=_steps_before(case, chosen),
    )


def _average(case: Case, usable: list[Proposal]) -> RuleResult:
    """ceil(sum of weight x proposal / sum of weights): rounded up."""
    weights = [metric.weight_value for metric, p in zip(case.spec.metrics, case.proposals, strict=True) if p in usable]
    total = sum(weight * _replicas(proposal) for weight, proposal in zip(weights, usable, strict=True))
    value = math.ceil(round(total / sum(weights), 9))
    parts = ", ".join(
        f"{proposal.report.name} {_replicas(proposal)} x {format_number(weight)}"
        for weight, proposal in zip(weights, usable, strict=True)
    )
    message = f"{'; '.join(p.message for p in usable)}; weighted average ({parts}): needs {count(value, 'replica')}"
    return RuleResult(
        "Weighted", value, Reason.DESIRED_WITHIN_RANGE, message, asked=value, before=_steps_before(case, None)
    )


_COMBINED: dict[Combine, Callable[[Case, list[Proposal]], RuleResult]] = {
    Combine.MAX: _largest,
    Combine.MIN: _smallest,
    Combine.WEIGHTED: _average,
}
# The number so far in the steps; the weighted average has its own step.
_SO_FAR: dict[Combine, Callable[[int, int], int]] = {
    Combine.MAX: max,
    Combine.MIN: min,
    Combine.WEIGHTED: lambda _, latest: latest,
}


def _held(case: Case, number: int) -> RuleResult:
    failed = _most_relevant(case.failed)
    message = f"held at {count(number, 'replica')}: {failed.message}"
    before = _steps_before(case, failed)
    return RuleResult(failed.report.name, number, _reason(failed), message, active=case.planned, before=before)


def _refused(case: Case, wanted: int, number: int, failures: list[Proposal]) -> RuleResult:
    failed = _most_relevant(failures)
    message = f"scale-down to {wanted} blocked: {failed.message}"
    before = _steps_before(case, failed)
    return RuleResult(failed.report.name, number, _reason(failed), message, limits=True, before=before)


def _steps_before(case: Case, last: Proposal | None) -> tuple[Step, ...]:
    """The steps of the other metrics, each with the number so far."""
    steps: list[Step] = []
    so_far: int | None = None
    for proposal in case.proposals:
        if proposal is last:
            continue
        if proposal.replicas is not None:
            replicas = proposal.replicas
            so_far = replicas if so_far is None else _SO_FAR[case.horizontal.combine](so_far, replicas)
        steps.append(Step(proposal.report.name, case.current if so_far is None else so_far, proposal.message))
    return tuple(steps)


def _most_relevant(failed: list[Proposal]) -> Proposal:
    """Missing data before data that is not there yet."""
    return min(failed, key=lambda proposal: proposal.failure is None or proposal.failure.problem is None)


def _reason(failed: Proposal) -> str:
    return failed.failure.reason if failed.failure else ""


def _replicas(proposal: Proposal) -> int:
    return proposal.replicas or 0
