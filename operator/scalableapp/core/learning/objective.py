"""Objective mode: what is learned of an app, so that the fewest pods keep an objective, with nothing to tune.

How far load runs away while a new pod starts (growth.py, volatility.py), what a pod carries (capacity.py), and the
price of a bad minute; from them newsvendor.py has the best number of pods. The price is the budget's dual variable:
each bad minute raises it, each good one lowers it (stochastic dual ascent; Neely, Stochastic Network Optimization,
2010, section 4). Removing pods waits until they have been idle as long as a new start costs (idle.py).

Numbers in, numbers out; time is seconds on any clock.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import NamedTuple

from scalableapp.core.learning.capacity import Capacity, Limits
from scalableapp.core.learning.floor import Minute
from scalableapp.core.learning.growth import NOTHING_BESIDE, NOTHING_GROWN, Beside, Growth, Means
from scalableapp.core.learning.saturation import NO_PUSH, Fullness, Push, pushed
from scalableapp.core.learning.trial import CPU_IDLE, NO_TRIAL, Now, Trial, advanced
from scalableapp.core.learning.verdict import (
    LONGEST_SECONDS,
    NOTHING_GATHERED,
    Gathered,
    Verdict,
    complete,
    gather,
    least_requests,
)
from scalableapp.core.learning.volatility import Volatility

# A bad minute raises ln(price) by 0.4, so that ten in a row make the next one 55 times as dear.
_PRICE_GAIN_PER_SECOND = 0.1 / 15
_LEAST_LOG_PRICE, _MOST_LOG_PRICE = -5.0, 4.0
# At first less than the budget would have it: it raises itself within a bad minute or two, and costs hours to lower.
_FIRST_LOG_PRICE = -2.0
# Below this part of what a pod carries, it is not the load that made a minute bad.
_NEARLY_FULL = 0.9
# A minute was steady when the logarithm of its load stayed within this range, and what chance adds for few requests.
_STEADY, _CHANCE = 0.2, 5.0
_MINUTE = 60.0
# A load is counted over so many seconds at least, and differs by chance as counts do (Poisson).
_LOAD_SECONDS = 20.0
# A longer pause between two samples counts for no more than this: what was in between is unknown.
_MOST_ELAPSED = _MINUTE


@dataclass(frozen=True, slots=True)
class Objective:
    """A minute beyond the limits is bad; `budget` (0..1) of the minutes may be."""

    limits: Limits
    budget: float


class Sample(NamedTuple):
    """The app at one moment: requests per second, ready pods, slow share of the last minute, CPU used of its limit.

    `settled` pods are those that the CPU is known of, None for all. Unless `warm`, no pod serves for long enough, and
    what requests take says nothing of what a pod carries. `failed_share` of the requests were answered with 5xx.
    `usual_share` is the slow share of the pods but `slow_pod`, one that is far slower than the others.
    `cores` is the CPU that a pod may use.
    """

    at: float
    load: float
    ready: int
    slow_share: float | None
    utilisation: float | None = None
    settled: int | None = None
    warm: bool = True
    failed_share: float = 0.0
    slow_pod: str = ""
    usual_share: float | None = None
    cores: float | None = None


class Moment(NamedTuple):
    """What is kept of a sample; `beside` is what the load's means were relative to it."""

    at: float
    load: float
    ready: int
    beside: Beside


class Mean(NamedTuple):
    """The last minute: requests per second and ready pods, in the mean."""

    load: float
    ready: float


