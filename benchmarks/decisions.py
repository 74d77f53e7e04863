"""Which policy decides best: cost at the same quality, over load curves, as multiples of a perfect-foresight plan.

    python -m benchmarks.decisions [--traces FOLDER] [--quick | --full] [--processes N]

Definitions are in docs/backtest.md. Every policy has one knob; it is turned over its range, the same for all traces,
and what it costs at 0.5 % bad minutes is interpolated. Public traces are read from FOLDER (default: SCALABLEAPP_TRACES,
else ../shared/traces) when it is there; generated shapes are always run.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.curves import Job, Result, Setting, jobs_of, run_job
from benchmarks.policies import POLICIES
from benchmarks.shapes import SHAPES, public_traces
from benchmarks.tables import robustness, summary, to_file
from scalableapp.backtest.progress import Bar

_DEFAULT_TRACES = os.environ.get("SCALABLEAPP_TRACES", "../shared/traces")
_QUICK_DAYS, _DAYS = 4, 9


def main() -> int:
    """Run the benchmark and print its tables."""
    options = _options()
    results: list[Result] = []
    for group, traces in {"public": sorted(public_traces(Path(options.traces))), "generated": sorted(SHAPES)}.items():
        if not traces:
            print(f"no public traces in {options.traces}: only generated shapes")
            continue
        for setting in _settings(group, options):
            found = _run(_jobs(traces, setting, options), options.processes, f"{group}, {setting}")
            print(summary(f"{group} traces, {setting}", found), flush=True)
            results += found
            to_file(results, options.out)
        print(robustness([result for result in results if result.job.trace in traces]), flush=True)
    return 0


def _jobs(traces: Sequence[str], setting: Setting, options: argparse.Namespace) -> list[Job]:
    names = options.policies.split(",") if options.policies else list(POLICIES)
    days = _QUICK_DAYS if options.quick else _DAYS
    return jobs_of(traces, names, setting, days=days, repeats=3 if options.full else 1, folder=options.traces)


def _settings(group: str, options: argparse.Namespace) -> list[Setting]:
    if options.quick:
        return [Setting()]
    settings = [Setting(), Setting(startup_seconds=60), Setting(slowed=1.2)]
    if group == "public":
        settings += [Setting(interpolation="hold"), Setting(startup_seconds=5), Setting(startup_seconds=120)]
    return settings


def _run(jobs: list[Job], processes: int, what: str) -> list[Result]:
    bar, found = Bar(what), []
    with ProcessPoolExecutor(processes) as pool:
        for result in pool.map(run_job, jobs):
            found.append(result)
            bar(len(found) / len(jobs))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", default=_DEFAULT_TRACES, help="folder of CSV files timestamp,value")
    parser.add_argument("--policies", help="comma-separated; default: all")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("bench-decisions.csv"), help="every run, for other tools")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="4 days, one start-up time: minutes")
    size.add_argument("--full", action="store_true", help="3 seeds and phases: hours")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
