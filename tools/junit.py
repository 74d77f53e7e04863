"""What several runs of pytest came to, from their JUnit reports."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_SLOWEST = 20


class Case(NamedTuple):
    """A test: its name, the seconds that it took with its fixtures, and `passed`, `failed` or `skipped`."""

    name: str
    seconds: float
    result: str


def summary(reports: Iterable[Path], seconds: float) -> str:
    """The slowest tests, those that failed, and a line that counts all of them."""
    tests = [test for report in reports for test in _tests(report)]
    slowest = sorted(tests, key=lambda test: test.seconds, reverse=True)[:_SLOWEST]
    counts = Counter(test.result for test in tests)
    return "\n".join(
        (
            f"The {len(slowest)} slowest tests:",
            *(f"{test.seconds:7.1f} s  {test.name}" for test in slowest),
            *(f"FAILED  {test.name}" for test in tests if test.result == "failed"),
            f"All tests took {seconds / 60:.1f} min.",
            f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped",
        )
    )


def _tests(report: Path) -> list[Case]:
    """Raises ParseError for a file that pytest did not finish."""
    root = ET.parse(report).getroot()  # noqa: S314 - written by our own pytest
    return [
        Case(f"{case.get('classname')}::{case.get('name')}", float(case.get("time", "0")), _result(case))
        for case in root.iter("testcase")
    ]


def _result(case: ET.Element) -> str:
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"
