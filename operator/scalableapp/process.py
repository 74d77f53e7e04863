"""The process: its clients, the Lease that only one operator holds, and everything that runs until a signal comes."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from scalableapp.adapters.kube_api import KubeApi, collection, load_configuration
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.lease import Lease
from scalableapp.adapters.memory import available_bytes
from scalableapp.adapters.podwatch import PodWatch
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_history import PrometheusHistory
from scalableapp.adapters.prometheus_http import largest_answer_bytes
from scalableapp.adapters.standby import waiting
from scalableapp.adapters.telemetry import Telemetry
from scalableapp.adapters.watch import Watch
from scalableapp.core.api.budget import SHARE_OF_MEMORY, Budget
from scalableapp.core.children.resources import API_VERSION, KIND
from scalableapp.core.children.routing import API_VERSIONS, HTTP_ROUTE
from scalableapp.engine.informers import CHILD_KINDS, CHILD_SELECTOR, Informers
from scalableapp.engine.loop import Loop
from scalableapp.engine.reconcile import Reconciler
from scalableapp.engine.registry import Registry
from scalableapp.engine.replay import Replayer
from scalableapp.engine.workqueue import AsyncWorkQueue, WorkQueue, share_of
from scalableapp.errors import NotFound, ScalableAppError, SettingsError
from scalableapp.handlers import configure_logging, kopf_handlers, watch
from scalableapp.settings import Settings, load_settings

log = logging.getLogger(__name__)

LEASE_NAME = "scalableapp-operator"
# Enough to deploy 200 apps in half a minute; a twentieth of a core while it lasts.
_REQUESTS_PER_SECOND, _REQUESTS_AT_ONCE = 50.0, 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The ways to the outside."""

    telemetry: Telemetry
    api: KubeApi
    cluster: KubeClient
    metrics: PrometheusMetrics
    history: PrometheusHistory
    lease: Lease


