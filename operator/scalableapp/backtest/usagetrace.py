"""Usage of a pod from a CSV file, `timestamp,cpu,memory`: ISO times or seconds; cores and bytes, or quantities."""

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from scalableapp.backtest.errors import TraceError
from scalableapp.core.quantity import parse_quantity

HEADER = ["timestamp", "cpu", "memory"]


class Moment(NamedTuple):
    """What a pod would use if nothing held it back, from this time (seconds since 1970) on: cores and bytes."""

    at: float
    cpu: float
    memory: float


class UsageTrace(NamedTuple):
    """Usage over time, oldest first; at least two moments."""

    name: str
    moments: tuple[Moment, ...]

    @property
    def seconds(self) -> float:
        """From the first moment to the last."""
        return self.moments[-1].at - self.moments[0].at


def is_usage(path: Path) -> bool:
    """Whether the file's first line says that it holds usage."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return _cells(file.readline()) == HEADER
    except (OSError, UnicodeDecodeError):
        return False


def read_usage(path: Path) -> UsageTrace:
    """The trace in `path`. Raises TraceError, which names the line, for anything that is no usage."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read ({error}); give a CSV file with timestamp,cpu,memory") from error
    moments: list[Moment] = []
    for line, moment in _rows(text, str(path)):
        if moments and moment.at <= moments[-1].at:
            raise TraceError(f"{path}:{line}: the time is not after the line before; sort the file by time")
        moments.append(moment)
    if len(moments) < 2:
        raise TraceError(f"{path}: {len(moments)} rows of data; a usage trace needs at least 2")
    return UsageTrace(path.stem, tuple(moments))


def _rows(text: str, path: str) -> Iterator[tuple[int, Moment]]:
    for line, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row or (line == 1 and [cell.strip().lower() for cell in row] == HEADER):
            continue
        try:
            at, cpu, memory = row
            yield line, Moment(_time(at), _amount(cpu), _amount(memory))
        except ValueError as error:
            raise TraceError(f"{path}:{line}: {','.join(row)!r} is not timestamp,cpu,memory ({error})") from error


def _cells(line: str) -> list[str]:
    return [cell.strip().lower() for cell in line.split(",")]


def _time(text: str) -> float:
    """Seconds since 1970; a time without a zone is UTC."""
    try:
        seconds = float(text)
    except ValueError:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < 2.5e11:
        raise ValueError(f"{text} is not a time")
    return seconds


def _amount(text: str) -> float:
    value = parse_quantity(text.strip())
    if not 0 <= value < math.inf:
        raise ValueError(f"{text} is no usage: 0 or more")
    return value
