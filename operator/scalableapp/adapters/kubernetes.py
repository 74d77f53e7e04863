"""The Kubernetes API as the operator uses it: children, replicas, status, events, lists.

Its verbs are the operator's RBAC: what is not called here or in podwatch.py and lease.py needs no right.
"""

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from scalableapp.adapters import other_autoscalers
from scalableapp.adapters.kube_api import (
    APPLY_PATCH,
    MERGE_PATCH,
    METADATA_LIST,
    STRATEGIC_PATCH,
    Invalid,
    KubeApi,
    Request,
    collection,
)
from scalableapp.adapters.scales import SCALE_MANAGER, Scales
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.children.drift import owned_by
from scalableapp.core.children.mounts import CONFIG_MAP, Source, Version, config_map_version, secret_version
from scalableapp.core.children.resources import API_VERSION, CONTAINER, KIND, LABEL_APP, MANAGED_BY, ClusterFeatures
from scalableapp.core.model import AppKey
from scalableapp.core.size import Resource, Size, SizeConflict, write_size
from scalableapp.core.vertical.limits import NamespaceLimits, largest_node, namespace_limits
from scalableapp.errors import ClusterError, NotFound, Rejected, Unavailable
from scalableapp.ports import Event, Manifest

log = logging.getLogger(__name__)

# Subresources get managers of their own: what server-side apply does not own it can't reset.
RESIZE_MANAGER = f"{MANAGED_BY}-resize"

_PLURALS = {
    "Deployment": "deployments",
    "Service": "services",
    "Ingress": "ingresses",
    "HTTPRoute": "httproutes",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "NetworkPolicy": "networkpolicies",
    "Pod": "pods",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "ScalableApp": "scalableapps",
}

# client-go aggregates for 10 minutes too; a thousand different events in that time is more than people read.
_SAME_EVENT_SECONDS = 600.0
_EVENTS_REMEMBERED = 1000
_EVENT_MESSAGE_LENGTH = 1024


