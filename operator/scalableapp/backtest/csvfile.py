"""Traces in CSV files: a time and numbers in each line, oldest first."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from scalableapp.backtest.errors import TraceError
from scalableapp.core.explain import count

_FEWEST_ROWS = 2
Row = TypeVar("Row", bound=tuple[float, ...])


def read_rows(path: Path, columns: Sequence[str], parse: Callable[[Sequence[str]], Row], what: str) -> list[Row]:
    """What `parse` makes of the cells of each line; its first number is the time. A header may come first.

    Raises TraceError, which names the line, for anything that is not `what`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read ({error}); pass a CSV file with {','.join(columns)}") from error
    rows: list[Row] = []
    for line, row in _rows(text, str(path), columns, parse):
        if rows and row[0] <= rows[-1][0]:
            raise TraceError(f"{path}:{line}: the time is not later than on the line before; sort the file by time")
        rows.append(row)
    if len(rows) < _FEWEST_ROWS:
        raise TraceError(f"{path}: {count(len(rows), 'row')} of data; {what} needs at least {_FEWEST_ROWS}")
    return rows


def is_header(row: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether a line names the columns."""
    return [cell.strip().lower() for cell in row] == list(columns)


def time_of(text: str, least: float = -math.inf, most: float = math.inf) -> float:
    """Seconds since 1970, of ISO time (UTC without a zone) or of a number in least..most. Raises ValueError."""
    try:
        seconds = float(text)
    except ValueError:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not (math.isfinite(seconds) and least <= seconds < most):
        raise ValueError(f"{text} is not a time")
    return seconds


def _rows(
    text: str, path: str, columns: Sequence[str], parse: Callable[[Sequence[str]], Row]
) -> Iterator[tuple[int, Row]]:
    for line, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row or (line == 1 and is_header(row, columns)):
            continue
        try:
            yield line, parse(row)
        except ValueError as error:
            raise TraceError(f"{path}:{line}: {','.join(row)!r} is not {','.join(columns)} ({error})") from error
