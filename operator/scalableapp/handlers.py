"""Kopf: the watches on ScalableApps and their children, and Kopf's own settings.

The only file that imports Kopf. Its handlers are never retried, so they only pass on what they hear; they set no
finalizers and write no annotations. Kopf gives up at much that an API server may answer: it runs in a thread of its
own, and whoever started it starts it again.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import kopf

from scalableapp.adapters.watch import SILENCE_SECONDS, WATCH_SECONDS
from scalableapp.core.children.resources import API_VERSION, KIND
from scalableapp.core.model import AppKey
from scalableapp.engine.informers import CHILD_SELECTOR
from scalableapp.engine.registry import Registry
from scalableapp.errors import Unavailable
from scalableapp.settings import Settings

log = logging.getLogger(__name__)

# Kopf holds a page as bytes, as text and parsed, and each object until its worker ends: and an object may have 1.5 MB.
# With 5,000 ordinary apps, pages of 500 take 40 MiB more, and the start is no faster.
PAGE_SIZE = 20
IDLE_SECONDS = 0.2
# After so long a Kopf that does not end is left behind.
_END_SECONDS = 2.0

_PLURALS = {
    KIND: "scalableapps",
    "Deployment": "deployments",
    "Service": "services",
    "Ingress": "ingresses",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "NetworkPolicy": "networkpolicies",
}


class _NoDiffBase(kopf.DiffBaseStorage):
    """Remembers nothing: only on.event handlers exist, which need no last state."""

    def fetch(self, *, body: Any) -> None:
        """Nothing."""

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nowhere."""


class _NoProgress(kopf.ProgressStorage):
    """Remembers nothing: on.event handlers make no progress to go on from."""

    def fetch(self, *, key: Any, body: Any) -> None:
        """Nothing."""

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        """Nowhere."""

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        """Nothing."""

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        """Nothing."""

    def clear(self, *, essence: Any) -> Any:
        """Nothing to clear."""
        return essence


def kopf_settings(kinds: Mapping[str, str]) -> kopf.OperatorSettings:
    """Kopf's settings where its defaults do not serve thousands of apps, or an API server that is away."""
    settings = kopf.OperatorSettings()
    # What lasts longer ends Kopf: it is started again as soon as the API server answers, and not a back-off later.
    settings.networking.error_backoffs = (0.5, 1.0)
    settings.networking.request_timeout = 10
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = WATCH_SECONDS[1]
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.chunk_size = PAGE_SIZE
    settings.queueing.idle_timeout = IDLE_SECONDS
    # By default Kopf kills the process when its own end takes long.
    settings.process.ultimate_exiting_timeout = None
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    for kind, api_version in kinds.items():
        group, _, version = api_version.rpartition("/")
        settings.watching.label_selectors[group, version, _PLURALS[kind]] = CHILD_SELECTOR
    return settings


def kopf_handlers(
    deliver: Callable[[str | None, Mapping[str, Any]], None], kinds: Mapping[str, str], *, server: str = ""
) -> kopf.OperatorRegistry:
    """The watches; `deliver` is given the type and the object of each event.

    `server` is the address by which our own client asks. Kopf asks there, too: by its own, the name
    kubernetes.default.svc, it would hear nothing without the cluster's DNS, while all else goes on.
    """
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers, id="service-account")
    def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
        info = kopf.login_with_service_account(**arguments)
        return replace(info, server=server) if info and server else info

    kopf.on.login(registry=handlers)(kopf.login_with_kubeconfig)

    async def on_event(event: Mapping[str, Any], **_: Any) -> None:
        deliver(event["type"], event["object"])

    for kind, api_version in {KIND: API_VERSION, **kinds}.items():
        group, _, version = api_version.rpartition("/")
        kopf.on.event(group, version, _PLURALS[kind], id=kind, registry=handlers)(on_event)
    return handlers


