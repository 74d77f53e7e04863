"""One run of one policy on one load, and what it cost as a multiple of the perfect-foresight plan."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.policies import NOMINAL, POLICIES
from benchmarks.shapes import trace_of
from scalableapp.backtest.load import Interpolation, Noise, arrivals, scaled
from scalableapp.backtest.oracle import oracle
from scalableapp.backtest.score import Score, score
from scalableapp.backtest.service import Floats, Service
from scalableapp.backtest.simulator import World, simulate

BAD_PERCENT = 0.5
_PEAK_PODS = 20
_MARGINS = (0.94, 0.97, 1.0, 1.03, 1.06, 1.1, 1.15)
_WARM_UP_SECONDS = 2 * 86_400
_LEAST_BAD_PERCENT = 1e-3  # so that a run without a bad minute has a logarithm


@dataclass(frozen=True)
class Setting:
    """What all policies meet alike. `slowed`: a pod serves so much less than the policies are told."""

    startup_seconds: float = 15.0
    interpolation: str = "linear"
    slowed: float = 1.0

    def __str__(self) -> str:
        slowed = f", pods {self.slowed:g}x slower than stated" if self.slowed != 1 else ""
        held = ", step-hold" if self.interpolation == "hold" else ""
        return f"start-up {self.startup_seconds:g} s{held}{slowed}"

    def world(self, seed: int) -> World:
        """The world of this setting; the seed draws the phases."""
        phases = np.random.default_rng(seed).integers(0, 15, 2)
        service = Service(
            service_seconds=NOMINAL.service_seconds * self.slowed,
            wait_limit_seconds=NOMINAL.wait_limit_seconds,
        )
        return World(
            service=service,
            startup_seconds=self.startup_seconds,
            decision_phase=int(phases[0]),
            scrape_phase=int(phases[1]),
            seed=seed,
        )


@dataclass(frozen=True)
class Job:
    """One run to make."""

    trace: str
    policy: str
    knob: float
    setting: Setting
    seed: int
    days: int
    folder: str


@dataclass(frozen=True)
class Result:
    """What came of it. `cost` is pod-hours as a multiple of the oracle's at BAD_PERCENT."""

    job: Job
    score: Score
    cost: float


def jobs_of(
    traces: Sequence[str], policies: Sequence[str], setting: Setting, *, days: int, repeats: int, folder: str
) -> list[Job]:
    """Every trace, policy, knob and seed of a setting; neighbours share their load."""
    headline = setting == Setting()
    return [
        Job(trace, policy, knob, setting, seed, days, folder)
        for trace in traces
        for seed in range(1, repeats + 1)
        for policy in policies
        for knob in POLICIES[policy].knobs
        if headline or not POLICIES[policy].headline_only
    ]


def run_job(job: Job) -> Result:
    """Simulate and score."""
    loads = _arrivals(job.trace, job.folder, job.days, job.setting.interpolation, job.seed)
    world = job.setting.world(job.seed)
    policy = POLICIES[job.policy].make(job.knob, job.setting.startup_seconds)
    found = score(simulate(loads, policy, world), NOMINAL.slow_limit, _warm_up(loads))
    return Result(job, found, found.pod_hours / _unit(job.trace, job.folder, job.days, job.setting, job.seed))


@functools.lru_cache(maxsize=2)
def _arrivals(trace: str, folder: str, days: int, interpolation: str, seed: int) -> Floats:
    rates = trace_of(trace, folder, days).per_second(Interpolation(interpolation))
    return arrivals(scaled(rates, _PEAK_PODS * NOMINAL.capacity), Noise(seed=seed))


@functools.lru_cache(maxsize=4)
def _unit(trace: str, folder: str, days: int, setting: Setting, seed: int) -> float:
    """Pod-hours of the oracle at BAD_PERCENT, between the margins' by log-linear interpolation."""
    loads = _arrivals(trace, folder, days, setting.interpolation, seed)
    world = setting.world(seed)
    runs = [score(oracle(loads, world, margin), NOMINAL.slow_limit, _warm_up(loads)) for margin in _MARGINS]
    points = [(max(found.bad_percent, _LEAST_BAD_PERCENT), found.pod_hours) for found in runs]
    return float(np.exp(at_bad_percent([bad for bad, _ in points], [np.log(hours) for _, hours in points])))


def at_bad_percent(bad: Sequence[float], values: Sequence[float], wanted: float = BAD_PERCENT) -> float:
    """`values` where `bad` (percent) is the wanted one, linear in ln(bad)."""
    pairs = sorted(zip(np.log(np.maximum(bad, _LEAST_BAD_PERCENT)), values, strict=True))
    return float(np.interp(np.log(wanted), [at for at, _ in pairs], [value for _, value in pairs]))


def _warm_up(loads: Floats) -> int:
    return min(_WARM_UP_SECONDS, len(loads) // 6 * 2)