_NO_LOAD = Mean(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Learned:
    """What has been learned so far. `log_price` is ln(price * budget), `judged` when a slow share was last seen.

    `recent` are the last moments, `mean` is what they were in the last minute.
    `verdict` is the last window that was judged, `gathered` what is not enough for one yet, `push` what was asked for
    because pods are full, `trial` whether pods help where they are not. The last bad window ended at
    `bad_at`. The capacity is that of a pod with so many `cores`.
    """

    recent: tuple[Moment, ...] = ()
    volatility: Volatility = field(default_factory=Volatility.unknown)
    capacity: Capacity | None = None
    minute_ended: float = -math.inf
    log_price: float = _FIRST_LOG_PRICE
    judged: float = -math.inf
    gathered: Gathered = NOTHING_GATHERED
    verdict: Verdict | None = None
    push: Push = NO_PUSH
    trial: Trial = NO_TRIAL
    bad_at: float = -math.inf
    cores: float | None = None
    mean: Mean = _NO_LOAD
    growth: Growth = NOTHING_GROWN
    means: Means | None = None

    def verdict_at(self, at: float) -> Verdict | None:
        """The last judged window, unless it is too old to say anything of now."""
        known = self.verdict
        return known if known and at - known.at <= LONGEST_SECONDS else None


def learn(learned: Learned, sample: Sample, objective: Objective, reaction_seconds: float) -> Learned:
    """With one more sample, later than those before.

    `reaction_seconds` is what passes from a change of load until pods started for it are ready: half the rate's
    window, the decision interval, the app's start-up.
    """
    elapsed, learned = elapsed_seconds(learned, sample.at), _resized(learned, sample.cores)
    means = learned.means.seen(sample.load, elapsed) if learned.means else Means(sample.load, sample.load)
    recent = _recent(learned.recent, sample, max(reaction_seconds, _MINUTE), means)
    growth, volatility = _growth(learned, recent, elapsed, reaction_seconds)
    mean = _mean_of_last_minute(recent, sample.at)
    verdict, gathered = _judged(learned, mean, sample, objective.limits, elapsed)
    usual = _without_slow_pod(verdict, sample)
    capacity, minute_ended, log_price = learned.capacity, learned.minute_ended, learned.log_price
    if usual and verdict is not learned.verdict:
        if not usual.bad or _nearly_full(usual, recent, sample, learned.capacity):
            log_price = _log_price(learned, usual, objective, elapsed)
        if sample.warm:
            capacity, minute_ended = _capacity(learned, recent, sample, usual, objective)
    known = verdict if verdict and sample.at - verdict.at <= LONGEST_SECONDS else None
    trial = _trial(learned.trial, mean, sample, known)
    if capacity and trial.helped:
        capacity = capacity.contradicted(math.log(trial.helped))
    return Learned(
        recent,
        volatility,
        capacity,
        minute_ended,
        log_price,
        learned.judged if sample.slow_share is None else sample.at,
        gathered,
        verdict,
        _push(learned.push, sample, reaction_seconds) if known and known.bad else NO_PUSH,
        trial,
        verdict.at if verdict and verdict.bad else learned.bad_at,
        learned.cores,
        mean,
        growth,
        means,
    )


def replayed(samples: Iterable[Sample], objective: Objective, reaction_seconds: float) -> Learned:
    """What is learned from the past, oldest first: after a restart, or from the days before the app was managed."""
    return reduce(lambda learned, sample: learn(learned, sample, objective, reaction_seconds), samples, Learned())


def restored(past: Learned, known: Learned) -> Learned:
    """What was replayed from the past, with the numbers that were known before a restart.

    Prometheus does not tell whether CPU made a minute slow: neither what was too much for a pod is learned from it, nor
    whether pods help.
    """
    past = replace(past, trial=known.trial, push=known.push)
    if known.capacity is None:
        return past
    capacity = past.capacity.bounded_by(known.capacity) if past.capacity else known.capacity
    return replace(past, capacity=capacity, log_price=known.log_price, bad_at=max(past.bad_at, known.bad_at))


def elapsed_seconds(learned: Learned, at: float) -> float:
    """Seconds since the last sample that count."""
    return min(max(0.0, at - learned.recent[-1].at), _MOST_ELAPSED) if learned.recent else 0.0


def _recent(recent: tuple[Moment, ...], sample: Sample, seconds: float, means: Means) -> tuple[Moment, ...]:
    """The moments of the last `seconds`, and the one before them."""
    oldest = sample.at - seconds
    skip = 0
    while skip + 1 < len(recent) and recent[skip + 1].at <= oldest:
        skip += 1
    beside = means.beside(sample.load) if sample.load > 0 else NOTHING_BESIDE
    return (*recent[skip:], Moment(sample.at, sample.load, sample.ready, beside))


def _growth(learned: Learned, recent: tuple[Moment, ...], elapsed: float, reaction: float) -> tuple[Growth, Volatility]:
    """What is known of growth, with the one up to now."""
    now = recent[-1]
    before = next((moment for moment in reversed(recent) if moment.at <= now.at - reaction), None)
    oldest = now.at - reaction - max(reaction, _MOST_ELAPSED)
    if before is None or before.at < oldest or before.load <= 0 or now.load <= 0:
        return learned.growth, learned.volatility
    change = math.log(now.load / before.load)
    residual = _beyond_chance(change - learned.growth.expected(before.beside), before.load, now.load)
    return learned.growth.seen(before.beside, change, elapsed), learned.volatility.seen(residual, elapsed)


def _beyond_chance(residual: float, before: float, now: float) -> float:
    """What was not expected, less what the chance of so few requests accounts for.

    The variance of a count's logarithm is 1/count (Poisson); what is left is the shrunk growth, g - variance / g, and
    not less than none (positive part of James and Stein's estimator).
    """
    if residual <= 0:
        return residual
    variance = (1 / now + 1 / before) / _LOAD_SECONDS
    return max(0.0, residual - variance / residual)


def _judged(
    learned: Learned, mean: Mean, sample: Sample, limits: Limits, elapsed: float
) -> tuple[Verdict | None, Gathered]:
    """The newest verdict, and what is still too little for one."""
    share = sample.slow_share
    if share is None:
        return learned.verdict, learned.gathered
    load, ready = mean
    if _MINUTE * load >= least_requests(limits.slow_limit):
        return Verdict(sample.at, _MINUTE * load, share, limits.slow_limit, load / max(ready, 1)), NOTHING_GATHERED
    gathered = gather(learned.gathered, load, share, ready, elapsed)
    if not complete(gathered, limits.slow_limit) or not gathered.pod_seconds:
        return learned.verdict, gathered
    share = gathered.slow / gathered.requests
    return Verdict(
        sample.at, gathered.requests, share, limits.slow_limit, gathered.per_pod, gathered=True
    ), NOTHING_GATHERED


def _resized(learned: Learned, cores: float | None) -> Learned:
    """What a pod carries moves with its CPU: a change of size does not have to be learned."""
    if cores is None or cores == learned.cores:
        return learned
    capacity = learned.capacity
    if capacity and learned.cores:
        capacity = capacity.resized(cores / learned.cores)
    return replace(learned, capacity=capacity, cores=cores)


def _without_slow_pod(verdict: Verdict | None, sample: Sample) -> Verdict | None:
    """What is learned from: the others, where one pod is far slower than they are."""
    if verdict is None or sample.usual_share is None or not sample.slow_pod:
        return verdict
    return replace(verdict, slow_share=sample.usual_share)


def _push(before: Push, sample: Sample, reaction_seconds: float) -> Push:
    """What is asked for because pods are full, whatever was learned."""
    if sample.utilisation is None:
        return NO_PUSH
    settled = sample.ready if sample.settled is None else sample.settled
    return pushed(before, sample.at, Fullness(sample.utilisation, settled, sample.ready), reaction_seconds)


def _trial(before: Trial, mean: Mean, sample: Sample, verdict: Verdict | None) -> Trial:
    """Whether more pods help; one slow pod among others is no reason to try."""
    if sample.slow_pod:
        return NO_TRIAL
    served = mean.load * (1 - sample.failed_share)
    return advanced(before, Now(sample.at, sample.ready, mean.load, served, sample.utilisation), verdict)


def _log_price(learned: Learned, verdict: Verdict, objective: Objective, elapsed: float) -> float:
    """A bad minute raises the price, a good one lowers it."""
    moved = learned.log_price + (float(verdict.bad) - objective.budget) * elapsed * _PRICE_GAIN_PER_SECOND
    return min(max(moved, _LEAST_LOG_PRICE), _MOST_LOG_PRICE)


def _nearly_full(verdict: Verdict, recent: tuple[Moment, ...], sample: Sample, capacity: Capacity | None) -> bool:
    """Whether head-room could have prevented a bad minute: if, in a moment of it, pods carried what they can, or more.

    Pods that came during the minute hide in its mean that there were too few.
    """
    if sample.utilisation is not None and sample.utilisation < CPU_IDLE:
        return False
    if capacity is None:
        return True
    moments = () if verdict.gathered else _last_minute(recent, sample.at)
    per_pod = max([verdict.per_pod, *[moment.load / max(moment.ready, 1) for moment in moments]])
    return per_pod >= _NEARLY_FULL * capacity.per_pod


def _capacity(
    learned: Learned, recent: tuple[Moment, ...], sample: Sample, verdict: Verdict, objective: Objective
) -> tuple[Capacity | None, float]:
    """The capacity with what the last window says of it, once a minute; and when that window ended."""
    if verdict.per_pod <= 0 or sample.at - learned.minute_ended < _MINUTE:
        return learned.capacity, learned.minute_ended
    minute = _minute(recent, sample, verdict)
    if learned.capacity is None:
        if verdict.bad and minute.cpu_idle:  # whether pods carry too much then is tried first
            return None, learned.minute_ended
        return Capacity.first(minute, objective.limits), sample.at
    return learned.capacity.seen(minute, objective.limits), sample.at


def _minute(recent: tuple[Moment, ...], sample: Sample, verdict: Verdict) -> Minute:
    """The judged window; steady where its load, but for chance, and its pods stayed."""
    moments = _last_minute(recent, sample.at)
    loads = [moment.load for moment in moments]
    chance = _CHANCE / math.sqrt(max(verdict.requests, 1.0))
    steady = verdict.gathered or 0 < max(loads) <= math.exp(_STEADY + chance) * min(loads)
    return Minute(verdict.requests, verdict.per_pod, verdict.slow_share, sample.utilisation, steady)


def _mean_of_last_minute(recent: tuple[Moment, ...], at: float) -> Mean:
    moments = _last_minute(recent, at)
    load, ready = sum([moment.load for moment in moments]), sum([moment.ready for moment in moments])
    return Mean(load / len(moments), ready / len(moments))


def _last_minute(recent: tuple[Moment, ...], at: float) -> list[Moment]:
    start = at - _MINUTE
    return [moment for moment in recent if moment.at > start]
