"""Whether the objective is met, and what was seen where pods do not help: the condition ObjectiveMet."""

import math
from datetime import datetime

from scalableapp.core.explain import Reason, count, when
from scalableapp.core.horizontal.objective_plan import ObjectivePlan, format_percent, slowest_pod
from scalableapp.core.horizontal.rules import Case
from scalableapp.core.learning.verdict import LONGEST_SECONDS, Verdict, least_requests
from scalableapp.core.model import ObjectiveReport

# Good for so long before it counts as met again: a share near its limit would turn the condition every few seconds.
_GOOD_SECONDS = 300.0
_LEAST_TOLD = 0.005


def objective_met(case: Case) -> ObjectiveReport | None:
    """What the condition says; None without an objective."""
    found, objective = case.objective_plan, case.spec.objective
    if found is None or objective is None:
        return None
    at, limits = case.observation.now.timestamp(), objective.shares.limits
    verdict = found.learned.verdict_at(at)
    if found.sample is None or found.unread:
        return ObjectiveReport("Unknown", "NotMeasured", found.unread or found.proposal.message)
    if verdict is None:
        least = math.ceil(least_requests(limits.slow_limit))
        message = f"fewer than {least} requests in {LONGEST_SECONDS / 60:.0f} minutes, too few to judge the app by"
        return ObjectiveReport("Unknown", "TooFewRequests", message)
    limit = f"slower than {objective.latency.seconds:g} s or failed (limit {format_percent(limits.slow_limit)} %)"
    told = f"{format_percent(verdict.slow_share)} % of {verdict.requests:.0f} requests were {limit}"
    if not verdict.bad and at - found.learned.bad_at > _GOOD_SECONDS:
        return ObjectiveReport("True", "ObjectiveMet", told)
    return _missed(case, found, verdict, told)


def _missed(case: Case, found: ObjectivePlan, verdict: Verdict, told: str) -> ObjectiveReport:
    if why := _pods_do_not_help(case, found, verdict):
        return ObjectiveReport("False", "PodsDoNotHelp", f"{told}, and pods do not help: {why}")
    if not verdict.bad:
        told = f"{told}, after a bad minute less than {_GOOD_SECONDS / 60:.0f} minutes ago"
    return ObjectiveReport("False", Reason.OBJECTIVE_MISSED, told)


def _pods_do_not_help(case: Case, found: ObjectivePlan, verdict: Verdict) -> str:
    """What was seen, "" where pods may help."""
    level, learned = case.observation.service_level, found.learned
    name, others = slowest_pod(level)
    if name and others is not None:
        own = format_percent(level.slow_share.per_pod[name])
        return f"of pod {name} {own} % are, of the others {format_percent(others)} %; look at that pod and its node"
    until, before = learned.trial.until, learned.trial.before
    if until is None or before is None:
        return ""
    again = when(datetime.fromtimestamp(until, case.observation.now.tzinfo), case.observation.now)
    seen = [f"{format_percent(before.slow_share)} % were on {count(before.pods, 'pod')}, and CPU is not used up"]
    failed = found.sample.failed_share if found.sample else 0.0
    if failed > _LEAST_TOLD:
        seen.append(f"{format_percent(failed)} % failed (5xx)")
    if learned.capacity and (floor := learned.capacity.floor.share) > verdict.slow_limit:
        seen.append(f"{format_percent(floor)} % are slow even at light load")
    return f"{', '.join(seen)}; look at the app and what it depends on; more pods are tried again {again}"
