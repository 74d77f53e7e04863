"""The best number of pods: where what an extra one costs and what it spares balance.

The user sets a latency and how many minutes may be bad. Each extra pod costs one; a bad minute has a price in
pods. The best number is where they balance, as for the newsvendor (Arrow, Harris, Marschak 1951):

    n* = argmin  n + price * P(load grows beyond n pods' capacity before new pods are ready)

P is the app's own recent experience: what growth.py expects, and how far load was off that (volatility.py). The
capacity of a pod is learned (capacity.py), and the price (objective.py).
"""

import math
from typing import NamedTuple

from scalableapp.core.learning.objective import Learned, Objective
from scalableapp.core.learning.saturation import MOST_REPLICAS
from scalableapp.core.learning.verdict import LONGEST_SECONDS, least_requests
from scalableapp.core.learning.volatility import MOST_GROWTH

# A change has to save this many pods, or this part of them: else numbers would oscillate around a tie.
_WORTHWHILE_PODS, _WORTHWHILE_SHARE = 0.5, 0.025
# A load differs by chance as counts of so many seconds do (Poisson), within so many deviations.
_LOAD_SECONDS, _CHANCE_DEVIATIONS = 20.0, 2.0
# Numbers of pods that are weighed at most.
_CANDIDATES = 64


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
    needed = max(1, math.ceil(min(load / capacity, MOST_REPLICAS) - 1e-9))
    beyond = learned.volatility.beyond()
    expected = _expected(learned, load)
    lasting = max(_WORTHWHILE_PODS, _WORTHWHILE_SHARE * current)
    best, least = needed, math.inf
    for pods in _candidates(needed, load / capacity, current, most):
        if pods >= least:
            break  # the pods alone cost more than the best number with its risk
        cost = (
            pods + price * beyond(math.log(pods * estimate / load) - expected) + (lasting if pods != current else 0.0)
        )
        if cost < least:
            best, least = pods, cost
    risk = beyond(max(0.0, math.log(best * estimate / load)) - expected)
    return Plan(best, needed, capacity, risk, price, learned.capacity.floor.share)


def _expected(learned: Learned, load: float) -> float:
    """ln(load one reaction time later / load)."""
    return learned.growth.expected(learned.means.beside(load)) if learned.means else 0.0


def _unjudged(learned: Learned, current: int, objective: Objective) -> Plan | None:
    if not learned.recent or not math.isfinite(learned.judged):
        return None
    few = learned.mean.load * LONGEST_SECONDS < least_requests(objective.limits.slow_limit)
    return Plan(1 if few else max(current, 1), 1, math.inf, 0.0, 0.0)


def _candidates(needed: int, load_in_pods: float, current: int, most: int) -> list[int]:
    """Ascending numbers of pods to weigh, `needed` first; the current one is among them unless it is too few."""
    last = max(needed, min(math.ceil(min(load_in_pods, MOST_REPLICAS) * math.exp(MOST_GROWTH)), most))
    step = 1 + (last - needed) // _CANDIDATES
    numbers = list(range(needed, last + 1, step))
    return numbers if step == 1 else sorted({*numbers, min(max(current, needed), last)})
