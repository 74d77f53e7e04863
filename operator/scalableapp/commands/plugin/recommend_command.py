"""`scalableapp recommend`: what ScalableApp would make of an existing Deployment, by what its pods used."""

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from scalableapp.commands.console import arguments
from scalableapp.commands.console.output import WIDE, add_output, for_programs
from scalableapp.errors import Rejected

if TYPE_CHECKING:
    from scalableapp.adapters.kube_api import KubeApi
    from scalableapp.commands.plugin.advice import Bounds
    from scalableapp.commands.plugin.deployment import Found
    from scalableapp.core.api.vertical_fields import Prices
    from scalableapp.core.model import AppKey

_EXAMPLES = """\
examples:
  kubectl scalableapp recommend -n shop deployment/web
  kubectl scalableapp recommend -n shop deployment/web --core-hour 0.03 --gibibyte-hour 0.004
  kubectl scalableapp recommend -n shop deployment/web > web.yaml && kubectl apply --dry-run=server -f web.yaml
"""
_KINDS = ("deployment", "deployments", "deploy", "deployment.apps", "deployments.apps")
_PROMETHEUS_SECONDS = 30.0


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "recommend",
        "print a ScalableApp manifest for an existing Deployment",
        "Replays what a Deployment's pods used, according to Prometheus, through the operator's own decisions. Changes "
        "nothing; you can apply the output.",
        _EXAMPLES,
    )
    parser.add_argument("deployment", metavar="deployment/NAME", help="the Deployment")
    parser.add_argument("--container", metavar="NAME", help="the app's container; default: the first")
    parser.add_argument(
        "--since", metavar="7d", type=arguments.seconds_of, default=604_800.0, help="how far to look back; default 7d"
    )
    parser.add_argument("--core-hour", metavar="PRICE", help="price of one core per hour, to show the cost")
    parser.add_argument("--gibibyte-hour", metavar="PRICE", help="price of one GiB of memory per hour")
    arguments.add_prometheus(parser)
    add_output(parser, "every change of replicas with its reason")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    return arguments.run("recommend", lambda: _recommend(options, sys.stdout))


async def _recommend(options: argparse.Namespace, out: TextIO) -> None:
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - keeps the command line's start fast
    from scalableapp.commands.console.prometheus import prometheus_at  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.advice import advise  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.advice_text import as_record, as_text  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.usage import read_usage  # noqa: PLC0415 - as above
    from scalableapp.core.model import AppKey  # noqa: PLC0415 - as above

    prices, now = _prices(options), datetime.now(UTC)
    async with connected(options, _PROMETHEUS_SECONDS) as connection:
        key = AppKey(connection.namespace, _name(options.deployment))
        found = await _deployment(connection.api, key, options.container)
        hpa = await _hpa(connection.api, key)
        async with prometheus_at(connection.api, arguments.prometheus_of(options)) as url:
            usage = await read_usage(url, key, found.container["name"], options.since, now.timestamp())
    advice = advise(found, usage, hpa, prices)
    content = as_record(advice, usage, prices)
    print(
        for_programs(content, options.output) or as_text(advice, usage, prices, now, wide=options.output == WIDE),
        file=out,
    )


def _name(text: str) -> str:
    """NAME of "deployment/NAME". Raises Rejected for another kind."""
    kind, slash, name = text.rpartition("/")
    if (slash and kind.lower() not in _KINDS) or not name:
        raise Rejected(f"{text!r} is not a Deployment; write deployment/NAME, and its namespace as -n NAMESPACE")
    return name


def _prices(options: argparse.Namespace) -> "Prices | None":
    """Raises Rejected where they are no prices, or only one is given."""
    from scalableapp.core.api.vertical_fields import Prices  # noqa: PLC0415 - see above

    given = options.core_hour, options.gibibyte_hour
    if given == (None, None):
        return None
    if None in given:
        raise Rejected("the cost needs both prices; pass --core-hour and --gibibyte-hour")
    try:
        return Prices(cpu_core_hour=given[0], memory_gibibyte_hour=given[1])
    except ValueError as error:
        raise Rejected(f"--core-hour {given[0]} --gibibyte-hour {given[1]}: write numbers, as in 0.03") from error


async def _deployment(api: "KubeApi", key: "AppKey", container: str | None) -> "Found":
    """Raises ClusterError that says what is missing, and what to do."""
    from scalableapp.adapters.kube_api import Request  # noqa: PLC0415 - see above
    from scalableapp.commands.console.cluster import TRIES, with_fix  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.deployment import read_deployment  # noqa: PLC0415 - as above
    from scalableapp.errors import ClusterError, NotFound  # noqa: PLC0415 - as above

    path = f"/apis/apps/v1/namespaces/{key.namespace}/deployments/{key.name}"
    try:
        manifest = await api.ask(Request("GET", path), tries=TRIES)
    except NotFound as error:
        raise NotFound(
            f"There is no Deployment {key.name} in namespace {key.namespace}; kubectl get deployments -A lists all"
        ) from error
    except ClusterError as error:
        raise with_fix(error, "get", "deployments", f"-n {key.namespace}", "view") from error
    return read_deployment(manifest, container)


async def _hpa(api: "KubeApi", key: "AppKey") -> "Bounds | None":
    """The HPA that scales the Deployment; None where there is none, or it may not be seen."""
    from scalableapp.adapters.kube_api import Request  # noqa: PLC0415 - see above
    from scalableapp.commands.console.cluster import TRIES  # noqa: PLC0415 - as above
    from scalableapp.commands.plugin.advice import Bounds  # noqa: PLC0415 - as above
    from scalableapp.errors import ClusterError  # noqa: PLC0415 - as above

    path = f"/apis/autoscaling/v1/namespaces/{key.namespace}/horizontalpodautoscalers"
    try:
        listed = await api.ask(Request("GET", path), tries=TRIES)
    except ClusterError:
        return None
    for item in listed.get("items") or ():
        target = item["spec"]["scaleTargetRef"]
        if (target.get("kind"), target.get("name")) == ("Deployment", key.name):
            return Bounds(item["metadata"]["name"], item["spec"].get("minReplicas", 1), item["spec"]["maxReplicas"])
    return None
