"""Faults of servers and people: each is a function of the Scene that returns the block in which it lasts."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiohttp import web

from benchmarks.faults import proxy
from benchmarks.faults.kube import Manifest, app_path, deployment_path
from benchmarks.faults.measure import FaultOf
from benchmarks.faults.proxy import Answer, Fault
from benchmarks.faults.scene import CRD, LOAD, MORE_LOAD, REQUESTS, Scene, app_of
from benchmarks.faults.servers import SYSTEM

_CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scalableapps.scalableapp.io"
_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/scalableapp-operator"
LESS_LOAD = 40.0
NODE_NOT_READY = {"type": "Ready", "status": "False", "reason": "NodeNotReady", "message": "the node is lost"}
_UNLIMITED = {"policies": [{"type": "Pods", "value": 60, "periodSeconds": 15}]}
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

    def writes(request: web.Request) -> bool:
        return request.method != "GET" and bool(path.match(request.path))

    async with scene.api.breaking(Fault(proxy.refuses(403, message), writes, holds=True)):
        yield


def api_certificate(which: str) -> FaultOf:
    """The API server presents a certificate of that name."""
    return lambda scene: scene.api.presenting(getattr(scene.certificates, which))


def prometheus_certificate(which: str) -> FaultOf:
    """Prometheus presents a certificate of that name."""
    return lambda scene: scene.prometheus.presenting(getattr(scene.certificates, which))


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


@asynccontextmanager
async def clock_jumps(scene: Scene) -> AsyncIterator[None]:
    """The app waits 300 s before it has fewer pods; the load falls, and the wall clock is an hour ahead for 20 s."""
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 300}}
    await scene.kube.patch(app_path(scene.shop), {"spec": {"scaling": {"horizontal": {"behavior": behavior}}}})
    await asyncio.sleep(12.0)
    scene.loads.set(scene.shop, LESS_LOAD)
    for ahead in (3600, 0):
        scene.clock.write_text(str(ahead))
        await asyncio.sleep(20.0)
    yield


@asynccontextmanager
async def node_lost(scene: Scene) -> AsyncIterator[None]:
    """A node is lost with 2 of 5 pods: they are not ready and give no samples; then Kubernetes deletes them."""
    lost = scene.kubelet.ready_pods(scene.shop)[:2]
    paths = [f"/api/v1/namespaces/{scene.shop}/pods/{name}" for name in lost]
    scene.standin.without_samples = set(lost)
    for path in paths:
        await scene.kube.patch(f"{path}/status", {"status": {"conditions": [NODE_NOT_READY]}})
    try:
        yield
    finally:
        scene.standin.without_samples = set()
        for path in paths:
            await scene.kube.delete(path)


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
        # Kubernetes takes its time to remove what belonged to the app, and until then nothing can be made in its place.
        await scene.kube.gone(deployment_path(scene.shop))
        scene.replicas.forget(scene.shop)
        await scene.kube.apply_text(CRD)
        await scene.kube.served(app_path("default", ""))
        anew = app_of(scene.shop, metrics=[REQUESTS])
        # From the one pod with which it begins to all at once: else the time would be that of the limit.
        anew["spec"]["scaling"]["horizontal"]["behavior"]["scaleUp"] = _UNLIMITED
        await scene.kube.apply(anew)


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
    await scene.kube.apply(own(scene.shop, "v1", "ResourceQuota", {"hard": {"pods": "5"}}))
    await asyncio.sleep(3.0)
    scene.loads.set(scene.shop, MORE_LOAD)


@asynccontextmanager
async def images_missing(scene: Scene) -> AsyncIterator[None]:
    """The load grows while no new pod can pull its image."""
    scene.kubelet.without_image.add(scene.shop)
    scene.loads.set(scene.shop, MORE_LOAD)
    try:
        yield
    finally:
        scene.kubelet.without_image.clear()


async def status_patched(scene: Scene) -> None:
    """Somebody writes a wrong number into the app's status."""
    await scene.kube.patch(f"{app_path(scene.shop)}/status", {"status": {"desiredReplicas": 99}})


async def deployment_deleted(scene: Scene) -> None:
    """By kubectl delete."""
    await scene.kube.delete(deployment_path(scene.shop))


async def deployment_paused(scene: Scene) -> None:
    """By kubectl rollout pause."""
    await scene.kube.patch(deployment_path(scene.shop), {"spec": {"paused": True}})


def own(namespace: str, version: str, kind: str, spec: Manifest) -> Manifest:
    """An object of a namespace, with that spec."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "own", "namespace": namespace}, "spec": spec}
