"""Workers under a CPU limit, and what an overloaded pod does with and without a bound for its queue."""

import math
from collections.abc import Sequence
from http import HTTPStatus

from benchmarks.app.cpulimit import cpu_limit
from benchmarks.app.errors import BenchError
from benchmarks.app.open_loop import Answer, LoadSpec, run_load
from benchmarks.app.plan import Plan
from benchmarks.app.results import Comparison, Curve, Results
from benchmarks.app.servers import Lab, cached_by
from benchmarks.app.wrk import wrk

# Of CPU time: long beside what a request costs without it, short beside the scheduler's period of 100 ms.
_WORK = "/work?ms=10"
_HEAVY = "/work?ms=20"
_OVERLOAD = 3
_PATIENCE_SECONDS = 2.0
_GOOD_MILLISECONDS = 1000.0
# The most that the application allows, which is as good as none; and what 0.4 s of work is.
_UNBOUND = {"QUEUE_LIMIT": "1000", "QUEUE_SECONDS": "300"}
_BOUND = {"QUEUE_LIMIT": "5", "QUEUE_SECONDS": "1"}


def workers(lab: Lab, plan: Plan) -> Results:
    """Requests/s of a pod that computes, by its workers, under each CPU limit."""
    curves = [_by_workers(lab, plan, cores) for cores in plan.limits]
    comparisons = []
    for curve in curves:
        (_one, rate), (_two, rate_of_two), *_ = curve.points
        labels = ("1 worker", "2 workers")
        comparisons.append(Comparison("workers", f"CPU limit {curve.label}", "requests/s", rate, rate_of_two, labels))
    return Results(comparisons, curves)


def _by_workers(lab: Lab, plan: Plan, cores: float) -> Curve:
    points = []
    with cpu_limit(cores) as (place, how):
        for count in plan.workers:
            with lab.app(cached_by("None", WEB_CONCURRENCY=str(count)), place) as app:
                points.append((float(count), wrk(app.url(_WORK), plan.seconds).rate))
    return Curve("workers", f"{cores:g} core{'' if cores == 1 else 's'} by {how}", tuple(points))


def overload(lab: Lab, plan: Plan) -> Results:
    """Three times what a pod of one core can do: what users get who wait two seconds at most.

    Goodput is what was answered with 200 within a second; without a bound, the queue soon holds only requests whose
    users have gone, and the pod works for nobody.
    """
    with cpu_limit(1.0) as (place, _how):
        environment = cached_by("None", WEB_CONCURRENCY="2")
        with lab.app(environment, place) as app:
            capacity = wrk(app.url(_HEAVY), plan.seconds).rate
        users = round(_OVERLOAD * capacity)
        results = []
        for bound in _UNBOUND, _BOUND:
            with lab.app(environment | bound, place) as app:
                warm_up = 2 * _PATIENCE_SECONDS
                spec = LoadSpec(app.url(_HEAVY), users, plan.seconds + warm_up, warm_up, _PATIENCE_SECONDS)
                results.append(outcome(run_load(spec), plan.seconds))
    (good, p99), (good_bound, p99_bound) = results
    what, labels = f"{_OVERLOAD}x overload", ("queue without bound", "load shedding")
    return Results(
        [
            Comparison("overload", what, "good answers/s", good, good_bound, labels),
            Comparison("overload", what, "ms p99 of those worked on", p99, p99_bound, labels, False),
        ]
    )


def outcome(answers: Sequence[Answer], seconds: float) -> tuple[float, float]:
    """Good answers per second, and the 99th percentile in milliseconds of what was not refused.

    A visitor who gave up counts with the time he had waited. Raises BenchError when all were refused.
    """
    kept = sorted(answer.milliseconds for answer in answers if answer.status != HTTPStatus.SERVICE_UNAVAILABLE)
    if not kept:
        raise BenchError("the overloaded pod has worked on no request at all")
    good = [one for one in answers if one.status == HTTPStatus.OK and one.milliseconds <= _GOOD_MILLISECONDS]
    return len(good) / seconds, kept[math.ceil(0.99 * len(kept)) - 1]
