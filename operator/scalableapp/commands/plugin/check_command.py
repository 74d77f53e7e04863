"""`scalableapp check`: whether an installation has all that it needs, and how to mend what it lacks."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from scalableapp.commands.console import arguments
from scalableapp.commands.console.output import add_output, for_programs, paint_for
from scalableapp.errors import ClusterError, MetricsUnavailable, SpecError, WrongAddress, WrongConnection

if TYPE_CHECKING:
    from scalableapp.adapters.kube_api import KubeApi
    from scalableapp.commands.plugin.check_cluster import Operator
    from scalableapp.commands.plugin.findings import Finding
    from scalableapp.core.api.metrics import MetricType
    from scalableapp.ports import Manifest

_EXAMPLES = """\
examples:
  kubectl scalableapp check
  kubectl scalableapp check -A -o json
  kubectl scalableapp check -n shop --prometheus-config prometheus.yaml

The exit status is 1 if a check failed. Checks for which you lack permissions are shown with a question mark.
"""


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "check",
        "check the installation",
        "Checks CRD, operator, your permissions, Prometheus, and what it has of the apps of a namespace.",
        _EXAMPLES,
    )
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="check apps in all namespaces")
    arguments.add_prometheus(parser)
    add_output(parser, "no more")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    from scalableapp.commands.plugin.findings import State  # noqa: PLC0415 - keeps the command line's start fast

    found: list[Finding] = []
    status = arguments.run("check", lambda: _check(options, sys.stdout, found))
    return status or (arguments.EXIT_FAILED if any(each.state is State.BAD for each in found) else 0)


async def _check(options: argparse.Namespace, out: TextIO, found: "list[Finding]") -> None:
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.check_cluster import (  # noqa: PLC0415 - as above
        check_apps,
        check_classes,
        check_crd,
        check_operator,
        check_rights,
        operators,
    )
    from scalableapp.commands.plugin.findings import as_items, as_lines  # noqa: PLC0415 - as above

    async with connected(options) as connection:
        api = connection.api
        found.append(await check_crd(api))
        running, none = await operators(api)
        found += [none] if none else []
        for operator in running:
            found += await check_operator(api, operator, datetime.now(UTC))
        found.append(await check_rights(api, connection.namespace))
        apps = await _apps(api, None if options.all_namespaces else connection.namespace, found)
        found += check_apps(apps)
        found += [each async for each in check_classes(api, apps)]
        found += await _metrics(options, api, apps, running)
    content = {"items": as_items(found)}
    print(for_programs(content, options.output) or as_lines(found, paint_for(out)), file=out)


async def _apps(api: "KubeApi", namespace: str | None, found: "list[Finding]") -> "list[Manifest]":
    """The ScalableApps of a namespace, or of all; what is wrong is added to `found`."""
    from scalableapp.adapters.kube_api import Request  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.findings import unknown  # noqa: PLC0415 - as above
    from scalableapp.core.children.resources import API_VERSION  # noqa: PLC0415 - as above
    from scalableapp.errors import NotFound  # noqa: PLC0415 - as above

    place = f"/namespaces/{namespace}" if namespace else ""
    try:
        pages = api.pages(Request("GET", f"/apis/{API_VERSION}{place}/scalableapps"))
        return [item async for page in pages for item in page.get("items") or ()]
    except NotFound:
        return []  # the CRD is missing, which has been said
    except ClusterError as error:
        found.append(unknown("apps", f"they cannot be listed: {error}", "the role scalableapp-view grants it"))
        return []


async def _metrics(
    options: argparse.Namespace, api: "KubeApi", apps: "list[Manifest]", running: "list[Operator]"
) -> "list[Finding]":
    """What Prometheus tells, or why it cannot be asked."""
    from scalableapp.commands.console.prometheus import OPERATOR, prometheus_at  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.check_metrics import Wanted, check  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.findings import bad  # noqa: PLC0415 - as above
    from scalableapp.core.model import AppKey  # noqa: PLC0415 - as above

    wanted = {
        AppKey(app["metadata"]["namespace"], app["metadata"]["name"]): Wanted(
            _kinds(app),
            (app.get("status") or {}).get("readyReplicas", 0),
            ((app.get("status") or {}).get("requests") or {}).get("source", ""),
        )
        for app in apps
    }
    where = running[0].path if running else OPERATOR
    try:
        async with prometheus_at(api, arguments.prometheus_of(options), where) as prometheus:
            return await asyncio.to_thread(lambda: list(check(prometheus, wanted)))
    except (MetricsUnavailable, WrongAddress, WrongConnection) as error:
        message, _, fix = str(error).partition("; ")
        return [bad("Prometheus", message, fix)]


def _kinds(app: "Manifest") -> "frozenset[MetricType]":
    """The metrics that an app is decided on; none of a wrong spec, of which its conditions tell."""
    from scalableapp.core.api.metrics import MetricType  # noqa: PLC0415 - as above
    from scalableapp.core.api.spec import parse_spec  # noqa: PLC0415 - as above

    try:
        spec = parse_spec(app["spec"])
    except SpecError:
        return frozenset()
    kinds = {metric.type for metric in spec.metrics}
    kinds |= {MetricType.REQUESTS_PER_SECOND} if spec.scaling.horizontal.objective else set()
    return frozenset(kinds | ({MetricType.CPU} if spec.scaling.mode.sizes else set()))
