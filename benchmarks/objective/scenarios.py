"""The situations: what happens to which app, and from when on it counts."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.objective.world import App

HOUR = 3600.0


@dataclass(frozen=True)
class Scenario:
    """An app under a load (requests per second at a moment) for `hours`; `event` is when something happens to it.

    `pods` there are at the start, `fewest` at the least.
    """

    name: str
    app: App
    load: Callable[[float], float]
    hours: float
    event: float = 0.0
    pods: int = 2
    fewest: int = 2
    most: int = 100
    scrape_seconds: float = 5.0
    blind_after: float = field(default=math.inf)


def _flat(rate: float) -> Callable[[float], float]:
    return lambda _: rate


def _wave(rate: float, swing: float = 0.3, period: float = 2 * HOUR) -> Callable[[float], float]:
    return lambda now: rate * (1 + swing * math.sin(2 * math.pi * now / period))


def _from(event: float, factor: float) -> Callable[[float], float]:
    return lambda now: factor if now >= event else 1.0


def _releases() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.4)
    found = []
    for factor in (4.0, 2.0, 1.43, 1.25):
        for rate, pods, scrape in ((100.0, 4, 5.0), (300.0, 11, 15.0)):
            slower = replace(app, slower=_from(HOUR, factor), least_connections=rate > 200)
            name = f"release-{factor:g}x-{rate:g}/s"
            found.append(Scenario(name, slower, _wave(rate, 0.1), 2, HOUR, pods, scrape_seconds=scrape))
    return found


def _constant() -> list[Scenario]:
    found = []
    for share in (0.0, 0.02, 0.03, 0.049, 0.06, 0.31, 1.0):
        app = App(seconds=0.02, variation=0.5, delayed=share)
        found.append(Scenario(f"share-{100 * share:g}%-40/s", app, _flat(40.0), 3))
    return found


def _always_slow() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6)
    return [
        Scenario(f"heavy-{100 * share:g}%-100/s", replace(app, delayed=share), _wave(100.0, 0.3), 8, 0, 5)
        for share in (0.0, 0.005, 0.01, 0.02, 0.03, 0.04)
    ]


def _not_mended() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6)
    database = App(seconds=0.01, variation=0.5, connections=4, database_seconds=0.085, per_pod_seconds=0.0025)
    slow_pod = replace(app, first_pod_slower=6.0)
    return [
        Scenario("faulty-6%-100/s", replace(app, failing=0.06), _flat(100.0), 2, 0, 5),
        Scenario("faulty-29%-100/s", replace(app, failing=0.29), _flat(100.0), 2, 0, 5),
        Scenario("faulty-29%-10/s", replace(app, failing=0.29), _flat(10.0), 2, 0, 2),
        Scenario("database-95%-40/s", database, _flat(40.0), 2, 0, 4),
        Scenario("slow-pod-100/s", slow_pod, _flat(80.0), 2, 0, 4),
    ]


def _calm_then_slow() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6, slower=_from(6 * HOUR, 1.7))
    return [Scenario("calm-6h-then-slow-60/s", app, _flat(60.0), 8, 6 * HOUR, 4)]


def _few_requests() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6)
    rates = (0.01, 0.05, 0.1, 0.2, 0.5)
    return [Scenario(f"few-{rate:g}/s", app, _flat(rate), 24) for rate in rates]


def _new_app() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6, warmup_seconds=20, warmup_slower=3)
    cold = App(seconds=0.2, variation=1.5, limit_seconds=1.0, warmup_seconds=60, warmup_slower=5)
    return [
        Scenario("new-40/s", app, _flat(40.0), 2, 0, 2),
        Scenario("new-1.44/s-noisy", cold, _flat(1.44), 2, 0, 1, 1, 15),
    ]


def _bursts() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6)

    def load(now: float) -> float:
        return 800.0 if now % 1200 < 300 else 1.0

    return [Scenario("bursts-800/s", app, load, 3, 0, 4)]


def _vanishing() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6, cpu_share=0.1)
    return [Scenario("histogram-vanishes-300/s", app, _flat(300.0), 2, HOUR, 12, blind_after=HOUR)]


def _overload() -> list[Scenario]:
    app = App(seconds=0.05, variation=0.6, retried=0.5, startup_seconds=30)
    heavy = App(seconds=0.05, variation=3.0)

    def step(now: float) -> float:
        return 40.0 if now < HOUR else 240.0

    return [
        Scenario("step-6x-retries", app, step, 2, HOUR, 3),
        Scenario("variation-3-100/s", heavy, _wave(100.0), 4, 0, 6),
    ]


def scenarios() -> list[Scenario]:
    """All of them, in the order of the table."""
    return [
        *_releases(),
        *_constant(),
        *_always_slow(),
        *_not_mended(),
        *_calm_then_slow(),
        *_few_requests(),
        *_new_app(),
        *_bursts(),
        *_vanishing(),
        *_overload(),
    ]
