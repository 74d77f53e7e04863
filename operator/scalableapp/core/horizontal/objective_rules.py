"""The rules of objective mode: the plan beside the metrics, and no haste on the way down."""

from datetime import timedelta

from scalableapp.core.explain import Reason, clock, count, duration
from scalableapp.core.horizontal.objective_plan import LABEL, usual_startup_seconds
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.learning.objective import delayed_scale_down, elapsed_seconds, idle_pod_seconds


def objective(case: Case, number: int) -> RuleResult | None:
    """The plan, or more where metrics that are stated beside it ask for more.

    Where there is no plan it says why. Requests that cannot be read forbid less, as a failing metric does.
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
        message = f"scale-down to {number} refused: {why}"
        return RuleResult(LABEL, case.current, failure.reason, message, limits=True)
    return RuleResult(LABEL, number, "", f"the objective has no say, the metrics decide: {why}")


def idle_time(case: Case, number: int) -> RuleResult | None:
    """Pods go when those too many have idled long enough together, unless a stabilisation window is stated."""
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
            f"scale-down to {wanted} held {duration(left)} longer: {count(case.current - wanted, 'pod')} too many must "
            f"idle {idle_seconds:.0f} s together, {surplus.pod_seconds:.0f} s have passed; {wanted} from "
            f"{clock(now + timedelta(seconds=left), now)} on, unless more is asked for"
        )
    else:
        message = f"scale-down to {wanted} held at {value}: so many were wanted since pods became too many"
    return RuleResult("IdleTime", value, Reason.SCALE_DOWN_STABILIZED, message, limits=True, surplus=surplus)
