"""An objective at one moment: what is learned, the plan that follows, and the proposal.

Without requests, or without their response times, there is no plan, and the metrics decide.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.explain import Reason, count, duration
from scalableapp.core.horizontal.proposals import Proposal
from scalableapp.core.horizontal.startup import startup_seconds
from scalableapp.core.learning.newsvendor import Plan, plan, without_chance
from scalableapp.core.learning.objective import Learned, Sample, elapsed_seconds, learn, replayed
from scalableapp.core.learning.verdict import least_requests
from scalableapp.core.model import (
    NOTHING_LEARNED,
    DataProblem,
    History,
    MetricReport,
    Observation,
    PodState,
    Reading,
    ServiceLevel,
    Startups,
)
from scalableapp.core.quality import (
    LEAST_COVERAGE,
    Failure,
    bad_reading,
    dated,
    leaves,
    no_ready_pods,
    no_samples,
    pods_with_samples,
    serves,
    settled_pods,
    too_thin,
)
from scalableapp.core.quantity import format_number
from scalableapp.core.size import Amount

LABEL = "Objective"
# Window of the requests' rate, shorter than that of metrics: four scrapes of 5 s. The rate shows the load of half
# that time ago.
RATE_WINDOW_SECONDS = 20
# As long as no start has been measured.
_UNKNOWN_STARTUP_SECONDS = 30.0
# One request in eleven days counts as none: logarithms and ratios of less are noise.
_LEAST_LOAD = 1e-6
# The learned capacity of a pod is used for so long without any response times.
_BELIEVED_SECONDS = 300.0
# The window of the slow share, and a minute of warming up: caches, connections, imports.
_WARM_SECONDS = 120.0
# A pod is far slower than the others if three times as many of its requests are slow as of their median, and 15 % at
# least; of three pods with 20 requests a minute.
_FAR_SLOWER, _LEAST_SLOW, _LEAST_PODS, _LEAST_POD_LOAD = 3.0, 0.05, 3, 1 / 3
# A smaller share that is slow at any load is not worth a word.
_LEAST_FLOOR = 0.002
# CPU beyond its limit means that the limit does not hold: then it does not show how full the pods are.
_MOST_UTILISATION = 1.1
# The objective's requests are judged as those of a metric are.
REQUESTS = Metric(type=MetricType.REQUESTS_PER_SECOND, target="1")


class ObjectivePlan(NamedTuple):
    """The objective's part in a decision; `plan` is None where the metrics decide instead.

    `sample` is what was measured, None where the requests could not be read. `unread` says why the slow share could
    not be read although there is load, if so.
    """

    learned: Learned
    plan: Plan | None
    proposal: Proposal
    sample: Sample | None = None
    unread: str = ""


def plan_objective(
    spec: ScalableAppSpec, observation: Observation, history: History, startups: Startups
) -> ObjectivePlan | None:
    """The app's objective at this moment; None for an app without one. Bad data teaches nothing."""
    objective = spec.objective
    if objective is None:
        return None
    failure = _bad_load(observation)
    if failure:
        return ObjectivePlan(history.learned, None, _failed(objective, failure))
    sample = _sample(spec, observation)
    learned = history.learned
    if not observation.rollout:  # pods of two kinds teach nothing of either
        learned = learn(learned, sample, objective.shares, _reaction_seconds(spec, startups, learned, observation))
    load = without_chance(learned, sample.load) if sample.load > 0 else 0.0
    found = plan(learned, load, observation.replicas, objective.shares, _most(spec))
    unread = _unread(observation.service_level.slow_share) if sample.load > 0 and sample.slow_share is None else None
    failure = _unusable(observation, learned, sample, found, unread)
    why = unread.message if unread else ""
    if failure or found is None:
        return ObjectivePlan(learned, None, _failed(objective, failure or _NOT_YET), sample, why)
    return ObjectivePlan(learned, found, _proposal(objective, found, sample, startups, observation), sample, why)


def replay_objective(spec: ScalableAppSpec, samples: Iterable[Sample], startups: Startups) -> Learned:
    """What an app with an objective has taught in the past, oldest sample first."""
    objective = spec.objective
    if objective is None:
        return NOTHING_LEARNED
    return replayed(samples, objective.shares, reaction_seconds(startups, spec.scaling.interval_seconds or 0))


def reaction_seconds(startups: Startups, interval_seconds: float, window_seconds: float | None = None) -> float:
    """From a change of the load until pods that are started for it serve."""
    return (window_seconds or RATE_WINDOW_SECONDS) / 2 + interval_seconds + usual_startup_seconds(startups)


def usual_startup_seconds(startups: Startups) -> float:
    """What a start takes, as measured; a guess as long as none was."""
    usual = startup_seconds(startups)
    return _UNKNOWN_STARTUP_SECONDS if usual is None else usual


