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
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

from scalableapp.core.learning.capacity import Capacity, Limits, Minute
from scalableapp.core.learning.volatility import MOST_GROWTH, Volatility

# A bad minute raises ln(price) by 0.4, so that ten in a row make the next one 55 times as dear.
_PRICE_GAIN_PER_SECOND = 0.1 / 15
_MOST_LOG_PRICE = 4.0
# A change has to save this many pods, or this part of them: else numbers would oscillate around a tie.
_WORTHWHILE_PODS, _WORTHWHILE_SHARE = 0.5, 0.025
# Surplus pods are removed when they have been idle for so long in total: two for five minutes, as in HPA's window; or
# for so many start-ups, where starting is expensive.
LEAST_IDLE_POD_SECONDS = 600.0
_IDLE_STARTS = 20.0
# A minute was steady when its load stayed within this factor.
_STEADY = math.exp(0.2)
_MINUTE = 60.0
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
    """The app at one moment: requests per second, ready pods, slow share of the last minute, CPU used of its limit."""

    at: float
    load: float
    ready: int
    slow_share: float | None
    utilisation: float | None = None


class Moment(NamedTuple):
    """What is kept of a sample."""

    at: float
    load: float
    ready: int


@dataclass(frozen=True, slots=True)
class Learned:
    """What has been learned so far. `log_price` is ln(price * budget), `judged` when a slow share was last seen."""

    recent: tuple[Moment, ...] = ()
    volatility: Volatility = field(default_factory=Volatility.unknown)
    capacity: Capacity | None = None
    minute_ended: float = -math.inf
    log_price: float = 0.0
    judged: float = -math.inf


class Plan(NamedTuple):
    """The number of pods, and what it rests on.

    `needed` pods carry the present load; `risk` is the probability that `replicas` do not carry what comes.
    """

    replicas: int
    needed: int
    capacity: float
    risk: float
    price: float


def learn(learned: Learned, sample: Sample, objective: Objective, reaction_seconds: float) -> Learned:
    """With one more sample, later than those before.

    `reaction_seconds` is what passes from a change of load until pods started for it are ready: half the rate's
    window, the decision interval, the app's start-up.
    """
    elapsed = elapsed_seconds(learned, sample.at)
    recent = _recent(learned.recent, sample, max(reaction_seconds, _MINUTE))
    return Learned(
        recent,
        _volatility(learned.volatility, recent, elapsed, reaction_seconds),
        *_capacity(learned, recent, sample, objective),
        _log_price(learned.log_price, sample, objective, elapsed),
        learned.judged if sample.slow_share is None else sample.at,
    )


def replayed(samples: Iterable[Sample], objective: Objective, reaction_seconds: float) -> Learned:
    """What is learned from the past, oldest first: after a restart, or from the days before the app was managed."""
    return reduce(lambda learned, sample: learn(learned, sample, objective, reaction_seconds), samples, Learned())


def elapsed_seconds(learned: Learned, at: float) -> float:
    """Seconds since the last sample that count."""
    return min(max(0.0, at - learned.recent[-1].at), _MOST_ELAPSED) if learned.recent else 0.0


def plan(learned: Learned, load: float, current: int, objective: Objective, most: int) -> Plan | None:
    """The best number of pods for `load` (requests per second), at most `most`; None while nothing is known of them.

    No requests need no knowledge: one pod will do.
    """
    if load <= 0:
        return Plan(1, 1, learned.capacity.per_pod if learned.capacity else math.inf, 0.0, 0.0)
    if learned.capacity is None:
        return None
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
    return Plan(best, needed, capacity, beyond(max(0.0, math.log(best * estimate / load))), price)


def _candidates(needed: int, load_in_pods: float, current: int, most: int) -> list[int]:
    """Ascending numbers of pods to weigh, `needed` first; the current one is among them unless it is too few."""
    last = max(needed, min(math.ceil(load_in_pods * math.exp(MOST_GROWTH)), most))
    step = 1 + (last - needed) // _CANDIDATES
    numbers = list(range(needed, last + 1, step))
    return numbers if step == 1 else sorted({*numbers, min(max(current, needed), last)})


@dataclass(frozen=True, slots=True)
class Surplus:
    """Surplus pods: how long they have been idle in total, and the most replicas needed in that time."""

    pod_seconds: float = 0.0
    wanted: int = 0


def idle_pod_seconds(startup_seconds: float) -> float:
    """How long surplus pods are idle in total before they are removed."""
    return max(LEAST_IDLE_POD_SECONDS, _IDLE_STARTS * startup_seconds)


def delayed_scale_down(
    surplus: Surplus, wanted: int, current: int, elapsed_seconds: float, idle_seconds: float = LEAST_IDLE_POD_SECONDS
) -> tuple[int, Surplus]:
    """`wanted`, unless it is a scale-down whose time has not come; and what to remember.

    Goes down to the most that was wanted since pods became too many, when they have idled for `idle_seconds`.
    """
    if wanted >= current:
        return wanted, Surplus()
    surplus = Surplus(surplus.pod_seconds + (current - wanted) * elapsed_seconds, max(surplus.wanted, wanted))
    if surplus.pod_seconds < idle_seconds:
        return current, surplus
    return min(surplus.wanted, current), Surplus()


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
    return seen.seen(math.log(now.load) - math.log(before.load), elapsed)


def _log_price(log_price: float, sample: Sample, objective: Objective, elapsed: float) -> float:
    if sample.slow_share is None:
        return log_price
    bad = float(sample.slow_share > objective.limits.slow_limit)
    moved = log_price + (bad - objective.budget) * elapsed * _PRICE_GAIN_PER_SECOND
    return min(max(moved, -_MOST_LOG_PRICE), _MOST_LOG_PRICE)


def _capacity(
    learned: Learned, recent: tuple[Moment, ...], sample: Sample, objective: Objective
) -> tuple[Capacity | None, float]:
    """The capacity with what the last minute says of it, once a minute; and when that minute ended."""
    if sample.slow_share is None or sample.load <= 0 or sample.ready < 1:
        return learned.capacity, learned.minute_ended
    if learned.capacity is None:
        first = Minute(_MINUTE * sample.load, sample.load / sample.ready, sample.slow_share, sample.utilisation)
        return Capacity.first(first, objective.limits), sample.at
    if sample.at - learned.minute_ended < _MINUTE:
        return learned.capacity, learned.minute_ended
    minute = _minute(recent, sample, sample.slow_share)
    return learned.capacity.seen(minute, objective.limits), sample.at


def _minute(recent: tuple[Moment, ...], sample: Sample, slow_share: float) -> Minute:
    """The last minute."""
    moments = [moment for moment in recent if moment.at > sample.at - _MINUTE]
    loads = [moment.load for moment in moments]
    pods = sum(moment.ready for moment in moments)
    load, steady = sum(loads), 0 < max(loads) <= _STEADY * min(loads)
    return Minute(_MINUTE * load / len(loads), load / pods, slow_share, sample.utilisation, steady)
