"""From a process that has just started, or whose term has ended, to one that acts: again and again.

What has to be there comes in a fixed order: the API server, the CRD, the right to watch, the Lease, all existing
objects (adapters/progress.py has the stages). Whatever ClusterError ends an attempt or a term, the next attempt
follows after a short pause. Nothing but an internal error ends this.
"""

import asyncio
import gc
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from scalableapp.adapters.lease import LeaseLost
from scalableapp.adapters.progress import Stage
from scalableapp.core.children.resources import API_VERSION, KIND, ClusterFeatures
from scalableapp.engine.informers import CHILD_KINDS
from scalableapp.errors import ClusterError, NotFound, Unavailable
from scalableapp.settings import Settings
from scalableapp.term import Clients, Term

log = logging.getLogger(__name__)

# What a term cannot do without being allowed to list it.
_WATCHED = {KIND: API_VERSION, **CHILD_KINDS, "Pod": "v1"}

_RETURNS_COUNT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between attempts, within which the API server has to answer the first request, and so on.

    An API server that answers again is noticed within answer_seconds + longest_pause_seconds. A namespace that returns
    for the second time in an hour must have stayed for `steady_seconds` before it is served, and twice as long each
    time after that.
    """

    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 1.5
    answer_seconds: float = 2.5
    namespaces_seconds: float = 2.0
    steady_seconds: float = 15.0
    longest_steady_seconds: float = 300.0


class Supervisor:
    """Waits for what the operator needs, has it act, and waits again."""

    def __init__(self, settings: Settings, clients: Clients, pace: Pace = Pace()) -> None:
        self._settings = settings
        self._clients = clients
        self._pace = pace
        self._stage = Stage.API
        self._term: Term | None = None
        self._returns: dict[str, list[float]] = {}

    def alive(self) -> tuple[bool, str]:
        """Whether the process does what it can, and in words what it does not. Asked from another thread."""
        why = self._clients.telemetry.hangs() or (self._term.stalled() if self._term else "")
        return not why, why or "running"

    async def run(self) -> NoReturn:
        """Until cancelled. What is raised is an internal error."""
        pause = self._pace.first_pause_seconds
        self._clients.progress.waits(Stage.API)
        while True:
            begun = time.monotonic()
            try:
                await self._attempt()
            except ClusterError as error:
                stage = Stage.LEASE if isinstance(error, LeaseLost) else self._stage
                self._clients.progress.waits(stage, str(error))
            if time.monotonic() - begun > 10 * self._pace.longest_pause_seconds:
                pause = self._pace.first_pause_seconds
            await asyncio.sleep(pause * _jitter())
            # The memory of all apps is in cycles with what ended the term, and there is no room for that of two terms.
            gc.collect()
            pause = min(self._pace.longest_pause_seconds, pause * 2)

    async def _attempt(self) -> None:
        """Through all stages, and a term. Raises ClusterError with what is not there, or what ended the term."""
        self._stage = Stage.API
        features = await self._reach()
        self._stage = Stage.CRD
        await self._require_crd()
        self._stage = Stage.NAMESPACES
        served, unwatched = await self._namespaces()
        self._stage = Stage.LEASE
        await self._clients.lease.acquire(self._stand_by)
        self._stage = Stage.LISTS
        self._clients.progress.waits(Stage.LISTS)
        self._clients.progress.unwatched(unwatched)
        await self._act(Term(self._settings, self._clients, features, served), unwatched)

    async def _act(self, term: Term, unwatched: dict[str, str]) -> None:
        self._term = term
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(term.run(), name="term")
                if unwatched:
                    group.create_task(self._follow_namespaces(tuple(unwatched)), name="namespaces")
        except BaseExceptionGroup as failures:
            raise _cause(failures) from failures
        finally:
            self._term = None

    async def _reach(self) -> ClusterFeatures:
        try:
            async with asyncio.timeout(self._pace.answer_seconds):
                found = await self._clients.cluster.features()
        except TimeoutError:
            raise Unavailable("the Kubernetes API does not answer") from None
        return replace(found, redis_image=self._settings.redis_image, pod_template=self._settings.pod_policy)

    async def _require_crd(self) -> None:
        if not await self._clients.cluster.serves(API_VERSION, KIND):
            raise NotFound("the ScalableApp CRD is not installed; install it: kubectl apply -f crds/")

    def _stand_by(self, holder: str) -> None:
        self._clients.progress.waits(Stage.STANDBY, f"{self._clients.lease} is held by {holder}")

    async def _namespaces(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """Those that can be watched, and those that cannot with the reason. Raises Unavailable without any."""
        wanted = self._settings.namespaces or ("",)
        reasons = await asyncio.gather(*map(self._why_unwatched, wanted))
        unwatched = {name: why for name, why in zip(wanted, reasons, strict=True) if why}
        if len(unwatched) == len(wanted):
            raise Unavailable(next(iter(unwatched.values())))
        return tuple(name for name in wanted if name not in unwatched), unwatched

    async def _follow_namespaces(self, unwatched: tuple[str, ...]) -> None:
        """Raises Unavailable when one of them can be watched: a new term serves it, too."""
        since: dict[str, float] = {}
        while True:
            await asyncio.sleep(self._pace.namespaces_seconds * _jitter())
            for namespace in unwatched:
                if await self._why_unwatched(namespace):
                    since.pop(namespace, None)
                elif self._stays(namespace, since.setdefault(namespace, time.monotonic())):
                    raise Unavailable(f"namespace {namespace} can be watched now; listing again together with it")

    def _stays(self, namespace: str, since: float) -> bool:
        """Whether a namespace that can be watched since then is to be served: each time costs a list of everything."""
        now = time.monotonic()
        returns = [at for at in self._returns.get(namespace, ()) if now - at < _RETURNS_COUNT_SECONDS]
        steady = self._pace.steady_seconds * 2 ** (len(returns) - 1) if returns else 0.0
        if now - since < min(steady, self._pace.longest_steady_seconds):
            return False
        self._returns[namespace] = [*returns, now]
        return True

    async def _why_unwatched(self, namespace: str) -> str:
        """Why the operator cannot work in a namespace ("": in all); "" when it can."""
        why_not = self._clients.cluster.why_not_listed
        answers = await asyncio.gather(*(why_not(version, kind, namespace) for kind, version in _WATCHED.items()))
        return next(filter(None, answers), "")


def _cause(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """What made a group of tasks fail: an internal error before all else, or the first."""
    causes = list(_leaves(failures))
    return next((error for error in causes if not isinstance(error, ClusterError)), causes[0])


def _leaves(failure: BaseException) -> Iterator[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        for inner in failure.exceptions:
            yield from _leaves(inner)
    else:
        yield failure


def _jitter() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
