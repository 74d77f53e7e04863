"""The rules of objective mode: the plan beside the metrics, full pods, no way down while it is bad, slow scale-down."""

from datetime import datetime, timedelta

from scalableapp.core.explain import Reason, clock, count, when
from scalableapp.core.horizontal.objective_plan import LABEL, format_percent, usual_startup_seconds
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.learning.idle import delayed_scale_down, wait_of
from scalableapp.core.learning.objective import elapsed_seconds
from scalableapp.core.learning.saturation import MOST_UTILISATION, pods_by_cpu


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


def saturation(case: Case, number: int) -> RuleResult | None:
    """Pods that use no more than 85 % of their CPU; half as many again where full pods answer too slowly."""
    found = case.objective_plan
    if found is None or found.sample is None or found.sample.utilisation is None:
        return None
    used = found.sample.utilisation
    by_cpu = pods_by_cpu(found.sample.settled or 0, used)
    push = found.learned.push.pods
    value = max(by_cpu, push)
    if value <= number:
        return None
    message = f"pods use {100 * used:.0f} % of the CPU that they may use"
    if push > by_cpu:
        message += ", and requests are too slow, so that more load may be waiting than is answered: half as many again"
    else:
        message += f", and {100 * MOST_UTILISATION:.0f} % is the most"
    return RuleResult(
        "Saturation", value, Reason.DESIRED_WITHIN_RANGE, f"{message}: needs {count(value, 'replica')}", asked=value
    )


def trial(case: Case, number: int) -> RuleResult | None:
    """Half as many pods again where requests are slow and CPU is not used up, to see whether pods help."""
    found = case.objective_plan
    if found is None or not found.learned.trial.before:
        return None
    tried, before = found.learned.trial, found.learned.trial.before
    value = max(number, tried.asked)
    was = (
        f"{format_percent(before.slow_share)} % of the requests were too slow or failed on {count(before.pods, 'pod')}"
    )
    if tried.until is not None:
        again = datetime.fromtimestamp(tried.until, case.observation.now.tzinfo)
        message = f"pods do not help: {was}, and no fewer are on more; tried again {when(again, case.observation.now)}"
        return RuleResult("Trial", number, "", message)
    if value <= number and value <= case.current:
        return None
    message = f"{was}, and CPU is not used up: {count(value, 'replica')}, to see whether more pods help"
    return RuleResult("Trial", value, Reason.DESIRED_WITHIN_RANGE, message, asked=value)


def guard(case: Case, number: int) -> RuleResult | None:
    """No fewer pods while the objective is missed, or while nobody knows whether it is."""
    found = case.objective_plan
    if found is None or number >= case.current:
        return None
    verdict = found.learned.verdict_at(case.observation.now.timestamp())
    if found.unread:
        why, reason = f"requests are answered, and how fast is not known: {found.unread}", Reason.AWAITING_SAMPLES
    elif verdict and verdict.bad:
        share, limit = format_percent(verdict.slow_share), format_percent(verdict.slow_limit)
        why, reason = f"{share} % of the requests were too slow or failed (limit {limit} %)", Reason.OBJECTIVE_MISSED
    else:
        return None
    message = f"scale-down to {number} blocked: {why}"
    return RuleResult("Guard", case.current, reason, message, limits=True)


def idle_time(case: Case, number: int) -> RuleResult | None:
    """Surplus pods are removed once they have been idle for long enough in total, unless a window is set."""
    if not case.waits_by_idle_time:
        return None
    wanted = max(number, case.bounds.least.value)
    now = case.observation.now
    elapsed = elapsed_seconds(case.history.learned, now.timestamp())
    wait = wait_of(usual_startup_seconds(case.startups))
    value, surplus = delayed_scale_down(case.history.surplus, wanted, case.current, elapsed, wait)
    if value == wanted:
        return None
    if surplus.pod_seconds:
        left = max((wait.pod_seconds - surplus.pod_seconds) / (case.current - wanted), wait.seconds - surplus.seconds)
        message = (
            f"held at {value} until {clock(now + timedelta(seconds=left), now)}, then {wanted} unless more are needed: "
            f"{count(case.current - wanted, 'surplus pod')} must be idle for {wait.pod_seconds:.0f} s in total, "
            f"{surplus.pod_seconds:.0f} s so far"
        )
    else:
        message = f"scale-down to {wanted} limited to {value}, the most needed while the surplus pods were idle"
    return RuleResult("IdleTime", value, Reason.SCALE_DOWN_STABILIZED, message, limits=True, surplus=surplus)