def _reaction_seconds(spec: ScalableAppSpec, startups: Startups, learned: Learned, observation: Observation) -> float:
    elapsed = elapsed_seconds(learned, observation.now.timestamp())
    window = observation.service_level.load.window_seconds
    return reaction_seconds(startups, max(elapsed, spec.scaling.interval_seconds or 0), window)


def _most(spec: ScalableAppSpec) -> int:
    horizontal = spec.scaling.horizontal
    return max([horizontal.max_replicas, *(schedule.max_replicas or 0 for schedule in horizontal.schedules)])


def _bad_load(observation: Observation) -> Failure | None:
    reading = observation.service_level.load
    failure = bad_reading(REQUESTS, reading, observation)
    if failure is None and reading.per_pod:
        return too_thin(REQUESTS, reading.per_pod, observation, reading.window_seconds)
    if failure is None and reading.total is None:
        return no_samples(REQUESTS, observation)
    return failure


def _sample(spec: ScalableAppSpec, observation: Observation) -> Sample:
    level = observation.service_level
    serving = [pod for pod in observation.pods if serves(pod)]
    load = _whole_load(level.load, observation)
    if load < _LEAST_LOAD:
        load = 0.0
    amounts = _amounts(spec, serving)
    utilisation, settled = _utilisation(level.cpu, amounts, observation)
    slow_pod, usual_share = slowest_pod(level)
    return Sample(
        observation.now.timestamp(),
        load,
        len(serving),
        _slow_share(level, _leaving(observation)),
        utilisation,
        settled,
        _warm(serving, observation.now),
        min(level.failed / load, 1.0) if load > 0 else 0.0,
        slow_pod,
        usual_share,
        _cores(amounts),
    )


def _cores(amounts: Mapping[str, Amount]) -> float | None:
    """CPU that a pod may use, mean over those that serve; None where it is not limited."""
    limits = [amount.limit for amount in amounts.values() if amount.limit]
    return round(math.fsum(limits) / len(limits), 6) if limits else None


def slowest_pod(level: ServiceLevel) -> tuple[str, float | None]:
    """A pod that is far slower than the others, "" for none; and the slow share of the others together."""
    shares, load = level.slow_share.per_pod, level.load.per_pod
    busy = {name: share for name, share in shares.items() if load.get(name, 0.0) >= _LEAST_POD_LOAD}
    if len(busy) < _LEAST_PODS:
        return "", None
    name = max(busy, key=lambda pod: busy[pod])
    others = sorted(share for pod, share in busy.items() if pod != name)
    if busy[name] < _FAR_SLOWER * (median(others) + _LEAST_SLOW):
        return "", None
    rest = [pod for pod in busy if pod != name]
    return name, math.fsum(busy[pod] * load[pod] for pod in rest) / math.fsum(load[pod] for pod in rest)


def _warm(serving: Iterable[PodState], now: datetime) -> bool:
    """Whether a pod has served for as long as the slow share is taken over, so that its first requests are past."""
    latest = now - timedelta(seconds=_WARM_SECONDS)
    return any((pod.readiness_changed_at or pod.started_at) <= latest for pod in serving)


def _whole_load(reading: Reading, observation: Observation) -> float:
    """Requests per second of all pods; one that serves and has missed a scrape carries what the others do."""
    total = reading.total or 0.0
    if not reading.per_pod:
        return total
    gone = _leaving(observation)
    seen = {name: value for name, value in reading.per_pod.items() if name not in reading.overdue | gone}
    missing = sum(name not in seen for name in pods_with_samples(observation, reading.window_seconds))
    leaving = math.fsum(value for name, value in reading.per_pod.items() if name in gone)
    return max(total, math.fsum(seen.values()) * (1 + missing / len(seen)) + leaving) if seen else total


def _leaving(observation: Observation) -> frozenset[str]:
    return frozenset(pod.name for pod in observation.pods if leaves(pod))


def _slow_share(level: ServiceLevel, leaving: Collection[str] = ()) -> float | None:
    share = None if level.slow_share.problem else level.slow_share.total
    seen = level.slow_share.pods
    if seen is not None:  # of the pods that have requests; one that has none, or is gone, need not have a histogram
        busy = [name for name, value in level.load.per_pod.items() if value > 0 and name not in leaving]
        if sum(name in seen for name in busy) < LEAST_COVERAGE * len(busy):
            return None
    return share if share is not None and 0 <= share <= 1 else None


def _utilisation(cpu: Reading, amounts: Mapping[str, Amount], observation: Observation) -> tuple[float | None, int]:
    """CPU used by the pods of what they may use, and how many pods it is known of; None where it is not.

    A pod counts once the window of the rate holds nothing of its start: imports and warm-up are no requests, and would
    make an app that does next to nothing look full.
    """
    settled = [name for name in settled_pods(observation, cpu) if name in cpu.per_pod]
    if cpu.problem or not settled:
        return None, 0
    allowed = [amounts[name].limit or amounts[name].request or 0.0 for name in settled]
    if not all(allowed):
        return None, 0
    share = math.fsum(cpu.per_pod[name] for name in settled) / math.fsum(allowed)
    holds = share <= _MOST_UTILISATION or not all(amounts[name].limit for name in settled)
    return (share if 0 <= share < math.inf and holds else None), len(settled)


