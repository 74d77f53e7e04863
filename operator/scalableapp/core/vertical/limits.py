"""Bounds that a cluster sets on the size of a pod: LimitRanges, ResourceQuotas, and what the largest node can hold.

They are read as the API server's admission does (plugin/pkg/admission/limitranger, pkg/quota in Kubernetes 1.37), so
that no size is asked for that it refuses. An object that cannot be read bounds nothing, and hides no other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from scalableapp.core.size import Amount, Resource
from scalableapp.core.vertical.quotas import Quota, amount_of, quota_of
from scalableapp.core.vertical.usage import Room

# A node's own pods (network, metrics, logs) take some of what it can allocate.
NODE_SHARE = 0.9
_CONTAINER, _POD = "Container", "Pod"

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NamespaceRoom:
    """The bounds on one container, those on its whole pod, and what quotas leave for all; and what cannot be read."""

    rooms: Mapping[Resource, Room] = field(default_factory=dict)
    pods: Mapping[Resource, Room] = field(default_factory=dict)
    quotas: tuple[Quota, ...] = ()
    unread: tuple[str, ...] = ()


class Whole(NamedTuple):
    """The pod around the app's container: what its other containers have of a resource, and its priority class."""

    neighbours: Amount = Amount()
    priority_class: str = ""


_ALONE = Whole()


def largest_node(nodes: Iterable[Manifest]) -> dict[Resource, float]:
    """What one pod can get of each resource on the node that has most of it; empty without nodes that take pods."""
    found: dict[Resource, float] = {}
    for node in nodes:
        if (node.get("spec") or {}).get("unschedulable"):
            continue
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        for resource in Resource:
            value = amount_of(resource, allocatable, resource.value, [])
            if value is not None:
                found[resource] = max(found.get(resource, 0.0), value * NODE_SHARE)
    return found


def namespace_room(
    nodes: Mapping[Resource, float], limit_ranges: Iterable[Manifest], quotas: Iterable[Manifest]
) -> NamespaceRoom:
    """The bounds in one namespace."""
    rooms = {
        resource: Room(most=nodes[resource], whose="the largest node") if resource in nodes else Room()
        for resource in Resource
    }
    pods = {resource: Room() for resource in Resource}
    unread: list[str] = []
    for limit_range in limit_ranges:
        name = f"LimitRange {(limit_range.get('metadata') or {}).get('name')}"
        for item in (limit_range.get("spec") or {}).get("limits") or ():
            ranged = {resource: _Range.of(resource, item, name, unread) for resource in Resource}
            if item.get("type") in (_CONTAINER, _POD):
                rooms = {resource: ranged[resource].within(room) for resource, room in rooms.items()}
            if item.get("type") == _POD:
                pods = {resource: ranged[resource].within(room) for resource, room in pods.items()}
    counted = tuple(found for quota in quotas if (found := quota_of(quota, unread)))
    return NamespaceRoom(rooms, pods, counted, tuple(unread))


class _Range(NamedTuple):
    """What an item of a LimitRange says of one resource."""

    whose: str
    least: float | None
    most: float | None
    default: float | None
    ratio: float | None

    @classmethod
    def of(cls, resource: Resource, item: Manifest, whose: str, unread: list[str]) -> Self:
        """What cannot be read is noted in `unread`. A ratio is a quantity, too: 1.5 is stored as 1500m."""
        least, most, default = (
            amount_of(resource, item.get(field) or {}, resource.value, unread, f"{whose}: {field}")
            for field in ("min", "max", "default")
        )
        ratios = item.get("maxLimitRequestRatio") or {}
        ratio = amount_of(Resource.CPU, ratios, resource.value, unread, f"{whose}: maxLimitRequestRatio")
        return cls(whose, least, most, default if item.get("type") == _CONTAINER else None, ratio)

    def within(self, room: Room) -> Room:
        """The room with these bounds; of several the tightest counts."""
        if self.least is not None and self.least > (room.least or 0.0):
            room = room._replace(least=self.least, whose=self.whose)
        if self.most is not None:
            room = room._replace(most_limit=min(self.most, room.most_limit or self.most))
            if room.most is None or self.most < room.most:
                room = room._replace(most=self.most, whose=self.whose)
        if self.default is not None:
            room = room._replace(default_limit=min(self.default, room.default_limit or self.default))
        return room if self.ratio is None else room._replace(ratio=min(self.ratio, room.ratio or self.ratio))


def within_quota(room: NamespaceRoom, resource: Resource, amount: Amount, replicas: int, whole: Whole = _ALONE) -> Room:
    """The room of a pod of an app of so many replicas: in the end all of them have to fit, and one more meanwhile."""
    found = _within_pod(room.rooms.get(resource, Room()), room.pods.get(resource, Room()), whole.neighbours)
    for quota in room.quotas:
        if not quota.counts(whole.priority_class):
            continue
        request, limit = quota.left[resource]
        most = _shared(amount.request, request, replicas, whole.neighbours.request)
        if most is not None and (found.most is None or most < found.most):
            found = found._replace(most=most, whose=quota.whose)
        most_limit = _shared(amount.limit, limit, replicas, whole.neighbours.limit)
        if most_limit is not None and (found.most_limit is None or most_limit < found.most_limit):
            found = found._replace(most_limit=most_limit)
        if limit is not None:
            found = found._replace(limit_needed=True)
    return found


def _within_pod(room: Room, pod: Room, neighbours: Amount) -> Room:
    """What bounds of the whole pod leave to the app's container."""
    if pod.most is not None and neighbours.request:
        left = pod.most - neighbours.request
        if room.most is None or left < room.most:
            room = room._replace(most=left, whose=pod.whose)
    if pod.most_limit is not None and neighbours.limit:
        room = room._replace(most_limit=min(pod.most_limit - neighbours.limit, room.most_limit or pod.most_limit))
    return room


def _shared(value: float | None, left: float | None, replicas: int, neighbours: float | None) -> float | None:
    if value is None or left is None:
        return None
    return max(value, min(value + left / max(1, replicas), left - (neighbours or 0.0)))
