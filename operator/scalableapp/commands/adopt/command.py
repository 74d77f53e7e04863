"""`scalableapp adopt`: a ScalableApp for a workload that exists, made from the autoscalers that it has."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Any, TextIO

from scalableapp.commands.console import arguments
from scalableapp.commands.console.output import JSON, YAML, for_programs
from scalableapp.errors import Rejected, ScalableAppError

if TYPE_CHECKING:
    from scalableapp.commands.adopt.app import Adopted
    from scalableapp.commands.adopt.reader import Namespace
    from scalableapp.commands.adopt.text import Skipped

_EXAMPLES = """\
examples:
  kubectl scalableapp adopt -n shop deployment/web > web.yaml
  kubectl scalableapp adopt -n shop hpa/web scaledobject/worker
  kubectl scalableapp adopt -n shop --all -o json
  kubectl scalableapp adopt -n shop deployment/web --release-replicas

exit status: 0 if everything was converted, 3 if something has no counterpart or was left out; see docs/adopt.md
"""
EXIT_INCOMPLETE = 3


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(
        subparsers,
        "adopt",
        "print a ScalableApp that scales an existing workload",
        "Prints a ScalableApp that scales an existing workload, converted from its HorizontalPodAutoscaler, "
        "ScaledObject or VerticalPodAutoscaler, with dryRun. Fields without a counterpart are listed. Changes nothing.",
        _EXAMPLES,
    )
    parser.add_argument(
        "targets",
        metavar="KIND/NAME",
        nargs="*",
        help="deployment/, statefulset/, rollout/, hpa/, scaledobject/ or vpa/ and a name",
    )
    parser.add_argument("--all", action="store_true", help="all workloads of the namespace that something scales")
    parser.add_argument(
        "--release-replicas",
        action="store_true",
        help="instead, make replicas safe to remove from the workload's manifest: changes who owns the field, not the "
        "number of pods",
    )
    parser.add_argument("-o", "--output", choices=(YAML, JSON), default=YAML, help="default: yaml; json is for scripts")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    try:
        if options.all == bool(options.targets):
            raise Rejected("name what to adopt, as in deployment/web, or pass --all")
        if options.all and options.release_replicas:
            raise Rejected("--release-replicas changes workloads; name each, as in deployment/web, instead of --all")
        work = _release if options.release_replicas else _print
        return asyncio.run(work(options, sys.stdout))
    except ScalableAppError as error:
        arguments.complain("adopt", error)
        return arguments.EXIT_FAILED


async def _print(options: argparse.Namespace, out: TextIO) -> int:
    from scalableapp.commands.adopt.reader import Namespace  # noqa: PLC0415 - keeps the command line's start fast
    from scalableapp.commands.adopt.text import as_record, as_yaml  # noqa: PLC0415 - as above
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - as above

    async with connected(options) as connection:
        namespace = Namespace(connection.api, connection.namespace)
        if options.all:
            adopted, skipped = await _all(namespace)
        else:
            adopted, skipped = await _named(namespace, options.targets), []
    if options.output == JSON:
        print(for_programs(as_record(adopted, skipped), JSON), file=out)
    elif adopted or skipped:
        print(as_yaml(adopted, skipped), file=out)
    else:
        arguments.complain("adopt", f"nothing in namespace {namespace.name} is scaled by an autoscaler")
    return EXIT_INCOMPLETE if skipped or any(each.left for each in adopted) else 0


async def _named(namespace: "Namespace", targets: list[str]) -> list["Adopted"]:
    """Raises ClusterError for the first that cannot be adopted."""
    from scalableapp.commands.adopt.app import adopt  # noqa: PLC0415 - as above

    found = [await namespace.found(target) for target in targets]
    return [adopt(each, await namespace.app_of(each.workload) or each.workload.name) for each in found]


async def _all(namespace: "Namespace") -> tuple[list["Adopted"], list["Skipped"]]:
    from scalableapp.commands.adopt.app import adopt  # noqa: PLC0415 - as above
    from scalableapp.commands.adopt.text import Skipped  # noqa: PLC0415 - as above

    adopted, skipped, names = [], [], set[str]()
    for target, found in await namespace.all():
        try:
            if isinstance(found, ScalableAppError):
                raise found
            if not found.scaled:
                raise Rejected(f"it has only a VPA, and nothing scales it; adopt {target} prints a starting point")
            workload = found.workload
            if app := await namespace.app_of(workload):
                raise Rejected(f"ScalableApp {app} already has this target; adopt {target} prints it again")
            name = workload.name if workload.name not in names else f"{workload.name}-{workload.kind.lower()}"
            adopted.append(adopt(found, name))
            names.add(name)
        except ScalableAppError as error:
            skipped.append(Skipped(target, str(error)))
    return adopted, skipped


async def _release(options: argparse.Namespace, out: TextIO) -> int:
    from scalableapp.commands.adopt.reader import Namespace  # noqa: PLC0415 - as above
    from scalableapp.commands.adopt.release import as_text, release  # noqa: PLC0415 - as above
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - as above

    async with connected(options) as connection:
        namespace = Namespace(connection.api, connection.namespace)
        for target in options.targets:
            workload = (await namespace.found(target)).workload
            print(as_text(workload, await release(connection.api, workload)), file=out, flush=True)
    return 0
