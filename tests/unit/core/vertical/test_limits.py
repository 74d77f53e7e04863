"""What the cluster has room for."""

from typing import Any

import pytest

from scalableapp.core.size import Amount, Resource
from scalableapp.core.vertical.limits import NOT_READ_YET, WholePod, largest_node, namespace_limits, within_quota
from scalableapp.core.vertical.usage import ClusterLimits

CPU = Resource.CPU
GI = 2**30


def node(cpu: str, memory: str, **spec: Any) -> dict[str, Any]:
    return {"spec": spec, "status": {"allocatable": {"cpu": cpu, "memory": memory}}}


def limit_range(**item: Any) -> dict[str, Any]:
    return {"metadata": {"name": "small"}, "spec": {"limits": [{"type": "Container", **item}]}}


def quota(hard: dict[str, str], used: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "team"}, "status": {"hard": hard, "used": used}}


def test_no_pod_gets_more_than_most_of_the_largest_node_that_takes_pods() -> None:
    nodes = [node("2", "8Gi"), node("4", "4Gi"), node("64", "512Gi", unschedulable=True)]
    assert largest_node(nodes) == {CPU: pytest.approx(3.6), Resource.MEMORY: pytest.approx(7.2 * GI)}
    limits = namespace_limits(largest_node(nodes), [], []).containers[CPU]
    assert limits.most == pytest.approx(3.6)
    assert limits.whose == "the largest node"


def test_without_nodes_to_be_seen_there_is_no_bound() -> None:
    assert namespace_limits(largest_node([]), [], []).containers[CPU] == ClusterLimits()


def test_a_limit_range_bounds_from_both_sides() -> None:
    ranges = [limit_range(min={"cpu": "50m"}, max={"cpu": "1"}, maxLimitRequestRatio={"cpu": "2"})]
    limits = namespace_limits({CPU: 3.6}, ranges, []).containers[CPU]
    assert limits == ClusterLimits(least=0.05, most=1.0, most_limit=1.0, ratio=2.0, whose="LimitRange small", node=3.6)


def test_a_limit_range_of_volumes_says_nothing_of_pods() -> None:
    claim = limit_range(max={"cpu": "1"})
    claim["spec"]["limits"][0]["type"] = "PersistentVolumeClaim"
    assert namespace_limits({}, [claim], []).containers[CPU] == ClusterLimits()


@pytest.mark.parametrize(
    ("left", "replicas", "most"),
    [("2", 4, 0.65), ("2", 8, 0.4), ("100m", 1, 0.2), ("600m", 1, 0.6), ("0", 2, 0.2)],
    ids=["shared by all", "two more at a time", "no surge fits: no raise", "a surge fits", "nothing left"],
)
def test_a_quota_leaves_room_for_all_pods_and_those_of_a_rollout(left: str, replicas: int, most: float) -> None:
    limits = namespace_limits({}, [], [quota({"requests.cpu": "10"}, {"requests.cpu": f"{10 - parse(left)}"})])
    found = within_quota(limits, CPU, Amount(0.2, None), replicas)
    assert found.most == pytest.approx(most)
    assert found.whose == "ResourceQuota team"


def test_in_place_no_pod_more_has_to_fit_into_a_quota() -> None:
    limits = namespace_limits({}, [], [quota({"requests.cpu": "5"}, {"requests.cpu": "3"})])
    rollout, in_place = (within_quota(limits, CPU, Amount(1.0, None), 3, in_place=way).most for way in (False, True))
    assert rollout == pytest.approx(4 / 3)
    assert in_place == pytest.approx(5 / 3)


def parse(text: str) -> float:
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


@pytest.mark.parametrize(("text", "ratio"), [("1500m", 1.5), ("2", 2.0), ("1.5", 1.5), ("25e-1", 2.5)])
def test_a_ratio_is_a_quantity(text: str, ratio: float) -> None:
    limits = namespace_limits({}, [limit_range(maxLimitRequestRatio={"cpu": text})], [])
    assert limits.containers[CPU].ratio == ratio
    assert limits.unread == ()


def test_what_cannot_be_read_hides_nothing_else() -> None:
    bad = limit_range(min={"cpu": "a bit"}, max={"cpu": "1"}, maxLimitRequestRatio={"cpu": "twice"})
    worse = quota({"requests.cpu": "much", "limits.cpu": "4"}, {"limits.cpu": "2"})
    limits = namespace_limits(largest_node([node("?", "8Gi"), node("4", "8Gi")]), [bad], [worse])
    assert limits.containers[CPU] == ClusterLimits(most=1.0, most_limit=1.0, whose="LimitRange small", node=3.6)
    whose = [message.split(":")[0] for message in limits.unread]
    assert whose == ["LimitRange small", "LimitRange small", "ResourceQuota team"]


