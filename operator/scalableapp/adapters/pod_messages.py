"""Why a pod does not start, as reported by the scheduler and the kubelet."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# On its way, and not in trouble.
_USUAL = {"ContainerCreating", "PodInitializing"}
# So often restarted a container is in trouble, even while it runs once more.
_OFTEN = 2
# A termination message may have 4,096 bytes.
_LONGEST = 300


def pod_message(status: Mapping[str, Any]) -> str:
    """Reason and message of what prevents the pod from running; "" while it is only starting."""
    if status.get("phase") == "Failed" and status.get("reason"):
        return _reason_of(status)
    for entry in status.get("conditions") or ():
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            return _reason_of(entry)
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return next(iter(_of(containers)), "")


def _of(containers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        ended = (container.get("lastState") or {}).get("terminated") or {}
        last = f"; it ended with {_end(ended)}" if ended else ""
        if waiting.get("reason") and waiting["reason"] not in _USUAL:
            yield f"container {container.get('name')}: {_reason_of(waiting)}{last}"
        elif ended and container.get("restartCount", 0) >= _OFTEN and not container.get("ready"):
            yield f"container {container.get('name')}: Restarted {container['restartCount']} times{last}"


def _end(ended: Mapping[str, Any]) -> str:
    reason = "" if ended.get("reason") in (None, "Error", "Completed") else f" ({ended['reason']})"
    message = f": {shortened(ended['message'])}" if ended.get("message") else ""
    return f"exit code {ended.get('exitCode')}{reason}{message}"


def _reason_of(entry: Mapping[str, Any]) -> str:
    message = shortened(entry.get("message") or "")
    return f"{entry.get('reason')}: {message}" if message else str(entry.get("reason"))


def shortened(text: str) -> str:
    """The end of it: the error is usually last."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"
