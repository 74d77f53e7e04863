"""Bounds that a cluster sets on the size of a pod: LimitRanges, ResourceQuotas, and what the largest node can hold.

They are read as the API server's admission does (plugin/pkg/admission/limitranger, pkg/quota in Kubernetes 1.37), so
that no size is requested that it rejects. An object that cannot be read hides no other; but what it bounds is not
known, so that sizes in its namespace are not raised until it can be read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from scalableapp.core.children.resources import surge_of
from scalableapp.core.size import Amount, Resource
from scalableapp.core.vertical.quotas import Quota, amount_of, quota_of
from scalableapp.core.vertical.usage import ClusterLimits

# A node's own pods (network, metrics, logs) take some of what it can allocate.
NODE_SHARE = 0.9
_CONTAINER, _POD = "Container", "Pod"

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NamespaceLimits:
    """The limits of one container, those of its whole pod, and what quotas leave for all.

    `unread` says what of them is not known, and why.
    """

    containers: Mapping[Resource, ClusterLimits] = field(default_factory=dict)
    pods: Mapping[Resource, ClusterLimits] = field(default_factory=dict)
    quotas: tuple[Quota, ...] = ()
    unread: tuple[str, ...] = ()


NOT_READ_YET = NamespaceLimits(unread=("they have not been read yet",))


class WholePod(NamedTuple):
    """The pod around the app's container: what its other containers have of a resource, and its priority class."""

    other_containers: Amount = Amount()
    priority_class: str = ""


_ALONE = WholePod()


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


def namespace_limits(
    nodes: Mapping[Resource, float], limit_ranges: Iterable[Manifest], quotas: Iterable[Manifest]
) -> NamespaceLimits:
    """The bounds in one namespace."""
    containers = {
        resource: ClusterLimits(most=nodes[resource], whose="the largest node", node=nodes[resource])
        if resource in nodes
        else ClusterLimits()
        for resource in Resource
    }
    pods = {resource: ClusterLimits() for resource in Resource}
    unread: list[str] = []
    for limit_range in limit_ranges:
        for kind, ranged in _ranges(limit_range, unread):
            containers = {resource: ranged[resource].within(limits) for resource, limits in containers.items()}
            if kind == _POD:
                pods = {resource: ranged[resource].within(limits) for resource, limits in pods.items()}
    counted = tuple(found for quota in quotas if (found := _counted(quota, unread)))
    return NamespaceLimits(containers, pods, counted, tuple(unread))


def _ranges(limit_range: Manifest, unread: list[str]) -> list[tuple[str, dict[Resource, "_Range"]]]:
    """What a LimitRange says of containers and pods."""
    name = _name("LimitRange", limit_range)
    try:
        items = [item for item in limit_range["spec"].get("limits") or () if item.get("type") in (_CONTAINER, _POD)]
        return [
            (item["type"], {resource: _Range.of(resource, item, name, unread) for resource in Resource})
            for item in items
        ]
    except (AttributeError, KeyError, TypeError) as error:
        unread.append(f"{name}: {error!r}")
        return []


def _counted(quota: Manifest, unread: list[str]) -> Quota | None:
    try:
        return quota_of(quota, unread)
    except (AttributeError, KeyError, TypeError) as error:
        unread.append(f"{_name('ResourceQuota', quota)}: {error!r}")
        return None


def _name(kind: str, body: Manifest) -> str:
    metadata = body.get("metadata")
    return f"{kind} {metadata.get('name') if isinstance(metadata, Mapping) else '<unknown>'}"


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

    def within(self, limits: ClusterLimits) -> ClusterLimits:
        """The limits with these bounds; of several the tightest counts."""
        if self.least is not None and self.least > (limits.least or 0.0):
            limits = limits._replace(least=self.least, whose=self.whose)
        if self.most is not None:
            limits = limits._replace(most_limit=min(self.most, limits.most_limit or self.most))
            if limits.most is None or self.most < limits.most:
                limits = limits._replace(most=self.most, whose=self.whose)
        if self.default is not None:
            limits = limits._replace(default_limit=min(self.default, limits.default_limit or self.default))
        return limits if self.ratio is None else limits._replace(ratio=min(self.ratio, limits.ratio or self.ratio))


def within_quota(
    limits: NamespaceLimits,
    resource: Resource,
    amount: Amount,
    replicas: int,
    whole: WholePod = _ALONE,
    *,
    in_place: bool = False,
) -> ClusterLimits:
    """The limits of a pod of an app of so many replicas: in the end all of them have to fit.

    Meanwhile a rollout has more pods, which resizes `in_place` do not need.
    """
    found = _within_pod(
        limits.containers.get(resource, ClusterLimits()),
        limits.pods.get(resource, ClusterLimits()),
        whole.other_containers,
    )
    surge = 0 if in_place else surge_of(replicas)
    for quota in limits.quotas:
        if not quota.counts(whole.priority_class):
            continue
        request, limit = quota.left[resource]
        most = _shared(amount.request, request, replicas, surge, whole.other_containers.request)
        if most is not None and (found.most is None or most < found.most):
            found = found._replace(most=most, whose=quota.whose)
        most_limit = _shared(amount.limit, limit, replicas, surge, whole.other_containers.limit)
        if most_limit is not None and (found.most_limit is None or most_limit < found.most_limit):
            found = found._replace(most_limit=most_limit)
        if limit is not None:
            found = found._replace(limit_needed=True)
    return _not_raised(found, amount, limits.unread[0]) if limits.unread else found


def _not_raised(limits: ClusterLimits, amount: Amount, unread: str) -> ClusterLimits:
    """The limits where others may apply that are not known: what pods have now is known to be let in."""
    if amount.limit is not None:
        limits = limits._replace(most_limit=min(amount.limit, limits.most_limit or amount.limit))
    if amount.request is not None and (limits.most is None or amount.request < limits.most):
        limits = limits._replace(most=amount.request, whose=f"limits of the namespace that are not known ({unread})")
    return limits._replace(unread=True)


def _within_pod(limits: ClusterLimits, pod: ClusterLimits, other_containers: Amount) -> ClusterLimits:
    """What bounds of the whole pod leave to the app's container."""
    if pod.most is not None and other_containers.request:
        left = pod.most - other_containers.request
        if limits.most is None or left < limits.most:
            limits = limits._replace(most=left, whose=pod.whose)
    if pod.most_limit is not None and other_containers.limit:
        limits = limits._replace(
            most_limit=min(pod.most_limit - other_containers.limit, limits.most_limit or pod.most_limit)
        )
    return limits


def _shared(
    value: float | None, left: float | None, replicas: int, surge: int, other_containers: float | None
) -> float | None:
    """What each of so many pods may have of `left` beyond its present `value`.

    A rollout begins with one new pod beside the old ones, and ends with all new ones and the old ones of its surge.
    """
    if value is None or left is None:
        return None
    others, pods = other_containers or 0.0, max(1, replicas)
    most = value + (left - surge * (value + others)) / pods
    if surge:
        most = min(most, left - others)
    return max(value, most)
