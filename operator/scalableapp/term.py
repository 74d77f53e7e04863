"""What runs while this operator is the active one.

Each term begins with empty memory and everything listed anew, as a new process would: another operator may have acted
in between, and what a watch missed is not known. What has to last is in the cluster's objects and in Prometheus.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scalableapp.adapters.kube_api import KubeApi, collection
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.lease import Lease
from scalableapp.adapters.memory import available_bytes
from scalableapp.adapters.podwatch import PodWatch
from scalableapp.adapters.progress import Progress
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_history import PrometheusHistory
from scalableapp.adapters.telemetry import Telemetry
from scalableapp.adapters.watch import Watch
from scalableapp.core.api.budget import SHARE_OF_MEMORY, Budget
from scalableapp.core.api.promql import QueryRules
from scalableapp.core.children.resources import API_VERSION, ClusterFeatures
from scalableapp.core.children.routing import API_VERSIONS, HTTP_ROUTE
from scalableapp.engine.informers import CHILD_KINDS, CHILD_SELECTOR, Informers
from scalableapp.engine.loop import Loop
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.registry import Registry
from scalableapp.engine.replay import Replayer
from scalableapp.engine.targets import Targets
from scalableapp.engine.workqueue import AsyncWorkQueue, WorkQueue, share_of
from scalableapp.handlers import KopfWatches, take
from scalableapp.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The ways to the outside, which outlast a term."""

    telemetry: Telemetry
    progress: Progress
    api: KubeApi
    cluster: KubeClient
    metrics: PrometheusMetrics
    history: PrometheusHistory
    lease: Lease


class Term:
    """The parts of the active operator, put together. `namespaces` are those that it serves; ("",) for all."""

    def __init__(
        self, settings: Settings, clients: Clients, features: ClusterFeatures, namespaces: tuple[str, ...]
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._namespaces = namespaces
        rules = QueryRules(settings.query_namespace_labels, any_namespace=settings.query_scope == "Any")
        self._registry = Registry(Budget(int(available_bytes() * SHARE_OF_MEMORY)), rules, settings.requests)
        self._queue = AsyncWorkQueue(WorkQueue(share=share_of(settings.workers)), time.monotonic)
        self._replayer = Replayer(self._registry, clients.history, _now)
        self._informers = Informers(self._registry, self._queue, clients.cluster, CHILD_KINDS, namespaces)
        self._targets = Targets(self._registry, self._queue, clients.cluster, clients.api, clients.cluster.scales)
        # Answers count while the loop is late by no more than two ticks and their time-outs.
        stale_after = 3 * settings.interval_seconds + 10
        self._loop = Loop(
            registry=self._registry,
            queue=self._queue,
            metrics=clients.metrics,
            reconciler=Reconciler(self._registry, clients.cluster, features, _now, stale_after, clock=time.monotonic),
            telemetry=clients.telemetry,
            interval_seconds=settings.interval_seconds,
            clock=time.monotonic,
            now=_now,
        )

    def stalled(self) -> str:
        """See Loop.stalled."""
        return self._loop.stalled()

    async def run(self) -> None:
        """Act until cancelled, or something gives way, which is raised in a group."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold_lease(), name="lease")
            kopf = KopfWatches(CHILD_KINDS, tuple(filter(None, self._namespaces)), self._clients.api.server)
            group.create_task(kopf.follow(self._take), name="kopf")
            listed = [event.wait() for namespace in self._namespaces for event in self._watches(group, namespace)]
            listed += [self._watch_sources(group).wait()] if self._namespaces == ("",) else []
            await asyncio.gather(self._informers.first_lists(), *listed)
            self._registry.forget_strangers()
            log.info("All objects listed, %d ScalableApp(s); starting the loop", len(self._registry))
            self._clients.progress.acts()
            group.create_task(self._targets.follow(), name="targets")
            group.create_task(self._informers.follow_autoscalers(), name="autoscalers")
            group.create_task(self._informers.follow_limits(), name="limits")
            group.create_task(self._informers.follow_mounts(), name="mounts")
            group.create_task(self._informers.resync(), name="resync")
            group.create_task(self._replayer.follow(), name="replay")
            group.create_task(self._loop.run(self._settings.workers), name="loop")

    def _take(self, kind_of_event: str | None, body: Mapping[str, Any]) -> None:
        try:
            if key := take(self._registry, kind_of_event, body):
                self._queue.add(key)
        except Exception:
            log.exception("Internal error while taking in an event; it is ignored")

    def _watches(self, group: asyncio.TaskGroup, namespace: str) -> tuple[asyncio.Event, asyncio.Event]:
        """Start our own watches; the events are set when each has reported all existing objects."""
        api, pods_listed, routes_listed = self._clients.api, asyncio.Event(), asyncio.Event()
        pods = self._informers.follow_pods(PodWatch(api, namespace, CHILD_SELECTOR), pods_listed.set)
        group.create_task(pods, name=f"pods {namespace}")
        path = collection(API_VERSIONS[HTTP_ROUTE], "httproutes", namespace)
        routes = self._informers.follow_routes(Watch(api, path, "HTTPRoutes", CHILD_SELECTOR), routes_listed.set)
        group.create_task(routes, name=f"routes {namespace}")
        return pods_listed, routes_listed

    def _watch_sources(self, group: asyncio.TaskGroup) -> asyncio.Event:
        """Start the watch on RequestSources, which takes a right for the whole cluster; the event as in _watches."""
        listed = asyncio.Event()
        watch = Watch(self._clients.api, collection(API_VERSION, "requestsources"), "RequestSources", "")
        group.create_task(self._informers.follow_sources(watch, listed.set), name="request sources")
        return listed

    async def _hold_lease(self) -> None:
        """Renew the Lease until it is lost, which is raised."""
        troubled = False
        async for trouble in self._clients.lease.renewals():
            self._clients.progress.troubled(trouble)
            if troubled and not trouble:
                self._retry_all()
            troubled = bool(trouble)

    def _retry_all(self) -> None:
        """The API server is back: what failed meanwhile need not wait for its back-off."""
        for record in self._registry.apps():
            if self._queue.backs_off(record.key):
                self._queue.add(record.key)


def _now() -> datetime:
    return datetime.now(UTC)
