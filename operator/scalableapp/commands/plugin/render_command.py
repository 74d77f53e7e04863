"""`scalableapp render`: the objects that the operator makes of a ScalableApp, by themselves or beside what runs."""

import argparse
import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from scalableapp.commands.console import arguments

if TYPE_CHECKING:
    from scalableapp.adapters.kubernetes import KubeClient
    from scalableapp.core.api.spec import ScalableAppSpec
    from scalableapp.core.model import AppKey
    from scalableapp.ports import Manifest

_EXAMPLES = """examples:
  kubectl scalableapp render app.yaml
  kubectl scalableapp render app.yaml | kubectl apply --dry-run=server -f -
  kubectl scalableapp render app.yaml --diff
"""
_ABOUT = (
    "Prints the Deployment, Service and other objects that the operator would make of the ScalableApp in FILE, with "
    "spec.podTemplate merged in. Needs no cluster unless --diff is given."
)


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = arguments.command(subparsers, "render", "show the objects made of a ScalableApp", _ABOUT, _EXAMPLES)
    parser.add_argument("file", metavar="FILE", help="YAML file with the ScalableApp; - for standard input")
    parser.add_argument("--diff", action="store_true", help="show what would change in the cluster instead")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit status."""
    return arguments.run("render", lambda: _render(options, sys.stdout))


async def _render(options: argparse.Namespace, out: TextIO) -> None:
    from scalableapp.backtest.appfile import read_app  # noqa: PLC0415 - keeps the command line's start fast

    app = read_app(Path("/dev/stdin" if options.file == "-" else options.file))
    if options.diff:
        await _diff(options, app.name, app.namespace, app.spec, out)
        return
    key = arguments.app_key(app.name, None, options.namespace or app.namespace)
    for manifest in _made(key, app.spec):
        print(f"---\n{_yaml(manifest)}", end="", file=out)


async def _diff(options: argparse.Namespace, name: str, namespace: str, spec: "ScalableAppSpec", out: TextIO) -> None:
    from scalableapp.adapters.kubernetes import KubeClient  # noqa: PLC0415 - as above
    from scalableapp.commands.console.cluster import connected, with_fix  # noqa: PLC0415 - as above
    from scalableapp.errors import ClusterError  # noqa: PLC0415 - as above

    async with connected(options) as connection:
        key = arguments.app_key(name, None, options.namespace or namespace)
        try:
            for lines in [lines async for lines in _differences(KubeClient(connection.api), key, spec)]:
                out.writelines(lines)
        except ClusterError as error:
            raise with_fix(error, "get", "deployments", f"-n {key.namespace}", "view") from error


async def _differences(client: "KubeClient", key: "AppKey", spec: "ScalableAppSpec") -> Any:
    """For each object a unified diff, from what runs to what would be made."""
    from scalableapp.core.api.spec import parse_spec  # noqa: PLC0415 - as above
    from scalableapp.core.children.resources import API_VERSION, KIND  # noqa: PLC0415 - as above

    named = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"namespace": key.namespace, "name": key.name}}
    stored = await client.read(named)
    made = {_name(manifest): manifest for manifest in _made(key, spec)}
    before = {_name(manifest): manifest for manifest in _made(key, parse_spec(stored["spec"]))} if stored else {}
    for name in {**before, **made}:
        live = await client.read(made.get(name) or before[name])
        wanted = made.get(name)
        if live and wanted and wanted["kind"] == "Deployment":
            wanted = _with_size(live, key, spec)
        shapes = [shape for shape in (wanted, before.get(name)) if shape]
        yield _unified(name, _like(live, shapes) if live else None, wanted)


def _made(key: "AppKey", spec: "ScalableAppSpec") -> "list[Manifest]":
    """Without what only the cluster knows: the owner, and the hash that goes with it. Raises SpecError."""
    from scalableapp.core.children.pod_policy import PodTemplatePolicy  # noqa: PLC0415 - as above
    from scalableapp.core.children.resources import (  # noqa: PLC0415 - as above
        ClusterFeatures,
        cache_name_problem,
        children,
        name_problem,
        pod_problem,
    )
    from scalableapp.errors import SpecError  # noqa: PLC0415 - as above

    problems = (name_problem(key), cache_name_problem(key, spec), pod_problem(key, spec, PodTemplatePolicy.ALL))
    if found := tuple(problem for problem in problems if problem):
        raise SpecError(found)
    return [_plain(manifest) for manifest in children(key, "", spec, ClusterFeatures(gateway_api=True))]


def _with_size(live: "Manifest", key: "AppKey", spec: "ScalableAppSpec") -> "Manifest":
    """The Deployment with the size that the operator has decided on, where it decides on sizes."""
    from scalableapp.core.children.resources import ClusterFeatures, Template, children  # noqa: PLC0415 - as above
    from scalableapp.core.vertical.sized import template_size  # noqa: PLC0415 - as above

    size = template_size(live) if spec.scaling.mode.sizes else None
    return _plain(children(key, "", spec, ClusterFeatures(), Template(size, spec.scaling.vertical.resources))[0])


def _plain(manifest: "Manifest") -> "Manifest":
    from scalableapp.core.children.drift import ANNOTATION_SPEC_HASH, UNWRITTEN  # noqa: PLC0415 - as above

    metadata = {field: value for field, value in manifest["metadata"].items() if field != "ownerReferences"}
    annotations = {name: text for name, text in metadata.pop("annotations").items() if name != ANNOTATION_SPEC_HASH}
    spec = {field: value for field, value in manifest["spec"].items() if UNWRITTEN.get(field, ...) != value}
    return {**manifest, "metadata": metadata | ({"annotations": annotations} if annotations else {}), "spec": spec}


def _name(manifest: "Manifest") -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def _like(live: Any, shapes: list[Any]) -> Any:
    """What `live` has of the fields in any of the shapes; the rest is defaults, and what others have added."""
    if isinstance(live, dict):
        maps = [shape for shape in shapes if isinstance(shape, dict)]
        return {
            field: _like(value, [shape[field] for shape in maps if field in shape])
            for field, value in live.items()
            if any(field in shape for shape in maps)
        }
    if not isinstance(live, list):
        return live
    entries = [entry for shape in shapes if isinstance(shape, list) for entry in shape]
    if all(isinstance(entry, dict) and "name" in entry for entry in (*live, *entries)):
        found = ((entry, [shape for shape in entries if shape["name"] == entry["name"]]) for entry in live)
        return [_like(entry, alike) for entry, alike in found if alike]
    return [_like(entry, entries) if isinstance(entry, dict) else entry for entry in live]


def _unified(name: str, live: "Manifest | None", wanted: "Manifest | None") -> Iterator[str]:
    before, after = (_yaml(side).splitlines(keepends=True) if side else [] for side in (live, wanted))
    return difflib.unified_diff(before, after, fromfile=f"{name} (running)", tofile=f"{name} (rendered)")


def _yaml(manifest: "Manifest") -> str:
    import yaml  # noqa: PLC0415 - as above

    separate = json.loads(json.dumps(manifest))  # parts that are one object would be written as anchors
    return str(yaml.safe_dump(separate, allow_unicode=True, width=10_000))
