"""The results on disk, and the table that docs/reliability.md makes of them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.faults.measure import Row
from cluster.settings import REPOSITORY

Results = dict[str, dict[str, Any]]
FOLDER = Path(__file__).parent
PAGE = REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- make bench-faults writes this table -->", "<!-- end of the table -->"
_HEAD = "| Fault | wrong reductions | process ended | seconds until back | told by | memory, MiB |"
_LINE = "|---|---:|---:|---:|---|---:|"


def load(name: str) -> Results:
    """The results of that name, "before" or "now"; none where there are none yet."""
    file = FOLDER / f"{name}.json"
    found: Results = json.loads(file.read_text()) if file.exists() else {}
    return found


def save(name: str, results: Results) -> None:
    """Keep them, one row a paragraph, so that a change shows as the change of a row."""
    (FOLDER / f"{name}.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def write_page(rows: tuple[Row, ...]) -> None:
    """Put the table of the results on disk into the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows, load('before'), load('now'))}\n\n{END}{after}")


def table(rows: tuple[Row, ...], before: Results, now: Results) -> str:
    """A table for each section; a cell that differs from before shows both."""
    sections = dict.fromkeys(row.section for row in rows)
    return "\n".join(line for section in sections for line in _section(section, rows, before, now))


def _section(section: str, rows: tuple[Row, ...], before: Results, now: Results) -> Iterator[str]:
    yield from ("", f"### {section}", "", _HEAD, _LINE)
    for row in rows:
        if row.section == section and (row.name in before or row.name in now):
            cells = zip(_cells(row, before.get(row.name)), _cells(row, now.get(row.name)), strict=True)
            yield f"| {row.name} | " + " | ".join(_changed(*pair) for pair in cells) + " |"


def _changed(before: str, now: str) -> str:
    return f"{before} → {now}" if before and now and before != now else now or before


def _cells(row: Row, result: Mapping[str, Any] | None) -> tuple[str, ...]:
    if result is None:
        return ("",) * 5
    back = f"> {result['patience']:.0f}" if result["back"] is None else f"{result['back']:.1f}"
    return (str(len(result["wrong"])), _exits(result["exits"]), back, _told(row, result), f"{result['peak_mib']}")


def _exits(exits: list[str]) -> str:
    by_memory = sum("memory" in text for text in exits)
    return f"{len(exits)} ({by_memory} for memory)" if by_memory else str(len(exits))


def _told(row: Row, result: Mapping[str, Any]) -> str:
    """By what; where a judge looked at what was said, whether it is true."""
    if row.judge:
        return "wrongly" if result["untrue"] else "rightly"
    ways = [way for way in ("condition", "/readyz", "metric") if any(text.startswith(way) for text in result["told"])]
    return ", ".join(ways) or "not"
