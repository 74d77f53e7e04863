"""The faults themselves. Each is a function of the Scene that returns the block in which it lasts."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from benchmarks.faults import proxy
from benchmarks.faults.kube import Manifest, app_path, deployment_path
from benchmarks.faults.measure import FaultOf
from benchmarks.faults.proxy import Answer, Fault
from benchmarks.faults.scene import CRD, LOAD, MORE_LOAD, REQUESTS, Scene, app_of
from benchmarks.faults.servers import SYSTEM, BenchError
from benchmarks.faults.standin import SLOW_METRIC

_CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scalableapps.scalableapp.io"
_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/scalableapp-operator"
Act = Callable[[Scene], Awaitable[None]]


def once(act: Act) -> FaultOf:
    """Something that is done at the beginning, and stays."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[None]:
        await act(scene)
        yield

    return fault


# Between the operator and the API server, or Prometheus.


def api(answer: Answer, *, holds: bool = False, matches: proxy.Matches = lambda _request: True) -> FaultOf:
    """The API server answers so."""
    return lambda scene: scene.api.breaking(Fault(answer, matches, holds))


def prometheus(answer: Answer) -> FaultOf:
    """Prometheus answers so."""
    return lambda scene: scene.prometheus.breaking(Fault(answer))


def api_watches(answer: Answer) -> FaultOf:
    """Every watch is cut, and answered so when it is begun again."""
    return api(answer, matches=proxy.is_watch)


def pod_watch_silent(request: web.Request) -> bool:
    """Whether it is the watch on pods."""
    return proxy.is_watch(request) and request.path == "/api/v1/pods"


def of_our_kind(request: web.Request) -> bool:
    """Whether a request is about ScalableApps."""
    return request.path.startswith("/apis/scalableapp.io")


def api_down(scene: Scene) -> AbstractAsyncContextManager[None]:
    """The API server refuses connections."""
    return scene.api.down()


def prometheus_down(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Prometheus refuses connections."""
    return scene.prometheus.down()


def status_event(code: int) -> Answer:
    """A watch that begins with an error and ends."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "internal error", "code": code}
    return proxy.says(200, json.dumps({"type": "ERROR", "object": status}) + "\n", "application/json")


@asynccontextmanager
async def writes_refused(scene: Scene) -> AsyncIterator[None]:
    """An admission webhook refuses every change of the shop's Deployment."""
    path = re.compile(rf"^/apis/apps/v1/namespaces/{scene.shop}/deployments/web(/scale)?$")
    message = 'admission webhook "freeze.example.com" denied the request: no changes now'
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": 403}
    refusal = proxy.says(403, json.dumps(status), "application/json")
    held = Fault(refusal, lambda request: request.method != "GET" and bool(path.match(request.path)), holds=True)
    async with scene.api.breaking(held):
        yield


# Numbers.


async def load_falls(scene: Scene) -> None:
    """From 150 to 90 requests/s, so that 5 of 8 pods are right."""
    scene.loads.set(scene.shop, LOAD)


async def scaled_by_hand(scene: Scene) -> None:
    """By kubectl scale to 50 pods."""
    await scene.kube.patch(deployment_path(scene.shop), {"spec": {"replicas": 50}})


async def pause_ends(scene: Scene) -> None:
    """Paused at 5 pods, the load falls to 60 requests/s, the pause ends: 3 pods are right."""
    paused = {"spec": {"paused": True}}
    await scene.kube.patch(app_path(scene.shop), paused)
    await asyncio.sleep(2.0)
    scene.loads.set(scene.shop, 60.0)
    await asyncio.sleep(12.0)
    await scene.kube.patch(app_path(scene.shop), {"spec": {"paused": False}})


@asynccontextmanager
async def pods_unknown(scene: Scene) -> AsyncIterator[None]:
    """The watch on pods alone is silent while the app grows from 2 to 6; then 120 requests/s become 100."""
    async with scene.api.breaking(Fault(proxy.passed, pod_watch_silent, holds=True)):
        scene.loads.set(scene.shop, 120.0)
        await scene.replicas.reach(scene.shop, 6, 30.0)
        await asyncio.sleep(12.0)
        scene.loads.set(scene.shop, 100.0)
        yield


@asynccontextmanager
async def samples_missing(scene: Scene) -> AsyncIterator[None]:
    """3 of 5 pods give no samples."""
    scene.standin.without_samples = set(scene.kubelet.ready_pods(scene.shop)[:3])
    try:
        yield
    finally:
        scene.standin.without_samples = set()


# Another tenant.


def tenant_app(*metrics: Manifest, **spec: Any) -> Act:
    """An app of another tenant."""

    async def make(scene: Scene) -> None:
        scene.loads.set(scene.tenant, LOAD)
        await scene.kube.apply(app_of(scene.tenant, metrics=list(metrics) or [REQUESTS], **spec))

    return make


def queries(*texts: str) -> tuple[Manifest, ...]:
    """Metrics with queries of their own."""
    return tuple(
        {"type": "Prometheus", "name": f"q{number}", "target": "20", "query": text} for number, text in enumerate(texts)
    )


COSTLY_REGEX = "sum(up{" + ",".join(['namespace="$namespace"', *['b=~"\\\\w{100}"'] * 130]) + "})"
SLOW_QUERIES = tuple(f'sum({SLOW_METRIC}{{namespace="$namespace",n="{number}"}})' for number in range(16))


def histogram(*bounds: str) -> FaultOf:
    """A tenant's pods serve a histogram with these bounds, and an app of theirs asks for its latency."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[None]:
        scene.standin.buckets[scene.tenant] = list(bounds)
        await tenant_app(REQUESTS, {"type": "Latency", "target": "250ms"})(scene)
        try:
            yield
        finally:
            scene.standin.buckets.clear()

    return fault


@asynccontextmanager
async def metric_null(scene: Scene) -> AsyncIterator[None]:
    """An answer contains a series without labels, as `"metric": null`."""
    scene.standin.broken = [{"metric": None, "value": [0, "1"]}]
    try:
        yield
    finally:
        scene.standin.broken = []


async def huge_objects(scene: Scene) -> None:
    """51 ScalableApps with an argument of 1.3 MB each, as far as the API server takes them."""
    for number in range(51):
        with suppress(BenchError):
            await scene.kube.apply(app_of(scene.tenant, f"huge-{number}", metrics=[REQUESTS], args=["x" * 1_300_000]))


@asynccontextmanager
async def failing_children(scene: Scene) -> AsyncIterator[None]:
    """400 apps of a tenant whose children the API server answers with 500."""
    path = re.compile(rf"^/(api|apis/[a-z0-9.]+)/v\w+/namespaces/{scene.tenant}/")
    refusal = proxy.says(500, '{"kind":"Status","status":"Failure","message":"no","code":500}', "application/json")

    def matches(request: web.Request) -> bool:
        return request.method != "GET" and bool(path.match(request.path)) and not of_our_kind(request)

    async with scene.api.breaking(Fault(refusal, matches, holds=True)):
        await asyncio.gather(
            *(scene.kube.apply(app_of(scene.tenant, f"app-{number}", metrics=[REQUESTS])) for number in range(400))
        )
        yield


@asynccontextmanager
async def half_sent_requests(scene: Scene) -> AsyncIterator[None]:
    """4,000 connections to the operator's metrics that send half of a request."""
    port = int(scene.operator.metrics_url.rpartition(":")[2])
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.socket()) for _ in range(4000)]
        for number, connection in enumerate(connections):
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
            # No more at once than the listener's queue takes.
            await asyncio.sleep(0.01 if number % 5 == 0 else 0)
        for connection in connections:
            with suppress(OSError):
                connection.send(b"GET /metrics HTTP/1.1\r\n")
        yield


