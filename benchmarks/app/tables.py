"""The results as a table, for the terminal and as Markdown."""

import math
from collections.abc import Sequence

from benchmarks.app.results import Comparison

HEAD = ("What", "Without", "With", "Gain", "Rounds")


def rows(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """Head and cells of the table."""
    return [HEAD, *(_row(each) for each in comparisons)]


def text(comparisons: Sequence[Comparison]) -> str:
    """For the terminal, in columns."""
    cells = rows(comparisons)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths) for row in cells)


def markdown(comparisons: Sequence[Comparison]) -> str:
    """As a Markdown table."""
    head, *body = rows(comparisons)
    lines = [head, ("---", *("---:" for _ in head[1:])), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def amount(value: float) -> str:
    """Three significant digits, without exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(digits, 0)}f}" if value < 1000 else f"{round(value, min(digits, 0)):,.0f}"


def factor(gain: float) -> str:
    """A gain as it is said: 12 x; of what was nothing before, no factor tells."""
    if math.isinf(gain):
        return "∞"
    return f"{amount(gain) if gain < 10 else f'{gain:,.0f}'} x"


def _row(one: Comparison) -> tuple[str, ...]:
    without, with_it = one.labels
    return (
        f"{one.what}: {one.unit}",
        f"{amount(one.without)} ({without})",
        f"{amount(one.with_it)} ({with_it})",
        factor(one.gain),
        " ".join(factor(gain).removesuffix(" x") for gain in one.gains),
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
