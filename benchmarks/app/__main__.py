"""Command line: `python -m benchmarks.app` measures every technique of the sample app on this machine.

Real gunicorn, Redis and nginx on loopback, loaded by wrk and Locust. Figures of one run compare with each other alone:
what counts are the ratios.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from benchmarks.app import charts, tables
from benchmarks.app.errors import BenchError
from benchmarks.app.plan import FULL, QUICK, Plan
from benchmarks.app.results import Results, merge
from benchmarks.app.scenarios import SCENARIOS
from benchmarks.app.servers import Lab
from sample_app.catalogue import seed

# Three times as long as a full run takes; then something hangs.
_MOST_SECONDS = 1800
_FAILED, _INTERRUPTED = 1, 130


def main() -> int:
    """Measure, print, draw; returns the exit code."""
    options = _options()
    # A plain `kill` cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_MOST_SECONDS)
    try:
        results = measure(QUICK if options.quick else FULL, options.only)
    except BenchError as error:
        print(f"bench-app: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print("bench-app: stopped; nothing is left running", file=sys.stderr)
        return _INTERRUPTED
    print(tables.text(results.comparisons))
    if options.markdown:
        options.markdown.write_text(tables.markdown(results.comparisons) + "\n", encoding="utf-8")
    for file in charts.draw(results, options.charts) if options.charts else ():
        print(f"drawn: {file}")
    return 0


def measure(plan: Plan, topics: list[str]) -> Results:
    """All rounds of the topics. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="bench-app-") as name:
        folder = Path(name)
        seed.make_file(folder / "catalogue.db")
        lab = Lab(folder, f"sqlite:///{folder / 'catalogue.db'}")
        return merge([_round(lab, plan, topics, number) for number in range(1, plan.rounds + 1)])


def _round(lab: Lab, plan: Plan, topics: list[str], number: int) -> Results:
    results = Results()
    for topic in topics:
        for scenario in SCENARIOS[topic]:
            began = time.monotonic()
            results += scenario(lab, plan)
            seconds = time.monotonic() - began
            print(f"round {number} of {plan.rounds}: {topic}, {scenario.__name__}: {seconds:.0f} s", file=sys.stderr)
    return results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, about a minute")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="topics (default: all)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="draw bench-app-*.png there")
    return parser.parse_args()


def _too_long(_signum: int, _frame: FrameType | None) -> None:
    raise BenchError(f"not over within {_MOST_SECONDS // 60} minutes: the machine is too busy, or something hangs")


if __name__ == "__main__":
    sys.exit(main())