def _amounts(spec: ScalableAppSpec, serving: Iterable[PodState]) -> dict[str, Amount]:
    """Requested cores and limit of each pod that serves, at present; as specified where the pod does not say."""
    usual = spec.resources.cpu_amount
    return {
        pod.name: pod.size.cpu if pod.size and (pod.size.cpu.limit or pod.size.cpu.request) else usual
        for pod in serving
    }


def _unusable(
    observation: Observation, learned: Learned, sample: Sample, found: Plan | None, unread: Failure | None
) -> Failure | None:
    """Why the plan must not be followed, if so."""
    if found is None or (sample.load > 0 and sample.at - learned.judged > _BELIEVED_SECONDS):
        return unread or _NOT_YET
    if found.replicas < observation.replicas and not sample.ready:
        return no_ready_pods(REQUESTS)
    return None


def _unread(slow_share: Reading) -> Failure:
    """Why the slow share of requests that there are is not known: a metric that fails."""
    if slow_share.awaited:
        return Failure(Reason.AWAITING_SAMPLES, f"{_NOT_YET.message} ({slow_share.awaited})")
    problem, why = slow_share.problem or DataProblem.EMPTY, slow_share.message
    return Failure(problem, f"{_NOT_YET.message}{f' ({why})' if why else ''}", problem)


_NOT_YET = Failure(Reason.AWAITING_SAMPLES, "response times are not available")


def _failed(objective: LatencyObjective, failure: Failure) -> Proposal:
    return Proposal(MetricReport(LABEL, "<unknown>", _target(objective), None), failure.message, failure=failure)


def _proposal(
    objective: LatencyObjective, found: Plan, sample: Sample, startups: Startups, observation: Observation
) -> Proposal:
    at = observation.service_level.load.newest_at
    report = MetricReport(LABEL, _current(sample), _target(objective), found.replicas, at)
    return Proposal(report, _message(objective, found, sample, startups, observation), found.replicas)


def _current(sample: Sample) -> str:
    """The slow share; of no requests, none is slow."""
    if sample.slow_share is None:
        return "<unknown>" if sample.load > 0 else "0"
    return format_number(round(sample.slow_share, 4))


def _message(
    objective: LatencyObjective, found: Plan, sample: Sample, startups: Startups, observation: Observation
) -> str:
    load = observation.service_level.load
    on = f"on {_measured(load, observation)}{dated(load, observation.now)}"
    if load.note:
        on += f" ({load.note}, so the rate window of the metrics is used)"
    if sample.load <= 0:
        return f"no requests {on}: needs {count(found.replicas, 'replica')}"
    limits = objective.shares.limits
    slow = "an unknown share" if sample.slow_share is None else f"{format_percent(sample.slow_share)} %"
    measured = (
        f"{format_number(round(sample.load, 3))} requests/s {on}, {slow} slower than "
        f"{objective.latency.seconds:g} s or failed in the last minute (limit {format_percent(limits.slow_limit)} %)"
    )
    verb = "keeps" if found.replicas == observation.replicas else "needs"
    needs = f"{verb} {count(found.replicas, 'replica')}"
    if math.isinf(found.capacity):
        least = math.ceil(least_requests(limits.slow_limit))
        return (
            f"{measured}; what a pod handles is not known yet: it is learned from {least} requests or more to pods of "
            f"which one has served for {duration(_WARM_SECONDS)}: {needs}"
        )
    ahead = duration(reaction_seconds(startups, 0, load.window_seconds))
    floor = f" ({format_percent(found.floor)} % are slow at any load)" if found.floor > _LEAST_FLOOR else ""
    carried = f"a pod handles {format_number(round(found.capacity, 3))} requests/s within the objective{floor}"
    return (
        f"{measured}; {carried}, so the load needs {count(found.needed, 'pod')}; with {found.replicas} the risk of "
        f"overload within {ahead}, before new pods are ready, is {format_percent(found.risk)} %, and a bad minute is "
        f"worth {found.price:.0f} pods: {needs}"
    )


def _measured(load: Reading, observation: Observation) -> str:
    """The ready pods, and how many of them were measured."""
    ready = [pod.name for pod in observation.pods if serves(pod)]
    seen = sum(name in load.per_pod for name in ready) if load.per_pod else len(ready)
    return count(len(ready), "ready pod") if seen == len(ready) else f"{seen} of {count(len(ready), 'ready pod')}"


def format_percent(share: float) -> str:
    """A share (0..1) in percent, without the sign."""
    return format_number(round(100 * share, 2))


def _target(objective: LatencyObjective) -> str:
    return format_number(objective.shares.limits.slow_limit)
