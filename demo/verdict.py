"""Did the replicas follow the load, and did anybody notice? Numbers in, verdict out."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from demo.plan import Plan
from demo.recording import Recording, latencies, percentile, rate

Problems = Callable[[Recording, Plan], Iterator[str]]

# The operator lets a tenth pass without scaling (the default tolerance), and so does the verdict.
TOLERANCE = 0.1
# With less of the planned load answered, a run tells more about the machine than about the operator.
LEAST_SHARE = 0.5
# How long the replicas must have been back before a run may end early.
SETTLED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run showed.

    Rates are requests per second as measured; latencies are milliseconds while the load is held; the `_after`
    figures are seconds since the load began to rise (`back_after`: to fall), None when it never came to that.
    """

    calm_rate: float
    high_rate: float
    replicas: tuple[int, int, int]
    patched_after: float | None
    ready_after: float | None
    back_after: float | None
    requests: int
    failures: Counter[str]
    retries: int
    p50_ms: float | None
    p95_ms: float | None
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the run showed what it was meant to show."""
        return not self.problems


def judge(recording: Recording, plan: Plan, problems: Problems | None = None) -> Verdict:
    """Judge a run that is over, by what a run of its scenario has to show; without one, that of replicas."""
    rise, hold, fall = plan.span(plan.rise), plan.span(plan.hold), plan.span(plan.fall)
    before = recording.replicas_at(rise.begin)
    peak = max((state.replicas for state in recording.states if rise.begin <= state.at <= fall.end), default=before)
    held = recording.between(hold.begin, hold.end)
    return Verdict(
        calm_rate=rate(recording.between(0, rise.begin)),
        high_rate=rate(held),
        replicas=(before, peak, recording.state.replicas),
        patched_after=_since(rise.begin, recording.first(rise.begin, replicas=before + 1)),
        ready_after=_since(rise.begin, recording.first(rise.begin, ready=max(_needed(recording, plan), before + 1))),
        back_after=_since(fall.begin, back_since(recording, plan)),
        requests=len(latencies(recording.load)),
        failures=sum((Counter(sample.failures) for sample in recording.load), Counter[str]()),
        retries=sum(sample.retries for sample in recording.load),
        p50_ms=percentile(latencies(held), 0.5),
        p95_ms=percentile(latencies(held), 0.95),
        problems=tuple((problems or problems_of_replicas)(recording, plan)),
    )


def settled(recording: Recording, plan: Plan, at: float) -> bool:
    """Whether the load has fallen and the replicas have been back for a while: there is nothing more to see."""
    back = back_since(recording, plan)
    return back is not None and at >= max(back, plan.span(plan.fall).end) + SETTLED_SECONDS


def back_since(recording: Recording, plan: Plan) -> float | None:
    """Since when the replicas have been back at what the calm load needs; None while they are not."""
    fall = plan.span(plan.fall)
    if not recording.state.target or recording.state.at < fall.begin:
        return None
    allowed = max(recording.bounds[0], math.ceil(plan.calm_again.rate / recording.state.target))
    since: float | None = None
    for state in recording.states:
        since = (since or state.at) if state.at >= fall.begin and state.replicas <= allowed else None
    return since


def _needed(recording: Recording, plan: Plan) -> int:
    """Fewest replicas that keep the measured high load at the target, within the tolerance and the app's bounds."""
    hold = plan.span(plan.hold)
    target = recording.state.target or math.inf
    wanted = math.ceil(rate(recording.between(hold.begin, hold.end)) / (target * (1 + TOLERANCE)))
    return min(max(wanted, recording.bounds[0]), recording.bounds[1])


def problems_of_replicas(recording: Recording, plan: Plan) -> Iterator[str]:
    """What a run should have shown of load and replicas, and did not."""
    yield from problems_of_load(recording, plan)
    yield from replica_problems(recording, plan)


def problems_of_load(recording: Recording, plan: Plan) -> Iterator[str]:
    """Whether the load was sent, and answered without a failure."""
    hold = plan.span(plan.hold)
    answered = rate(recording.between(hold.begin, hold.end))
    if answered < LEAST_SHARE * plan.hold.rate:
        yield (
            f"only {answered:.0f} of {plan.hold.rate:.0f} requests/s were answered while the load was high: "
            "the app was too slow, or this machine is busy with other work"
        )
    failed = sum(sample.failed for sample in recording.load)
    if failed:
        yield f"{failed} requests failed"


def replica_problems(recording: Recording, plan: Plan) -> Iterator[str]:
    """What a run should have shown of the replicas, and did not."""
    rise, hold, fall = plan.span(plan.rise), plan.span(plan.hold), plan.span(plan.fall)
    before = recording.replicas_at(rise.begin)
    peak = max((state.replicas for state in recording.states if rise.begin <= state.at <= fall.end), default=before)
    if not recording.state.target:
        yield "the operator reported no metric for the app: see its conditions (kubectl describe sapp)"
    needed = _needed(recording, plan)
    if peak <= before:
        yield f"replicas did not rise with the load: they stayed at {before}"
    elif not any(state.ready >= needed for state in recording.states if rise.begin <= state.at <= hold.end):
        yield f"replicas rose to {peak}, but {needed} ready pods were needed and never reached while the load was high"
    if peak > before and back_since(recording, plan) is None:
        yield f"replicas did not fall with the load: {recording.state.replicas} are left of {peak}"


def _since(begin: float, at: float | None) -> float | None:
    return None if at is None else at - begin
