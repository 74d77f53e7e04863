"""One active operator: a Lease of coordination.k8s.io/v1 that is acquired, renewed and released.

As client-go's leader election: a holder that has not renewed for its lease's duration, as seen by the *observer's*
own monotonic clock, has lost it; clocks of different machines are never compared. The holder itself gives up
earlier, at `renew_deadline_seconds`, so that two never act at once. What it writes is checked against that deadline
before it is sent (`why_not`), as a process that was stopped for a while wakes up in the middle of its work.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scalableapp.adapters.kube_api import MERGE_PATCH, KubeApi, Request
from scalableapp.errors import ClusterError, Conflict, NotFound, Unavailable

log = logging.getLogger(__name__)


class LeaseLost(Unavailable):
    """The Lease is held no more: another operator may act."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """client-go's defaults: 15 s until others may take over, 10 s until the holder gives up, a try every 2 s.

    `release_seconds` bounds the release, so that an API server that hangs does not hold up the end of the process.
    """

    duration_seconds: int = 15
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0
    release_seconds: float = 1.5


class Lease:
    """The right to be the active operator, under `name` in `namespace`. `identity` must differ between processes.

    `api` should serve nothing else: a renewal must not wait behind other requests.
    """

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
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{name}"
        self._namespace, self._name, self._identity, self._times = namespace, name, identity, times
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)
        self._held_until = float("-inf")
        self._ours: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    def why_not(self) -> str:
        """Why nothing may be written now; "" while the Lease is surely held."""
        return "" if self._clock() < self._held_until else f"the {self} is not held"

    async def acquire(self, waits: Callable[[str], None] = lambda _holder: None) -> None:
        """Wait until the Lease is ours; `waits` is told who holds it instead. Raises ClusterError."""
        held = self._ours is not None
        while (holder := await self._try()) != self._identity:
            held = False
            if holder:
                waits(holder)
            await self._pause()
        if not held:
            log.info("%s acquired as %s", self, self._identity)

    async def renewals(self) -> AsyncIterator[str]:
        """Renew it again and again: "" after a success, else what went wrong. Raises LeaseLost."""
        trouble = ""
        while True:
            await self._pause()
            try:
                async with asyncio.timeout(max(0.0, self._held_until - self._clock())):
                    holder, trouble = await self._try(), ""
            except ClusterError as error:
                holder, trouble = "", str(error)
            except TimeoutError:
                holder, trouble = "", trouble or "the Kubernetes API does not answer"
            if holder not in ("", self._identity):
                self._held_until = float("-inf")
                raise LeaseLost(f"{self} was taken over by {holder}")
            if self.why_not():
                raise LeaseLost(
                    f"{self} could not be renewed within {self._times.renew_deadline_seconds:g} s: {trouble}"
                )
            yield trouble

    async def release(self) -> None:
        """Release it, so that the next holder need not wait. A failure is logged: the Lease then expires."""
        self._held_until = float("-inf")
        lease, self._ours = self._ours, None
        if lease is None:
            return
        try:
            async with asyncio.timeout(self._times.release_seconds):
                await self._write(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except Conflict:
            return  # another holder already
        except (ClusterError, TimeoutError) as error:
            log.warning("%s could not be released, and expires: %s", self, str(error) or "no answer in time")

    async def _try(self) -> str:
        """Take or renew the Lease if we may. Returns who holds it then, "" when that can't be told yet.

        One request while it stays ours. Raises ClusterError.
        """
        try:
            return await self._take()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(f"{self}: the answer of the Kubernetes API cannot be read: {error!r}") from error

    async def _take(self) -> str:
        asked_at, known = self._clock(), self._ours
        try:
            lease = known or await self._read()
            if lease and not self._free(lease):
                return str(lease["spec"]["holderIdentity"])
            written = await (self._write(lease, self._claim(lease.get("spec") or {})) if lease else self._create())
        except (Conflict, NotFound) as error:
            if known:
                # Taken over, deleted, or our last renewal was carried out though not answered: look again.
                self._ours = None
                return await self._take()
            if isinstance(error, NotFound):
                raise
            return ""  # somebody else was faster; the next look shows who
        self._ours = {key: written[key] for key in ("metadata", "spec")}
        self._held_until = asked_at + self._times.renew_deadline_seconds
        return self._identity

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._api.ask(Request("GET", self._path), tries=1)
        except NotFound:
            return None

    async def _create(self) -> dict[str, Any]:
        metadata = {"namespace": self._namespace, "name": self._name}
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": self._claim({})}
        return await self._api.ask(Request("POST", self._collection, body=body), tries=1)

    def _free(self, lease: dict[str, Any]) -> bool:
        """Whether it is ours, nobody's, or its holder has been silent for its duration while we watched."""
        spec = lease.get("spec") or {}
        holder, version = spec.get("holderIdentity"), lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        silent = self._clock() - self._seen[1]
        return not holder or holder == self._identity or silent > (spec.get("leaseDurationSeconds") or 0)

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

    async def _write(self, lease: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """Patch the Lease as it was last known; Conflict when it has changed since."""
        body = {"metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]}, "spec": spec}
        request = Request("PATCH", self._path, body=body, content_type=MERGE_PATCH)
        return await self._api.ask(request, tries=1)

    async def _pause(self) -> None:
        await asyncio.sleep(self._times.retry_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter is no secret


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
