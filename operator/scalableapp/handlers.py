"""Kopf: the watches on ScalableApps and their children, the probe, and Kopf's own settings.

The only file that imports Kopf. Its handlers are never retried, so they only update the registry and put the app's
key on the work queue; they set no finalizers and write no annotations.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import kopf

from scalableapp.core.children.resources import API_VERSION, KIND
from scalableapp.core.model import AppKey
from scalableapp.engine.informers import CHILD_SELECTOR
from scalableapp.engine.registry import Registry
from scalableapp.engine.workqueue import AsyncWorkQueue
from scalableapp.settings import Settings

# Kopf holds a page as bytes, as text and parsed, and each object until its worker ends: and an object may have 1.5 MB.
PAGE_SIZE = 20
IDLE_SECONDS = 0.2

_PLURALS = {
    KIND: "scalableapps",
    "Deployment": "deployments",
    "Service": "services",
    "Ingress": "ingresses",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "NetworkPolicy": "networkpolicies",
}


class _Backoffs:
    """Pauses between Kopf's tries, without end: it would give up and exit after a minute of 5xx."""

    def __iter__(self) -> Iterator[float]:
        pause = 0.5
        while True:
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
            pause = min(15.0, pause * 2)


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
    settings.networking.error_backoffs = _Backoffs()
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.watching.chunk_size = PAGE_SIZE
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    for kind, api_version in kinds.items():
        group, _, version = api_version.rpartition("/")
        settings.watching.label_selectors[group, version, _PLURALS[kind]] = CHILD_SELECTOR
    return settings


def kopf_handlers(
    registry: Registry, queue: AsyncWorkQueue, stalled: Callable[[], str], kinds: Mapping[str, str], *, server: str = ""
) -> kopf.OperatorRegistry:
    """The watches that feed the registry, and the probe: it fails with what `stalled` says, unless that is "".

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
        if key := take(registry, event["type"], event["object"]):
            queue.add(key)

    for kind, api_version in {KIND: API_VERSION, **kinds}.items():
        group, _, version = api_version.rpartition("/")
        kopf.on.event(group, version, _PLURALS[kind], id=kind, registry=handlers)(on_event)

    @kopf.on.probe(registry=handlers, id="loop")
    async def loop_runs(**_: Any) -> str:
        # Any other error would make Kopf try again for a minute, and the probe hang.
        if reason := stalled():
            raise kopf.PermanentError(reason)
        return "running"

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


async def watch(
    handlers: kopf.OperatorRegistry,
    settings: Settings,
    kinds: Mapping[str, str],
    stop: asyncio.Event,
    on_stop: Callable[[], Awaitable[None]],
) -> None:
    """Run Kopf until a signal comes, `stop` is set or a watch gives way, which is raised; `on_stop` is called then."""

    @kopf.on.cleanup(registry=handlers)
    async def clean_up(**_: Any) -> None:
        await on_stop()

    await kopf.operator(
        registry=handlers,
        settings=kopf_settings(kinds),
        # Kopf's name in its peering, which is off; unset, it asks for the user's name, and a container has none.
        identity="scalableapp-operator",  # type: ignore[arg-type] # Kopf does not export the type
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=f"http://0.0.0.0:{settings.liveness_port}/healthz",
        stop_flag=stop,
    )


def configure_logging(settings: Settings) -> None:
    """Log lines in the form that the settings ask for."""
    kopf.configure(log_format=kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL)
    logging.getLogger().setLevel(settings.log_level)
    # One line for every event that a handler took and for every probe is no news.
    for name in ("kopf.objects", "kopf.activities", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
