"""One active operator: a Lease of coordination.k8s.io/v1 that is acquired, renewed and released.

As client-go's leader election: a holder that has not renewed for its lease's duration, as seen by the *observer's*
own monotonic clock, has lost it; clocks of different machines are never compared. The holder itself gives up
earlier, at `renew_deadline_seconds`, so that two never act at once.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scalableapp.adapters.kube_api import MERGE_PATCH, KubeApi, Request
from scalableapp.errors import ClusterError, Conflict, NotFound

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """client-go's defaults: 15 s until others may take over, 10 s until the holder gives up, a try every 2 s."""

    duration_seconds: int = 15
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0


class Lease:
    """The right to be the active operator, under `name` in `namespace`. `identity` must differ between processes."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        identity: str,
        *,
        times: LeaseTimes = LeaseTimes(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace, self._name, self._identity, self._times = namespace, name, identity, times
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)
        self._renewed_at = 0.0

    async def acquire(self) -> None:
        """Wait until the Lease is ours; errors are logged and retried."""
        logged = ""
        while True:
            holder = await self._try()
            if holder == self._identity:
                log.info("Lease %s/%s acquired as %s", self._namespace, self._name, self._identity)
                return
            if holder != logged:
                log.info(
                    "Lease %s/%s is held by %s; waiting", self._namespace, self._name, holder or "an unknown holder"
                )
                logged = holder
            await self._pause()

    async def keep(self) -> str:
        """Renew until the Lease is lost; returns why. The process must end then."""
        while True:
            await self._pause()
            left = self._renewed_at + self._times.renew_deadline_seconds - self._clock()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    holder = await self._try()
            except TimeoutError:
                holder = ""
            if holder not in ("", self._identity):
                return f"Lease {self._namespace}/{self._name} was taken over by {holder}"
            silent = self._clock() - self._renewed_at
            if silent >= self._times.renew_deadline_seconds:
                return f"Lease {self._namespace}/{self._name} could not be renewed for {silent:.0f} s"

    async def release(self) -> None:
        """Release it, so that the next holder need not wait. A failure is logged: the Lease then expires."""
        try:
            lease = await self._api.ask(Request("GET", f"{self._path}/{self._name}"), tries=1)
            if lease["spec"].get("holderIdentity") == self._identity:
                await self._write(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except ClusterError as error:
            log.warning("Lease %s/%s could not be released: %s", self._namespace, self._name, error)

    async def _try(self) -> str:
        """Take or renew the Lease if we may. Returns who holds it then, "" when that can't be told."""
        asked_at = self._clock()
        try:
            lease = await self._api.ask(Request("GET", f"{self._path}/{self._name}"), tries=1)
            if not self._free(lease):
                return str(lease["spec"]["holderIdentity"])
            await self._write(lease, self._claim(lease["spec"]))
        except NotFound:
            return await self._create(asked_at)
        except Conflict:
            return ""  # somebody else was faster; the next look shows who
        except ClusterError as error:
            log.warning("Lease %s/%s: %s", self._namespace, self._name, error)
            return ""
        self._renewed_at = asked_at
        return self._identity

    def _free(self, lease: dict[str, Any]) -> bool:
        """Whether it is ours, nobody's, or its holder has been silent for its duration while we watched."""
        spec = lease["spec"]
        holder, version = spec.get("holderIdentity"), lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        silent = self._clock() - self._seen[1]
        return not holder or holder == self._identity or silent > spec.get("leaseDurationSeconds", 0)

    def _claim(self, spec: dict[str, Any]) -> dict[str, Any]:
        now = _micro_time()
        claim = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._times.duration_seconds,
            "renewTime": now,
        }
        if spec.get("holderIdentity") != self._identity:
            claim |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        return claim

    async def _write(self, lease: dict[str, Any], spec: dict[str, Any]) -> None:
        """Patch the Lease that was read; Conflict when it has changed since."""
        body = {"metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]}, "spec": spec}
        request = Request("PATCH", f"{self._path}/{self._name}", body=body, content_type=MERGE_PATCH)
        await self._api.ask(request, tries=1)

    async def _create(self, asked_at: float) -> str:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": self._claim({}),
        }
        try:
            await self._api.ask(Request("POST", self._path, body=body), tries=1)
        except ClusterError as error:
            log.warning("Lease %s/%s could not be created: %s", self._namespace, self._name, error)
            return ""
        self._renewed_at = asked_at
        return self._identity

    async def _pause(self) -> None:
        await asyncio.sleep(self._times.retry_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter is no secret


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
