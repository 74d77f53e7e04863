"""The rules of objective mode: the plan beside the metrics, and no haste on the way down."""

from datetime import timedelta

from scalableapp.core.explain import Reason, clock, count, duration
from scalableapp.core.horizontal.objective_plan import LABEL, usual_startup_seconds
from scalableapp.core.horizontal.rules import Case, Ruling
from scalableapp.core.learning.objective import elapsed_seconds, idle_pod_seconds, without_haste


def objective(case: Case, number: int) -> Ruling | None:
    """The plan, or more where metrics that are stated beside it ask for more.

    Where there is no plan it says why. Requests that cannot be read forbid less, as a failing metric does.
    """
    pursuit = case.pursuit
    if pursuit is None:
        return None
    failure, wanted = pursuit.proposal.failure, pursuit.proposal.replicas
    if wanted is not None:
        value = max(number, wanted) if case.proposals else wanted
        return Ruling(LABEL, value, Reason.DESIRED_WITHIN_RANGE, pursuit.proposal.message, asked=value)
    why = pursuit.proposal.message
    if failure and failure.problem and number < case.current:
        message = f"scale-down to {number} refused: {why}"
        return Ruling(LABEL, case.current, failure.reason, message, limits=True)
    return Ruling(LABEL, number, "", f"the objective has no say, the metrics decide: {why}")


def idle_time(case: Case, number: int) -> Ruling | None:
    """Pods go when those too many have idled long enough together, unless a stabilisation window is stated."""
    if not case.waits_by_idle_time:
        return None
    wanted = max(number, case.bounds.least.value)
    now = case.observation.now
    elapsed = elapsed_seconds(case.history.learned, now.timestamp())
    idle_seconds = idle_pod_seconds(usual_startup_seconds(case.startups))
    value, surplus = without_haste(case.history.surplus, wanted, case.current, elapsed, idle_seconds)
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
    return Ruling("IdleTime", value, Reason.SCALE_DOWN_STABILIZED, message, limits=True, surplus=surplus)
