import logging
from typing import Any

import pytest

from scalableapp.adapters import kubernetes
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.core.children.resources import ClusterFeatures
from scalableapp.core.model import AppKey
from scalableapp.core.size import Resource
from scalableapp.errors import NotFound, Rejected
from scalableapp.ports import Event
from tests.unit.adapters.canned import ApiServer, Asked, Refusal

KEY = AppKey("shop", "web")
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"}}
EVENT = Event(KEY, "uid-1", "Normal", "SuccessfulRescale", "from 2 to 3")


async def test_apply_is_server_side_by_one_manager(server: ApiServer, cluster: KubeClient) -> None:
    await cluster.apply(DEPLOYMENT)
    (asked,) = server.asked
    assert (asked.verb, asked.path) == ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert asked.query == {"fieldManager": "scalableapp-operator", "force": "true"}
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml; charset=utf-8"
    assert asked.body == DEPLOYMENT


async def test_where_an_edit_makes_apply_invalid_the_lists_are_replaced_by_ours_first(
    server: ApiServer, cluster: KubeClient
) -> None:
    server.replies(Refusal(422, "duplicate port"), {}, {"kind": "Service"})
    assert await cluster.apply(SERVICE) == {"kind": "Service"}
    content = [asked.headers["Content-Type"].partition(";")[0].partition("/")[2] for asked in server.asked]
    assert content == ["apply-patch+yaml", "merge-patch+json", "apply-patch+yaml"]


@pytest.mark.parametrize("second", [Refusal(422, "also invalid"), Refusal(404)], ids=["invalid", "not there yet"])
async def test_a_manifest_that_is_invalid_itself_is_rejected_with_the_first_reason(
    server: ApiServer, cluster: KubeClient, second: Refusal
) -> None:
    server.replies(Refusal(422, "spec.ports: Invalid value"), second)
    with pytest.raises(Rejected, match=r"spec\.ports: Invalid value"):
        await cluster.apply(SERVICE)


async def test_replicas_go_through_the_scale_subresource_under_a_name_of_their_own(
    server: ApiServer, cluster: KubeClient
) -> None:
    await cluster.scale(KEY, 7)
    (asked,) = server.asked
    assert asked.path == "/apis/apps/v1/namespaces/shop/deployments/web/scale"
    assert asked.query == {"fieldManager": "scalableapp-operator-scale"}
    assert asked.body == {"spec": {"replicas": 7}}


async def test_status_is_merged_into_the_status_subresource(server: ApiServer, cluster: KubeClient) -> None:
    await cluster.patch_status(KEY, {"replicas": 2, "url": None})
    (asked,) = server.asked
    assert asked.path == "/apis/scalableapp.io/v1alpha1/namespaces/shop/scalableapps/web/status"
    assert asked.headers["Content-Type"] == "application/merge-patch+json"
    assert asked.body == {"status": {"replicas": 2, "url": None}}


async def test_reading_what_is_not_there_gives_none(server: ApiServer, cluster: KubeClient) -> None:
    server.replies(Refusal(404))
    assert await cluster.read(SERVICE) is None
    assert server.asked[0].path == "/api/v1/namespaces/shop/services/web"


async def test_deleting_what_is_gone_is_done(server: ApiServer, cluster: KubeClient) -> None:
    server.replies(Refusal(404))
    await cluster.delete(DEPLOYMENT)
    assert server.asked[0].body == {"propagationPolicy": "Background"}


async def test_deleting_a_live_object_spares_its_successor(server: ApiServer, cluster: KubeClient) -> None:
    await cluster.delete({**DEPLOYMENT, "metadata": {"namespace": "shop", "name": "web", "uid": "u"}})
    assert server.asked[0].body["preconditions"] == {"uid": "u"}


async def test_writing_to_an_app_that_is_gone_says_so(server: ApiServer, cluster: KubeClient) -> None:
    server.replies(Refusal(404))
    with pytest.raises(NotFound):
        await cluster.patch_status(KEY, {})


async def test_an_event_is_posted_so_that_describe_shows_it(server: ApiServer, cluster: KubeClient) -> None:
    await cluster.emit(EVENT)
    (asked,) = server.asked
    assert (asked.verb, asked.path) == ("POST", "/api/v1/namespaces/shop/events")
    assert asked.body["involvedObject"] == {
        "apiVersion": "scalableapp.io/v1alpha1",
        "kind": "ScalableApp",
        "namespace": "shop",
        "name": "web",
        "uid": "uid-1",
    }
    assert asked.body["count"] == 1
    assert asked.body["firstTimestamp"] == asked.body["lastTimestamp"]
    assert asked.body["metadata"]["name"].startswith("web.")


async def test_the_same_event_is_counted_up(server: ApiServer, cluster: KubeClient) -> None:
    for _ in range(3):
        await cluster.emit(EVENT)
    first, second, third = server.asked
    assert (first.verb, second.verb) == ("POST", "PATCH")
    assert second.path.endswith(first.body["metadata"]["name"])
    assert second.body.keys() == {"count", "lastTimestamp"}
    assert (second.body["count"], third.body["count"]) == (2, 3)


