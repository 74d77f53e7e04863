"""One policy on one load curve, second by second."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import numpy as np

from scalableapp.backtest.fleet import Fleet, Startup
from scalableapp.backtest.service import Floats, Ints, Queue, Service, slow_requests
from scalableapp.backtest.signals import Scraping, Signals


@dataclass(frozen=True)
class Bounds:
    """Fewest and most replicas."""

    least: int = 2
    most: int = 100

    def clip(self, replicas: int) -> int:
        """`replicas` within the bounds."""
        return min(max(replicas, self.least), self.most)


@dataclass(frozen=True)
class World:
    """Everything about an app but its load and its policy."""

    service: Service = field(default_factory=Service)
    startup_seconds: float = 15.0
    startup_spread: float = 0.0
    scrape_seconds: int = 15
    bounds: Bounds = field(default_factory=Bounds)
    counts_served: bool = True
    decision_phase: int = 0
    scrape_phase: int = 2
    gaps: tuple[tuple[int, int], ...] = ()
    seed: int = 1


class Policy(Protocol):
    """Decides every `interval_seconds` how many replicas there should be."""

    name: str
    interval_seconds: int
    scrape_seconds: int | None  # its own metrics pipeline, or None for the world's

    def replicas(self, signals: Signals) -> int:
        """Replicas wanted at `signals.now`; `signals.fleet.replicas` to stay."""
        ...


@dataclass(frozen=True)
class Run:
    """What happened, second by second."""

    policy: str
    arrivals: Floats
    slow: Floats
    backlog: Floats
    replicas: Ints
    ready: Ints
    changes: tuple[tuple[int, int], ...]


def simulate(arrivals: Floats, policy: Policy, world: World, tick: Callable[[int], None] = lambda _: None) -> Run:
    """Let the policy scale an app under these arrivals (requests of each second). `tick` hears of the progress."""
    seconds = len(arrivals)
    listed: list[float] = arrivals.tolist()
    queue = Queue(listed, world.service)
    fleet = Fleet(_initial(arrivals, world), Startup(world.startup_seconds, world.startup_spread, world.seed))
    scraping = Scraping(policy.scrape_seconds or world.scrape_seconds, world.scrape_phase, world.gaps)
    arrived = list(accumulate(listed, initial=0.0))
    signals = Signals(arrived, listed, world.service, queue, fleet, scraping, world.counts_served)
    now = 0
    for at in (*range(world.decision_phase % policy.interval_seconds, seconds, policy.interval_seconds), seconds):
        for start, end, ready in fleet.pass_time(now, at):
            queue.serve(start, end, ready)
        signals.now = now = at
        tick(at)
        if 0 < at < seconds:
            _scale(fleet, world.bounds.clip(policy.replicas(signals)), at)
    return _run(policy.name, arrivals, queue, fleet, world.service)


def play(name: str, arrivals: Floats, replicas: Ints, ready: Ints, service: Service) -> Run:
    """A plan that was made beforehand: `replicas` there are and `ready` ones of each second."""
    queue = Queue(arrivals.tolist(), service)
    changes = np.flatnonzero(np.diff(ready)) + 1
    for start, end in zip((0, *changes.tolist()), (*changes.tolist(), len(arrivals)), strict=True):
        queue.serve(start, end, int(ready[start]))
    backlog = np.asarray(queue.backlog)
    slow = slow_requests(arrivals, backlog, ready, service)
    steps = np.flatnonzero(np.diff(replicas)) + 1
    actions = tuple((int(at), int(replicas[at] - replicas[at - 1])) for at in steps)
    return Run(name, arrivals, slow, backlog, replicas, ready, actions)


def _initial(arrivals: Floats, world: World) -> int:
    load = float(np.mean(arrivals[:600])) if len(arrivals) else 0.0
    return world.bounds.clip(math.ceil(1.3 * load / world.service.capacity))


def _scale(fleet: Fleet, wanted: int, now: int) -> None:
    if wanted != fleet.replicas:
        fleet.scale(now, wanted)


def _run(name: str, arrivals: Floats, queue: Queue, fleet: Fleet, service: Service) -> Run:
    ready = fleet.ready_over_time(len(arrivals))
    backlog = np.asarray(queue.backlog)
    slow = slow_requests(arrivals, backlog, ready, service)
    replicas = fleet.replicas_over_time(len(arrivals))
    return Run(name, arrivals, slow, backlog, replicas, ready, tuple(fleet.changes()))
