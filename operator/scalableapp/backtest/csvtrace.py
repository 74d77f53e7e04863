"""A load curve from a CSV file: `timestamp,value`, ISO times or seconds, requests per second."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scalableapp.backtest.csvfile import read_rows, time_of
from scalableapp.backtest.load import Trace

_HEADER = ("timestamp", "value")


def read_csv(path: Path) -> Trace:
    """The trace in `path`. Raises TraceError, which names the line, for anything that is not a load curve."""
    times, rates = zip(*read_rows(path, _HEADER, _sample, "a load curve"), strict=True)
    return Trace(path.stem, np.asarray(times) - times[0], np.asarray(rates), times[0])


def _sample(row: Sequence[str]) -> tuple[float, float]:
    at, rate = row
    return time_of(at), _rate(rate)


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate < math.inf:
        raise ValueError(f"{text} is not a request rate of 0 or more")
    return rate
