"""`scalableapp explain`: the arguments, and what is printed.

This module is light, so that the command line starts fast; the Kubernetes client is imported when it is needed.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from scalableapp.commands.console import arguments
from scalableapp.commands.console.output import TABLE, WIDE, for_programs, paint_for

if TYPE_CHECKING:
    from scalableapp.commands.explain.explanation import Explanation

_EXAMPLES = """\
examples:
  scalableapp explain shop/web
  scalableapp explain -n shop web --output json
  kubectl scalableapp explain -n shop web --watch
"""
_WATCH_SECONDS = 2.0
_FEW_EVENTS, _MANY_EVENTS = 10, 100


def add_to(subparsers: Any) -> None:
    """Add the command to those of the `scalableapp` command line; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "explain",
        "explain the replica count of an app",
        "Shows what was measured, the effect of each rule, what limits scaling, and what happens next and when.",
        _EXAMPLES,
    )
    arguments.add_app(parser)
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", TABLE, WIDE, "json", "yaml"),
        default="text",
        help=f"default: text, also called table; wide shows up to {_MANY_EVENTS} Events instead of {_FEW_EVENTS}",
    )
    parser.add_argument(
        "-w", "--watch", action="store_true", help="print again whenever something changes, until Ctrl-C"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    return arguments.run("explain", lambda: _explain(options, sys.stdout))


async def _explain(options: argparse.Namespace, out: TextIO) -> None:
    before: Explanation = {}
    async for found in _explanations(options):
        if found != before:
            text = _formatted(found, options.output, out)
            print(f"\n{text}" if before else text, file=out, flush=True)
            before = found


async def _explanations(options: argparse.Namespace) -> "AsyncIterator[Explanation]":
    """The explanation once, or again and again with --watch; a cluster that is away for a moment is waited for then."""
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - see the module's docstring
    from scalableapp.commands.explain.explanation import explanation  # noqa: PLC0415 - as above
    from scalableapp.commands.explain.reader import read  # noqa: PLC0415 - as above
    from scalableapp.errors import Unavailable  # noqa: PLC0415 - as above

    most_events = _MANY_EVENTS if options.output == WIDE else _FEW_EVENTS
    answered = False
    async with connected(options) as connection:
        key = arguments.app_key(options.app, options.namespace, connection.namespace)
        while True:
            try:
                yield explanation(await read(connection.api, key, most_events))
                answered = True
            except Unavailable as error:
                if not answered:
                    raise
                arguments.complain("explain", error)
            if not options.watch:
                return
            await asyncio.sleep(_WATCH_SECONDS)


def _formatted(found: "Explanation", form: str, out: TextIO) -> str:
    if text := for_programs(found, form):
        return text
    from scalableapp.commands.explain.text import as_text  # noqa: PLC0415 - see the module's docstring

    return as_text(found, datetime.now(UTC), paint_for(out))
