"""`python -m benchmarks.faults` measures the rows one after another and writes the table of docs/reliability.md."""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults import results
from benchmarks.faults.measure import Result, Row, measure, missed
from benchmarks.faults.rows import ROWS
from benchmarks.faults.scene import Bench
from benchmarks.faults.servers import BenchError
from cluster.console import ClusterError


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="bench-faults", description="Faults, and what each does to scaling.")
    parser.add_argument("--quick", action="store_true", help="the rows that matter most, within 10 minutes")
    parser.add_argument("--only", nargs="+", default=(), metavar="TEXT", help="rows whose name or section contains it")
    parser.add_argument("--as", dest="name", choices=("before", "now"), default="now", help="which results these are")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs of all processes there")
    parser.add_argument("--list", action="store_true", help="name the rows, and end")
    parser.add_argument("--table", action="store_true", help="only write the table again")
    return parser.parse_args()


def chosen(quick: bool, only: tuple[str, ...]) -> tuple[Row, ...]:
    """The rows to measure."""
    named = [row for row in ROWS if not only or any(text in f"{row.section}: {row.name}" for text in only)]
    return tuple(row for row in named if row.quick or not quick)


async def run(rows: tuple[Row, ...], name: str, folder: Path) -> int:
    """Measure rows, keep what each comes to at once; the number of those that failed to be measured."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):  # everything that was started ends, too
        asyncio.get_running_loop().add_signal_handler(number, task.cancel if task else lambda: None)
    failed = 0
    async with Bench(folder).up() as bench:
        for row in rows:
            started = time.monotonic()
            try:
                result = await measure(bench, row)
            except BenchError as error:
                failed += 1
                print(f"{row.name}: not measured: {error}", file=sys.stderr, flush=True)
                continue
            results.save(name, results.load(name) | {row.name: result.as_json()})
            took = time.monotonic() - started
            verdict = "; ".join(missed(row, result)) or "as it should be"
            print(f"{row.section}: {row.name} ({took:.0f} s): {verdict}\n    {_shown(result)}", flush=True)
    return failed


def _shown(result: Result) -> str:
    return "\n    ".join(f"{name}: {value}" for name, value in result.as_json().items() if value not in ([], "", None))


def main() -> int:
    """Exit code: 1 where a row could not be measured."""
    # To aiohttp a connection that a fault cuts is an error.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    options = arguments()
    rows = chosen(options.quick, tuple(options.only))
    if options.list:
        print("\n".join(f"{row.section}: {row.name}" for row in rows))
        return 0
    try:
        failed = 0 if options.table else _measured(rows, options.name, options.keep)
    except (BenchError, ClusterError) as error:
        print(f"bench-faults: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("bench-faults: stopped; what was measured is kept", file=sys.stderr)
        return 130
    results.write_page(ROWS)
    return 1 if failed else 0


def _measured(rows: tuple[Row, ...], name: str, keep: Path | None) -> int:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        return asyncio.run(run(rows, name, keep.resolve()))
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(rows, name, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
