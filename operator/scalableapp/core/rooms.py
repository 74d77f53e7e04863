"""Bounds that a cluster sets on the size of a pod: LimitRanges, ResourceQuotas, and what the largest node can hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scalableapp.core.footprint import Room
from scalableapp.core.size import Amount, Resource, parse_amount

# A node's own pods (network, metrics, logs) take some of what it can allocate.
NODE_SHARE = 0.9

Manifest = Mapping[str, Any]


class Spare(NamedTuple):
    """What a quota leaves of a resource to a namespace; None where none bounds it."""

    request: float | None = None
    limit: float | None = None
    whose: str = ""


@dataclass(frozen=True, slots=True)
class NamespaceRoom:
    """The bounds on one pod, and what quotas leave for all."""

    rooms: Mapping[Resource, Room] = field(default_factory=dict)
    spares: Mapping[Resource, Spare] = field(default_factory=dict)


def largest_node(nodes: Iterable[Manifest]) -> dict[Resource, float]:
    """What one pod can get of each resource on the node that has most of it; empty without nodes that take pods."""
    found: dict[Resource, float] = {}
    for node in nodes:
        if (node.get("spec") or {}).get("unschedulable"):
            continue
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        for resource in Resource:
            if text := allocatable.get(resource.value):
                found[resource] = max(found.get(resource, 0.0), parse_amount(resource, text) * NODE_SHARE)
    return found


def namespace_room(
    nodes: Mapping[Resource, float], limit_ranges: Iterable[Manifest], quotas: Iterable[Manifest]
) -> NamespaceRoom:
    """The bounds in one namespace. Raises ValueError when a quantity in them cannot be read."""
    rooms = {
        resource: Room(most=nodes[resource], whose="the largest node") if resource in nodes else Room()
        for resource in Resource
    }
    for limit_range in limit_ranges:
        for item in (limit_range.get("spec") or {}).get("limits") or ():
            if item.get("type") in ("Container", "Pod"):
                rooms = {r: _ranged(r, room, item, limit_range["metadata"]["name"]) for r, room in rooms.items()}
    spares = {resource: Spare() for resource in Resource}
    for quota in quotas:
        spares = {resource: _spared(resource, spare, quota) for resource, spare in spares.items()}
    return NamespaceRoom(rooms, spares)


def _ranged(resource: Resource, room: Room, item: Manifest, name: str) -> Room:
    """The room with what an item of a LimitRange says; of several the tightest counts."""
    least, most, ratio = (
        (item.get(field) or {}).get(resource.value) for field in ("min", "max", "maxLimitRequestRatio")
    )
    if least is not None and parse_amount(resource, least) > (room.least or 0.0):
        room = room._replace(least=parse_amount(resource, least), whose=f"LimitRange {name}")
    if most is not None:
        value = parse_amount(resource, most)
        room = room._replace(most_limit=min(value, room.most_limit or value))
        if value < (room.most or value + 1):
            room = room._replace(most=value, whose=f"LimitRange {name}")
    return room if ratio is None else room._replace(ratio=min(float(ratio), room.ratio or float(ratio)))


def _spared(resource: Resource, spare: Spare, quota: Manifest) -> Spare:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}

    def left(*names: str) -> float | None:
        values = [
            parse_amount(resource, hard[name]) - parse_amount(resource, used.get(name, "0"))
            for name in names
            if name in hard
        ]
        return min(values, default=None)

    request, limit = left(f"requests.{resource}", resource.value), left(f"limits.{resource}")
    whose = f"ResourceQuota {quota['metadata']['name']}"
    if request is not None and (spare.request is None or request < spare.request):
        spare = spare._replace(request=request, whose=whose)
    if limit is not None and (spare.limit is None or limit < spare.limit):
        spare = spare._replace(limit=limit, whose=whose)
    return spare


def within_quota(room: NamespaceRoom, resource: Resource, amount: Amount, replicas: int) -> Room:
    """The room of a pod of an app of so many replicas: in the end all of them have to fit, and one more meanwhile."""
    found, spare = room.rooms.get(resource, Room()), room.spares.get(resource, Spare())
    most = _shared(amount.request, spare.request, replicas)
    if most is not None and (found.most is None or most < found.most):
        found = found._replace(most=most, whose=spare.whose)
    most = _shared(amount.limit, spare.limit, replicas)
    if most is not None and (found.most_limit is None or most < found.most_limit):
        found = found._replace(most_limit=most)
    return found


def _shared(value: float | None, left: float | None, replicas: int) -> float | None:
    return None if value is None or left is None else max(value, min(value + left / max(1, replicas), left))
