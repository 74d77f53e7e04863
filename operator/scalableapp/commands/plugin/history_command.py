"""`scalableapp history`: what was decided on an app in the past, and who remembers it."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO

from scalableapp.commands.console import arguments
from scalableapp.commands.console.output import WIDE, add_output, for_programs, paint_for
from scalableapp.errors import ClusterError, MetricsUnavailable, WrongConnection

if TYPE_CHECKING:
    from scalableapp.adapters.kube_api import KubeApi
    from scalableapp.commands.plugin.history import Samples
    from scalableapp.core.model import AppKey
    from scalableapp.ports import Manifest

_EXAMPLES = """\
examples:
  kubectl scalableapp history shop/web
  kubectl scalableapp history -n shop web --since 7d --output wide
"""
_PROMETHEUS_SECONDS = 30.0


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "history",
        "show past decisions",
        "Shows past decisions: from Events with their reasons, and from Prometheus without reasons.",
        _EXAMPLES,
    )
    arguments.add_app(parser)
    parser.add_argument(
        "--since", metavar="24h", type=arguments.seconds_of, default=86_400.0, help="how far to look back; default 24h"
    )
    arguments.add_prometheus(parser)
    add_output(parser, "full messages")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    return arguments.run("history", lambda: _history(options, sys.stdout))


async def _history(options: argparse.Namespace, out: TextIO) -> None:
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - keeps the command line's start fast
    from scalableapp.commands.explain.reader import read_app  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.history import as_text, notes_of, rows_of  # noqa: PLC0415 - as above

    now = datetime.now(UTC)
    since = now - timedelta(seconds=options.since)
    async with connected(options, _PROMETHEUS_SECONDS) as connection:
        key = arguments.app_key(options.app, options.namespace, connection.namespace)
        app = await read_app(connection.api, key)
        events, silent = await _events(connection.api, app)
        samples, problem = await _samples(connection.api, options, key, now)
    rows = rows_of(app, events, samples, since)
    notes = [*silent, *notes_of(rows, samples, problem, since, now)]
    content = {"app": str(key), "since": f"{since:%Y-%m-%dT%H:%M:%SZ}", "items": rows, "notes": notes}
    text = for_programs(content, options.output)
    print(text or as_text(rows, notes, now, paint_for(out), wide=options.output == WIDE), file=out)


async def _events(api: "KubeApi", app: "Manifest") -> "tuple[tuple[Manifest, ...], list[str]]":
    """The app's Events, or a note on why there are none."""
    from scalableapp.commands.console.cluster import with_fix  # noqa: PLC0415 - see above
    from scalableapp.commands.explain.reader import events_of  # noqa: PLC0415 - as above

    try:
        return await events_of(api, app), []
    except ClusterError as error:
        why = with_fix(error, "list", "events", f"-n {app['metadata']['namespace']}", "view")
        return (), [f"Events could not be read: {why}"]


async def _samples(api: "KubeApi", options: argparse.Namespace, key: "AppKey", now: datetime) -> "tuple[Samples, str]":
    """What Prometheus remembers, or why it could not be asked."""
    from scalableapp.commands.console.prometheus import prometheus_at  # noqa: PLC0415 - see above
    from scalableapp.commands.plugin.history import Samples  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.series import decided  # noqa: PLC0415 - as above

    try:
        async with prometheus_at(api, arguments.prometheus_of(options)) as url:
            points, step = await decided(url, key, options.since, now.timestamp())
    except (MetricsUnavailable, WrongConnection) as error:
        return Samples(), str(error)
    return Samples(points, step), ""
