"""`scalableapp backtest`: an app's scaling on a load curve; both come from a file or the cluster."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalableapp.backtest import command
from scalableapp.commands.console import arguments

if TYPE_CHECKING:
    from scalableapp.backtest.session import Case

_EXAMPLES = """\
examples:
  kubectl scalableapp backtest shop/web --since 7d
  scalableapp backtest app.yaml --trace load.csv
  scalableapp backtest app.yaml --trace load.csv --compare hpa,oracle --report report.html
  scalableapp backtest app.yaml --prometheus http://localhost:9090 --app shop/web --since 7d

For an app in the cluster, the load comes from the operator's Prometheus, through the Kubernetes API, unless --trace or
--prometheus names another source.
"""
_FILES = (".yaml", ".yml", ".json")
_PROMETHEUS_SECONDS = 30.0


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "backtest",
        "replay a load curve against an app's scaling",
        "Shows what the app's scaling would have done on a load curve, compared with other policies.",
        _EXAMPLES,
    )
    what = "file with the ScalableApp, or the name of one in the cluster"
    parser.add_argument("spec", metavar="APP.yaml|[NAMESPACE/]NAME", type=Path, help=what)
    command.add_arguments(parser, source_needed=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    if not (options.spec.suffix in _FILES or options.spec.is_file()):
        return command.guarded(lambda: _of_cluster(options))
    if not options.trace and not arguments.prometheus_of(options):
        command.complain(
            f"there is no load for {options.spec}; pass --trace FILE.csv, --prometheus URL or --prometheus-config FILE"
        )
        return 2
    return command.run(options)


def _of_cluster(options: argparse.Namespace) -> None:
    command.finish(options, asyncio.run(_case(options)))


async def _case(options: argparse.Namespace) -> "Case":
    """The app in the cluster, on its load. Raises ScalableAppError."""
    from scalableapp.backtest.appfile import App  # noqa: PLC0415 - keeps the command line's start fast
    from scalableapp.backtest.errors import TraceError  # noqa: PLC0415 - as above
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - as above
    from scalableapp.commands.console.prometheus import prometheus_at  # noqa: PLC0415 - as above
    from scalableapp.commands.explain.reader import read_app  # noqa: PLC0415 - as above
    from scalableapp.core.api.spec import parse_spec  # noqa: PLC0415 - as above
    from scalableapp.core.targets import computable  # noqa: PLC0415 - as above

    async with connected(options, _PROMETHEUS_SECONDS) as connection:
        key = arguments.app_key(str(options.spec), options.namespace, connection.namespace)
        found = await read_app(connection.api, key)
        app = App(key.namespace, key.name, computable(parse_spec(found["spec"])))
        options.requests = options.requests or found.get("status", {}).get("requests", {}).get("source")
        if options.trace:
            return command.case_of(options, app)
        stated = arguments.prometheus_of(options)
        async with prometheus_at(connection.api, stated) as url:
            options.prometheus = url
            try:
                return await asyncio.to_thread(command.case_of, options, app)
            except TraceError as error:
                message = (
                    str(error) if stated else str(error).replace(f"Prometheus at {url}", "The operator's Prometheus")
                )
                raise TraceError(message) from error
