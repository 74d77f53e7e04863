"""Arguments that several commands have, under kubectl's own names, and what is read from them."""

import argparse
import asyncio
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from scalableapp.core.model import AppKey
from scalableapp.errors import Rejected, ScalableAppError

EXIT_FAILED = 1

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def command(subparsers: Any, name: str, summary: str, about: str, examples: str = "") -> argparse.ArgumentParser:
    """A new command that reaches the cluster, with the options for that."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=about,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_cluster(parser)
    return parser


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Which cluster, and where in it."""
    parser.add_argument("-n", "--namespace", help="namespace; default: the context's")
    parser.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file; default: KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", help="kubeconfig context; default: the current one")


def add_app(parser: argparse.ArgumentParser) -> None:
    """Which ScalableApp."""
    parser.add_argument("app", metavar="[NAMESPACE/]NAME", help="the ScalableApp")


def add_prometheus(parser: argparse.ArgumentParser) -> None:
    """Which Prometheus; `prometheus_of` reads it."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--prometheus",
        metavar="URL",
        help="URL of the Prometheus to query; default: the operator's, through the Kubernetes API",
    )
    which.add_argument(
        "--prometheus-config",
        metavar="FILE",
        type=Path,
        help="file that states the connection to Prometheus, as that of SCALABLEAPP_PROMETHEUS_CONFIG",
    )


def prometheus_of(options: argparse.Namespace) -> str | Path | None:
    """The Prometheus that is stated."""
    stated: str | Path | None = options.prometheus or options.prometheus_config
    return stated


def run(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Carry a command out; its exit status. What is wrong is told on standard error."""
    try:
        asyncio.run(work())
    except ScalableAppError as error:
        complain(name, error)
        return EXIT_FAILED
    return 0


def complain(name: str, what: object) -> None:
    """Say on standard error what is wrong."""
    print(f"scalableapp {name}: {what}", file=sys.stderr)  # noqa: T201 - a command-line tool prints


def app_key(app: str, namespace: str | None, usual_namespace: str) -> AppKey:
    """The object that "[NAMESPACE/]NAME" names. Raises Rejected where the arguments do not name one app."""
    before, slash, name = app.rpartition("/")
    if slash and namespace and before != namespace:
        raise Rejected(f"{app} is in namespace {before}, but --namespace is {namespace}; remove one of them")
    if "/" in before or (slash and not before) or not name:
        raise Rejected(f"{app!r} is not an app; write NAMESPACE/NAME, as in shop/web")
    return AppKey(before or namespace or usual_namespace, name)


def seconds_of(text: str) -> float:
    """Seconds of "30m", "12h", "7d", for argparse."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number and a unit, as in 30m, 12h or 7d")
    return float(int(match[1]) * _UNITS[match[2]])
