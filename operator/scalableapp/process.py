"""The process: its clients, its endpoints, its signals; how it starts and how it ends."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import uuid
from contextlib import AsyncExitStack, suppress
from functools import partial

from scalableapp.adapters.endpoints import Endpoints, metrics, verdict
from scalableapp.adapters.kube_api import KubeApi, load_configuration
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.lease import Lease
from scalableapp.adapters.memory import limit_bytes
from scalableapp.adapters.progress import Progress
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_file import Source, source_of
from scalableapp.adapters.prometheus_history import PrometheusHistory
from scalableapp.adapters.prometheus_http import largest_answer_bytes
from scalableapp.adapters.telemetry import Telemetry
from scalableapp.errors import ScalableAppError, SettingsError
from scalableapp.handlers import configure_logging
from scalableapp.settings import Settings, load_settings
from scalableapp.supervisor import Supervisor
from scalableapp.term import Clients

log = logging.getLogger(__name__)

LEASE_NAME = "scalableapp-operator"
# Enough to deploy 200 apps in half a minute; a twentieth of a core while it lasts.
_REQUESTS_PER_SECOND, _REQUESTS_AT_ONCE = 50.0, 100.0
# Whatever hangs: within so many seconds of a signal the process is gone.
END_SECONDS = 4.5


async def operate(settings: Settings) -> None:
    """Run until a signal comes. Raises ScalableAppError when a setting does not serve."""
    _end_on_signals()
    async with AsyncExitStack() as stack:
        clients = await _connect(settings, stack)
        supervisor = Supervisor(settings, clients)
        public = {"/metrics": metrics(clients.telemetry.registry), "/readyz": verdict(clients.progress.readiness)}
        health = {"/healthz": verdict(supervisor.alive)}
        endpoints = Endpoints([(settings.metrics_port, public), (settings.liveness_port, health)])
        stack.callback(endpoints.close)
        async with asyncio.TaskGroup() as group:
            group.create_task(clients.telemetry.measure_lag(), name="lag")
            group.create_task(supervisor.run(), name="supervisor")


async def _connect(settings: Settings, stack: AsyncExitStack) -> Clients:
    """The clients, closed with `stack`; nothing is asked yet."""
    where, most_bytes = _prometheus(settings), largest_answer_bytes(limit_bytes())
    telemetry = Telemetry()
    telemetry.paced(settings.interval_seconds)
    configuration = await load_configuration()
    # Renewals have connections of their own, and never wait behind other requests.
    progress = Progress(telemetry.waits_for, count=telemetry.unwatched)

    def renewed(verb: str, code: int, seconds: float) -> None:
        telemetry.requested(verb, code, seconds)
        if code:
            progress.answered(seconds)

    renewals = KubeApi(configuration, in_flight=1, observe=renewed)
    stack.push_async_callback(renewals.close)
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    lease = Lease(renewals, settings.lease_namespace, LEASE_NAME, identity)
    stack.push_async_callback(lease.release)
    api = KubeApi(
        configuration,
        rate=_REQUESTS_PER_SECOND,
        burst=_REQUESTS_AT_ONCE,
        observe=telemetry.requested,
        why_not=lease.why_not,
    )
    stack.push_async_callback(api.close)
    asked = PrometheusMetrics(where, observe=telemetry.queried, most_bytes=most_bytes)
    stack.callback(asked.close)
    history = PrometheusHistory(where, observe=telemetry.queried)
    stack.callback(history.close)
    return Clients(
        telemetry=telemetry,
        progress=progress,
        api=api,
        cluster=KubeClient(api),
        metrics=asked,
        history=history,
        lease=lease,
    )


def _prometheus(settings: Settings) -> str | Source:
    """Where the metrics are. Raises WrongConnection."""
    if settings.prometheus_config is None:
        return str(settings.prometheus_url)
    return source_of(settings.prometheus_config)


def _end_on_signals() -> None:
    """Cancel the current task on a signal, and see to it that the process ends in time, whatever hangs."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task  # noqa: S101 - for mypy: a coroutine runs in a task

    def end(_number: int, _frame: object) -> None:
        watchdog = threading.Timer(END_SECONDS, partial(_leave, 1))
        watchdog.daemon = True
        watchdog.start()
        with suppress(RuntimeError):  # the loop has closed already
            loop.call_soon_threadsafe(task.cancel)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _leave(status: int) -> None:
    """End the process now: threads that wait for a server that hangs would hold up its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


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
        log.exception("The operator exits on an internal error; please report it")
        return 1
    return 0


def run() -> None:
    """The process from start to end."""
    _leave(main())
