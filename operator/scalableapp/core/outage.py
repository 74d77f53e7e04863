"""No metric can be used: since when, and what `fallback` makes of it."""

from collections.abc import Iterable
from datetime import datetime

from scalableapp.core.explain import Reason, count, duration
from scalableapp.core.horizontal import Proposal
from scalableapp.core.model import Outage
from scalableapp.core.occasions import FallbackBehavior
from scalableapp.core.quality import seconds_between
from scalableapp.core.rules import Case, Ruling


def outage_after(before: Outage | None, proposals: Iterable[Proposal], now: datetime, replicas: int) -> Outage | None:
    """The outage as it stands now. It begins with bad data of all metrics and ends with the first that is usable.

    Metrics that only have to be waited for, as while no pod is ready, neither begin nor end one.
    """
    failures = [proposal.failure for proposal in proposals]
    if None in failures:
        return None
    if before is None and any(failure.problem for failure in failures if failure):
        return Outage(now, replicas)
    return before


def fallback(case: Case, number: int) -> Ruling | None:
    """During an outage never fewer replicas than when it began, unless Static says so."""
    outage = case.outage
    if outage is None:
        return None
    rules = case.horizontal.fallback
    lasted = seconds_between(outage.since, case.observation.now)
    least = max(number, outage.replicas)
    if rules.replicas is None or lasted < rules.after_seconds:
        return _restored(outage, least) if least > number else None
    value = rules.replicas if rules.behavior is FallbackBehavior.STATIC else max(least, rules.replicas)
    message = f"no metric could be used for {duration(lasted)}: fallback {rules.behavior} to {count(value, 'replica')}"
    return Ruling("Fallback", value, Reason.FALLBACK, message, active=False)


def _restored(outage: Outage, least: int) -> Ruling:
    message = f"raised to the {count(least, 'replica')} of {outage.since:%H:%M:%S}, when metrics could last be used"
    return Ruling("Fallback", least, Reason.FALLBACK, message, active=False)
