"""What the cluster has room for."""

from typing import Any

import pytest

from scalableapp.core.footprint import Room
from scalableapp.core.rooms import largest_node, namespace_room, within_quota
from scalableapp.core.size import Amount, Resource

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
    room = namespace_room(largest_node(nodes), [], []).rooms[CPU]
    assert room.most == pytest.approx(3.6)
    assert room.whose == "the largest node"


def test_without_nodes_to_be_seen_there_is_no_bound() -> None:
    assert namespace_room(largest_node([]), [], []).rooms[CPU] == Room()


def test_a_limit_range_bounds_from_both_sides() -> None:
    ranges = [limit_range(min={"cpu": "50m"}, max={"cpu": "1"}, maxLimitRequestRatio={"cpu": "2"})]
    room = namespace_room({CPU: 3.6}, ranges, []).rooms[CPU]
    assert room == Room(least=0.05, most=1.0, most_limit=1.0, ratio=2.0, whose="LimitRange small")


def test_a_limit_range_of_volumes_says_nothing_of_pods() -> None:
    claim = limit_range(max={"cpu": "1"})
    claim["spec"]["limits"][0]["type"] = "PersistentVolumeClaim"
    assert namespace_room({}, [claim], []).rooms[CPU] == Room()


@pytest.mark.parametrize(
    ("left", "replicas", "most"),
    [("2", 4, 0.7), ("100m", 1, 0.2), ("600m", 1, 0.6), ("0", 2, 0.2)],
    ids=["shared by all", "no surge fits: no raise", "a surge fits", "nothing left"],
)
def test_a_quota_leaves_room_for_all_pods_and_one_more(left: str, replicas: int, most: float) -> None:
    room = namespace_room({}, [], [quota({"requests.cpu": "10"}, {"requests.cpu": f"{10 - parse(left)}"})])
    found = within_quota(room, CPU, Amount(0.2, None), replicas)
    assert found.most == pytest.approx(most)
    assert found.whose == "ResourceQuota team"


def parse(text: str) -> float:
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)
