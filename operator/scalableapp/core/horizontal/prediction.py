"""`prediction`: the load at the time a pod requested now would be ready. It may only add replicas or keep them."""

import math
from collections.abc import Iterable
from datetime import datetime
from functools import reduce

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.explain import Reason, count, duration
from scalableapp.core.horizontal.objective_plan import usual_startup_seconds
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.learning.forecast import LoadHistory, Sample, learn, replay
from scalableapp.core.model import Observation, Startups
from scalableapp.core.quality import LARGEST_VALUE
from scalableapp.core.quantity import format_number

# From the decision to the first sample in which a new pod's relief shows: an interval of ours and a scrape.
_REACTION_SECONDS = 15.0
_NOTHING = LoadHistory()


def learned(spec: ScalableAppSpec, observation: Observation, loads: LoadHistory, startups: Startups) -> LoadHistory:
    """`loads` with what is measured now; empty while prediction is off. Bad data is not learnt."""
    if not spec.scaling.horizontal.prediction.enabled:
        return _NOTHING
    metric = _requests(spec)
    if metric is None and not spec.scaling.horizontal.objective:
        return _NOTHING
    reading = observation.readings.get(metric.label) if metric else observation.service_level.load
    if reading is None or reading.problem:
        return loads
    load = math.fsum(reading.per_pod.values()) if reading.total is None else reading.total
    if not 0 <= load < LARGEST_VALUE:
        return loads
    return learn(loads, Sample(observation.now, load), horizon_seconds(startups))


def replayed(samples: Iterable[tuple[datetime, float]], startups: Startups) -> LoadHistory:
    """What past loads, oldest first, teach: after a restart, or about the days before the app was managed.

    Steps of 5 minutes are enough for the seasons, and of 15 s for the last hour, in which the models are judged.
    """
    usable = (Sample(at, load) for at, load in samples if 0 <= load < LARGEST_VALUE)
    return replay(usable, horizon_seconds(startups))


def rejoined(past: LoadHistory, live: LoadHistory, startups: Startups) -> LoadHistory:
    """`past` as replayed, and what has been learnt live since it was requested."""
    return reduce(lambda loads, sample: learn(loads, sample, horizon_seconds(startups)), live.recent, past)


def horizon_seconds(startups: Startups) -> float:
    """How far ahead the load counts: the measured start-up time and our own reaction."""
    return _REACTION_SECONDS + usual_startup_seconds(startups)


def prediction(case: Case, number: int) -> RuleResult | None:
    """Replicas that the predicted load needs, if that is more; otherwise how good the forecasts are."""
    if not case.horizontal.prediction.enabled or case.no_usable_metric:
        return None
    per_pod = _per_pod(case)
    if per_pod is None:
        return None
    forecast, verdict = case.loads.forecast, case.loads.verdict
    if forecast is None:
        return RuleResult("Prediction", number, "", f"prediction is not used: {verdict.message}")
    need = min(math.ceil(round(forecast / per_pod, 9)), _most(case))
    ahead = duration(horizon_seconds(case.startups))
    expected = f"{format_number(round(forecast, 3))} requests/s predicted in {ahead} by the {verdict.message}"
    if need <= number:
        return RuleResult("Prediction", number, "", expected)
    message = f"{expected}: needs {count(need, 'replica')}"
    return RuleResult("Prediction", need, Reason.PREDICTED, message, asked_too=need)


def _most(case: Case) -> int:
    """HPA's own limit on growth, twice and 4 more: a forecast that explodes must not."""
    return 2 * case.current + 4


def _per_pod(case: Case) -> float | None:
    """Requests per second that one pod should handle: the target, or what the objective has learned."""
    if case.objective_plan and case.objective_plan.plan:
        return case.objective_plan.plan.capacity
    metric = _requests(case.spec)
    return metric.target_value if metric else None


def _requests(spec: ScalableAppSpec) -> Metric | None:
    return next((metric for metric in spec.metrics if metric.type is MetricType.REQUESTS_PER_SECOND), None)
