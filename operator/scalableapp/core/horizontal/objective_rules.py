"""The rules of objective mode: the plan in addition to the metrics, and slow scale-down."""

from datetime import timedelta

from scalableapp.core.explain import Reason, clock, count
from scalableapp.core.horizontal.objective_plan import LABEL, usual_startup_seconds
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.learning.objective import delayed_scale_down, elapsed_seconds, idle_pod_seconds


def objective(case: Case, number: int) -> RuleResult | None:
    """The plan, or more where metrics that are set in addition need more.

    Where there is no plan it says why. Requests that cannot be read block scale-down, as a failing metric does.
    """
    objective_plan = case.objective_plan
    if objective_plan is None:
        return None
    failure, wanted = objective_plan.proposal.failure, objective_plan.proposal.replicas
    if wanted is not None:
        value = max(number, wanted) if case.proposals else wanted
        return RuleResult(LABEL, value, Reason.DESIRED_WITHIN_RANGE, objective_plan.proposal.message, asked=value)
    why = objective_plan.proposal.message
    if failure and failure.problem and number < case.current:
        message = f"scale-down to {number} blocked: {why}"
        return RuleResult(LABEL, case.current, failure.reason, message, limits=True)
    return RuleResult(LABEL, number, "", f"the objective is not used, the metrics decide: {why}")


def idle_time(case: Case, number: int) -> RuleResult | None:
    """Surplus pods are removed once they have been idle for long enough in total, unless a window is set."""
    if not case.waits_by_idle_time:
        return None
    wanted = max(number, case.bounds.least.value)
    now = case.observation.now
    elapsed = elapsed_seconds(case.history.learned, now.timestamp())
    idle_seconds = idle_pod_seconds(usual_startup_seconds(case.startups))
    value, surplus = delayed_scale_down(case.history.surplus, wanted, case.current, elapsed, idle_seconds)
    if value == wanted:
        return None
    if surplus.pod_seconds:
        left = (idle_seconds - surplus.pod_seconds) / (case.current - wanted)
        message = (
            f"held at {value} until {clock(now + timedelta(seconds=left), now)}, then {wanted} unless more are needed: "
            f"{count(case.current - wanted, 'surplus pod')} must be idle for {idle_seconds:.0f} s in total, "
            f"{surplus.pod_seconds:.0f} s so far"
        )
    else:
        message = f"scale-down to {wanted} limited to {value}, the most needed while the surplus pods were idle"
    return RuleResult("IdleTime", value, Reason.SCALE_DOWN_STABILIZED, message, limits=True, surplus=surplus)
