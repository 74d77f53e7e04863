"""`scalableapp top`: a live view of the apps, redrawn every few seconds."""

import argparse
import asyncio
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalableapp.commands.console import arguments
from scalableapp.commands.console.output import coloured
from scalableapp.commands.plugin.list_command import add_selection
from scalableapp.errors import ScalableAppError

if TYPE_CHECKING:
    from scalableapp.commands.console.cluster import Connection
    from scalableapp.commands.plugin.top_view import TopView

_EXAMPLES = """\
examples:
  kubectl scalableapp top -A
  kubectl scalableapp top -n shop --sort-by replicas --interval 5
  kubectl scalableapp top -A --once
"""
_ORDERS = ("load", "replicas", "name")
# Wide enough for long names and reasons on one line.
_PICTURE_COLUMNS, _PICTURE_LINES = 150, 30
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "top",
        "show a live view of the apps",
        "Shows a live view of ScalableApps; q or Ctrl-C quits. If the output is not a terminal, prints once.",
        _EXAMPLES,
    )
    add_selection(parser)
    parser.add_argument("--sort-by", choices=_ORDERS, default="load", help="default: load, the most loaded app first")
    parser.add_argument(
        "--interval", metavar="S", type=_seconds, default=2.0, help="seconds between refreshes; default 2"
    )
    parser.add_argument("--once", action="store_true", help="print once, as text")
    parser.add_argument("--svg", metavar="FILE", type=Path, help="write the view as an SVG picture")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0.5 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.5 and 3600")
    return number


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    return arguments.run("top", lambda: _top(options))


async def _top(options: argparse.Namespace) -> None:
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - keeps the command line's start fast
    from scalableapp.commands.plugin.top_view import as_text  # noqa: PLC0415 - as above

    async with connected(options) as connection:
        if options.svg:
            _picture(await _view(connection, options), options.svg)
        elif options.once or not sys.stdout.isatty():
            print(as_text(await _view(connection, options)))  # noqa: T201 - a command-line tool prints
        else:
            await _live(connection, options)


async def _view(connection: "Connection", options: argparse.Namespace) -> "TopView":
    """The apps as they are now. Raises ClusterError."""
    from scalableapp.commands.explain.reader import notes_on_the_operator  # noqa: PLC0415 - see above
    from scalableapp.commands.plugin.reader import read_apps  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.top_view import ORDERS, TopView  # noqa: PLC0415 - as above

    namespace = None if options.all_namespaces else connection.namespace
    apps = await read_apps(connection.api, namespace, options.selector)
    now = datetime.now(UTC)
    where = f"namespace {namespace}" if namespace else "all namespaces"
    return TopView(
        sorted(apps, key=ORDERS[options.sort_by]), now, where, await notes_on_the_operator(connection.api, now)
    )


async def _live(connection: "Connection", options: argparse.Namespace) -> None:
    """Draw until somebody leaves. The first look has to succeed; later ones that fail are told below the title."""
    rich = _rich()
    from scalableapp.commands.plugin.terminal import until_left  # noqa: PLC0415 - termios is not everywhere
    from scalableapp.commands.plugin.top_view import as_panel  # noqa: PLC0415 - as above

    view = await _view(connection, options)
    console = rich(no_color=not coloured(sys.stdout))
    from rich.live import Live  # noqa: PLC0415 - as above

    with until_left() as leave, Live(console=console, screen=True, auto_refresh=False) as live:
        while not leave.is_set():
            live.update(as_panel(view, console.height), refresh=True)
            view = await _next(connection, options, view, leave)


async def _next(
    connection: "Connection", options: argparse.Namespace, view: "TopView", leave: asyncio.Event
) -> "TopView":
    """The next view, after the interval; the same one when somebody leaves meanwhile, or the cluster is away."""
    try:
        await asyncio.wait_for(leave.wait(), options.interval)
    except TimeoutError:
        pass
    else:
        return view
    update = asyncio.ensure_future(_view(connection, options))
    left = asyncio.ensure_future(leave.wait())
    await asyncio.wait((update, left), return_when=asyncio.FIRST_COMPLETED)
    left.cancel()
    if not update.done():
        update.cancel()
        return view
    try:
        return update.result()
    except ScalableAppError as error:
        return view._replace(error=f"{error}; showing the data of {view.now:%H:%M:%S} UTC")


def _picture(view: "TopView", file: Path) -> None:
    from scalableapp.commands.plugin.top_view import as_panel  # noqa: PLC0415 - as above

    with Path("/dev/null").open("w") as nowhere:
        console = _rich()(record=True, width=_PICTURE_COLUMNS, force_terminal=True, file=nowhere)
        console.print(as_panel(view, _PICTURE_LINES))
    # rich's fonts are fetched from elsewhere; any monospaced one serves.
    picture = _FONTS.sub("", console.export_svg(title="kubectl scalableapp top"))
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise ScalableAppError(f"{file} cannot be written: {error}; pass another path as --svg") from error


def _rich() -> Callable[..., Any]:
    """Rich's Console. Raises ScalableAppError where rich is not installed."""
    try:
        from rich.console import Console  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise ScalableAppError(
            "rich is not installed; install it with pip install 'scalableapp[cli]', or use --once"
        ) from error
    return Console