class KubeClient:
    """Implements ports.Cluster, and lists what else the operator must know. Raises only ClusterError and its kinds."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self.scales = Scales(api)
        self._events = _Recent()

    async def read(self, manifest: Manifest) -> Manifest | None:
        """The live object that `manifest` names, None when there is none."""
        try:
            return await self._once(Request("GET", _path(manifest)))
        except NotFound:
            return None

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply; takes over fields that others have set, as controllers do.

        Where somebody has changed the key of a list's entry (a port's number), apply would add ours beside theirs
        and the object would be invalid: then its lists are replaced by ours first.
        """
        return await self._apply(manifest)

    async def check(self, manifest: Manifest) -> None:
        """Whether `apply` would succeed: a dry run of it, which changes nothing. Raises what it would raise."""
        await self._apply(manifest, {"dryRun": "All"})

    async def _apply(self, manifest: Manifest, options: Mapping[str, str] = MappingProxyType({})) -> Manifest:
        query = {"fieldManager": MANAGED_BY, "force": "true", **options}
        request = Request("PATCH", _path(manifest), query, manifest, APPLY_PATCH)
        try:
            return await self._once(request)
        except Invalid as error:
            try:
                replaced = {"fieldManager": MANAGED_BY, **options}
                live = await self._once(Request("PATCH", _path(manifest), replaced, manifest, MERGE_PATCH))
            except ClusterError:
                raise error from None
        return live if options else await self._once(request)

    async def delete(self, manifest: Manifest) -> None:
        """Delete the named object (only that of the same uid, when one is given); done when it is gone already."""
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid := manifest["metadata"].get("uid"):
            options["preconditions"] = {"uid": uid}
        try:
            await self._once(Request("DELETE", _path(manifest), body=options))
        except NotFound:
            return

    async def scale(self, key: AppKey, replicas: int) -> None:
        """Set the Deployment's replicas through its scale subresource."""
        path = f"/apis/apps/v1/namespaces/{key.namespace}/deployments/{key.name}/scale"
        body = {"spec": {"replicas": replicas}}
        await self._once(Request("PATCH", path, {"fieldManager": SCALE_MANAGER}, body, MERGE_PATCH))

    async def scale_target(self, namespace: str, target: TargetRef, replicas: int) -> None:
        """Set the replicas of a workload that somebody else manages. Raises Denied with the rule that is missing."""
        await self.scales.write(namespace, target, replicas)

    async def keep_replicas(self, key: AppKey, replicas: int) -> None:
        """By apply without force: merging in the number that is there would own nothing."""
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"namespace": key.namespace, "name": key.name},
            "spec": {"replicas": replicas},
        }
        await self._once(Request("PATCH", _path(body), {"fieldManager": SCALE_MANAGER}, body, APPLY_PATCH))

    async def resize(self, key: AppKey, pod: str, size: Size) -> None:
        """Give a running pod another size in place, through its resize subresource."""
        path = f"/api/v1/namespaces/{key.namespace}/pods/{pod}/resize"
        await self._once(Request("PATCH", path, {"fieldManager": RESIZE_MANAGER}, _sized(size), STRATEGIC_PATCH))

    async def resize_later_pods(self, deployment: Manifest, size: Size) -> None:
        """Give the template of a Deployment's present ReplicaSet another size: its pods stay, later ones have it.

        Raises NotFound when there is none.
        """
        metadata = deployment["metadata"]
        path = collection("apps/v1", "replicasets", metadata["namespace"])
        query = {"labelSelector": f"{LABEL_APP}={metadata['name']}"}
        pages = self._api.pages(Request("GET", path, query, accept=METADATA_LIST))
        owned = [item async for page in pages for item in page.get("items") or () if owned_by(item, metadata["uid"])]
        if not owned:
            raise NotFound(f"Deployment {metadata['namespace']}/{metadata['name']} has no ReplicaSet")
        name = max(owned, key=_revision)["metadata"]["name"]
        body = {"spec": {"template": _sized(size, replace=True)}}
        await self._once(Request("PATCH", f"{path}/{name}", {"fieldManager": RESIZE_MANAGER}, body, STRATEGIC_PATCH))

    async def patch_status(self, key: AppKey, status: Mapping[str, Any]) -> Manifest:
        """Merge-patch the ScalableApp's status; None removes a field. Returns the status afterwards."""
        path = f"/apis/{API_VERSION}/namespaces/{key.namespace}/scalableapps/{key.name}/status"
        request = Request("PATCH", path, {"fieldManager": MANAGED_BY}, {"status": dict(status)}, MERGE_PATCH)
        return (await self._once(request)).get("status") or {}

    async def _once(self, request: Request) -> dict[str, Any]:
        """Without retries, which would hold up a worker, and with it the apps of others: the work queue tries again."""
        return await self._api.ask(request, tries=1)

    async def emit(self, event: Event) -> None:
        """Post an Event, or count up the same one of the last 10 minutes. A failure is logged, never raised."""
        try:
            await self._emit(event)
        except ClusterError as error:
            log.warning("%s: the Event %s could not be created: %s", event.key, event.reason, error)

    async def _emit(self, event: Event) -> None:
        path = f"/api/v1/namespaces/{event.key.namespace}/events"
        now = datetime.now(UTC)
        seen = self._events.get(event)
        if seen:
            body: dict[str, Any] = {"count": seen.count + 1, "lastTimestamp": _timestamp(now)}
            try:
                await self._api.ask(
                    Request("PATCH", f"{path}/{seen.name}", body=body, content_type=MERGE_PATCH), tries=1
                )
            except NotFound:
                seen = None
        name = seen.name if seen else _event_name(event, now)
        if not seen:
            await self._api.ask(Request("POST", path, body=_event(event, name, now)), tries=1)
        self._events.put(event, name, seen.count + 1 if seen else 1)

    async def list_metadata(
        self, api_version: str, kind: str, namespace: str = "", labels: str = ""
    ) -> AsyncIterator[Any]:
        """The metadata of all objects of a kind, page by page (for resync). `labels` is a label selector.

        Raises Expired when the list changed too much meanwhile: what came so far is no full list.
        """
        path = _collection(api_version, kind, namespace)
        query = {"labelSelector": labels} if labels else {}
        async for page in self._api.pages(Request("GET", path, query, accept=METADATA_LIST)):
            for item in page.get("items") or ():
                yield item["metadata"]

    async def resource_versions(self, namespace: str, kind: str) -> dict[str, str]:
        """The resource version of each ConfigMap or Secret of a namespace, by name."""
        listed = self.list_metadata("v1", kind, namespace)
        return {metadata["name"]: str(metadata["resourceVersion"]) async for metadata in listed}

    async def mount_version(self, namespace: str, source: Source) -> Version | None:
        """What a ConfigMap holds now, in short, or the metadata of a Secret; None where there is none."""
        path = collection("v1", _PLURALS[source.kind], namespace)
        try:
            if source.kind == CONFIG_MAP:
                return config_map_version(await self._once(Request("GET", f"{path}/{source.name}")))
        except NotFound:
            return None
        query = {"fieldSelector": f"metadata.name={source.name}"}
        found = (await self._once(Request("GET", path, query, accept=METADATA_LIST))).get("items") or ()
        return next((secret_version(item["metadata"]) for item in found), None)

    async def list_autoscalers(self, namespace: str = "") -> dict[AppKey, str]:
        """See other_autoscalers.list_autoscalers."""
        return await other_autoscalers.list_autoscalers(self._api, namespace)

    async def list_resizers(self, namespace: str = "") -> dict[AppKey, SizeConflict]:
        """See other_autoscalers.list_resizers."""
        return await other_autoscalers.list_resizers(self._api, namespace)

    async def list_limits(self, namespaces: Collection[str]) -> dict[str, NamespaceLimits]:
        """What bounds the size of pods in each of the namespaces. What the operator may not read bounds nothing.

        A namespace whose bounds could not be read now is left out. Raises ClusterError where nodes could not be.
        """
        nodes = largest_node(await self._readable("/api/v1/nodes"))
        found = {}
        for namespace in namespaces:
            try:
                found[namespace] = await self._limits(nodes, namespace)
            except Unavailable as error:
                log.warning("Size limits in %s could not be read; the previous ones still apply: %s", namespace, error)
        return found

    async def _limits(self, nodes: Mapping[Resource, float], namespace: str) -> NamespaceLimits:
        ranges = await self._readable(f"/api/v1/namespaces/{namespace}/limitranges")
        quotas = await self._readable(f"/api/v1/namespaces/{namespace}/resourcequotas")
        limits = namespace_limits(nodes, ranges, quotas)
        if limits.unread:
            log.warning(
                "%s: sizes are not raised, since a limit cannot be read: %s", namespace, "; ".join(limits.unread)
            )
        return limits

    async def _readable(self, path: str) -> list[Manifest]:
        """All objects of a list, as far as limits need them; none where the operator has no right to read them."""
        try:
            pages = self._api.pages(Request("GET", path))
            return [_slim(item) async for page in pages for item in page.get("items") or ()]
        except Rejected:
            return []

    async def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster serves a kind, by discovery."""
        try:
            return any(entry.get("kind") == kind for entry in await self._resources(f"/apis/{api_version}"))
        except NotFound:
            return False

    async def why_not_listed(self, api_version: str, kind: str, namespace: str) -> str:
        """Why objects of a kind cannot be listed in a namespace; "" when they can, or the kind is not served."""
        path = _collection(api_version, kind, namespace)
        try:
            await self._api.ask(Request("GET", path, {"limit": "1"}, accept=METADATA_LIST), tries=1)
        except NotFound:
            return ""
        except ClusterError as error:
            return str(error)
        return ""

    async def features(self) -> ClusterFeatures:
        """What the cluster serves, by discovery."""
        core = await self._resources("/api/v1")
        return ClusterFeatures(resize=any(entry.get("name") == "pods/resize" for entry in core))

    async def _resources(self, path: str) -> list[Manifest]:
        found = (await self._api.ask(Request("GET", path))).get("resources")
        if not isinstance(found, list):
            raise Unavailable(f"GET {path}: the answer is not a list of resources, as a Kubernetes API gives")
        return found


def _sized(size: Size, *, replace: bool = False) -> Manifest:
    """A patch of a pod or a pod template; with `replace`, without what stood there before."""
    resources: Manifest = {**write_size(size), **({"$patch": "replace"} if replace else {})}
    return {"spec": {"containers": [{"name": CONTAINER, "resources": resources}]}}


def _slim(value: Any) -> Any:
    """What limits need of a node, a LimitRange or a ResourceQuota; nodes list all their images, for one."""
    if isinstance(value, Mapping):
        return {name: _slim(inner) for name, inner in value.items() if name in _LIMITING}
    return [_slim(inner) for inner in value] if isinstance(value, list) else value


_LIMITING = {
    *("metadata", "name", "spec", "status", "unschedulable", "allocatable", "hard", "used", "scopes", "scopeSelector"),
    *("matchExpressions", "scopeName", "operator", "values"),
    *("limits", "type", "min", "max", "default", "maxLimitRequestRatio"),
    *(f"{kind}{resource}" for kind in ("", "requests.", "limits.") for resource in Resource),
}


def _revision(replica_set: Manifest) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", 0))


def _collection(api_version: str, kind: str, namespace: str) -> str:
    return collection(api_version, _PLURALS[kind], namespace)


def _path(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return f"{_collection(manifest['apiVersion'], manifest['kind'], metadata['namespace'])}/{metadata['name']}"


def _timestamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _event_name(event: Event, now: datetime) -> str:
    """Unique, and as client-go names them: the object, a dot, a time."""
    return (
        f"{event.key.name}.{int(now.timestamp() * 1_000_000):x}.{hashlib.sha256(repr(event).encode()).hexdigest()[:6]}"
    )


def _event(event: Event, name: str, now: datetime) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": event.key.namespace, "name": name},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": event.key.namespace,
            "name": event.key.name,
            "uid": event.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_EVENT_MESSAGE_LENGTH],
        "source": {"component": MANAGED_BY},
        "reportingComponent": MANAGED_BY,
        "reportingInstance": MANAGED_BY,
        "count": 1,
        "firstTimestamp": _timestamp(now),
        "lastTimestamp": _timestamp(now),
    }


@dataclass(frozen=True, slots=True)
class _Posted:
    name: str
    count: int
    at: float


class _Recent:
    """The events of the last minutes, so that the same one is counted up."""

    def __init__(self) -> None:
        self._posted: OrderedDict[Event, _Posted] = OrderedDict()

    def get(self, event: Event) -> _Posted | None:
        """The same event, if it was posted a short while ago."""
        posted = self._posted.get(event)
        return posted if posted and time.monotonic() - posted.at < _SAME_EVENT_SECONDS else None

    def put(self, event: Event, name: str, count: int) -> None:
        """Remember it; the oldest is forgotten."""
        self._posted[event] = _Posted(name, count, time.monotonic())
        self._posted.move_to_end(event)
        while len(self._posted) > _EVENTS_REMEMBERED:
            self._posted.popitem(last=False)
