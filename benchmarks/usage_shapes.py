"""Usage of a pod as people have it, made with a seed: what `make bench-vertical` replays.

Each shape is a function of the second since midnight of a Monday, in cores and MiB, with some noise on it.
"""

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from scalableapp.backtest.usagetrace import Moment, UsageTrace

MIB = 2**20
DAY = 86_400.0
DAYS = 9
STEP_SECONDS = 60.0
_FIRST = 1_767_571_200.0  # 2026-01-05, a Monday


class Shape(NamedTuple):
    """What one pod uses: cores and MiB at a second. `step` is how often that is looked at."""

    name: str
    cpu: Callable[[float], float]
    memory: Callable[[float], float]
    step: float = STEP_SECONDS


def _flat(level: float) -> Callable[[float], float]:
    return lambda _: level


def _daily(low: float, high: float) -> Callable[[float], float]:
    return lambda at: low + (high - low) * (1 - math.cos(2 * math.pi * (at / DAY - 4 / 24))) / 2


def _within(every: float, start: float, lasts: float) -> Callable[[float], bool]:
    return lambda at: start <= at % every < start + lasts


def _peaks(low: float, high: float, when: Callable[[float], bool]) -> Callable[[float], float]:
    return lambda at: high if when(at) else low


def _steps(low: float, high: float) -> Callable[[float], float]:
    """Another level every 2 to 3 hours."""
    random_ = random.Random(1)  # noqa: S311 - a seed, so that each run has the same
    levels, until = [], 0.0
    while until < (DAYS + 1) * DAY:
        until += random_.uniform(2, 3) * 3600
        levels.append((until, random_.uniform(low, high)))
    return lambda at: next(level for until, level in levels if at < until)


def _weekly(at: float) -> float:
    return 1.2 if at // DAY % 7 == 0 and 9 <= at % DAY / 3600 < 11 else 0.2


def _jvm(at: float) -> float:
    """A heap that grows step by step and is never given back, until the next release on the fifth day."""
    return min(1400.0, 300.0 + 50.0 * math.floor(at % (5 * DAY) / 7200))


def _leak(at: float) -> float:
    """30 MiB an hour, restarted by a release every three days."""
    return 200.0 + 30.0 * (at % (3 * DAY)) / 3600


def _cron(at: float) -> float:
    """Each hour for three minutes, and a longer one each night."""
    return 0.9 if at % 3600 < 180 or _within(DAY, 3 * 3600, 2400)(at) else 0.15


def _spikes(at: float) -> float:
    """A core for half a minute, twice a day."""
    return 1.0 if at % (DAY / 2) < 30 else 0.1


def _bursts(at: float) -> float:
    """Threads that all work for one look of 15 s in four."""
    return 0.6 if at % 60 < 15 else 0.05


SHAPES = (
    Shape("nightly memory peak", _flat(0.2), _peaks(200, 1536, _within(DAY, 7200, 600))),
    Shape("20 min a night", _flat(0.2), _peaks(191, 572, _within(DAY, 10_800, 1200))),
    Shape("daily sine", _daily(0.2, 1.0), _flat(200)),
    Shape("10 min every 6 h", _peaks(0.2, 0.8, _within(6 * 3600, 3600, 600)), _flat(200)),
    Shape("steps every 2-3 h", _steps(0.2, 1.0), _flat(200)),
    Shape("weekly peak", _weekly, _daily(200, 260)),
    Shape("JVM steps", _daily(0.2, 0.6), _jvm),
    Shape("leak", _flat(0.2), _leak),
    Shape("cron bursts", _cron, _flat(300)),
    Shape("30 s spikes", _spikes, _flat(150), 15.0),
    Shape("bursty threads", _bursts, _flat(200), 15.0),
)


def usage(shape: Shape, days: float = DAYS, seed: int = 1) -> UsageTrace:
    """The shape for so many days, with 4 % of noise on CPU, and 1 % on memory."""
    random_ = random.Random(seed)  # noqa: S311 - a seed, so that each run has the same
    moments = []
    for number in range(int(days * DAY / shape.step) + 1):
        at = number * shape.step
        cpu = shape.cpu(at) * max(0.5, random_.gauss(1, 0.04))
        moments.append(Moment(_FIRST + at, cpu, MIB * shape.memory(at) * max(0.9, random_.gauss(1, 0.01))))
    return UsageTrace(shape.name, tuple(moments))
