"""A stand-in for Prometheus: its answers are of the load that the bench sets, at once, and broken as a row asks.

A real one would show a new load only after some scrapes, and so hide how soon the operator acts on it.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Series = dict[str, Any]
Pods = Callable[[str], list[str]]
_NAMESPACE = re.compile(r'namespace=~?"([^"]*)"')
_PART = re.compile(r'"scalableapp_part", "([^"]+)"')
_WINDOW = re.compile(r"^\d+s$")
_SCRAPE_SECONDS = 5.0
# The metrics of the apps' own queries.
LOAD_METRIC, SLOW_METRIC = "shop_requests", "slow_requests"
SLOW_SECONDS = 3.9


class StandIn:
    """Requests per second of each namespace in `loads`, shared evenly by its ready pods."""

    def __init__(self, ready_pods: Pods) -> None:
        self._ready_pods = ready_pods
        self.loads: dict[str, float] = {}
        # Pods that give no samples, `le` values of a namespace's histogram, series that are added as they are.
        self.without_samples: set[str] = set()
        self.buckets: dict[str, list[str]] = {}
        self.broken: list[Series] = []
        self._written: tuple[tuple[str, ...], str] = (), _written([])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its URL, until the block ends."""
        application = web.Application()
        application.router.add_route("*", "/api/v1/query", self._query)
        application.router.add_route("*", "/api/v1/query_range", self._range)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _query(self, request: web.Request) -> web.Response:
        query = str((await request.post())["query"])
        if SLOW_METRIC in query:
            await asyncio.sleep(SLOW_SECONDS)
            return _answer([_series(1.0)])
        if "_bucket" in query and "count_over_time" not in query:
            return await self._histograms(self._namespaces(query))
        return _answer(list(self._series(query)))

    async def _range(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}})

    def _namespaces(self, query: str) -> list[str]:
        match = _NAMESPACE.search(query)
        return match[1].split("|") if match else list(self.loads)

    def _series(self, query: str) -> Iterable[Series]:
        if query == "vector(1)":
            return [_series(1.0)]
        namespaces = self._namespaces(query)
        if LOAD_METRIC in query:
            return [_series(sum(self.loads.get(namespace, 0.0) for namespace in namespaces))]
        if "http_requests_total" in query and '=~"5.."' not in query:
            return [*self._requests(query, namespaces), *self.broken]
        return []

    def _requests(self, query: str, namespaces: Iterable[str]) -> Iterable[Series]:
        """Of each pod the rate over each window that is asked for, and when it was scraped."""
        newest = time.time() // _SCRAPE_SECONDS * _SCRAPE_SECONDS
        inspects = "count_over_time" in query
        parts = [*_PART.findall(query), *([] if inspects else [""])]
        for namespace in namespaces:
            pods = self._ready_pods(namespace)
            share = self.loads.get(namespace, 0.0) / max(1, len(pods))
            for pod in pods:
                if pod in self.without_samples:
                    continue
                for part in parts:
                    labels = {"namespace": namespace, "pod": pod, **({"scalableapp_part": part} if part else {})}
                    if part == "newest":
                        yield _series(newest, **labels)
                    elif part == "" or _WINDOW.match(part):
                        yield _series(share, **labels)

    async def _histograms(self, namespaces: Iterable[str]) -> web.Response:
        """All buckets. Written once for the same pods: the proxies before other servers must not wait for it."""
        pods = {pod: namespace for namespace in namespaces for pod in self._ready_pods(namespace)}
        if tuple(pods) != self._written[0]:
            series = [
                {"metric": {"namespace": namespace, "pod": pod, "le": bound}, "value": ["NOW", "5"]}
                for pod, namespace in pods.items()
                for bound in self.buckets.get(namespace, [])
            ]
            self._written = tuple(pods), await asyncio.to_thread(_written, series)
        text = self._written[1].replace('"NOW"', str(time.time()))
        return web.Response(text=text, content_type="application/json")


def _series(value: float, **labels: str) -> Series:
    return {"metric": labels, "value": [time.time(), str(value)]}


def _answer(series: list[Series]) -> web.Response:
    return web.Response(text=_written(series), content_type="application/json")


def _written(series: list[Series]) -> str:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}})
