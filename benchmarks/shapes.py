"""Load curves to decide on: public traces from files, and generated shapes that isolate one difficulty each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from scalableapp.backtest.csvtrace import read_csv
from scalableapp.backtest.load import Trace
from scalableapp.backtest.service import Floats

_DAY = 86_400
_STEP = 60


def _diurnal(seconds: Floats) -> Floats:
    """Smooth days: 1 to 5."""
    days: Floats = 3 - 2 * np.cos(2 * np.pi * seconds / _DAY)
    return days


def _flash_crowd(seconds: Floats) -> Floats:
    """Days with a crowd at noon: fivefold within 2 minutes, gone in half an hour."""
    since_noon = seconds % _DAY - _DAY / 2
    crowd = np.where(since_noon >= 0, np.minimum(since_noon / 120, 1) * np.exp(-np.maximum(since_noon, 0) / 900), 0)
    load: Floats = 1 + 0.5 * np.sin(2 * np.pi * seconds / _DAY) + 4 * crowd
    return load


def _trend(seconds: Floats) -> Floats:
    """Growth and decline: a saw-tooth of six hours up and two down, without any day in it."""
    phase = seconds % (8 * 3600) / 3600
    return 1 + np.where(phase < 6, phase / 6, (8 - phase) / 2) * 4


def _noise(seconds: Floats) -> Floats:
    """Minutes that swing by a third around their mean, each by itself."""
    return np.random.default_rng(7).lognormal(0.0, 0.33, len(seconds))


def _on_off(seconds: Floats) -> Floats:
    """Nothing much, and ten minutes of load at each full hour: bursts over a base near zero."""
    return np.where(seconds % 3600 < 600, 1.0, 0.02)


SHAPES: dict[str, Callable[[Floats], Floats]] = {
    "diurnal": _diurnal,
    "flash-crowd": _flash_crowd,
    "trend": _trend,
    "noise": _noise,
    "on-off": _on_off,
}


def public_traces(folder: Path) -> dict[str, Path]:
    """The load curves in the folder, by name; none when it is not there."""
    return {path.stem: path for path in sorted(folder.glob("*.csv"))}


def trace_of(name: str, folder: str, days: int) -> Trace:
    """A shape or a file of the folder, its first `days`."""
    if name in SHAPES:
        seconds = np.arange(0, days * _DAY, _STEP, dtype=np.float64)
        return Trace(name, seconds, SHAPES[name](seconds))
    whole = read_csv(Path(folder) / f"{name}.csv")
    kept = whole.seconds < days * _DAY
    return Trace(name, whole.seconds[kept], whole.rates[kept])