class Operator:
    """The parts of a running operator, put together."""

    def __init__(
        self, settings: Settings, clients: Clients, reconciler: Reconciler, registry: Registry, kinds: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._kinds = kinds
        self._registry = registry
        self._queue = AsyncWorkQueue(WorkQueue(share=share_of(settings.workers)), time.monotonic)
        self._namespaces = settings.namespaces or ("",)
        self._replayer = Replayer(registry, clients.history, _now)
        self._informers = Informers(registry, self._queue, clients.cluster, kinds, self._namespaces)
        self._loop = Loop(
            registry=registry,
            queue=self._queue,
            metrics=clients.metrics,
            reconciler=reconciler,
            telemetry=clients.telemetry,
            interval_seconds=settings.interval_seconds,
            clock=time.monotonic,
            now=_now,
        )

    async def run(self) -> None:
        """Run until a signal comes or something gives way; raises what gave way."""
        stop = asyncio.Event()
        engine = asyncio.create_task(self._engine(), name="engine")
        engine.add_done_callback(lambda _: stop.set())

        async def end_engine() -> None:
            engine.cancel()
            await asyncio.wait([engine])

        try:
            server = self._clients.api.server
            handlers = kopf_handlers(self._registry, self._queue, self._loop.stalled, self._kinds, server=server)
            await watch(handlers, self._settings, self._kinds, stop, end_engine)
        finally:
            await end_engine()
        if not engine.cancelled() and (failure := engine.exception()):
            raise _cause(failure)

    async def _engine(self) -> None:
        """Everything except Kopf; ends only by failing or being cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold_lease(), name="lease")
            group.create_task(self._clients.telemetry.measure_lag(), name="lag")
            self._clients.telemetry.lists()
            listed = [event.wait() for namespace in self._namespaces for event in self._watches(group, namespace)]
            await asyncio.gather(self._informers.first_lists(), *listed)
            self._registry.forget_strangers()
            self._clients.telemetry.listed()
            log.info("All objects listed, %d ScalableApp(s); starting the loop", len(self._registry))
            group.create_task(self._informers.follow_autoscalers(), name="autoscalers")
            group.create_task(self._informers.follow_limits(), name="limits")
            group.create_task(self._informers.resync(), name="resync")
            group.create_task(self._replayer.follow(), name="replay")
            group.create_task(self._loop.run(self._settings.workers), name="loop")

    def _watches(self, group: asyncio.TaskGroup, namespace: str) -> tuple[asyncio.Event, asyncio.Event]:
        """Start our own watches; the events are set when each has reported all existing objects."""
        api, pods_listed, routes_listed = self._clients.api, asyncio.Event(), asyncio.Event()
        pods = self._informers.follow_pods(PodWatch(api, namespace, CHILD_SELECTOR), pods_listed.set)
        group.create_task(pods, name=f"pods {namespace}")
        path = collection(API_VERSIONS[HTTP_ROUTE], "httproutes", namespace)
        routes = self._informers.follow_routes(Watch(api, path, "HTTPRoutes", CHILD_SELECTOR), routes_listed.set)
        group.create_task(routes, name=f"routes {namespace}")
        return pods_listed, routes_listed

    async def _hold_lease(self) -> None:
        raise ScalableAppError(
            f"{await self._clients.lease.keep()}; another operator may be active now, so this one exits"
        )


async def operate(settings: Settings) -> None:
    """Hold the Lease, then run. Raises ScalableAppError when the operator cannot continue."""
    task = asyncio.current_task()
    if task:  # Kopf takes the signals over once it runs; as process 1, nothing else would end a wait for the Lease
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncExitStack() as stack:
        clients = await _connect(settings, stack)
        features = replace(await clients.cluster.features(), redis_image=settings.redis_image)
        log.info("The cluster supports %s", features)
        registry = Registry(Budget(int(available_bytes() * SHARE_OF_MEMORY)))
        # Answers count while the loop is late by no more than two ticks and their time-outs.
        stale_after = 3 * settings.interval_seconds + 10
        reconciler = Reconciler(registry, clients.cluster, features, _now, stale_after, clock=time.monotonic)
        await Operator(settings, clients, reconciler, registry, CHILD_KINDS).run()


async def _connect(settings: Settings, stack: AsyncExitStack) -> Clients:
    """The clients, closed with `stack`, and the Lease held until then."""
    telemetry = Telemetry()
    telemetry.serve(settings.metrics_port)
    stack.callback(telemetry.close)
    configuration = await load_configuration()
    api = KubeApi(configuration, rate=_REQUESTS_PER_SECOND, burst=_REQUESTS_AT_ONCE, observe=telemetry.requested)
    stack.push_async_callback(api.close)
    cluster = KubeClient(api)
    await _require_crd(cluster, settings)
    url, most_bytes = str(settings.prometheus_url), largest_answer_bytes()
    metrics = PrometheusMetrics(url, observe=telemetry.queried, most_bytes=most_bytes)
    stack.callback(metrics.close)
    history = PrometheusHistory(url, observe=telemetry.queried)
    stack.callback(history.close)
    lease = Lease(api, settings.lease_namespace, LEASE_NAME, f"{socket.gethostname()}_{os.getpid()}")
    async with waiting(settings.liveness_port):
        await lease.acquire()
    telemetry.acting(settings.interval_seconds)
    stack.push_async_callback(lease.release)
    return Clients(telemetry=telemetry, api=api, cluster=cluster, metrics=metrics, history=history, lease=lease)


async def _require_crd(cluster: KubeClient, settings: Settings) -> None:
    try:
        async for _ in cluster.list_metadata(API_VERSION, KIND, next(iter(settings.namespaces), "")):
            return
    except NotFound as error:
        raise ScalableAppError(
            "The ScalableApp CRD is not installed; install it first: kubectl apply -f crds/"
        ) from error


def _cause(failure: BaseException) -> BaseException:
    """What made a group of tasks fail: the first, as the others were cancelled for it."""
    return _cause(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> int:
    """Run the operator; returns the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging(settings)
    try:
        asyncio.run(operate(settings))
    except (asyncio.CancelledError, KeyboardInterrupt):
        log.info("Stopped by a signal")
    except ScalableAppError as error:
        log.critical("The operator exits: %s", error)
        return 1
    except Exception:
        log.exception("The operator exits on an internal error of its own or of Kopf; please report it")
        return 1
    return 0
