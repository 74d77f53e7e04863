"""`scalableapp pause` and `resume`: leave an app's replicas and sizes as they are, and let go again."""

import argparse
import sys
from typing import TYPE_CHECKING, Any, TextIO

from scalableapp.commands.console import arguments

if TYPE_CHECKING:
    from scalableapp.adapters.kube_api import KubeApi
    from scalableapp.core.model import AppKey
    from scalableapp.ports import Manifest

# What kubectl get --show-managed-fields names as who set the field.
FIELD_MANAGER = "kubectl-scalableapp"


def add_to(subparsers: Any) -> None:
    """Add both commands; each sets `run`."""
    _add(
        subparsers,
        "pause",
        "freeze replicas and sizes of an app",
        "Sets spec.scaling.paused and nothing else. The app keeps running and is not scaled until it is resumed.",
    )
    _add(subparsers, "resume", "scale a paused app again", "Sets spec.scaling.paused to false and nothing else.")


def _add(subparsers: Any, name: str, summary: str, about: str) -> None:
    example = f"examples:\n  kubectl scalableapp {name} shop/web\n  kubectl scalableapp {name} -n shop web api\n"
    parser = arguments.command(subparsers, name, summary, about, example)
    parser.add_argument("apps", metavar="[NAMESPACE/]NAME", nargs="+", help="the ScalableApps")
    parser.set_defaults(run=run, paused=name == "pause", command=name)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    return arguments.run(options.command, lambda: _set_all(options, sys.stdout))


async def _set_all(options: argparse.Namespace, out: TextIO) -> None:
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - keeps the command line's start fast

    async with connected(options) as connection:
        keys = [arguments.app_key(app, options.namespace, connection.namespace) for app in options.apps]
        for key in keys:
            print(await _set(connection.api, key, paused=options.paused), file=out, flush=True)


async def _set(api: "KubeApi", key: "AppKey", *, paused: bool) -> str:
    """Set the field where it is not so already; what happened, in words. Raises ClusterError with what to do."""
    from scalableapp.adapters.kube_api import MERGE_PATCH, Request  # noqa: PLC0415 - see above
    from scalableapp.commands.console.cluster import TRIES, with_fix  # noqa: PLC0415 - as above
    from scalableapp.commands.explain.reader import read_app  # noqa: PLC0415 - as above
    from scalableapp.core.children.resources import API_VERSION  # noqa: PLC0415 - as above
    from scalableapp.errors import ClusterError  # noqa: PLC0415 - as above

    app = await read_app(api, key)
    if _paused(app) == paused:
        return f"{key} {'is already paused' if paused else 'is not paused'}; nothing was changed"
    path = f"/apis/{API_VERSION}/namespaces/{key.namespace}/scalableapps/{key.name}"
    body = {"spec": {"scaling": {"paused": paused}}}
    query = {"fieldManager": FIELD_MANAGER}
    try:
        app = await api.ask(Request("PATCH", path, query, body, MERGE_PATCH), tries=TRIES)
    except ClusterError as error:
        raise with_fix(error, "patch", "scalableapps", f"-n {key.namespace}", "scalableapp-edit (or edit)") from error
    return _message(app, key, paused=paused)


def _paused(app: "Manifest") -> bool:
    return bool(((app.get("spec") or {}).get("scaling") or {}).get("paused"))


def _message(app: "Manifest", key: "AppKey", *, paused: bool) -> str:
    replicas = (app.get("status") or {}).get("replicas")
    stays = f"stays at {replicas} replicas" if replicas is not None else "stays as it is"
    if paused:
        return f"{key} paused: it {stays} until kubectl scalableapp resume {key}"
    pin = app["spec"].get("replicas")
    pinned = f"; its replicas stay pinned at {pin} by spec.replicas" if pin is not None else ""
    return f"{key} resumed: it is scaled again within seconds{pinned}"
