"""Within which bounds a size stays: the spec's, and the cluster's; and the limits that go with a request."""

from collections.abc import Iterator
from typing import NamedTuple

from scalableapp.core.api.vertical_fields import LimitsPolicy, Vertical
from scalableapp.core.size import Amount, Resource, format_amount, rounded_down, rounded_up, rounded_up_limit
from scalableapp.core.vertical.usage import ClusterLimits, Usage


class Bounding(NamedTuple):
    """What bounds depend on."""

    vertical: Vertical
    usage: Usage


def bounded(resource: Resource, need: float, case: Bounding) -> tuple[float, str, bool]:
    """The need rounded and within all bounds, the message for the bound that changed it, and whether it was limited."""
    value, told, cut = rounded_up(resource, need), "", False
    # The user's bounds first: what the cluster refuses cannot be had, whatever they say.
    for bound, what, is_most in (*_stated(resource, case), *_of_cluster(resource, case)):
        if is_most and value > bound:
            value, cut = rounded_down(resource, bound), True
            told = f"limited to {format_amount(resource, bound)} by {what}"
        elif not is_most and value < bound:
            value, told = bound, f"raised to {format_amount(resource, bound)} by {what}"
    return value, told, cut


_Bound = tuple[float, str, bool]  # and whether it is the most


def _stated(resource: Resource, case: Bounding) -> Iterator[_Bound]:
    most = case.vertical.most.get(resource)
    if most is not None:
        yield most, f"maxAllowed.{resource}", True
    yield case.vertical.least[resource], f"minAllowed.{resource}", False


def _of_cluster(resource: Resource, case: Bounding) -> Iterator[_Bound]:
    allowed = case.usage.cluster_limits.get(resource, ClusterLimits())
    if allowed.most is not None:
        yield allowed.most, allowed.whose, True
    limit, what = _fixed_limit(resource, allowed, case)
    if limit is not None:
        yield limit, what, True
    if allowed.least is not None:
        yield allowed.least, allowed.whose, False
    if limit is not None and allowed.ratio:
        yield rounded_up(resource, limit / allowed.ratio), f"maxLimitRequestRatio {allowed.ratio:g} and {what}", False


def allowed(resource: Resource, value: float, case: Bounding) -> float:
    """The value within what the cluster allows: a smaller step would be refused."""
    for bound, _, is_most in _of_cluster(resource, case):
        value = min(value, bound) if is_most else max(value, bound)
    return value


def _fixed_limit(resource: Resource, allowed: ClusterLimits, case: Bounding) -> tuple[float | None, str]:
    """The limit that pods will have whatever is requested; None where it follows the request, or there is none."""
    policy, limit = case.vertical.limits, case.usage.size.of(resource).limit
    if policy is LimitsPolicy.NONE or limit is None:
        return allowed.default_limit, f"the namespace's default limit of {resource}"
    if policy is LimitsPolicy.REQUESTS_ONLY:
        why = f"its limit, which limits: RequestsOnly does not change; raise spec.resources.limits.{resource}"
        return _at_most(limit, allowed.most_limit), why
    return None, ""


def _at_most(value: float, most: float | None) -> float:
    return value if most is None else min(value, most)


def with_limit(resource: Resource, request: float, current: Amount, case: Bounding) -> Amount:
    """The limit that goes with a request, by the policy."""
    policy, limit = case.vertical.limits, current.limit
    cluster = case.usage.cluster_limits.get(resource, ClusterLimits())
    if limit is None or (
        policy is LimitsPolicy.NONE and (cluster.default_limit is not None or not cluster.needs_limit)
    ):
        return Amount(request, None)
    if policy is LimitsPolicy.REQUESTS_ONLY:
        limit = _at_most(limit, cluster.most_limit)
        return Amount(min(request, limit), limit)
    ratio = _ratio(case.usage.ratios.get(resource), current)
    scaled = rounded_up_limit(resource, request * ratio)
    if cluster.node is not None:
        scaled = min(scaled, max(cluster.node, limit, request))
    if cluster.ratio and scaled > round(request * cluster.ratio, 9):
        scaled = max(request, rounded_down(resource, request * cluster.ratio))
    if cluster.most_limit is not None and scaled > cluster.most_limit:
        rounded = rounded_down(resource, cluster.most_limit)
        scaled = rounded if rounded >= request else cluster.most_limit
    return Amount(min(request, scaled), scaled)


def limit_bound(resource: Resource, amount: Amount, case: Bounding) -> str:
    """What keeps the limit below its ratio to the request; "" for nothing."""
    stated = case.usage.ratios.get(resource)
    if case.vertical.limits is not LimitsPolicy.PROPORTIONAL or not stated or not amount.request or not amount.limit:
        return ""
    if amount.limit >= round(amount.request * stated, 9):
        return ""
    limit = format_amount(resource, amount.limit)
    return f"{resource} limit is {limit}, not {stated:g} times the request: a LimitRange, a quota or the largest node"


def _ratio(stated: float | None, current: Amount) -> float:
    """The spec's own ratio: that of a rounded size would drift."""
    if stated:
        return stated
    return current.limit / current.request if current.limit and current.request else 1.0
