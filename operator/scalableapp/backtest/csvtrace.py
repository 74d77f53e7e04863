"""A load curve from a CSV file: `timestamp,value`, ISO times or seconds, requests per second."""

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from scalableapp.backtest.errors import TraceError
from scalableapp.backtest.load import Trace

_FEWEST_ROWS = 2


def read_csv(path: Path) -> Trace:
    """The trace in `path`. Raises TraceError, which names the line, for anything that is not a load curve."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read ({error}); give a CSV file with timestamp,value") from error
    times: list[float] = []
    rates: list[float] = []
    for line, at, rate in _rows(text, str(path)):
        if times and at <= times[-1]:
            raise TraceError(f"{path}:{line}: the time is not after the line before; sort the file by time")
        times.append(at)
        rates.append(rate)
    if len(times) < _FEWEST_ROWS:
        raise TraceError(f"{path}: {len(times)} rows of data; a load curve needs at least {_FEWEST_ROWS}")
    return Trace(path.stem, np.asarray(times) - times[0], np.asarray(rates), times[0])


def _rows(text: str, path: str) -> Iterator[tuple[int, float, float]]:
    for line, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row or (line == 1 and _is_header(row)):
            continue
        try:
            at, rate = row
            yield line, _time(at), _rate(rate)
        except ValueError as error:
            raise TraceError(f"{path}:{line}: {','.join(row)!r} is not timestamp,value ({error})") from error


def _is_header(row: list[str]) -> bool:
    return [cell.strip().lower() for cell in row] == ["timestamp", "value"]


def _time(text: str) -> float:
    """Seconds since the epoch; a time without a zone is UTC."""
    try:
        seconds = float(text)
    except ValueError:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"{text} is not a time")
    return seconds


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate < math.inf:
        raise ValueError(f"{text} is not a rate of requests: 0 or more")
    return rate
