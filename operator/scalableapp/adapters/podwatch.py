"""The apps' pods as they come and go: of each only what decisions need.

Kopf spends 10 times as much on an event, and pods are the most numerous of what changes.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scalableapp.adapters.kube_api import KubeApi, collection
from scalableapp.adapters.pod_messages import pod_message, shortened
from scalableapp.adapters.watch import Gone, Listed, Seen, Watch
from scalableapp.core.children.resources import CONTAINER, LABEL_APP
from scalableapp.core.model import AppKey, PodState
from scalableapp.core.size import Resize, Size, read_size, summed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PodEvent:
    """A pod of an app as it is now; `pod` is None when it is gone."""

    key: AppKey
    name: str
    pod: PodState | None


class PodWatch:
    """Watches pods with the app label, in one namespace or (namespace "") in all."""

    def __init__(self, api: KubeApi, namespace: str = "", labels: str = LABEL_APP) -> None:
        self._watch = Watch(api, collection("v1", "pods", namespace), "pods", labels, required=True)
        self._apps: dict[tuple[str, str], AppKey] = {}

    async def events(self) -> AsyncIterator[PodEvent | Listed]:
        """Changes of pods, without end; Listed once all existing pods were reported.

        Raises Unavailable when they cannot be watched for a while: nothing may be decided on an app without its pods.
        """
        async for change in self._watch.changes():
            match change:
                case Seen(body):
                    if event := self._seen(body):
                        yield event
                case Gone(namespace, name):
                    if key := self._apps.pop((namespace, name), None):
                        yield PodEvent(key, name, None)
                case Listed() as listed:
                    yield listed

    def _seen(self, pod: Mapping[str, Any]) -> PodEvent | None:
        """None for a pod that cannot be parsed: the others are still reported."""
        try:
            metadata = pod["metadata"]
            key = AppKey(metadata["namespace"], metadata["labels"][LABEL_APP])
            event = PodEvent(key, metadata["name"], pod_state(pod))
        except (KeyError, TypeError, ValueError):
            log.exception("A pod cannot be parsed and is ignored")
            return None
        self._apps[key.namespace, event.name] = key
        return event


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
        other_containers=_other_containers(pod.get("spec") or {}),
        priority_class=(pod.get("spec") or {}).get("priorityClassName") or "",
        ended_at=ended,
        oom_killed_at=killed,
        problem=_problem(status, container),
        message="" if ready.get("status") == "True" else pod_message(status),
        resize=resize,
        resize_message=resize_message,
        left_at=_left_at(metadata),
    )


def _left_at(metadata: Mapping[str, Any]) -> datetime | None:
    """When the deletion was asked for: the time in the metadata is when the grace period ends."""
    if "deletionTimestamp" not in metadata:
        return None
    return _time(metadata["deletionTimestamp"]) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)


def _size(spec: Mapping[str, Any]) -> Size | None:
    for container in spec.get("containers") or ():
        if container.get("name") == CONTAINER:
            return read_size(container.get("resources"))
    return None


def _other_containers(spec: Mapping[str, Any]) -> Size | None:
    """The sum of the other containers that run as long as the app's, sidecars among them; None without any."""
    others = [entry for entry in spec.get("containers") or () if entry.get("name") != CONTAINER]
    others += [entry for entry in spec.get("initContainers") or () if entry.get("restartPolicy") == "Always"]
    return summed(read_size(entry.get("resources")) for entry in others) if others else None


def _endings(container: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """When the container last ended, and when it did for want of memory."""
    endings = [(container.get(field) or {}).get("terminated") or {} for field in ("state", "lastState")]
    times = [(_time(end["finishedAt"]), end.get("reason")) for end in endings if end.get("finishedAt")]
    killed = [at for at, reason in times if reason == "OOMKilled"]
    return max((at for at, _ in times), default=None), max(killed, default=None)


# The kubelet's words for a container that will not run as it is.
_CRASHING = {"CrashLoopBackOff", "CreateContainerError", "RunContainerError", "CreateContainerConfigError"}


def _problem(status: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """Why the pod cannot start, "" when it can."""
    for entry in status.get("conditions") or ():
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            return f"{entry.get('reason')}: {shortened(entry.get('message') or '')}"
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in _CRASHING:
        return f"{waiting['reason']}: {shortened(waiting.get('message') or '')}"
    return ""


def _resize(pod: Mapping[str, Any], container: Mapping[str, Any]) -> tuple[Resize, str]:
    """Where a resize in place stands, from the conditions that Kubernetes 1.33 and later set."""
    status = pod.get("status") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or () if entry.get("status") == "True"}
    if pending := conditions.get("PodResizePending"):
        state = Resize.INFEASIBLE if pending.get("reason") == "Infeasible" else Resize.DEFERRED
        return state, shortened(str(pending.get("message", "")))
    if progress := conditions.get("PodResizeInProgress"):
        state = Resize.FAILED if progress.get("reason") == "Error" else Resize.IN_PROGRESS
        return state, shortened(str(progress.get("message", "")))
    unseen = status.get("observedGeneration", 0) and status["observedGeneration"] < pod["metadata"].get("generation", 0)
    actual = container.get("resources")
    if unseen or (actual and read_size(actual) != _size(pod.get("spec") or {})):
        return Resize.IN_PROGRESS, ""
    return Resize.DONE, ""


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