def take(registry: Registry, kind_of_event: str | None, body: Mapping[str, Any]) -> AppKey | None:
    """Let the registry know of an event; the app whose turn has come by it."""
    gone = kind_of_event == "DELETED"
    if body["kind"] != KIND:
        return registry.child_gone(body) if gone else registry.child_seen(body)
    if gone:
        metadata = body["metadata"]
        registry.app_gone(AppKey(metadata["namespace"], metadata["name"]), metadata["uid"])
        return None
    return registry.app_seen(body)


@dataclass(frozen=True, slots=True)
class KopfWatches:
    """Watches ScalableApps and their children of `kinds` in some `namespaces`, or (none given) in all."""

    kinds: Mapping[str, str]
    namespaces: tuple[str, ...] = ()
    server: str = ""

    async def follow(self, deliver: Callable[[str | None, Mapping[str, Any]], None]) -> NoReturn:
        """Call `deliver` with the type and object of each event, in our own event loop, until cancelled.

        Raises Unavailable with what ended Kopf.
        """
        ours, kopfs = asyncio.get_running_loop(), asyncio.new_event_loop()
        ended: asyncio.Future[str] = ours.create_future()
        stop = asyncio.Event()
        receivers = [deliver]
        del deliver  # a thread that is left behind must not hold on to the memory of a term

        def pass_on(kind_of_event: str | None, body: Mapping[str, Any]) -> None:
            for receive in receivers:
                receive(kind_of_event, body)

        def tell(why: str) -> None:
            if not ended.done():
                ended.set_result(why)

        def call_ours(function: Callable[..., None], *arguments: Any) -> None:
            with suppress(RuntimeError):  # the process ends, our loop has closed
                ours.call_soon_threadsafe(function, *arguments)

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: kopfs) as runner:
                runner.run(self._run(handlers, stop, lambda why: call_ours(tell, why)))

        handlers = kopf_handlers(lambda *event: call_ours(pass_on, *event), self.kinds, server=self.server)
        kopfs.set_exception_handler(lambda _loop, context: log.debug("Kopf: %s", context.get("message")))
        thread = threading.Thread(target=run, name="kopf", daemon=True)
        thread.start()
        try:
            raise Unavailable(f"the watches on ScalableApps and their children ended: {await ended}")
        finally:
            ended.cancel()
            receivers.clear()
            with suppress(RuntimeError):
                kopfs.call_soon_threadsafe(stop.set)
            await _end_of(thread)

    async def _run(self, handlers: kopf.OperatorRegistry, stop: asyncio.Event, tell: Callable[[str], None]) -> None:
        """Kopf, until `stop` is set or a part of it ends. Kopf itself would tell seconds later: see kopf.run_tasks."""
        try:
            tasks = await kopf.spawn_tasks(
                registry=handlers,
                settings=kopf_settings(self.kinds),
                # Its name in the peering, which is off; unset, it asks for the user's name, and a container has none.
                identity="scalableapp-operator",  # type: ignore[arg-type] # Kopf does not export the type
                standalone=True,
                clusterwide=not self.namespaces,
                namespaces=self.namespaces,
            )
            stopped = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            failures = [_said(error) for task in done if not task.cancelled() and (error := task.exception())]
            tell(failures[0] if failures else "Kopf has stopped")
        except Exception as error:  # noqa: BLE001 - whatever it is, Kopf is started again
            tell(_said(error))


def _said(error: BaseException) -> str:
    """In Kopf's own errors of the API, the message is one of several arguments."""
    return f"{type(error).__name__}: {getattr(error, 'message', None) or error}"


async def _end_of(thread: threading.Thread) -> None:
    for _ in range(int(_END_SECONDS / 0.02)):
        if not thread.is_alive():
            return
        await asyncio.sleep(0.02)
    log.warning("Kopf has not ended within %.0f s; its thread is left behind", _END_SECONDS)


def configure_logging(settings: Settings) -> None:
    """Log lines in the form that the settings ask for."""
    kopf.configure(log_format=kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL)
    logging.getLogger().setLevel(settings.log_level)
    # One line for every event that a handler took is no news, and what ends Kopf is logged once, where it is restarted.
    logging.getLogger("kopf").setLevel(logging.CRITICAL)
    for name in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
