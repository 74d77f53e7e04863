"""Usage of a pod from a CSV file, `timestamp,cpu,memory`: ISO times or seconds; cores and bytes, or quantities."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scalableapp.backtest.csvfile import is_header, read_rows, time_of
from scalableapp.core.quantity import parse_quantity

HEADER = ("timestamp", "cpu", "memory")
_LATEST = 2.5e11  # what datetime can tell


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
            return is_header(file.readline().split(","), HEADER)
    except (OSError, UnicodeDecodeError):
        return False


def read_usage(path: Path) -> UsageTrace:
    """The trace in `path`. Raises TraceError, which names the line, for anything that is no usage."""
    return UsageTrace(path.stem, tuple(read_rows(path, HEADER, _moment, "a usage trace")))


def _moment(row: Sequence[str]) -> Moment:
    at, cpu, memory = row
    return Moment(time_of(at, 0, _LATEST), _amount(cpu), _amount(memory))


def _amount(text: str) -> float:
    value = parse_quantity(text.strip())
    if not 0 <= value < math.inf:
        raise ValueError(f"{text} is not a usage of 0 or more")
    return value
