"""`scalableapp explain`: the arguments, and what is printed.

This module is light, so that the command line starts fast; the Kubernetes client is imported when it is needed.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from scalableapp.core.model import AppKey
from scalableapp.errors import Rejected, ScalableAppError

if TYPE_CHECKING:
    from scalableapp.explain.account import Account

_EXAMPLES = """\
examples:
  scalableapp explain shop/web
  scalableapp explain -n shop web --output json
  kubectl scalableapp explain -n shop web --watch
"""
_WATCH_SECONDS = 2.0
_TIMEOUT_SECONDS = 10.0
EXIT_FAILED = 1


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of the `scalableapp` command line; it sets `run`."""
    parser = subparsers.add_parser(
        "explain",
        help="tell why an app in the cluster has the replicas it has",
        description="Tells what was measured, what each rule made of it, what limits it, and what comes next and when.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("app", metavar="[NAMESPACE/]NAME", help="the ScalableApp")
    parser.add_argument("-n", "--namespace", help="its namespace; default: that of the context")
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("-o", "--output", choices=("text", "json", "yaml"), default="text", help="default: text")
    parser.add_argument("-w", "--watch", action="store_true", help="tell it again whenever it changes, until Ctrl-C")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    try:
        asyncio.run(_explain(options, sys.stdout))
    except ScalableAppError as error:
        print(f"scalableapp explain: {error}", file=sys.stderr)  # noqa: T201 - a command-line tool prints
        return EXIT_FAILED
    return 0


async def _explain(options: argparse.Namespace, out: TextIO) -> None:
    before: Account = {}
    async for told in _accounts(options):
        if told != before:
            text = _formatted(told, options.output, out)
            print(f"\n{text}" if before else text, file=out, flush=True)
            before = told


async def _accounts(options: argparse.Namespace) -> "AsyncIterator[Account]":
    """The account once, or again and again with --watch; there a cluster that is away for a moment is waited for."""
    from scalableapp.adapters.kube_api import KubeApi  # noqa: PLC0415 - see the module's docstring
    from scalableapp.adapters.kubeconfig import access  # noqa: PLC0415 - as above
    from scalableapp.errors import Unavailable  # noqa: PLC0415 - as above
    from scalableapp.explain.account import account  # noqa: PLC0415 - as above
    from scalableapp.explain.reader import read  # noqa: PLC0415 - as above

    way = await access(options.kubeconfig, options.context)
    key = _key(options.app, options.namespace, way.namespace)
    api = KubeApi(way.configuration, timeout_seconds=_TIMEOUT_SECONDS)
    told = False
    try:
        while True:
            try:
                yield account(await read(api, key))
                told = True
            except Unavailable as error:
                if not told:
                    raise
                print(f"scalableapp explain: {error}", file=sys.stderr)  # noqa: T201 - as above
            if not options.watch:
                return
            await asyncio.sleep(_WATCH_SECONDS)
    finally:
        await api.close()


def _key(app: str, namespace: str | None, usual_namespace: str) -> AppKey:
    """Raises Rejected where the arguments do not name one app."""
    before, slash, name = app.rpartition("/")
    if slash and namespace and before != namespace:
        raise Rejected(f"{app} is in namespace {before}, but --namespace is {namespace}; leave one of them out")
    parts = AppKey(before or namespace or usual_namespace, name)
    if "/" in before or (slash and not before) or not name:
        raise Rejected(f"{app!r} names no app; write NAMESPACE/NAME, as in shop/web")
    return parts


def _formatted(told: "Account", form: str, out: TextIO) -> str:
    if form == "json":
        return json.dumps(told, indent=2, ensure_ascii=False)
    if form == "yaml":
        import yaml  # noqa: PLC0415 - see the module's docstring

        return str(yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=10_000)).rstrip()
    from scalableapp.explain.text import COLOURS, PLAIN, as_text  # noqa: PLC0415 - as above

    coloured = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return as_text(told, datetime.now(UTC), COLOURS if coloured else PLAIN)
