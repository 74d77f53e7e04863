"""A lean watch on the apps' pods: of each only what decisions need.

Kopf spends 10 times as much on an event, and pods are the most numerous of what changes. Unlike Kopf's watch this
one also tells of pods that were deleted while it was not looking.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scalableapp.adapters.kube_api import Expired, KubeApi, Request
from scalableapp.core.model import AppKey, PodState
from scalableapp.core.resources import CONTAINER, LABEL_APP
from scalableapp.core.size import Resize, Size, read_size
from scalableapp.errors import ClusterError

log = logging.getLogger(__name__)

# The server ends a watch after so long; spread, so that not all clients come back together.
_WATCH_SECONDS = (240, 300)
# It sends a bookmark each minute, so silence beyond that means a dead connection.
_SILENCE_SECONDS = 75.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PodEvent:
    """A pod of an app as it is now; `pod` is None when it is gone."""

    key: AppKey
    name: str
    pod: PodState | None


class Listed:
    """All pods that exist have been told of. Comes after each full list, the first time and after a gap."""


class PodWatch:
    """Watches pods that bear the app label, in one namespace or (namespace "") in all."""

    def __init__(self, api: KubeApi, namespace: str = "", labels: str = LABEL_APP) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        self._labels = labels
        self._known: dict[tuple[str, str], AppKey] = {}
        self._version = ""
        self._pause = _FIRST_PAUSE_SECONDS

    async def events(self) -> AsyncIterator[PodEvent | Listed]:
        """What happens to pods, without end: errors are logged and tried again with back-off."""
        while True:
            try:
                if not self._version:
                    async for event in self._list():
                        yield event
                    yield Listed()
                async for event in self._watch():
                    yield event
            except Expired:
                self._version = ""
            except ClusterError as error:
                log.warning("The watch on pods broke and starts again in %.0f s at most: %s", self._pause, error)
            except (KeyError, TypeError, ValueError):
                log.exception("The watch on pods got an answer that cannot be read; listing them anew")
                self._version = ""
            await self._back_off()

    async def _list(self) -> AsyncIterator[PodEvent]:
        found: set[tuple[str, str]] = set()
        version = ""
        async for page in self._api.pages(Request("GET", self._path, {"labelSelector": self._labels})):
            version = page["metadata"]["resourceVersion"]
            for pod in page.get("items") or ():
                event = self._seen(pod)
                found.add((event.key.namespace, event.name))
                yield event
        for place in self._known.keys() - found:
            for event in self._gone(place):
                yield event
        self._version = version

    async def _watch(self) -> AsyncIterator[PodEvent]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": self._labels,
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*_WATCH_SECONDS)),  # noqa: S311 - jitter is no secret
        }
        async for entry in self._api.lines(Request("GET", self._path, query), _SILENCE_SECONDS):
            kind, body = entry["type"], entry["object"]
            if kind == "ERROR":
                # Whatever the server's reason, a fresh list is right; 410 is the usual one.
                raise Expired(f"the watch on pods ended: {body.get('message', body)}")
            self._version = body["metadata"]["resourceVersion"]
            self._pause = _FIRST_PAUSE_SECONDS
            if kind == "DELETED":
                for event in self._gone((body["metadata"]["namespace"], body["metadata"]["name"])):
                    yield event
            elif kind != "BOOKMARK":
                yield self._seen(body)

    def _seen(self, pod: Mapping[str, Any]) -> PodEvent:
        metadata = pod["metadata"]
        key = AppKey(metadata["namespace"], metadata["labels"][LABEL_APP])
        self._known[key.namespace, metadata["name"]] = key
        return PodEvent(key, metadata["name"], pod_state(pod))

    def _gone(self, place: tuple[str, str]) -> list[PodEvent]:
        key = self._known.pop(place, None)
        return [PodEvent(key, place[1], None)] if key else []

    async def _back_off(self) -> None:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret
        self._pause = min(_LONGEST_PAUSE_SECONDS, self._pause * 2)


def pod_state(pod: Mapping[str, Any]) -> PodState:
    """What decisions need of a pod as the API server shows it.

    A pod that the kubelet has not taken up yet has not started; its creation stands in for that.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    ready: Mapping[str, str] = next(
        (entry for entry in status.get("conditions") or () if entry.get("type") == "Ready"), {}
    )
    changed = ready.get("lastTransitionTime")
    container: Mapping[str, Any] = next(
        (entry for entry in status.get("containerStatuses") or () if entry.get("name") == CONTAINER), {}
    )
    ended, killed = _endings(container)
    resize, resize_message = _resize(pod, container)
    return PodState(
        name=metadata["name"],
        phase=status.get("phase", "Unknown"),
        ready=ready.get("status") == "True",
        deleting="deletionTimestamp" in metadata,
        started_at=_time(status.get("startTime") or metadata["creationTimestamp"]),
        readiness_changed_at=_time(changed) if changed else None,
        created_at=_time(metadata["creationTimestamp"]),
        size=_size(pod.get("spec") or {}),
        ended_at=ended,
        oom_killed_at=killed,
        trouble=_trouble(status, container),
        resize=resize,
        resize_message=resize_message,
    )


def _size(spec: Mapping[str, Any]) -> Size | None:
    for container in spec.get("containers") or ():
        if container.get("name") == CONTAINER:
            return read_size(container.get("resources"))
    return None


def _endings(container: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """When the container last ended, and when it did for want of memory."""
    endings = [(container.get(field) or {}).get("terminated") or {} for field in ("state", "lastState")]
    times = [(_time(end["finishedAt"]), end.get("reason")) for end in endings if end.get("finishedAt")]
    killed = [at for at, reason in times if reason == "OOMKilled"]
    return max((at for at, _ in times), default=None), max(killed, default=None)


# The kubelet's words for a container that will not run as it is.
_CRASHING = {"CrashLoopBackOff", "CreateContainerError", "RunContainerError", "CreateContainerConfigError"}


def _trouble(status: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """Why the pod cannot start, "" when it can."""
    for entry in status.get("conditions") or ():
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            return f"{entry.get('reason')}: {entry.get('message', '')}"
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in _CRASHING:
        return f"{waiting['reason']}: {waiting.get('message', '')}"
    return ""


def _resize(pod: Mapping[str, Any], container: Mapping[str, Any]) -> tuple[Resize, str]:
    """Where a resize in place stands, from the conditions that Kubernetes 1.33 and later set."""
    status = pod.get("status") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or () if entry.get("status") == "True"}
    if pending := conditions.get("PodResizePending"):
        state = Resize.INFEASIBLE if pending.get("reason") == "Infeasible" else Resize.DEFERRED
        return state, str(pending.get("message", ""))
    if progress := conditions.get("PodResizeInProgress"):
        state = Resize.FAILED if progress.get("reason") == "Error" else Resize.IN_PROGRESS
        return state, str(progress.get("message", ""))
    unseen = status.get("observedGeneration", 0) and status["observedGeneration"] < pod["metadata"].get("generation", 0)
    actual = container.get("resources")
    if unseen or (actual and read_size(actual) != _size(pod.get("spec") or {})):
        return Resize.IN_PROGRESS, ""
    return Resize.DONE, ""


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
