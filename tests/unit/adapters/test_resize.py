"""Resizes in place, against recorded answers of a real Kubernetes 1.36.2 (kubernetes-1.36/)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.podwatch import pod_state
from scalableapp.core.model import AppKey
from scalableapp.core.size import Resize, Size, read_size
from scalableapp.errors import NotFound, Rejected
from tests.unit.adapters.canned import ApiServer, Refusal

KEY = AppKey("default", "shop")
POD = "shop-6848484964-p8sq7"


def recorded(name: str) -> Any:
    return json.loads((Path(__file__).parent / "kubernetes-1.36" / f"{name}.json").read_text())


def size(cpu: str, memory: str) -> Size:
    """From "request/limit" each."""
    requests, limits = zip(cpu.split("/"), memory.split("/"), strict=True)
    names = ("cpu", "memory")
    return read_size(
        {"requests": dict(zip(names, requests, strict=True)), "limits": dict(zip(names, limits, strict=True))}
    )


RAISED = size("150m/400m", "128Mi/256Mi")

STATES = [
    ("raise.response", RAISED, Resize.IN_PROGRESS, ""),
    ("raise.pod-later", RAISED, Resize.DONE, ""),
    ("deferred.pod-at-once", size("1500m/1600m", "96Mi/160Mi"), Resize.DEFERRED, "requested: 1500, used: 1000"),
    ("deferred.pod-later", size("1500m/1600m", "96Mi/160Mi"), Resize.DEFERRED, "Node didn't have enough resource"),
    ("deferred-then-room.pod", size("1500m/1600m", "96Mi/160Mi"), Resize.DONE, ""),
    ("memory-limit-cut.response", size("150m/400m", "96Mi/160Mi"), Resize.IN_PROGRESS, ""),
    ("memory-limit-cut.pod-later", size("150m/400m", "96Mi/160Mi"), Resize.DONE, ""),
    ("memory-limit-cut-below-usage.response", size("150m/400m", "16Mi/20Mi"), Resize.IN_PROGRESS, ""),
    ("memory-limit-cut-below-usage.pod-later", size("150m/400m", "16Mi/20Mi"), Resize.IN_PROGRESS, ""),
]


@pytest.mark.parametrize(("name", "wanted", "state", "message"), STATES, ids=[row[0] for row in STATES])
def test_where_a_resize_stands_is_read_from_the_pod(name: str, wanted: Size, state: Resize, message: str) -> None:
    pod = pod_state(recorded(name))
    assert pod.size == wanted
    assert pod.resize is state
    assert message in pod.resize_message


@pytest.mark.parametrize(("reason", "state"), [("Infeasible", Resize.INFEASIBLE), ("Deferred", Resize.DEFERRED)])
def test_a_pending_resize_is_reported_by_its_reason(reason: str, state: Resize) -> None:
    pod = recorded("deferred.pod-later")
    (condition,) = (entry for entry in pod["status"]["conditions"] if entry["type"] == "PodResizePending")
    condition["reason"] = reason
    assert pod_state(pod).resize is state


def test_a_resize_that_failed_is_reported_as_failed() -> None:
    pod = recorded("memory-limit-cut-below-usage.pod-later")
    (condition,) = (entry for entry in pod["status"]["conditions"] if entry["type"] == "PodResizeInProgress")
    condition |= {"reason": "Error", "message": "cgroup is busy"}
    assert (pod_state(pod).resize, pod_state(pod).resize_message) == (Resize.FAILED, "cgroup is busy")


async def test_a_resize_is_a_patch_of_the_subresource(server: ApiServer, cluster: KubeClient) -> None:
    server.replies(recorded("raise.response"))
    await cluster.resize(KEY, POD, RAISED)
    (asked,) = server.asked
    assert (asked.verb, asked.path) == ("PATCH", f"/api/v1/namespaces/default/pods/{POD}/resize")
    assert asked.headers["Content-Type"] == "application/strategic-merge-patch+json"
    wanted = {"requests": {"cpu": "150m", "memory": "128Mi"}, "limits": {"cpu": "400m", "memory": "256Mi"}}
    assert asked.body == {"spec": {"containers": [{"name": "app", "resources": wanted}]}}


@pytest.mark.parametrize(
    ("name", "expected"), [("infeasible", "NodeCapacity"), ("qos-change", "QOS Class may not change")]
)
async def test_a_refusal_is_for_good_and_says_why(
    server: ApiServer, cluster: KubeClient, name: str, expected: str
) -> None:
    answer = recorded(f"{name}.response")
    server.replies(Refusal(answer["code"], answer["message"]))
    with pytest.raises(Rejected) as raised:
        await cluster.resize(KEY, POD, RAISED)
    assert expected in str(answer)
    assert answer["message"][:40] in str(raised.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("served", [True, False])
async def test_discovery_shows_whether_pods_can_be_resized(
    server: ApiServer, cluster: KubeClient, served: bool
) -> None:
    resources = recorded("discovery-v1-pods")
    if not served:
        resources = [entry for entry in resources if entry["name"] != "pods/resize"]

    server.replies({"resources": resources})
    assert (await cluster.features()).resize is served


def replica_set(name: str, revision: int, owner: str) -> dict[str, Any]:
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    owners = [{"uid": owner, "controller": True}]
    return {"metadata": {"name": name, "annotations": annotations, "ownerReferences": owners}}


DEPLOYMENT = {"metadata": {"namespace": "default", "name": "shop", "uid": "u1"}}


async def test_later_pods_get_the_size_from_the_newest_replica_set(server: ApiServer, cluster: KubeClient) -> None:
    sets = [replica_set("old", 1, "u1"), replica_set("new", 12, "u1"), replica_set("other", 99, "u2")]
    server.replies({"items": sets}, {})
    await cluster.resize_later_pods(DEPLOYMENT, RAISED)
    listed, patched = server.asked
    assert listed.query["labelSelector"] == "scalableapp.io/app=shop"
    assert "PartialObjectMetadataList" in listed.headers["Accept"]
    assert patched.path.endswith("/replicasets/new")
    (container,) = patched.body["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["$patch"] == "replace"


async def test_without_a_replica_set_later_pods_cannot_be_sized(server: ApiServer, cluster: KubeClient) -> None:
    server.replies({"items": []})
    with pytest.raises(NotFound):
        await cluster.resize_later_pods(DEPLOYMENT, RAISED)


def test_kills_for_memory_and_ends_are_read_from_the_container() -> None:
    pod = recorded("raise.pod-later")
    (container,) = pod["status"]["containerStatuses"]
    container["lastState"] = {"terminated": {"reason": "OOMKilled", "finishedAt": "2026-11-22T12:40:00Z"}}
    container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    state = pod_state(pod)
    assert state.oom_killed_at == state.ended_at == datetime(2026, 11, 22, 12, 40, tzinfo=UTC)
    assert state.problem == "CrashLoopBackOff: back-off 10s"
    container["state"] = {"terminated": {"reason": "Error", "finishedAt": "2026-11-22T12:41:00Z"}}
    assert (pod_state(pod).ended_at or state.started_at).minute == 41
    assert pod_state(pod).oom_killed_at == state.oom_killed_at


def test_a_pod_that_no_node_takes_says_why() -> None:
    pod = recorded("raise.pod-later")
    pod["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
    ]
    assert pod_state(pod).problem == "Unschedulable: 0/1 nodes are available"
