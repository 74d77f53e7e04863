"""No metric can be used: since when, and what `fallback` makes of it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from scalableapp.core.api.schedules import FallbackBehavior
from scalableapp.core.explain import Reason, clock, count, duration
from scalableapp.core.horizontal.bounds import bounds_at
from scalableapp.core.horizontal.proposals import Proposal
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.model import Outage
from scalableapp.core.quality import seconds_between


def outage_after(before: Outage | None, proposals: Iterable[Proposal], now: datetime, replicas: int) -> Outage | None:
    """The outage as it stands now. It begins with bad data of all metrics and ends with the first that is usable.

    Metrics that are only not there yet, as while no pod is ready, neither begin nor end one.
    """
    failures = [proposal.failure for proposal in proposals]
    if None in failures:
        return None
    if before is None and any(failure.problem for failure in failures if failure):
        return Outage(now, replicas)
    return before


def fallback(case: Case, number: int) -> RuleResult | None:
    """During an outage never fewer replicas than when it began, unless Static says so."""
    outage = case.outage
    if outage is None:
        return None
    rules, now = case.horizontal.fallback, case.observation.now
    since = f"no metric has been usable since {clock(outage.since, now)}"
    least = max(number, outage.replicas)
    if rules.replicas is None:
        return _restored(since, least, number)
    value = rules.replicas if rules.behavior is FallbackBehavior.STATIC else max(least, rules.replicas)
    lasted = seconds_between(outage.since, now)
    if lasted < rules.after_seconds:
        starts = outage.since + timedelta(seconds=rules.after_seconds)
        bound = bounds_at(case.horizontal, starts).beyond(value)
        what = _fallback_to(rules.behavior, bound.value if bound else value)
        return _restored(since, least, number, f"; {what} from {clock(starts, now)} unless a metric recovers")
    message = f"{since} ({duration(lasted)}): {_fallback_to(rules.behavior, value)} until a metric recovers"
    return RuleResult("Fallback", value, Reason.FALLBACK, message, active=False)


def _fallback_to(behavior: FallbackBehavior, replicas: int) -> str:
    return f"fallback {behavior} to {count(replicas, 'replica')}"


def _restored(since: str, least: int, number: int, next_change: str = "") -> RuleResult:
    """The last good number, reported even if it is in force already: people need to know what comes next."""
    if least > number:
        message = f"{since}: raised to {count(least, 'replica')}, as when the outage began{next_change}"
        return RuleResult("Fallback", least, Reason.FALLBACK, message, active=False)
    return RuleResult("Fallback", number, "", f"{since}: keeps at least {count(least, 'replica')}{next_change}")
