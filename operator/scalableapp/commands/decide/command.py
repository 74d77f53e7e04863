"""`scalableapp decide`: JSON lines in, decisions out, through the operator's own core and without a cluster.

One line is one situation of one app:

    {"spec": {ScalableApp .spec}, "now": RFC 3339,
     "observed": {"replicas": int, "rollout": bool, "sampleAgeSeconds": number,
                  "pods": [{"name", "phase", "ready", "deleting", "startedSecondsAgo", "readySecondsAgo": number|null,
                            "usage": {metric: quantity}}],
                  "totals": {metric: number}, "burstTotals": {metric: number},
                  "resources": {"cpu": {"request", "limit"}, "memory": {"request", "limit"}},
                  "usageHistory": {"cpu": [[secondsAgo, cores]], "memory": [[secondsAgo, bytes]]},
                  "oomKills": int, "throttledRatio": number},
     "history": {"recommendations": [{"secondsAgo", "replicas"}], "scaleEvents": [{"secondsAgo", "change"}],
                 "outage": {"secondsAgo", "replicas"}, "load": [[secondsAgo, requestsPerSecond]]}}

For spec.scaling.horizontal.objective, `totals` contains RequestsPerSecond and SlowShare: the share (0..1) of the last
minute's requests that took longer than the objective's limit or failed. A Latency is a total in seconds.

The key of a metric is its name, or its type if it has no name. `readySecondsAgo` is the time since readiness last
changed. A metric with values in `usage` is evaluated per pod, one with only a total by the total. `burstTotals` are
requests/s over the short window of spec.scaling.horizontal.burst; `outage` is the start of the period without usable
metrics, and the replicas at that time. In modes Vertical and Combined, `resources` is the pods' size, `usageHistory`
the usage of one pod (CPU and Memory in `pods` are used as well), `oomKills` the number of OOM kills of the current
containers, `throttledRatio` the share of CPU periods in which they were throttled; the output contains `resources`.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

EXIT_BAD_INPUT = 2


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "decide",
        help="run decisions on situations from a JSON Lines file",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Prints one line per input line: replicas, reason, message, steps; or error, with exit status 2.",
    )
    command.add_argument("file", metavar="FILE", help="JSON Lines file, or - for standard input")
    command.add_argument(
        "--follow",
        action="store_true",
        help="the lines are successive ticks of one app: answer each immediately and keep the history between them",
    )
    command.set_defaults(run=_decide)


def _decide(options: argparse.Namespace) -> int:
    # The core takes as long to import as all other commands together.
    from scalableapp.commands.decide.lines import answer_lines  # noqa: PLC0415 - see above

    status = 0
    try:
        with _opened(options.file) as lines:
            for answer in answer_lines(lines, follow=options.follow):
                print(json.dumps(answer), flush=True)  # noqa: T201 - answers on standard output are what this command is for
                status = EXIT_BAD_INPUT if "error" in answer else status
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(f"scalableapp decide: cannot read {options.file}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return EXIT_BAD_INPUT
    return status


@contextlib.contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    if file == "-":
        yield sys.stdin
        return
    with Path(file).open(encoding="utf-8") as lines:
        yield lines
