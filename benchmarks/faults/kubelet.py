"""A stand-in for the kubelet of the apps' pods: each is ready 2 s after it appears."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from benchmarks.faults.kube import Kube, Manifest

READY_AFTER_SECONDS = 2.0


class Kubelet:
    """Follows all pods."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._ready: dict[str, set[str]] = {}
        # Namespaces whose new pods wait for their image.
        self.without_image: set[str] = set()
        self._starting: set[asyncio.Task[None]] = set()

    def ready_pods(self, namespace: str) -> list[str]:
        """Names of the pods that are ready."""
        return sorted(self._ready.get(namespace, ()))

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async for kind, pod in self._kube.watch("/api/v1/pods"):
                self._seen(kind, pod)
        finally:
            for task in self._starting:
                task.cancel()

    def _seen(self, kind: str, pod: Manifest) -> None:
        metadata = pod["metadata"]
        pods = self._ready.setdefault(metadata["namespace"], set())
        if kind == "DELETED" or "deletionTimestamp" in metadata:
            pods.discard(metadata["name"])
        elif _is_ready(pod):
            pods.add(metadata["name"])
        elif kind == "ADDED":
            task = asyncio.create_task(self._start(metadata["namespace"], metadata["name"], pod["spec"]))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
        else:
            pods.discard(metadata["name"])

    async def _start(self, namespace: str, name: str, spec: dict[str, Any]) -> None:
        await asyncio.sleep(READY_AFTER_SECONDS)
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if namespace in self.without_image:
            await self._kube.patch(f"{path}/status", {"status": _waiting(spec)})
        while namespace in self.without_image:  # noqa: ASYNC110 - as a kubelet tries again now and then
            await asyncio.sleep(1.0)
        if await self._kube.get(path):
            await self._kube.patch(f"{path}/status", {"status": _running(spec)})


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _running(spec: dict[str, Any]) -> Manifest:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "phase": "Running",
        "startTime": now,
        "podIP": "10.0.0.1",
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("Ready", "Initialized")
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in spec["containers"]
        ],
    }


def _waiting(spec: dict[str, Any]) -> Manifest:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "phase": "Pending",
        "startTime": now,
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now}],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "the registry does not answer"}},
            }
            for container in spec["containers"]
        ],
    }
