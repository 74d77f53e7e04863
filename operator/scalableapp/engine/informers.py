"""What keeps the registry up to date in addition to the watches: pods, other autoscalers, and what a watch cannot see.

A watch that restarts after a gap does not report what was deleted meanwhile; a list of metadata does.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count
from typing import Any, TypeVar

from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.podwatch import PodWatch
from scalableapp.adapters.watch import Gone, Listed, Seen, Unserved, Watch
from scalableapp.core.api.routing_fields import Route
from scalableapp.core.children.resources import API_VERSION, KIND, LABEL_MANAGED_BY, MANAGED_BY
from scalableapp.core.children.routing import API_VERSIONS, HTTP_ROUTE
from scalableapp.core.model import AppKey, ChildId
from scalableapp.core.size import SizeConflict
from scalableapp.engine.mounts import Mounts
from scalableapp.engine.registry import NOT_CHECKED, Registry, child_of
from scalableapp.engine.workqueue import AsyncWorkQueue
from scalableapp.errors import ClusterError, Unavailable

log = logging.getLogger(__name__)

CHILD_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
# HPA's own period: an HPA that is laid on an app acts no sooner.
AUTOSCALERS_SECONDS = 15.0
# Sizes are not raised in a namespace whose limits are not known; those of a new one are read soon.
UNKNOWN_LIMITS_SECONDS = 5.0
# Nodes, LimitRanges and quotas seldom change; a size that no longer fits is rolled back: once a minute.
LIMITS_EVERY = 12
# The kubelet takes about a minute to bring a changed ConfigMap into a pod.
MOUNTS_SECONDS = 30.0
RESYNC_SECONDS = 300.0
# All apps come in turn over this time after a resync, so that they do not come at once.
RESYNC_SPREAD_SECONDS = 60.0
FIRST_LISTS_SECONDS = 60.0
LISTED_AGAIN_SECONDS = 2.0
_GLANCE_SECONDS = 0.05
# The kinds of children that Kopf watches, each with its API version.
CHILD_KINDS = {
    "Deployment": "apps/v1",
    "Service": "v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
}
_NO_GATEWAY_API = (
    f"the cluster does not support {API_VERSIONS[HTTP_ROUTE]}; install the Gateway API CRDs (standard channel) and an "
    "implementation, or use spec.ingress instead of spec.route. The operator checks again every 30 s"
)


class Informers:
    """Tasks that run in parallel with the loop; each runs until cancelled and survives what the cluster does.

    `kinds` are the kinds of children with their API versions; the namespace "" stands for all.
    """

    def __init__(
        self,
        registry: Registry,
        queue: AsyncWorkQueue,
        client: KubeClient,
        kinds: Mapping[str, str],
        namespaces: tuple[str, ...],
    ) -> None:
        self._registry = registry
        self._queue = queue
        self._client = client
        self._kinds = kinds
        self._namespaces = namespaces

    async def follow_pods(self, watch: PodWatch, listed: Callable[[], None]) -> None:
        """Keep the registry's pods as `watch` reports; `listed` is called once all existing pods were reported."""
        async for event in watch.events():
            if isinstance(event, Listed):
                listed()
            elif self._is_target(event.key):
                continue  # the label is nothing to go by: its pods are those of a workload (targets.py)
            elif event.pod:
                if due := self._registry.pod_seen(event.key, event.pod):
                    self._queue.add(due)
            else:
                self._registry.pod_gone(event.key, event.name)

    def _is_target(self, key: AppKey) -> bool:
        record = self._registry.get(key)
        return record is not None and record.target is not None

    async def follow_routes(self, watch: Watch, listed: Callable[[], None]) -> None:
        """Keep up with HTTPRoutes, and with whether the cluster serves them; `listed` is called when that is known."""
        async for change in watch.changes():
            due = None
            match change:
                case Seen(body):
                    due = self._seen(body)
                case Gone(namespace, name):
                    due = self._registry.child_lost(AppKey(namespace, name), ChildId(HTTP_ROUTE, name))
                case Unserved(reason, denied):
                    self._gateway_api(reason if denied else _NO_GATEWAY_API)
                    listed()
                case Listed():
                    self._gateway_api("")
                    listed()
            if due:
                self._queue.add(due)

    def _seen(self, body: Mapping[str, Any]) -> AppKey | None:
        """See Registry.child_seen. An object that cannot be parsed costs nobody the watch."""
        try:
            return self._registry.child_seen(body)
        except Exception:
            log.exception("An HTTPRoute cannot be parsed and is ignored")
            return None

    def _gateway_api(self, missing: str) -> None:
        """Note whether HTTPRoutes can be created; the apps that use one are reconciled when that changes."""
        if self._registry.no_gateway_api == missing:
            return
        first = self._registry.no_gateway_api == NOT_CHECKED
        log.log(logging.DEBUG if first else logging.INFO, "HTTPRoutes: %s", missing or "supported by the cluster")
        self._registry.no_gateway_api = missing
        if missing == _NO_GATEWAY_API:
            for key, child in self._registry.children_of(HTTP_ROUTE):
                self._registry.child_lost(key, child)
        for record in self._registry.apps():
            if record.spec and isinstance(record.spec.entry_point, Route):
                self._queue.add(record.key)

    async def follow_sources(self, watch: Watch, listed: Callable[[], None]) -> None:
        """Keep up with RequestSources; `listed` is called when all are known. The next look goes by them."""
        async for change in watch.changes():
            match change:
                case Seen(body):
                    if problem := self._registry.sources.seen(body):
                        log.warning("RequestSource %s cannot be used: %s", body["metadata"]["name"], problem)
                case Gone(_, name):
                    self._registry.sources.gone(name)
                case Unserved(reason):
                    log.info("Only the request sources that come with the operator are known: %s", reason)
                    listed()
                case Listed():
                    listed()

    async def follow_autoscalers(self) -> None:
        """Keep up with other autoscalers; an app that gets or loses one is reconciled."""
        while True:
            try:
                await self.refresh_autoscalers()
            except ClusterError as error:
                log.warning(
                    "Other autoscalers could not be listed; next attempt in %.0f s: %s", AUTOSCALERS_SECONDS, error
                )
            except Exception:
                log.exception("An autoscaler cannot be parsed; those of before count until the next list")
            await asyncio.sleep(AUTOSCALERS_SECONDS * _spread())

    async def follow_mounts(self) -> None:
        """Keep up with what apps mount; an app whose ConfigMap or Secret has changed is rolled out."""
        mounts = Mounts(self._registry, self._client)
        while True:
            await asyncio.sleep(MOUNTS_SECONDS * _spread())
            try:
                for key in await mounts.refresh():
                    self._queue.add(key)
            except Exception:
                log.exception("A mounted ConfigMap or Secret cannot be parsed; it will be looked at again")

    async def follow_limits(self) -> None:
        """Keep up with what bounds the size of pods, where sizes are decided on at all; soon where that is new."""
        for number in count():
            try:
                await self.refresh_limits(only_unknown=number % LIMITS_EVERY != 0)
            except ClusterError as error:
                log.warning("Size limits could not be read and will be again: %s", error)
            except Exception:
                log.exception("Size limits cannot be parsed; those of before still apply")
            await asyncio.sleep(UNKNOWN_LIMITS_SECONDS * _spread())

    async def refresh_limits(self, *, only_unknown: bool = False) -> None:
        """Once. Raises ClusterError."""
        namespaces = {record.key.namespace for record in self._registry.apps() if record.sizes}
        known = {name: limits for name, limits in self._registry.namespace_limits.items() if name in namespaces}
        if wanted := namespaces - known.keys() if only_unknown else namespaces:
            self._registry.namespace_limits = known | await self._client.list_limits(wanted)

    async def refresh_autoscalers(self) -> None:
        """Once. Raises the last ClusterError; where lists fail, what is known of that namespace remains."""
        found: dict[AppKey, str] = {}
        sizing: dict[AppKey, SizeConflict] = {}
        failure: ClusterError | None = None
        for namespace in self._namespaces:
            try:
                found |= await self._client.list_autoscalers(namespace)
                sizing |= await self._client.list_resizers(namespace)
            except ClusterError as error:
                failure = error
                found |= _within(self._registry.autoscalers, namespace)
                sizing |= _within(self._registry.resizers, namespace)
        self._note_autoscalers(found, sizing)
        if failure:
            raise failure

    def _note_autoscalers(self, found: Mapping[AppKey, str], sizing: Mapping[AppKey, SizeConflict]) -> None:
        """Whose autoscalers have changed is reconciled."""
        changed = dict(found.items() ^ self._registry.autoscalers.items())
        changed |= dict.fromkeys(dict(sizing.items() ^ self._registry.resizers.items()), "")
        self._registry.autoscalers, self._registry.resizers = found, sizing
        for key in changed:
            if self._registry.get(key):
                self._queue.add(key)

    async def resync(self) -> None:
        """From time to time, drop what is gone without a word and look at every app."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS * _spread())
            try:
                await self.resync_once()
            except ClusterError as error:
                log.warning("Resync failed; the next one starts in about %.0f s: %s", RESYNC_SECONDS, error)
            except Exception:
                log.exception("Resync failed; the next one starts in about %.0f s", RESYNC_SECONDS)

    async def resync_once(self) -> None:
        """Once. Raises ClusterError."""
        known = [record.key for record in self._registry.apps()]
        existing = {key async for key in self._apps()}
        for key in self._registry.keep_only(existing, known):
            log.warning("%s: the ScalableApp is gone and its deletion was missed; removed now", key)
            self._queue.forget(key)
        for kind in self._kinds:
            await self._resync_children(kind)
        for record in self._registry.apps():
            if record.key not in self._queue:
                self._queue.add(record.key, RESYNC_SPREAD_SECONDS * random.random())  # noqa: S311 - spreads load

    async def first_lists(self) -> None:
        """Wait until the watches have reported all existing objects. Raises ClusterError.

        For single objects a minute at most; but where no app at all was reported, the watches do not work, and
        nothing would ever be done: Unavailable.
        """
        if await self._first_lists():
            return
        if not len(self._registry) and [key async for key in self._apps()]:
            raise Unavailable(
                f"no watch has reported a ScalableApp within {FIRST_LISTS_SECONDS:.0f} s, although there are some"
            )
        log.warning("The watches have not reported all existing objects within %.0f s; continuing", FIRST_LISTS_SECONDS)

    async def _first_lists(self) -> bool:
        """Whether the watches have reported all existing objects in time."""
        try:
            async with asyncio.timeout(FIRST_LISTS_SECONDS):
                while missing := await self._unreported():
                    log.debug("%d objects have not been reported yet, such as %s", len(missing), missing[0])
                    if await self._come(missing):
                        break
        except TimeoutError:
            return False
        return True

    async def _unreported(self) -> list[tuple[AppKey, ChildId | None]]:
        """Existing apps (without a child) and children that no watch has reported."""
        existing: list[tuple[AppKey, ChildId | None]] = [(key, None) async for key in self._apps()]
        existing += [found for kind in self._kinds async for found in self._children(kind)]
        return [entry for entry in existing if not self._reported(*entry)]

    async def _come(self, missing: list[tuple[AppKey, ChildId | None]]) -> bool:
        """Whether all of them are reported soon: one that is deleted meanwhile never is."""
        for _ in range(int(LISTED_AGAIN_SECONDS / _GLANCE_SECONDS)):
            missing = [entry for entry in missing if not self._reported(*entry)]
            if not missing:
                return True
            await asyncio.sleep(_GLANCE_SECONDS)
        return False

    def _reported(self, key: AppKey, child: ChildId | None) -> bool:
        return self._registry.has_child(key, child) if child else self._registry.get(key) is not None

    async def _resync_children(self, kind: str) -> None:
        known = self._registry.children_of(kind)
        existing = {found async for found in self._children(kind)}
        for key, child in known:
            if (key, child) not in existing and (due := self._registry.child_lost(key, child)):
                log.warning("%s: its %s %s is gone and the deletion was missed; recreated now", key, *child)
                self._queue.add(due)

    async def _apps(self) -> AsyncIterator[AppKey]:
        async for metadata in self._listed(API_VERSION, KIND, ""):
            yield AppKey(metadata["namespace"], metadata["name"])

    async def _children(self, kind: str) -> AsyncIterator[tuple[AppKey, ChildId]]:
        async for metadata in self._listed(self._kinds[kind], kind, CHILD_SELECTOR):
            if found := child_of(kind, metadata):
                yield found

    async def _listed(self, api_version: str, kind: str, labels: str) -> AsyncIterator[Any]:
        for namespace in self._namespaces:
            async for metadata in self._client.list_metadata(api_version, kind, namespace, labels):
                yield metadata


_T = TypeVar("_T")


def _within(known: Mapping[AppKey, _T], namespace: str) -> dict[AppKey, _T]:
    """What is known of a namespace, "" for all."""
    return {key: value for key, value in known.items() if namespace in ("", key.namespace)}


def _spread() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - jitter is no secret
