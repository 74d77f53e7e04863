"""Some faults of `make bench-faults`, with a real API server and the operator's process."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.faults.measure import measure, missed
from benchmarks.faults.rows import ROWS
from benchmarks.faults.scene import Bench

pytestmark = [pytest.mark.process, pytest.mark.alone]

# A minute each, one after another.
HOLD = (
    "the load falls from 150 to 90",
    "a query with 130 regular expressions",
    'a histogram with le="abc"',
    "API server is silent for 20 s",
    "the CRD is not served for 12 s",
    "Prometheus is silent",
)
# Other tests run at the same time.
BUSY = 3.0


def test_a_fault_takes_no_pod_ends_no_process_and_is_told(tmp_path: Path) -> None:
    assert asyncio.run(_missed(HOLD, tmp_path)) == {}


async def _missed(names: tuple[str, ...], folder: Path) -> dict[str, list[str]]:
    """What each row missed, of those that missed something."""
    found = {}
    async with Bench(folder).up() as bench:
        for row in (row for row in ROWS if row.name in names):
            found[row.name] = missed(row, await measure(bench, row), slack=BUSY)
    return {name: what for name, what in found.items() if what}


def test_the_rows_tried_here_exist() -> None:
    assert set(HOLD) <= {row.name for row in ROWS}