async def test_another_event_is_not_counted_with_it(server: ApiServer, cluster: KubeClient) -> None:
    await cluster.emit(EVENT)
    await cluster.emit(Event(KEY, "uid-1", "Normal", "SuccessfulRescale", "from 3 to 2"))
    assert [asked.verb for asked in server.asked] == ["POST", "POST"]


async def test_an_event_that_was_cleared_away_is_posted_anew(server: ApiServer, cluster: KubeClient) -> None:
    server.replies({}, Refusal(404), {})
    await cluster.emit(EVENT)
    await cluster.emit(EVENT)
    assert [asked.verb for asked in server.asked] == ["POST", "PATCH", "POST"]
    assert server.asked[2].body["count"] == 1


async def test_only_so_many_events_are_remembered(
    server: ApiServer, cluster: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "_EVENTS_REMEMBERED", 2)
    for number in range(4):
        await cluster.emit(Event(KEY, "uid-1", "Normal", "SuccessfulRescale", f"to {number}"))
    assert len(cluster._events._posted) == 2


async def test_an_event_that_cannot_be_posted_is_logged_and_nothing_more(
    server: ApiServer, cluster: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies(Refusal(403, "events is forbidden"))
    with caplog.at_level(logging.WARNING):
        await cluster.emit(EVENT)
    assert "shop/web: the Event SuccessfulRescale could not be created" in caplog.text


async def test_the_resync_asks_for_metadata_only(server: ApiServer, cluster: KubeClient) -> None:
    server.replies({"metadata": {}, "items": [{"metadata": {"name": "web"}}]})
    found = [metadata async for metadata in cluster.list_metadata("scalableapp.io/v1alpha1", "ScalableApp")]
    assert found == [{"name": "web"}]
    assert server.asked[0].path == "/apis/scalableapp.io/v1alpha1/scalableapps"
    assert "PartialObjectMetadataList" in server.asked[0].headers["Accept"]


def target(name: str, kind: str, field: str = "scaleTargetRef", **spec: object) -> dict[str, object]:
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {field: {"kind": kind, "name": "web"}, **spec}}


AUTOSCALERS = {
    "/apis/autoscaling/v1/horizontalpodautoscalers": [target("by-cpu", "Deployment")],
    "/apis/keda.sh/v1alpha1/scaledobjects": [
        {"metadata": {"namespace": "shop", "name": "by-queue"}, "spec": {"scaleTargetRef": {"name": "worker"}}}
    ],
    "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers": [
        {
            "metadata": {"namespace": "shop", "name": "advice"},
            "spec": {"targetRef": {"kind": "Deployment", "name": "db"}, "updatePolicy": {"updateMode": "Off"}},
        }
    ],
}


async def test_other_autoscalers_are_found_by_their_target(server: ApiServer, cluster: KubeClient) -> None:
    server.respond = lambda asked: {"metadata": {}, "items": AUTOSCALERS[asked.path]}
    found = await cluster.list_autoscalers()
    of_apps, of_targets = {"web", "worker"}, {"apps/Deployment/web", "apps/Deployment/worker"}
    assert found.keys() == {AppKey("shop", name) for name in of_apps | of_targets}
    assert "HorizontalPodAutoscaler shop/by-cpu" in found[AppKey("shop", "web")]
    assert "ScaledObject shop/by-queue" in found[AppKey("shop", "worker")]


@pytest.mark.parametrize(("kind", "conflicts"), [("Deployment", True), ("ScalableApp", True), ("StatefulSet", False)])
async def test_only_targets_of_ours_conflict(
    server: ApiServer, cluster: KubeClient, kind: str, conflicts: bool
) -> None:
    hpa = target("other", kind)
    server.respond = lambda asked: {"metadata": {}, "items": [hpa]} if "autoscaling/v1/" in asked.path else Refusal(404)
    found = await cluster.list_autoscalers()
    assert (AppKey("shop", "web") in found) is conflicts
    group = "scalableapp.io" if kind == "ScalableApp" else "apps"
    assert AppKey("shop", f"{group}/{kind}/web") in found


@pytest.mark.parametrize(
    ("target", "scales"),
    [
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, True),
        ({"kind": "Deployment"}, True),
        ({"apiVersion": "apps.example.com/v1", "kind": "Deployment"}, False),
        ({"apiVersion": "v1", "kind": "Deployment"}, False),
        ({"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp"}, True),
        ({"apiVersion": "example.com/v1", "kind": "ScalableApp"}, False),
        ({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}, False),
    ],
)
async def test_a_target_of_another_group_is_another_workload(
    server: ApiServer, cluster: KubeClient, target: dict[str, str], scales: bool
) -> None:
    hpa = {"metadata": {"namespace": "shop", "name": "other"}, "spec": {"scaleTargetRef": {"name": "web", **target}}}
    server.respond = lambda asked: {"metadata": {}, "items": [hpa]} if "autoscaling/v1/" in asked.path else Refusal(404)
    found = await cluster.list_autoscalers()
    assert (AppKey("shop", "web") in found) is scales
    assert len(found) == 1 + scales  # by its group and kind it is known in any case


