"""The load that is replayed: a trace made into requests of each second."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scalableapp.backtest.service import Floats

# Load that is far beyond a trace's own high values is an artefact of scaling it up.
_CLIP_AT_P99 = 3.0


class Interpolation(StrEnum):
    """What the load does between two samples of a trace."""

    LINEAR = "linear"
    HOLD = "hold"


@dataclass(frozen=True)
class Trace:
    """A load curve: requests per second at `seconds` after its start, which is `started_at` (Unix time)."""

    name: str
    seconds: Floats
    rates: Floats
    started_at: float = 0.0

    @property
    def step(self) -> float:
        """Usual distance of two samples in seconds."""
        return float(np.median(np.diff(self.seconds)))

    @property
    def duration(self) -> int:
        """Seconds that the trace covers; its last sample stands for as long as the others."""
        return int(self.seconds[-1] + self.step)

    def per_second(self, interpolation: Interpolation = Interpolation.LINEAR) -> Floats:
        """The rate in each second."""
        grid = np.arange(self.duration, dtype=np.float64)
        if interpolation is Interpolation.LINEAR:
            return np.interp(grid, self.seconds, self.rates)
        return self.rates[np.searchsorted(self.seconds, grid, side="right") - 1]


@dataclass(frozen=True)
class Noise:
    """What a trace's averages hide: swings of the rate (Ornstein-Uhlenbeck) and chance arrivals (Poisson)."""

    variation: float = 0.05
    memory_seconds: float = 30.0
    seed: int = 1


def scaled(rates: Floats, p99: float) -> Floats:
    """`rates` times a factor so that their 99th percentile becomes `p99`, cut at three times that."""
    return np.minimum(rates * (p99 / float(np.percentile(rates, 99))), _CLIP_AT_P99 * p99)


def arrivals(rates: Floats, noise: Noise) -> Floats:
    """Whole requests of each second, by chance around `rates`."""
    random = np.random.default_rng(noise.seed)
    swing = _ornstein_uhlenbeck(len(rates), noise, random)
    return random.poisson(np.maximum(rates * (1 + swing), 0.0)).astype(np.float64)


def _ornstein_uhlenbeck(size: int, noise: Noise, random: np.random.Generator) -> Floats:
    """x[t+1] = c*x[t] + sqrt(1 - c*c)*e with c = exp(-1/memory), so that its deviation is `variation`."""
    keep = float(np.exp(-1.0 / noise.memory_seconds))
    shocks = (random.standard_normal(size) * noise.variation * np.sqrt(1 - keep * keep)).tolist()
    swing, value = [], float(random.standard_normal() * noise.variation)
    for shock in shocks:
        swing.append(value)
        value = keep * value + shock
    return np.asarray(swing)
