"""Forecasts of an app's load, and whether one of them has lately been better than "as now".

Every 15 s each model predicts the load at the time a pod requested now would be ready. When that moment has
come the error e = measured - expected is noted. A model is used only while its pinball loss at the 0.9 quantile,
mean(max(0.9 e, -0.1 e)), is clearly below that of the naive model on the same moments: a request that was not
expected costs nine times as much as one that did not come. (A plain mean error lets models in that are late.)
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial, reduce
from typing import NamedTuple

from scalableapp.core.explain import duration
from scalableapp.core.learning.buckets import Buckets

STEP_SECONDS = 15.0
# The trend of the last 5 minutes: longer and it misses turns, shorter and it follows noise.
TREND_SECONDS = 300.0
LEAST_TREND_SAMPLES = 10
QUANTILE = 0.9
# 10 minutes of forecasts before a model may be used, and an hour in which it has to be better.
LEAST_FORECASTS = 40
MOST_FORECASTS = 240
# A model that is better by less than a twentieth is as good as the naive one.
CLEARLY_BETTER = 0.95


class Sample(NamedTuple):
    """Requests per second at a moment."""

    at: datetime
    load: float


class Pending(NamedTuple):
    """What each model expects at `due`; None where it has too little data."""

    due: datetime
    expected: tuple[float | None, ...]


class Verdict(NamedTuple):
    """The model to use, None for none; and why."""

    model: str | None = None
    message: str = "no load has been measured yet"


@dataclass(frozen=True, slots=True)
class LoadHistory:
    """What the forecasts are based on: the last minutes, means of 8 days, and how good the models were."""

    recent: tuple[Sample, ...] = ()
    buckets: Buckets = field(default_factory=Buckets)
    pending: tuple[Pending, ...] = ()
    errors: tuple[tuple[float | None, ...], ...] = ()
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def forecast(self) -> float | None:
        """Requests per second that the chosen model expects; None when there is none."""
        if self.verdict.model is None or not self.pending:
            return None
        return self.pending[-1].expected[tuple(MODELS).index(self.verdict.model)]


Model = Callable[[LoadHistory, float], float | None]


def learn(history: LoadHistory, sample: Sample, horizon_seconds: float) -> LoadHistory:
    """`history` with a measured load and the forecasts made at that moment. At most one sample a step counts.

    Samples must be in order; the load of days, read from Prometheus, is learnt by the same function.
    """
    since = _seconds(history.recent[-1].at, sample.at) if history.recent else math.inf
    if since < STEP_SECONDS - 0.5:
        return history
    scored = _scored(history, sample)
    recent = (*(old for old in history.recent if _seconds(old.at, sample.at) <= TREND_SECONDS), sample)
    seen = replace(
        history, recent=recent, buckets=history.buckets.add(sample.at, sample.load), errors=scored[-MOST_FORECASTS:]
    )
    pending = tuple(forecast for forecast in history.pending if forecast.due > sample.at)
    expected = tuple(model(seen, horizon_seconds) for model in MODELS.values())
    due = sample.at + timedelta(seconds=horizon_seconds)
    return replace(seen, pending=(*pending, Pending(due, expected)), verdict=_verdict(seen.errors))


def replay(samples: Iterable[Sample], horizon_seconds: float) -> LoadHistory:
    """What learning the samples one by one, oldest first, comes to.

    Those that are too old for the verdict only fill the buckets: days of them cost no forecasts that are never scored.
    """
    thinned = _thinned(samples)
    if not thinned:
        return LoadHistory()
    scored = MOST_FORECASTS * STEP_SECONDS + TREND_SECONDS + 2 * horizon_seconds
    split = next(i for i, sample in enumerate(thinned) if _seconds(sample.at, thinned[-1].at) <= scored)
    start = LoadHistory(buckets=Buckets.of(thinned[:split]))
    return reduce(lambda history, sample: learn(history, sample, horizon_seconds), thinned[split:], start)


def _thinned(samples: Iterable[Sample]) -> list[Sample]:
    """At most one sample a step, as `learn` takes them."""
    kept: list[Sample] = []
    for sample in samples:
        if not kept or _seconds(kept[-1].at, sample.at) >= STEP_SECONDS - 0.5:
            kept.append(sample)
    return kept


def _scored(history: LoadHistory, sample: Sample) -> tuple[tuple[float | None, ...], ...]:
    """The errors so far, and those of the forecasts whose moment has come."""
    if not history.recent or _seconds(history.recent[-1].at, sample.at) > 3 * STEP_SECONDS:
        return history.errors  # the load in between is unknown
    last = history.recent[-1]
    fresh = (
        tuple(None if value is None else _between(last, sample, forecast.due) - value for value in forecast.expected)
        for forecast in history.pending
        if last.at < forecast.due <= sample.at
    )
    return (*history.errors, *fresh)


def _between(one: Sample, other: Sample, at: datetime) -> float:
    share = _seconds(one.at, at) / _seconds(one.at, other.at)
    return one.load + share * (other.load - one.load)


def _naive(history: LoadHistory, _: float) -> float:
    return history.recent[-1].load


def _trend(history: LoadHistory, horizon_seconds: float) -> float | None:
    """The least-squares line through the last minutes, prolonged."""
    recent = history.recent
    if len(recent) < LEAST_TREND_SAMPLES:
        return None
    times = [_seconds(recent[-1].at, sample.at) for sample in recent]
    mean_time, mean_load = math.fsum(times) / len(recent), math.fsum(sample.load for sample in recent) / len(recent)
    covariance = math.fsum((at - mean_time) * (s.load - mean_load) for at, s in zip(times, recent, strict=True))
    slope = covariance / math.fsum((at - mean_time) ** 2 for at in times)
    return max(0.0, mean_load + slope * (horizon_seconds - mean_time))


def _seasonal(season: timedelta, history: LoadHistory, horizon_seconds: float) -> float | None:
    """The load of now, changed by as much as it changed one season ago."""
    now = history.recent[-1]
    before = history.buckets.at(now.at - season)
    after = history.buckets.at(now.at - season + timedelta(seconds=horizon_seconds))
    return None if before is None or after is None else max(0.0, now.load + after - before)


MODELS: dict[str, Model] = {
    "naive": _naive,
    "trend": _trend,
    "hourly": partial(_seasonal, timedelta(hours=1)),
    "daily": partial(_seasonal, timedelta(days=1)),
    "weekly": partial(_seasonal, timedelta(weeks=1)),
}


def _verdict(errors: tuple[tuple[float | None, ...], ...]) -> Verdict:
    if len(errors) < LEAST_FORECASTS:
        left = duration((LEAST_FORECASTS - len(errors)) * STEP_SECONDS)
        return Verdict(
            None, f"{len(errors)} of the {LEAST_FORECASTS} forecasts needed to judge a model are complete, {left} left"
        )
    shares = {name: share for i, name in enumerate(MODELS) if i and (share := _share(errors, i)) is not None}
    if not shares:
        return Verdict(None, "no model has enough past load")
    best = min(shares, key=lambda name: shares[name])
    loss = f"{shares[best] * 100:.0f} % of the error of predicting no change"
    if shares[best] >= CLEARLY_BETTER:
        return Verdict(None, f"no model is clearly better: the best, {best}, has {loss}")
    return Verdict(best, f"{best} model, which has {loss}")


def _share(errors: tuple[tuple[float | None, ...], ...], model: int) -> float | None:
    """The model's loss over the naive one's on the same moments; None when they are too few."""
    both = [(row[0], row[model]) for row in errors if row[0] is not None and row[model] is not None]
    if len(both) < LEAST_FORECASTS:
        return None
    naive, own = (pinball_loss([e for e in column if e is not None]) for column in zip(*both, strict=True))
    return own / naive if naive > 0 else 1.0


def pinball_loss(errors: Sequence[float], quantile: float = QUANTILE) -> float:
    """Mean pinball loss of errors, measured less expected: too little costs q of each, too much 1 - q."""
    return math.fsum(max(quantile * error, (quantile - 1) * error) for error in errors) / len(errors)


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