def test_a_default_limit_bounds_what_is_requested_without_one() -> None:
    limits = namespace_limits({}, [limit_range(default={"cpu": "300m"}, defaultRequest={"cpu": "100m"})], [])
    assert limits.containers[CPU] == ClusterLimits(default_limit=0.3)


@pytest.mark.parametrize(
    ("scope", "priority_class", "counts"),
    [
        pytest.param({"scopes": ["Terminating"]}, "", False, id="of jobs"),
        pytest.param({"scopes": ["BestEffort"]}, "", False, id="of pods without requests"),
        pytest.param({"scopes": ["NotTerminating", "NotBestEffort"]}, "", True, id="of pods as ours are"),
        pytest.param({"scopes": ["CrossNamespacePodAffinity"]}, "", False, id="of an affinity that ours have not"),
        pytest.param({"scopes": ["PriorityClass"]}, "", False, id="of pods of any class"),
        pytest.param({"scopes": ["PriorityClass"]}, "high", True, id="of pods of any class, as ours"),
        pytest.param(("In", ["high"]), "", False, id="of another class"),
        pytest.param(("In", ["high"]), "high", True, id="of our class"),
        pytest.param(("NotIn", ["high"]), "high", False, id="not of our class"),
        pytest.param(("DoesNotExist", []), "", True, id="of no class"),
    ],
)
def test_a_quota_counts_the_pods_of_its_scopes(scope: Any, priority_class: str, counts: bool) -> None:
    if isinstance(scope, tuple):
        rule = {"scopeName": "PriorityClass", "operator": scope[0], "values": scope[1]}
        scope = {"scopeSelector": {"matchExpressions": [rule]}}
    tight = quota({"requests.cpu": "1"}, {"requests.cpu": "1"}) | {"spec": scope}
    limits = namespace_limits({}, [], [tight])
    found = within_quota(limits, CPU, Amount(0.2, None), 1, WholePod(priority_class=priority_class))
    assert found.most == (0.2 if counts else None)


def test_a_quota_whose_names_both_bound_requests() -> None:
    both = quota({"requests.cpu": "10", "cpu": "2"}, {"requests.cpu": "1", "cpu": "1"})
    assert within_quota(namespace_limits({}, [], [both]), CPU, Amount(0.2, None), 2).most == pytest.approx(0.6)


def test_a_quota_of_limits_needs_one() -> None:
    limits = namespace_limits({}, [], [quota({"limits.cpu": "2"}, {"limits.cpu": "1"})])
    assert within_quota(limits, CPU, Amount(0.2, 0.4), 1).needs_limit


ODD: dict[str, Any] = {
    "no quantity": limit_range(max={"cpu": "a bit"}),
    "larger than any number": limit_range(max={"memory": "1e999"}),
    "a list where a map belongs": limit_range(max=["1"]),
    "items that are no objects": {"metadata": {"name": "small"}, "spec": {"limits": ["Container"]}},
    "no spec": {"metadata": {"name": "small"}, "spec": None},
    "no metadata": {"metadata": ["small"], "spec": 5},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_limit_range_that_cannot_be_read_is_named_and_lets_nothing_be_raised(odd: dict[str, Any]) -> None:
    limits = namespace_limits({CPU: 3.6}, [odd, limit_range(min={"cpu": "50m"})], [])
    assert limits.containers[CPU].least == 0.05
    assert limits.unread[0].startswith("LimitRange ")
    found = within_quota(limits, CPU, Amount(0.2, 0.4), 3)
    assert (found.most, found.most_limit) == (0.2, 0.4)
    assert found.whose == f"limits of the namespace that are not known ({limits.unread[0]})"


@pytest.mark.parametrize(
    "odd",
    [
        quota({"requests.cpu": "much"}, {}),
        {"metadata": {"name": "team"}, "status": {"hard": ["cpu"]}},
        {"metadata": {"name": "team"}, "status": "full"},
        {"metadata": {"name": "team"}, "spec": {"scopeSelector": ["x"]}},
    ],
    ids=["no quantity", "a list", "no status", "no selector"],
)
def test_a_quota_that_cannot_be_read_is_named_and_lets_nothing_be_raised(odd: dict[str, Any]) -> None:
    limits = namespace_limits({}, [], [odd])
    assert limits.unread[0].startswith("ResourceQuota team")
    assert within_quota(limits, CPU, Amount(0.2, None), 3).most == 0.2


def test_half_a_byte_is_rounded_up_as_admission_does() -> None:
    limits = namespace_limits({}, [limit_range(max={"memory": "1500m"})], [])
    assert (limits.containers[Resource.MEMORY].most, limits.unread) == (2, ())


def test_before_the_limits_are_read_nothing_is_raised() -> None:
    assert within_quota(NOT_READ_YET, CPU, Amount(0.2, 0.4), 3).most == 0.2
