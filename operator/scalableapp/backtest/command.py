"""`scalableapp backtest`: what the app's scaling would have done on a load curve, compared with other policies.

This module is light, so that the command line starts fast; what computes is imported when it is needed.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalableapp.errors import ScalableAppError

if TYPE_CHECKING:
    from scalableapp.backtest.appfile import App
    from scalableapp.backtest.load import Trace
    from scalableapp.backtest.session import Case, Result

_BASELINES = "hpa,hpa-tuned,keda,kpa,static,oracle"


def add_arguments(parser: argparse.ArgumentParser, *, source_needed: bool = True) -> None:
    """The command's arguments but the app itself, which is `spec`."""
    source = parser.add_mutually_exclusive_group(required=source_needed)
    source.add_argument(
        "--trace",
        metavar="FILE.csv",
        type=Path,
        help="load curve, timestamp,value (requests/s); or usage of a pod, timestamp,cpu,memory",
    )
    source.add_argument("--prometheus", metavar="URL", help="Prometheus that has the app's requests")
    source.add_argument(
        "--prometheus-config", metavar="FILE", type=Path, help="file that states the connection to that Prometheus"
    )
    parser.add_argument(
        "--app", metavar="NS/NAME", help="app whose load to read from Prometheus; default: the file's app"
    )
    parser.add_argument(
        "--requests",
        metavar="NAME",
        help="what counts the app's requests there, as spec.monitoring.requests; default: what the app names or the "
        "operator found, else default",
    )
    parser.add_argument("--since", metavar="7d", default="7d", help="how far to look back in Prometheus (30m, 12h, 7d)")
    parser.add_argument(
        "--compare", metavar="NAMES", default=_BASELINES, help=f"policies to compare with, of {_BASELINES}"
    )
    parser.add_argument(
        "--pod-capacity",
        metavar="N",
        help="requests/s that one pod handles with 5 %% slow ones; or: learned (from Prometheus)",
    )
    parser.add_argument(
        "--startup-seconds",
        metavar="S",
        type=_positive,
        default=15.0,
        help="time from a pod's creation to ready; default 15",
    )
    parser.add_argument("--report", metavar="OUT.html", type=Path, help="write an HTML report with charts")
    parser.add_argument("--png", metavar="OUT.png", type=Path, help="write only the chart")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Carry the command out for the app in the file `options.spec`; its exit status."""
    return guarded(lambda: _backtest(options))


def guarded(work: Callable[[], None]) -> int:
    """The exit status of work that may lack a library or a file."""
    try:
        work()
    except ModuleNotFoundError as error:
        if error.name not in ("numpy", "matplotlib"):
            raise
        complain(f"{error.name} is not installed; install it with pip install 'scalableapp[backtest]'")
        return 2
    except (ScalableAppError, OSError) as error:
        complain(str(error))
        return 2
    return 0


def _backtest(options: argparse.Namespace) -> None:
    from scalableapp.backtest import usagetrace  # noqa: PLC0415 - see the module's docstring

    if options.trace and usagetrace.is_usage(options.trace):
        from scalableapp.backtest import sizes_command  # noqa: PLC0415 - as above

        print(sizes_command.run(options))  # noqa: T201 - a command-line tool prints
        return
    from scalableapp.backtest.appfile import read_app  # noqa: PLC0415 - as above

    finish(options, case_of(options, read_app(options.spec)))


def finish(options: argparse.Namespace, case: "Case") -> None:
    """Run the policies on the case, and print and write what the options ask for."""
    from scalableapp.backtest import progress, session  # noqa: PLC0415 - needs numpy: see the module's docstring

    baselines = [name for name in options.compare.split(",") if name.strip()]
    for note in case.assumed.notes:
        print(f"note: {note}", file=sys.stderr)  # noqa: T201 - a command-line tool prints
    results = session.compare(case, [session.OURS, *baselines], progress.Bar(case.trace.name))
    if options.report or options.png:
        from scalableapp.backtest import report  # noqa: PLC0415 - needs matplotlib

        report.write(case, results, options.report, options.png)
    print(json.dumps(as_json(case, results), indent=2) if options.json else as_table(case, results))  # noqa: T201 - as above


def case_of(options: argparse.Namespace, app: "App") -> "Case":
    """The app on the load that the options name, with the assumptions."""
    from scalableapp.backtest.assumptions import assume  # noqa: PLC0415 - see the module's docstring
    from scalableapp.backtest.ours import check_replayable  # noqa: PLC0415 - as above
    from scalableapp.backtest.session import Case  # noqa: PLC0415 - as above

    check_replayable(app.spec)
    trace, capacity, notes = _load(options, app)
    assumed = assume(app.spec, trace, capacity, options.startup_seconds)
    return Case(app.spec, trace, replace(assumed, notes=(*notes, *assumed.notes)))


def _load(options: argparse.Namespace, app: "App") -> "tuple[Trace, float | None, tuple[str, ...]]":
    """The load, the capacity of a pod if it is known, and what there is to say about them."""
    from scalableapp.backtest import csvtrace, history  # noqa: PLC0415 - see the module's docstring
    from scalableapp.backtest.errors import OptionError  # noqa: PLC0415 - as above
    from scalableapp.core.api.presets import DEFAULT  # noqa: PLC0415 - as above

    learn = options.pod_capacity == "learned"
    capacity = None if learn else _capacity(options.pod_capacity)
    if options.trace:
        if learn:
            raise OptionError("--pod-capacity learned needs --prometheus: a load curve contains no slow requests")
        return csvtrace.read_csv(options.trace), capacity, ()
    requests = options.requests or app.spec.monitoring.requests or DEFAULT
    where = options.prometheus or options.prometheus_config
    source = history.Source(where, options.app or f"{app.namespace}/{app.name}", requests)
    trace, notes = history.load(source, history.seconds_of(options.since))
    if not learn:
        return trace, capacity, notes
    objective = app.spec.scaling.horizontal.objective
    learned = history.capacity(source, trace, objective.shares.limits if objective else history.USUAL_LIMITS)
    return trace, learned, (*notes, f"learned that a pod handles {learned:.3g} requests/s")


def as_json(case: "Case", results: "dict[str, Result]") -> dict[str, Any]:
    """The back-test for machines."""
    oracle = results.get("oracle")
    return {
        "trace": case.trace.name,
        "duration_seconds": case.trace.duration,
        "pod_capacity": round(case.assumed.world.service.capacity, 3),
        "startup_seconds": case.assumed.world.startup_seconds,
        "notes": list(case.assumed.notes),
        "policies": {
            name: {
                "violation_minutes": outcome.score.violation_minutes,
                "pod_hours": round(outcome.score.pod_hours, 3),
                "actions": outcome.score.actions,
                "flips": outcome.score.flips,
                "slow_share": round(outcome.score.slow_share, 6),
                "times_oracle": round(outcome.score.pod_hours / oracle.score.pod_hours, 3) if oracle else None,
                **_decided(outcome),
            }
            for name, outcome in results.items()
        },
    }


def _decided(outcome: "Result") -> dict[str, Any]:
    return {"stretches": [stretch._asdict() for stretch in outcome.stretches]} if outcome.stretches else {}


def as_table(case: "Case", results: "dict[str, Result]") -> str:
    """The back-test for people."""
    from scalableapp.backtest.deciders import in_words  # noqa: PLC0415 - see the module's docstring

    oracle = results.get("oracle")
    lines = [
        f"{'policy':<12} {'bad minutes':>11} {'pod-hours':>10} {'x oracle':>8} {'actions':>8} {'flips':>6} {'slow':>7}"
    ]
    for name, outcome in results.items():
        row = outcome.score
        times = f"{row.pod_hours / oracle.score.pod_hours:.2f}" if oracle else "-"
        lines.append(
            f"{name:<12} {row.violation_minutes:>11} {row.pod_hours:>10.1f} {times:>8} "
            f"{row.actions:>8} {row.flips:>6} {row.slow_share:>7.2%}"
        )
    for name, outcome in results.items():
        lines += [f"{name}: {line}" for line in in_words(outcome.stretches, case.trace.started_at)]
    return "\n".join(lines)


def _capacity(text: str | None) -> float | None:
    from scalableapp.backtest.errors import OptionError  # noqa: PLC0415 - see the module's docstring

    if text is None:
        return None
    try:
        return _positive(text)
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise OptionError(f"--pod-capacity {text}: pass requests per second, greater than 0, or `learned`") from error


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not greater than 0")
    return number


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    print(f"scalableapp backtest: {message}", file=sys.stderr)  # noqa: T201 - a command-line tool prints
