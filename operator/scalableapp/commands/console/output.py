"""What is printed: tables for people, the same for programs as JSON and YAML, and colours where a terminal shows it."""

import argparse
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

Paint = Mapping[str, str]
# ANSI's select-graphic-rendition codes, and none of them.
COLOURS: Paint = {
    "title": "\x1b[1m",
    "good": "\x1b[32m",
    "bad": "\x1b[31m",
    "dim": "\x1b[2m",
    "end": "\x1b[0m",
}
PLAIN: Paint = dict.fromkeys(COLOURS, "")

TABLE, WIDE, JSON, YAML = "table", "wide", "json", "yaml"


def add_output(parser: argparse.ArgumentParser, wide: str) -> None:
    """-o, with `wide` telling what that form adds."""
    parser.add_argument(
        "-o",
        "--output",
        choices=(TABLE, WIDE, JSON, YAML),
        default=TABLE,
        help=f"default: table; wide adds {wide}; json and yaml are for scripts",
    )


def for_programs(content: Any, form: str) -> str | None:
    """`content` as JSON or YAML; None where the form is for people."""
    if form == JSON:
        return json.dumps(content, indent=2, ensure_ascii=False)
    if form == YAML:
        import yaml  # noqa: PLC0415 - a tenth of a second that only this form takes

        return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000)).rstrip()
    return None


def coloured(out: TextIO) -> bool:
    """Whether colours are wanted there (https://no-color.org)."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint_for(out: TextIO) -> Paint:
    """Colours where they are wanted."""
    return COLOURS if coloured(out) else PLAIN


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows with their columns in line; the last one is as long as it is."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    return [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1])).rstrip()
        for row in rows
    ]
