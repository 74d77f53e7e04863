"""Objective mode: the fewest pods that keep an objective, with nothing to tune.

The user sets a latency and how many minutes may be bad. Each extra pod costs one; a bad minute has a price in
pods. The best number is where they balance, as for the newsvendor (Arrow, Harris, Marschak 1951):

    n* = argmin  n + price * P(load grows beyond n pods' capacity before new pods are ready)

P is the app's own recent experience (volatility.py), the capacity of a pod is learned (capacity.py). The price is the
budget's dual variable: each bad minute raises it, each good one lowers it (stochastic dual ascent; Neely, Stochastic
Network Optimization, 2010, section 4), from 1/budget on: as if a bad minute were worth the pod-minutes in which one
may occur. Removing pods waits until they have been idle as long as a new start costs (ski rental; Karlin et al., 1988).

Numbers in, numbers out; time is seconds on any clock.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import NamedTuple

from scalableapp.core.learning.capacity import Capacity, Limits
from scalableapp.core.learning.floor import Minute
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
from scalableapp.core.learning.volatility import MOST_GROWTH, Volatility

# A bad minute raises ln(price) by 0.4, so that ten in a row make the next one 55 times as dear.
_PRICE_GAIN_PER_SECOND = 0.1 / 15
_MOST_LOG_PRICE = 4.0
# At first less than the budget would have it: it raises itself within a bad minute or two, and costs hours to lower.
_FIRST_LOG_PRICE = -2.0
# Below this part of what a pod carries, it is not the load that made a minute bad.
_NEARLY_FULL = 0.9
# A change has to save this many pods, or this part of them: else numbers would oscillate around a tie.
_WORTHWHILE_PODS, _WORTHWHILE_SHARE = 0.5, 0.025
# A minute was steady when the logarithm of its load stayed within this range, and what chance adds for few requests.
_STEADY, _CHANCE = 0.2, 5.0
_MINUTE = 60.0
# A load is counted over so many seconds at least, and differs by chance as counts do (Poisson).
_LOAD_SECONDS, _CHANCE_DEVIATIONS = 20.0, 2.0
# A longer pause between two samples counts for no more than this: what was in between is unknown.
_MOST_ELAPSED = _MINUTE
# Numbers of pods that are weighed at most.
_CANDIDATES = 64


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
    """What is kept of a sample."""

    at: float
    load: float
    ready: int


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

    def verdict_at(self, at: float) -> Verdict | None:
        """The last judged window, unless it is too old to say anything of now."""
        known = self.verdict
        return known if known and at - known.at <= LONGEST_SECONDS else None

    def is_bad(self, at: float) -> bool:
        """Whether the last judged window was bad."""
        known = self.verdict_at(at)
        return known is not None and known.bad


class Plan(NamedTuple):
    """The number of pods, and what it rests on.

    `needed` pods carry the present load; `risk` is the probability that `replicas` do not carry what comes,
    `price` what a bad minute is worth in pods, `floor` the share that is slow at any load.
    """

    replicas: int
    needed: int
    capacity: float
    risk: float
    price: float
    floor: float = 0.0


def learn(learned: Learned, sample: Sample, objective: Objective, reaction_seconds: float) -> Learned:
    """With one more sample, later than those before.

    `reaction_seconds` is what passes from a change of load until pods started for it are ready: half the rate's
    window, the decision interval, the app's start-up.
    """
    elapsed, learned = elapsed_seconds(learned, sample.at), _resized(learned, sample.cores)
    recent = _recent(learned.recent, sample, max(reaction_seconds, _MINUTE))
    mean = _mean_of_last_minute(recent, sample.at)
    verdict, gathered = _judged(learned, mean, sample, objective.limits, elapsed)
    usual = _without_slow_pod(verdict, sample)
    capacity, minute_ended, log_price = learned.capacity, learned.minute_ended, learned.log_price
    if usual and verdict is not learned.verdict:
        log_price = _log_price(learned, usual, objective, elapsed, sample.utilisation)
        if sample.warm:
            capacity, minute_ended = _capacity(learned, recent, sample, usual, objective)
    known = verdict if verdict and sample.at - verdict.at <= LONGEST_SECONDS else None
    trial = _trial(learned.trial, mean, sample, known)
    if capacity and trial.helped:
        capacity = capacity.contradicted(math.log(trial.helped))
    return Learned(
        recent,
        _volatility(learned.volatility, recent, elapsed, reaction_seconds),
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


def without_chance(learned: Learned, load: float) -> float:
    """The load, or the mean of the last minute where chance explains the difference: two deviations of a count."""
    if not learned.recent:
        return load
    mean = learned.mean.load
    return mean if abs(load - mean) <= _CHANCE_DEVIATIONS * math.sqrt(mean / _LOAD_SECONDS) else load


def plan(learned: Learned, load: float, current: int, objective: Objective, most: int) -> Plan | None:
    """The best number of pods for `load` (requests per second), at most `most`; None while nothing is known of them.

    No requests need no knowledge, and so few that they cannot be judged either: one pod will do. Until the first ones
    have been judged, the current pods stay.
    """
    if load <= 0:
        return Plan(1, 1, learned.capacity.per_pod if learned.capacity else math.inf, 0.0, 0.0)
    if learned.capacity is None:
        return _unjudged(learned, current, objective)
    capacity, estimate = learned.capacity.per_pod, math.exp(learned.capacity.log_estimate)
    price = math.exp(learned.log_price) / objective.budget
    needed = max(1, math.ceil(load / capacity - 1e-9))
    beyond = learned.volatility.beyond()
    lasting = max(_WORTHWHILE_PODS, _WORTHWHILE_SHARE * current)
    best, least = needed, math.inf
    for pods in _candidates(needed, load / capacity, current, most):
        if pods >= least:
            break  # the pods alone cost more than the best number with its risk
        cost = pods + price * beyond(math.log(pods * estimate / load)) + (lasting if pods != current else 0.0)
        if cost < least:
            best, least = pods, cost
    risk = beyond(max(0.0, math.log(best * estimate / load)))
    return Plan(best, needed, capacity, risk, price, learned.capacity.floor.share)


def _unjudged(learned: Learned, current: int, objective: Objective) -> Plan | None:
    if not learned.recent or not math.isfinite(learned.judged):
        return None
    few = learned.mean.load * LONGEST_SECONDS < least_requests(objective.limits.slow_limit)
    return Plan(1 if few else max(current, 1), 1, math.inf, 0.0, 0.0)


def _candidates(needed: int, load_in_pods: float, current: int, most: int) -> list[int]:
    """Ascending numbers of pods to weigh, `needed` first; the current one is among them unless it is too few."""
    last = max(needed, min(math.ceil(load_in_pods * math.exp(MOST_GROWTH)), most))
    step = 1 + (last - needed) // _CANDIDATES
    numbers = list(range(needed, last + 1, step))
    return numbers if step == 1 else sorted({*numbers, min(max(current, needed), last)})


def _recent(recent: tuple[Moment, ...], sample: Sample, seconds: float) -> tuple[Moment, ...]:
    """The moments of the last `seconds`, and the one before them."""
    oldest = sample.at - seconds
    skip = 0
    while skip + 1 < len(recent) and recent[skip + 1].at <= oldest:
        skip += 1
    return (*recent[skip:], Moment(sample.at, sample.load, sample.ready))


def _volatility(seen: Volatility, recent: tuple[Moment, ...], elapsed: float, reaction: float) -> Volatility:
    now = recent[-1]
    before = next((moment for moment in reversed(recent) if moment.at <= now.at - reaction), None)
    if before is None or before.at < now.at - reaction - _MOST_ELAPSED or before.load <= 0 or now.load <= 0:
        return seen
    return seen.seen(_beyond_chance(before.load, now.load), elapsed)


def _beyond_chance(before: float, now: float) -> float:
    """ln(now / before), less what the chance of so few requests accounts for.

    The variance of a count's logarithm is 1/count (Poisson); what is left is the shrunk growth, g - variance / g, and
    not less than none (positive part of James and Stein's estimator).
    """
    growth = math.log(now) - math.log(before)
    variance = (1 / now + 1 / before) / _LOAD_SECONDS
    return growth if growth <= 0 else max(0.0, growth - variance / growth)


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


def _log_price(
    learned: Learned, verdict: Verdict, objective: Objective, elapsed: float, utilisation: float | None
) -> float:
    """A bad minute raises the price if head-room would have prevented it: if pods carried what they can, or more."""
    log_price, capacity = learned.log_price, learned.capacity
    light = capacity is not None and verdict.per_pod < _NEARLY_FULL * capacity.per_pod
    if verdict.bad and (light or (utilisation is not None and utilisation < CPU_IDLE)):
        return log_price
    moved = log_price + (float(verdict.bad) - objective.budget) * elapsed * _PRICE_GAIN_PER_SECOND
    return min(max(moved, -_MOST_LOG_PRICE), _MOST_LOG_PRICE)


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
