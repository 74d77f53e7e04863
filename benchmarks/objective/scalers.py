"""Who decides: the operator's own decision, shown what Prometheus would show; and HPA on CPU."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from benchmarks.objective.scraping import Rates, Scraping
from benchmarks.objective.world import Pod, World
from scalableapp.backtest.baselines import Largest, UpLimit
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.horizontal.decide import decide, first_seen, record_scale, remember
from scalableapp.core.model import Decision, History, Observation, PodState, Reading, ServiceLevel

_START = datetime(2026, 1, 5, tzinfo=UTC)
_SLOW_WINDOW, _CPU_WINDOW, _LOAD_WINDOW, _LEAST_WINDOW = 60.0, 60.0, 20.0, 30.0


class Scaler(Protocol):
    """Decides every `interval_seconds`."""

    interval_seconds: int
    decision: Decision | None

    def replicas(self, world: World, scraping: Scraping) -> int:
        """Replicas wanted now."""
        ...


def spec_of(world: World, least: int = 2, most: int = 100, **horizontal: Any) -> ScalableAppSpec:
    """An app with nothing but an objective, and the world's CPU limit as its request, too."""
    objective = {"latency": {"quantile": 0.95, "seconds": world.app.limit_seconds}, "badMinutesPercent": 0.5}
    cores = f"{round(1000 * world.app.cores)}m"
    return parse_spec(
        {
            "image": "benchmark",
            "resources": {"requests": {"cpu": cores}, "limits": {"cpu": cores}},
            "scaling": {
                "horizontal": {"minReplicas": least, "maxReplicas": most, "objective": objective, **horizontal}
            },
        }
    )


class Ours:
    """The operator's decision, with its history kept as the operator keeps it."""

    interval_seconds = 5

    def __init__(self, spec: ScalableAppSpec, blind_after: float = math.inf) -> None:
        self.decision: Decision | None = None
        self.history: History | None = None
        self._spec = spec
        self._blind_after = blind_after

    def replicas(self, world: World, scraping: Scraping) -> int:
        """Observe, decide, remember."""
        observation = self.observe(world, scraping)
        history = self.history or first_seen(observation)
        decision = self.decision = decide(self._spec, observation, history)
        history = remember(history, decision, self._spec)
        if decision.changes:
            history = record_scale(history, decision.at, decision.replicas_to - decision.replicas_from, self._spec)
        self.history = history
        return decision.replicas_to

    def observe(self, world: World, scraping: Scraping) -> Observation:
        """The app as the operator sees it now."""
        here = [_state(pod, world.now) for pod in world.pods]
        gone = [_state(pod, world.now, left) for pod, left in world.gone]
        cpu = _of_pods(scraping.rates(_CPU_WINDOW), "cpu", max(_CPU_WINDOW, 4 * scraping.seconds))
        rates = scraping.rates(_SLOW_WINDOW)
        failed = sum(rates.failed) if rates else 0.0
        level = ServiceLevel(_load(scraping), self._slow(world, scraping), cpu, failed)
        return Observation(_at(world.now), len(world.pods), (*here, *gone), readings={"CPU": cpu}, service_level=level)

    def _slow(self, world: World, scraping: Scraping) -> Reading:
        rates = scraping.rates(_SLOW_WINDOW)
        if rates is None or world.now > self._blind_after:
            return Reading()
        names = frozenset(map(_name, rates.pods))
        return slow_reading(rates, names)


def slow_reading(rates: Rates, names: frozenset[str]) -> Reading:
    """The share of slow or failed requests, as it comes from histograms and counters of the pods."""
    total, slow = sum(rates.requests), sum(rates.slow) + sum(rates.failed)
    shares = {
        _name(pod): min((late + failed) / count, 1.0)
        for pod, count, late, failed in zip(rates.pods, rates.requests, rates.slow, rates.failed, strict=True)
        if count > 0
    }
    return Reading(min(slow / total, 1.0) if total > 0 else None, shares, pods=names)


def _load(scraping: Scraping) -> Reading:
    window = _LOAD_WINDOW if scraping.seconds <= _LOAD_WINDOW / 4 else max(_LEAST_WINDOW, 4 * scraping.seconds)
    return _of_pods(scraping.rates(window), "requests", window)


def _of_pods(rates: Rates | None, what: str, window: float) -> Reading:
    if rates is None:
        return Reading(awaited="Prometheus has scraped the pods only once")
    values = dict(zip(map(_name, rates.pods), getattr(rates, what), strict=True))
    return Reading(sum(values.values()), values, window_seconds=window, newest_at=_at(rates.at))


def _state(pod: Pod, now: float, left: float | None = None) -> PodState:
    ready = pod.ready_at <= now
    changed = _at(pod.ready_at if ready else pod.born)
    left_at = None if left is None else _at(left)
    return PodState(_name(pod.number), "Running", ready, left is not None, _at(pod.born), changed, left_at=left_at)


def _name(number: int) -> str:
    return f"pod-{number}"


def _at(seconds: float) -> datetime:
    return _START + timedelta(seconds=seconds)


class HpaCpu:
    """autoscaling/v2 on CPU: metrics of 15 s, starting pods set aside; tuned: a loop of 5 s and no limit up."""

    def __init__(
        self, target: float, most: int, least: int, *, tuned: bool = False, whole_percent: bool = True
    ) -> None:
        self.decision: Decision | None = None
        self.interval_seconds = 5 if tuned else 15
        self._target, self._least, self._most = target, least, most
        self._tolerance = 0.05 if tuned else 0.1
        self._recommended = Largest(120 if tuned else 300)
        self._up = None if tuned else UpLimit()
        self._whole = whole_percent

    def replicas(self, world: World, scraping: Scraping) -> int:
        """HPA's order: metric, stabilisation, rate of change, bounds."""
        current, now = len(world.pods), round(world.now)
        proposed = min(max(self._proposed(world, scraping), self._least), self._most)
        highest = self._recommended.put(now, proposed)
        wanted = proposed if proposed > current else min(current, highest)
        return self._up.limit(now, current, wanted) if self._up else wanted

    def _proposed(self, world: World, scraping: Scraping) -> int:
        current, rates = len(world.pods), scraping.rates(15.0)
        alive = {pod.number for pod in world.pods if pod.ready_at <= world.now - 30}
        used = [] if rates is None else [cpu for pod, cpu in zip(rates.pods, rates.cpu, strict=True) if pod in alive]
        if not used:
            return current
        utilisation = sum(used) / len(used) / world.app.cores
        ratio = (int(100 * utilisation) / 100 if self._whole else utilisation) / self._target
        if ratio > 1 and len(used) < current:
            ratio = ratio * len(used) / current
            return current if ratio < 1 + self._tolerance else math.ceil(ratio * current)
        return current if abs(ratio - 1) <= self._tolerance else math.ceil(ratio * len(used))
