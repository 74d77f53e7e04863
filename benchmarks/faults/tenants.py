"""What another tenant does: each is a function of the Scene that returns the block in which it lasts."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from benchmarks.faults import proxy
from benchmarks.faults.faults import Act, of_our_kind, own
from benchmarks.faults.kube import Manifest
from benchmarks.faults.measure import FaultOf
from benchmarks.faults.proxy import Fault
from benchmarks.faults.replicas import TARGET
from benchmarks.faults.scene import REQUESTS, Scene, app_of
from benchmarks.faults.servers import BenchError
from benchmarks.faults.standin import SLOW_METRIC


def app(*metrics: Manifest, **spec: Any) -> Act:
    """An app of another tenant, with the load of one pod."""

    async def make(scene: Scene) -> None:
        scene.loads.set(scene.tenant, TARGET / 2)
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
        await app(REQUESTS, {"type": "Latency", "target": "250ms"})(scene)
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


async def many_queries(scene: Scene) -> None:
    """33 apps with 16 queries each, which is more than the operator asks."""
    for number in range(33):
        texts = (f'sum(many{{namespace="$namespace",n="{number}-{index}"}})' for index in range(16))
        await scene.kube.apply(app_of(scene.tenant, f"app-{number}", metrics=list(queries(*texts))))


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
    await scene.kube.apply(own(scene.tenant, "v1", "LimitRange", limits))