BOTH = {Resource.CPU, Resource.MEMORY}


@pytest.mark.parametrize(
    ("changes", "resources"),
    [
        pytest.param({}, BOTH, id="by default"),
        pytest.param({"updatePolicy": {"updateMode": "Recreate"}}, BOTH, id="Recreate"),
        pytest.param({"updatePolicy": {"updateMode": "Initial"}}, BOTH, id="Initial"),
        pytest.param({"updatePolicy": {"updateMode": "Off"}}, set(), id="Off"),
        pytest.param(
            {"resourcePolicy": {"containerPolicies": [{"containerName": "*", "controlledResources": ["memory"]}]}},
            {Resource.MEMORY},
            id="memory only",
        ),
        pytest.param(
            {
                "resourcePolicy": {
                    "containerPolicies": [{"containerName": "*", "mode": "Off"}, {"containerName": "proxy"}]
                }
            },
            set(),
            id="a sidecar only",
        ),
        pytest.param(
            {
                "resourcePolicy": {
                    "containerPolicies": [
                        {"containerName": "app", "controlledResources": ["cpu"]},
                        {"containerName": "*", "mode": "Off"},
                    ]
                }
            },
            {Resource.CPU},
            id="CPU of the app",
        ),
    ],
)
async def test_a_vertical_autoscaler_sizes_pods_and_is_no_conflict_for_replicas(
    server: ApiServer, cluster: KubeClient, changes: dict[str, Any], resources: set[Resource]
) -> None:
    vpa = {
        "metadata": {"namespace": "shop", "name": "sizes"},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, **changes},
    }
    server.respond = lambda asked: (
        {"metadata": {}, "items": [vpa]} if "verticalpodautoscalers" in asked.path else Refusal(404)
    )
    assert await cluster.list_autoscalers() == {}
    found = await cluster.list_resizers()
    assert {resource for conflict in found.values() for resource in conflict.resources} == resources
    assert all("VerticalPodAutoscaler shop/sizes also sets" in conflict.message for conflict in found.values())


async def test_in_one_namespace_only_its_autoscalers_are_asked_for(server: ApiServer, cluster: KubeClient) -> None:
    server.replies(Refusal(404))
    assert await cluster.list_autoscalers("shop") == {}
    assert server.asked[0].path == "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers"


@pytest.mark.parametrize(("served", "resize"), [("pods/status", False), ("pods/resize", True)])
async def test_whether_pods_can_be_resized_is_discovered(
    server: ApiServer, cluster: KubeClient, served: str, resize: bool
) -> None:
    server.replies({"resources": [{"name": "pods"}, {"name": served}]})
    assert await cluster.features() == ClusterFeatures(resize=resize)
    assert server.asked[0].path == "/api/v1"


LIMIT_RANGE = {
    "metadata": {"name": "small"},
    "spec": {"limits": [{"type": "Container", "max": {"cpu": "1", "memory": "2Gi"}}]},
}
NODE = {"status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}}


@pytest.mark.parametrize(("nodes", "memory"), [(True, 2 * 2**30), (False, 2 * 2**30)], ids=["all", "own namespaces"])
async def test_what_bounds_sizes_is_read_as_far_as_the_operator_may(
    server: ApiServer, cluster: KubeClient, nodes: bool, memory: int
) -> None:
    lists: dict[str, object] = {
        "/api/v1/nodes": {"metadata": {}, "items": [NODE]} if nodes else Refusal(403, "cannot list nodes"),
        "/api/v1/namespaces/shop/limitranges": {"metadata": {}, "items": [LIMIT_RANGE]},
        "/api/v1/namespaces/shop/resourcequotas": {"metadata": {}, "items": []},
    }
    server.respond = lambda asked: lists[asked.path]
    limits = (await cluster.list_limits({"shop"}))["shop"]
    assert limits.containers[Resource.MEMORY].most == memory
    assert limits.containers[Resource.CPU].whose == "LimitRange small"


async def test_one_bad_object_or_namespace_hides_no_other(server: ApiServer, cluster: KubeClient) -> None:
    odd = {
        "metadata": {"name": "odd"},
        "spec": {"limits": [{"type": "Container", "min": {"cpu": "?"}, "maxLimitRequestRatio": {"cpu": "1500m"}}]},
    }

    def respond(asked: Asked) -> object:
        if "/down/" in asked.path:
            return Refusal(503, "out of order")
        ranges = [odd, LIMIT_RANGE] if asked.path.endswith("limitranges") else []
        return {"metadata": {}, "items": ranges}

    server.respond = respond
    limits = await cluster.list_limits({"down", "shop"})
    assert set(limits) == {"shop"}
    assert limits["shop"].containers[Resource.CPU].ratio == 1.5
    assert limits["shop"].containers[Resource.CPU].most == 1.0
    assert "LimitRange odd: min cpu" in limits["shop"].unread[0]
