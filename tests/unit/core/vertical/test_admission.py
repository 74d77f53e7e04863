"""No size is asked for that the API server would refuse: its rules once more, written as its admission goes."""

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.quantity import _parse
from scalableapp.core.size import Amount, Resource, write_size
from scalableapp.core.vertical.limits import WholePod, namespace_limits, within_quota
from scalableapp.core.vertical.recommendation import recommend
from scalableapp.core.vertical.usage import ClusterLimits
from tests.unit.core.build import NOW
from tests.unit.core.sizes import known, size, usage_now, vertical

CPU = Resource.CPU
POLICIES = ["Proportional", "RequestsOnly", "None"]


def refused(requests: dict[str, str], limits: dict[str, str], item: dict[str, Any], name: str) -> list[str]:
    """Why the LimitRanger refuses a container (limitranger/admission.go of Kubernetes 1.37)."""
    limits = {**(item.get("default") or {}), **limits}
    request, limit = (exact(amounts[name]) if name in amounts else None for amounts in (requests, limits))
    least, most, ratio = (
        exact(item[field][name]) if name in item.get(field, {}) else None
        for field in ("min", "max", "maxLimitRequestRatio")
    )
    rules = {
        "the request is more than the limit": request and limit and request > limit,
        "the request is less than min": least and (request is None or request < least),
        "the limit is less than min": least and limit is not None and limit < least,
        "the limit is more than max": most and (limit is None or limit > most),
        "the request is more than max": most and request is not None and request > most,
        "the ratio is more than may be": ratio and (not request or not limit or limit / request > ratio),
    }
    return [why for why, broken in rules.items() if broken]


def exact(quantity: str) -> Fraction:
    return Fraction(_parse(quantity))


milli = st.integers(10, 4000)


@st.composite
def limit_ranges(draw: st.DrawFn, start: int) -> dict[str, Any]:
    """Of CPU, as the API server stores them: with a max there is a default. The running pod is within it."""
    item: dict[str, Any] = {"type": draw(st.sampled_from(["Container", "Pod"]))}
    if draw(st.booleans()):
        item["min"] = {"cpu": f"{draw(st.integers(5, start))}m"}
    if draw(st.booleans()):
        item["max"] = {"cpu": f"{draw(st.integers(2 * start, 5000))}m"}
    if item["type"] == "Container" and ("max" in item or draw(st.booleans())):
        item["default"] = item.get("max") or {"cpu": f"{draw(st.integers(2 * start, 5000))}m"}
    if draw(st.booleans()):
        item["maxLimitRequestRatio"] = {"cpu": draw(st.sampled_from(["2", "2500m", "3", "2001m", "3333m"]))}
    return {"metadata": {"name": "small"}, "spec": {"limits": [item]}}


@given(st.data(), st.integers(10, 1000), milli, st.sampled_from(POLICIES), st.booleans())
def test_what_a_limit_range_refuses_is_never_asked_for(
    data: st.DataObject, start: int, usage: int, policy: str, limited: bool
) -> None:
    found = data.draw(limit_ranges(start))
    item = found["spec"]["limits"][0]
    before = size(f"{start}m/{2 * start}m" if limited else f"{start}m")
    if refused(*_stated(before), item, "cpu"):
        return  # such a pod does not run there
    limits = within_quota(namespace_limits({}, [found], []), CPU, before.cpu, 1)
    rules = vertical(limits=policy, minAllowed={"cpu": f"{data.draw(milli)}m"})
    sizing = recommend(rules, usage_now(before, cluster_limits={CPU: limits}), known(rules, usage / 1000, 2e8), NOW, 1)
    for asked in (sizing.size_to, sizing.recommended):
        assert refused(*_stated(asked), item, "cpu") == [], f"{before} -> {asked} under {item}"


def _stated(amounts: Any) -> tuple[dict[str, str], dict[str, str]]:
    written = write_size(amounts)
    return written.get("requests", {}), written.get("limits", {})


def test_the_bound_of_a_pod_is_shared_with_its_other_containers() -> None:
    item = {"type": "Pod", "max": {"cpu": "1"}}
    limits = namespace_limits({}, [{"metadata": {"name": "pods"}, "spec": {"limits": [item]}}], [])
    alone = within_quota(limits, CPU, Amount(0.2, 0.4), 1)
    shared = within_quota(limits, CPU, Amount(0.2, 0.4), 1, WholePod(Amount(0.1, 0.3)))
    assert (alone.most, alone.most_limit) == (1.0, 1.0)
    assert (shared.most, shared.most_limit) == (0.9, 0.7)


def test_the_users_least_does_not_go_beyond_what_the_cluster_allows() -> None:
    rules = vertical(minAllowed={"cpu": "500m"})
    tight = usage_now(cluster_limits={CPU: ClusterLimits(most=0.3, most_limit=0.6, whose="LimitRange small")})
    sizing = recommend(rules, tight, known(rules, 0.4, 2e8), NOW, 1)
    assert sizing.size_to.cpu == Amount(0.3, 0.6)
    assert "limited to 300m by LimitRange small" in " ".join(step.message for step in sizing.steps)


def test_a_step_is_as_large_as_the_cluster_asks() -> None:
    rules = vertical()
    grown = usage_now(size("10m/20m"), cluster_limits={CPU: ClusterLimits(least=0.5, whose="LimitRange small")})
    assert recommend(rules, grown, known(rules, 0.4, 2e8), NOW, 1).size_to.cpu.request == 0.5
    shrunk = usage_now(
        size("2/4"), cluster_limits={CPU: ClusterLimits(most=0.4, most_limit=0.8, whose="LimitRange small")}
    )
    cut = recommend(rules, shrunk, known(rules, 0.1, 2e8), NOW, 1).size_to.cpu.request
    assert cut is not None
    assert cut <= 0.4
