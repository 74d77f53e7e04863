"""The loads that the bench sets, and what becomes of spec.replicas under them."""

import math
import time

from benchmarks.faults.kube import Kube
from benchmarks.faults.servers import eventually
from benchmarks.faults.standin import StandIn

TARGET = 20.0
# A number of pods may follow from the load of the last two looks.
_LOOKS_SECONDS = 10.0


class Loads:
    """Requests per second of each namespace, and how many pods they justify."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin
        self._past: dict[str, list[tuple[float, float]]] = {}

    def set(self, namespace: str, load: float) -> None:
        """From now on."""
        self._standin.loads[namespace] = load
        self._past.setdefault(namespace, []).append((time.monotonic(), load))

    def justify(self, namespace: str) -> int:
        """The fewest pods that the load of the last looks justifies."""
        since = time.monotonic() - _LOOKS_SECONDS
        past = self._past.get(namespace, [])
        before = [load for at, load in past if at <= since]
        lowest = min([*before[-1:], *(load for at, load in past if at > since)], default=0.0)
        return math.ceil(lowest / TARGET)


class Replicas:
    """Follows spec.replicas of the apps' Deployments, and notes reductions that no load justifies."""

    def __init__(self, kube: Kube, loads: Loads) -> None:
        self._kube = kube
        self._loads = loads
        self._now: dict[tuple[str, str], int] = {}
        self.wrong: dict[str, list[str]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async for kind, deployment in self._kube.watch("/apis/apps/v1/deployments"):
            if kind != "DELETED":
                metadata = deployment["metadata"]
                self._seen(metadata["namespace"], metadata["name"], deployment["spec"]["replicas"])

    def of(self, namespace: str, name: str = "web") -> int:
        """The number now; of a Deployment that is gone the last one."""
        return self._now.get((namespace, name), 0)

    def forget(self, namespace: str) -> None:
        """The apps are deleted on purpose: they may begin anew."""
        self._now = {key: value for key, value in self._now.items() if key[0] != namespace}

    async def reach(self, namespace: str, number: int, within_seconds: float) -> float | None:
        """Seconds until the number is reached or passed; None where that takes longer."""
        started = time.monotonic()

        async def is_there() -> bool:
            return self.of(namespace) >= number

        return time.monotonic() - started if await eventually(is_there, within_seconds) else None

    def _seen(self, namespace: str, name: str, number: int) -> None:
        before = self._now.get((namespace, name), 0)
        self._now[namespace, name] = number
        if name == "web" and number < before and number < (least := self._loads.justify(namespace)):
            self.wrong.setdefault(namespace, []).append(f"{before} to {number}, the load needs {least}")
