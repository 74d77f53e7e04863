"""A burst of requests: a short window in addition to the long one. It may only add replicas or keep them."""

import math
from typing import NamedTuple

from scalableapp.core.api.schedules import Burst
from scalableapp.core.explain import Reason, count, duration
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.horizontal.startup import startup_seconds
from scalableapp.core.model import PodState
from scalableapp.core.quality import LARGEST_VALUE, seconds_between, serves
from scalableapp.core.quantity import format_number

# A pod that takes this many times the usual start-up is stuck, not starting.
_PATIENCE = 2.0
# As long as no start has been measured; most web apps are ready within it.
_UNKNOWN_STARTUP_SECONDS = 60.0


class _Need(NamedTuple):
    """Replicas that the requests of the short window need, exact and rounded up."""

    requests: float
    replicas: float

    @property
    def whole(self) -> int:
        return math.ceil(round(self.replicas, 9))


def burst(case: Case, number: int) -> RuleResult | None:
    """Sudden load at once, without the window of scaleUp; and no scale-down below what the short window needs.

    Pods that are starting count as ready: they were requested already, and more of them would not be ready sooner.
    """
    rules = case.horizontal.burst
    need = _need(case) if rules else None
    if rules is None:
        return None
    if need is None or need.whole <= number:
        note = _note(case)
        return RuleResult("Burst", number, "", f"burst is not used: {note}") if note else None
    coming = _starting(case)
    carrying = sum(map(serves, case.observation.pods)) + coming
    if need.replicas >= rules.threshold_ratio * max(carrying, 1):
        return _raised(need, rules, carrying, coming)
    return _kept(need, rules, case.current, number) if number < case.current else None


def _note(case: Case) -> str:
    """Why the short window cannot be used."""
    readings = (case.observation.readings.get(metric.label) for metric in case.spec.metrics)
    return next((reading.burst_note for reading in readings if reading and reading.burst_note), "")


def _need(case: Case) -> _Need | None:
    needs = (
        _Need(total, total / metric.target_value)
        for metric in case.spec.metrics
        if (reading := case.observation.readings.get(metric.label)) and not reading.problem
        if (total := reading.burst_total) is not None and 0 <= total < LARGEST_VALUE
    )
    return max(needs, key=lambda need: need.replicas, default=None)


def _starting(case: Case) -> int:
    """Pods that are starting: not ready yet and not stuck, or not even created."""
    alive = [pod for pod in case.observation.pods if not pod.deleting and pod.phase in ("Pending", "Running")]
    usual = startup_seconds(case.startups) or _UNKNOWN_STARTUP_SECONDS
    starting = [pod for pod in alive if not pod.ready and _age(case, pod) < _PATIENCE * usual]
    return len(starting) + max(0, case.current - len(alive))


def _age(case: Case, pod: PodState) -> float:
    return seconds_between(pod.created_at or pod.started_at, case.observation.now)


def _raised(need: _Need, rules: Burst, carrying: int, coming: int) -> RuleResult:
    share = format_number(round(need.replicas / max(carrying, 1) * 100))
    starting = f" ({coming} starting)" if coming else ""
    message = (
        f"burst: {_requests_text(need, rules)}, {share} % of the target of {count(carrying, 'replica')}{starting}: "
        f"needs {count(need.whole, 'replica')}"
    )
    return RuleResult("Burst", need.whole, Reason.BURST, message, asked_too=need.whole)


def _kept(need: _Need, rules: Burst, current: int, number: int) -> RuleResult:
    kept = min(current, need.whole)
    limited = f"limited to {kept}" if kept < current else "blocked"
    needed = f"{_requests_text(need, rules)} need {count(need.whole, 'replica')}"
    message = f"scale-down to {number} {limited} by burst: {needed}"
    return RuleResult("Burst", kept, Reason.BURST, message, limits=True, asked_too=kept)


def _requests_text(need: _Need, rules: Burst) -> str:
    return f"{format_number(round(need.requests, 3))} requests/s in the last {duration(rules.window_seconds)}"
