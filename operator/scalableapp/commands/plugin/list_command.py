"""`scalableapp list`: the apps of a namespace or of all, and how each stands."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from scalableapp.commands.console import arguments
from scalableapp.commands.console.output import WIDE, add_output, for_programs, paint_for

_EXAMPLES = """\
examples:
  kubectl scalableapp list -A
  kubectl scalableapp list -n shop -l team=web --output wide
"""


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "list",
        "list the apps and their state",
        "Lists ScalableApps: replicas, bounds, the metric with the highest utilisation, and the reason for the count.",
        _EXAMPLES,
    )
    add_selection(parser)
    add_output(parser, "size, time since the decision, URL")
    parser.set_defaults(run=run)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which apps."""
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="list apps in all namespaces")
    parser.add_argument("-l", "--selector", metavar="LABELS", help="label selector, as in team=web")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    return arguments.run("list", lambda: _list(options, sys.stdout))


async def _list(options: argparse.Namespace, out: TextIO) -> None:
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - keeps the command line's start fast
    from scalableapp.commands.plugin.listing import as_table  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.reader import read_apps  # noqa: PLC0415 - as above

    async with connected(options) as connection:
        namespace = None if options.all_namespaces else connection.namespace
        apps = await read_apps(connection.api, namespace, options.selector)
    text = for_programs({"items": apps}, options.output)
    if text is None and not apps:
        where = f"in namespace {namespace}; -A lists all namespaces" if namespace else "in the cluster"
        print(f"No ScalableApps{' with these labels' if options.selector else ''} {where}.", file=sys.stderr)  # noqa: T201 - as below
        return
    wide = options.output == WIDE
    print(text or as_table(apps, datetime.now(UTC), paint_for(out), namespaces=namespace is None, wide=wide), file=out)
