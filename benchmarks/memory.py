"""The largest memory of the operator while it starts on what tenants have stored, one row for each worst case.

    python -m benchmarks.memory [--only ordinary] [--seconds 15]

The operator is the real process; the Kubernetes API is a stand-in on loopback, which lists the objects of the row and
accepts every write. Prometheus is away. Memory is the peak resident set until some looks after all objects were listed.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web

from scalableapp.core.api.budget import MOST_SPEC_BYTES
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import LABEL_APP, LABEL_MANAGED_BY, MANAGED_BY, ClusterFeatures, children
from scalableapp.core.model import AppKey

Manifest = dict[str, Any]
LIMIT_MIB = 256
# The operator as in a container with that limit, which is not enforced here, so that a row above it can be measured.
_OPERATOR = f"""
import runpy
from scalableapp.adapters import memory
memory.available_bytes = lambda: {LIMIT_MIB} * 2**20
runpy.run_module("scalableapp", run_name="__main__")
"""
# How long a start may take: 5,000 apps are applied at 50 requests a second only if they differ, and these do not.
START_SECONDS = 300


def _app(key: AppKey, **fields: Any) -> Manifest:
    spec = parse_spec({"image": "web:1"}).model_dump(mode="json", by_alias=True, exclude_none=True) | fields
    metadata = {"namespace": key.namespace, "name": key.name, "uid": f"u-{key}", "generation": 1}
    managed = [{"manager": "kubectl", "operation": "Update", "fieldsV1": {f"f:{name}": {} for name in spec}}]
    return {"metadata": metadata | {"resourceVersion": "1", "managedFields": managed}, "spec": spec}


def _exposed(number: int) -> Manifest:
    key = _key(number)
    return _app(key, ingress={"host": f"{key.name}.test"})


def _pod(app: AppKey, number: int, **metadata: Any) -> Manifest:
    labels = {LABEL_APP: app.name, LABEL_MANAGED_BY: MANAGED_BY}
    at = "2026-01-05T12:00:00Z"
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
    status = {
        "phase": "Running",
        "startTime": at,
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at}],
        "containerStatuses": [{"name": "app", "ready": True, "restartCount": 0, "state": {"running": {}}}],
    }
    return {
        "metadata": {
            "namespace": app.namespace,
            "name": f"{app.name}-{number}",
            "labels": labels,
            "creationTimestamp": at,
            "resourceVersion": "1",
            **metadata,
        },
        "spec": {"containers": [{"name": "app", "image": "web:1", "resources": resources}]},
        "status": status,
    }


@dataclass(frozen=True)
class Row:
    """What is stored: how many objects of each plural, and how each is made from its number."""

    title: str
    objects: dict[str, tuple[int, Callable[[int], Manifest]]] = field(default_factory=dict)


def _key(number: int, per_namespace: int = 50) -> AppKey:
    return AppKey(f"team-{number // per_namespace}", f"app-{number}")


@lru_cache(maxsize=1)
def _children(number: int) -> dict[str, Manifest]:
    key = _key(number)
    found = children(key, f"u-{key}", parse_spec(_exposed(number)["spec"]), ClusterFeatures())
    return {child["kind"]: child for child in found}


def _child(kind: str) -> Callable[[int], Manifest]:
    def made(number: int) -> Manifest:
        found = _children(number)[kind]
        status = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3} if kind == "Deployment" else {}
        found["metadata"] |= {"resourceVersion": "1", "generation": 1}
        return found | {"spec": found["spec"] | ({"replicas": 3} if status else {}), "status": status}

    return made


def _stranger(number: int) -> Manifest:
    key = AppKey("loud", f"service-{number}")
    labels = {LABEL_APP: key.name, LABEL_MANAGED_BY: MANAGED_BY}
    metadata = {"namespace": key.namespace, "name": key.name, "labels": labels, "annotations": {"a": "x" * 250_000}}
    return {"metadata": metadata | {"resourceVersion": "1", "uid": str(number)}, "spec": {"ports": []}}


def _ordinary(count: int) -> dict[str, tuple[int, Callable[[int], Manifest]]]:
    return {
        "scalableapps": (count, _exposed),
        "deployments": (count, _child("Deployment")),
        "services": (count, _child("Service")),
        "ingresses": (count, _child("Ingress")),
        "poddisruptionbudgets": (count, _child("PodDisruptionBudget")),
        "pods": (3 * count, lambda number: _pod(_key(number // 3), number % 3)),
    }


def _loud(count: int, argument: int) -> dict[str, tuple[int, Callable[[int], Manifest]]]:
    arguments = [text for text in ("x" * min(argument, 16_000),) for _ in range(max(1, argument // 16_000))]
    return {"scalableapps": (count, lambda number: _app(AppKey("loud", f"app-{number}"), args=arguments))}


ROWS = {
    "none": Row("no app"),
    "ordinary": Row("5,000 ordinary apps, each with its children and 3 pods", _ordinary(5000)),
    "largest": Row(f"75 apps of {MOST_SPEC_BYTES // 1024 - 2} KiB", _loud(75, MOST_SPEC_BYTES - 2500)),
    "flood": Row("2,000 apps of 62 KiB in one namespace", _loud(2000, MOST_SPEC_BYTES - 2500)),
    "older": Row(
        "200 apps with one argument of 1.3 MB, from an older CRD",
        {"scalableapps": (200, lambda number: _app(AppKey("loud", f"app-{number}"), args=["x" * 1_300_000]))},
    ),
    "strangers": Row(
        "2,000 Services with the operator's labels and 250 kB of annotations", {"services": (2000, _stranger)}
    ),
    "pods": Row(
        "2,000 pods with the operator's labels and 250 kB of annotations",
        {
            "pods": (
                2000,
                lambda number: _pod(AppKey("loud", "web"), number, annotations={"a": "x" * 250_000}),
            )
        },
    ),
}

_GROUPS = {
    "v1": {"services": "Service", "pods": "Pod", "namespaces": "Namespace", "events": "Event"},
    "apps/v1": {"deployments": "Deployment"},
    "networking.k8s.io/v1": {"ingresses": "Ingress", "networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "scalableapp.io/v1alpha1": {"scalableapps": "ScalableApp"},
    "coordination.k8s.io/v1": {"leases": "Lease"},
}


class StandIn:
    """Enough of a Kubernetes API: discovery, lists by page, watches without news, and writes that are accepted."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._leases: dict[str, Manifest] = {}
        self._texts = {
            plural: [self._text(plural, number) for number in range(count)]
            for plural, (count, make) in row.objects.items()
            if len(str(make(0))) < 16_000
        }

    def _text(self, plural: str, number: int) -> str:
        """An object as JSON. Large ones are made anew each time, so that this process needs little memory, too."""
        version = next(version for version, kinds in _GROUPS.items() if plural in kinds)
        _, make = self._row.objects[plural]
        return json.dumps(make(number) | {"apiVersion": version, "kind": _GROUPS[version][plural]})

    def application(self) -> web.Application:
        """As aiohttp serves it."""
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        if path in ("api", "apis") or path.removeprefix("api/").removeprefix("apis/") in _GROUPS:
            return web.json_response(self._discovery(path))
        if "/leases" in path:
            return await self._lease(request)
        if request.method != "GET":
            return web.json_response(await request.json())
        plural = path.rpartition("/")[2]
        version = path.removeprefix("apis/").removeprefix("api/").rpartition("/")[0]
        if version not in _GROUPS or plural not in _GROUPS[version]:
            return web.json_response({"kind": "Status", "code": 404, "message": "not found"}, status=404)
        if "watch" in request.query:
            return await self._silence(request)
        only_metadata = "PartialObjectMetadata" in request.headers.get("Accept", "")
        # In a thread, so that the Lease is answered meanwhile.
        body = await asyncio.to_thread(self._page, version, plural, request.query, only_metadata=only_metadata)
        return web.Response(body=body, content_type="application/json")

    def _discovery(self, path: str) -> Manifest:
        if path == "api":
            return {"versions": ["v1"]}
        if path == "apis":
            split = [name.split("/") for name in _GROUPS if "/" in name]
            return {
                "groups": [
                    {"name": group, "versions": [{"version": version}], "preferredVersion": {"version": version}}
                    for group, version in split
                ]
            }
        kinds = _GROUPS[path.removeprefix("apis/").removeprefix("api/")]
        verbs = ["list", "watch", "patch", "get", "create"]
        return {
            "resources": [
                {"name": plural, "singularName": "", "kind": kind, "namespaced": True, "verbs": verbs}
                for plural, kind in kinds.items()
            ]
        }

    async def _silence(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(float(request.query.get("timeoutSeconds", 600)))
        return response

    async def _lease(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            found = self._leases.get(request.path)
            return web.json_response(found or {"code": 404}, status=200 if found else 404)
        body = await request.json()
        path = f"{request.path}/{body['metadata']['name']}" if request.method == "POST" else request.path
        old = self._leases.get(path, {})
        metadata = {**old.get("metadata", {}), **body.get("metadata", {}), "resourceVersion": str(time.monotonic_ns())}
        self._leases[path] = {"metadata": metadata, "spec": {**old.get("spec", {}), **body.get("spec", {})}}
        return web.json_response(self._leases[path])

    def _page(self, version: str, plural: str, query: Any, *, only_metadata: bool) -> bytes:
        count, make = self._row.objects.get(plural, (0, lambda _: {}))
        first = int(query.get("continue") or 0)
        stop = min(count, first + int(query.get("limit") or count))
        known = self._texts.get(plural)
        if only_metadata:
            items = [json.dumps({"metadata": make(number)["metadata"]}) for number in range(first, stop)]
        else:
            items = known[first:stop] if known else [self._text(plural, number) for number in range(first, stop)]
        metadata = json.dumps({"resourceVersion": "1", **({"continue": str(stop)} if stop < count else {})})
        kind = f"{_GROUPS[version][plural]}List"
        head = f'{{"apiVersion": "{version}", "kind": "{kind}", "metadata": {metadata}, "items": ['
        return f"{head}{','.join(items)}]}}".encode()


def _serve(row: str, ports: Any) -> None:
    async def run() -> None:
        runner = web.AppRunner(StandIn(ROWS[row]).application())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


@contextlib.contextmanager
def _api(row: str) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    ports: Any = context.Queue()
    server = context.Process(target=_serve, args=(row, ports), daemon=True)
    server.start()
    try:
        yield ports.get(timeout=120)
    finally:
        server.terminate()
        server.join()


@contextlib.contextmanager
def _operator(port: int, metrics_port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {"token": "t"}}]
    config = folder / "config"
    config.write_text(
        json.dumps({"clusters": [cluster], "contexts": [context], "users": users, "current-context": "c"})
    )
    environment = os.environ | {
        "KUBECONFIG": str(config),
        "SCALABLEAPP_PROMETHEUS_URL": "http://127.0.0.1:9",
        "SCALABLEAPP_METRICS_PORT": str(metrics_port),
        "SCALABLEAPP_LIVENESS_PORT": str(metrics_port + 1),
        "SCALABLEAPP_LEASE_NAMESPACE": "scalableapp-system",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", _OPERATOR], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _apps(port: int) -> float:
    """How many apps the last look has seen; -1 before the first."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return -1
    if not any(float(line.split()[1]) for line in lines if line.startswith("scalableapp_last_tick_timestamp_seconds ")):
        return -1
    return sum(float(line.split()[1]) for line in lines if line.startswith("scalableapp_apps{"))


def measure(row: str, seconds: float) -> tuple[float, float, float]:
    """MiB at the peak and at the end, and seconds until a look has seen all apps."""
    with _api(row) as port, tempfile.TemporaryDirectory() as folder, _operator(port, 18080, Path(folder)) as process:
        started = time.monotonic()
        apps, _ = ROWS[row].objects.get("scalableapps", (0, None))
        while _apps(18080) < apps:
            if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                sys.exit((Path(folder) / "log").read_text()[-4000:])
            time.sleep(0.2)
        first_look = time.monotonic() - started
        time.sleep(seconds)
        return _memory(process.pid, "VmHWM"), _memory(process.pid, "VmRSS"), first_look


def _memory(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def main() -> int:
    """Print the table. 1 if a row needs more than the manifest's limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=ROWS, action="append", help="measure this row only; may be repeated")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to wait after the first look")
    arguments = parser.parse_args()
    print("| What is stored | Peak, MiB | After it, MiB | All apps seen after, s |\n|---|---|---|---|")
    peaks = []
    for row in arguments.only or ROWS:
        peak, end, first_look = measure(row, arguments.seconds)
        peaks.append(peak)
        print(f"| {ROWS[row].title} | {peak:.0f} | {end:.0f} | {first_look:.0f} |", flush=True)
    return int(max(peaks) > LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(main())