async def odd_limit_range(scene: Scene) -> None:
    """A LimitRange whose amount of memory is in thousandths of a byte."""
    limits = {"limits": [{"type": "Container", "max": {"memory": "1500m"}}]}
    await scene.kube.apply(_own(scene.tenant, "v1", "LimitRange", limits))


# The operator's own objects, and what people do to the app.


@asynccontextmanager
async def crd_not_served(scene: Scene) -> AsyncIterator[None]:
    """The API server answers 404 for everything of our kind, as while a CRD is replaced."""
    async with scene.api.breaking(Fault(proxy.says(404, "404 page not found"), of_our_kind)):
        yield


@asynccontextmanager
async def crd_deleted(scene: Scene) -> AsyncIterator[None]:
    """The CRD is deleted, with every app; after the fault both are applied again."""
    await scene.kube.delete(_CRD_PATH)
    try:
        yield
    finally:
        await scene.kube.gone(_CRD_PATH)
        scene.replicas.forget(scene.shop)
        await scene.kube.apply_text(CRD)
        await scene.kube.served(app_path("default", ""))
        await scene.kube.apply(app_of(scene.shop, metrics=[REQUESTS]))


async def served_namespace_deleted(scene: Scene) -> None:
    """Of two namespaces that the operator serves one is deleted, and the operator starts again."""
    await scene.kube.delete(f"/api/v1/namespaces/{scene.tenant}")
    await scene.kube.gone(f"/api/v1/namespaces/{scene.tenant}")
    await scene.operator.restart()


async def lease_deleted(scene: Scene) -> None:
    """Somebody deletes the Lease."""
    await scene.kube.delete(_LEASE)


async def lease_taken(scene: Scene) -> None:
    """Another holder takes the Lease, and never renews it."""
    await scene.kube.patch(_LEASE, {"spec": {"holderIdentity": "another", "leaseDurationSeconds": 15}})


def spec_changes(**spec: Any) -> Act:
    """The shop's app gets another spec."""

    async def change(scene: Scene) -> None:
        await scene.kube.patch(app_path(scene.shop), {"spec": spec})

    return change


async def quota_of_pods(scene: Scene) -> None:
    """A quota that allows the pods that there are and no more, and then more load."""
    await scene.kube.apply(_own(scene.shop, "v1", "ResourceQuota", {"hard": {"pods": "5"}}))
    await asyncio.sleep(3.0)
    scene.loads.set(scene.shop, MORE_LOAD)


async def status_patched(scene: Scene) -> None:
    """Somebody writes a wrong number into the app's status."""
    await scene.kube.patch(f"{app_path(scene.shop)}/status", {"status": {"desiredReplicas": 99}})


async def deployment_deleted(scene: Scene) -> None:
    """By kubectl delete."""
    await scene.kube.delete(deployment_path(scene.shop))


async def deployment_paused(scene: Scene) -> None:
    """By kubectl rollout pause."""
    await scene.kube.patch(deployment_path(scene.shop), {"spec": {"paused": True}})


def _own(namespace: str, version: str, kind: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "own", "namespace": namespace}, "spec": spec}
