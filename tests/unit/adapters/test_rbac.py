"""The operator's roles hold exactly what its adapters and Kopf's watches ask of the API server: no less, no more."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from scalableapp.adapters.kube_api import KubeApi, collection
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.lease import Lease
from scalableapp.adapters.podwatch import PodEvent, PodWatch
from scalableapp.adapters.scales import Scales
from scalableapp.adapters.watch import Seen, Watch
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.children.mounts import CONFIG_MAP, SECRET, Source
from scalableapp.core.children.resources import API_VERSION, KIND, ClusterFeatures, children
from scalableapp.core.children.routing import API_VERSIONS, HTTP_ROUTE
from scalableapp.core.model import AppKey
from scalableapp.core.size import Amount, Size
from scalableapp.engine.informers import CHILD_KINDS
from scalableapp.engine.registry import Registry
from scalableapp.engine.targets import Targets
from scalableapp.engine.workqueue import AsyncWorkQueue, WorkQueue
from scalableapp.handlers import kopf_handlers
from scalableapp.ports import Event
from scalableapp.process import LEASE_NAME
from tests.unit.adapters.canned import ApiServer, Asked, Refusal

BASE = Path(__file__).resolve().parents[3] / "manifests" / "base"
KEY = AppKey("shop", "web")
SYSTEM = "scalableapp-system"
FEATURES = ClusterFeatures(resize=True, gateway_api=True)
SPECS = [
    parse_spec({"image": "web:1", "ingress": {"host": "a.io"}, "cache": {"backend": "Redis"}}),
    parse_spec({"image": "web:1", "route": {"parentRefs": [{"name": "public"}]}}),
]
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"namespace": "shop", "name": "web", "uid": "d"},
}
TARGETS = {"apps/v1": ("Deployment", "StatefulSet", "ReplicaSet"), "argoproj.io/v1alpha1": ("Rollout",)}
DISCOVERED = {
    f"/apis/{version}": {
        "resources": [{"kind": kind, "name": f"{kind.lower()}s{scale}"} for kind in kinds for scale in ("", "/scale")]
    }
    for version, kinds in TARGETS.items()
}
REPLICA_SET = {
    "metadata": {
        "namespace": "shop",
        "name": "web-1",
        "uid": "r",
        "ownerReferences": [{"uid": "d", "controller": True}],
    }
}
REPLICA_SETS = {"metadata": {"resourceVersion": "1"}, "items": [REPLICA_SET]}

POD = {
    "metadata": {
        "namespace": "shop",
        "name": "web-1",
        "uid": "p",
        "labels": {"scalableapp.io/app": "web"},
        "creationTimestamp": "2026-11-23T08:00:00Z",
        "resourceVersion": "2",
    }
}
RAISED = Size(cpu=Amount(0.1, 0.2))


class Right(NamedTuple):
    group: str
    resource: str
    verb: str


def granted(*documents: dict[str, Any]) -> set[Right]:
    return {
        Right(group, resource, verb)
        for document in documents
        for rule in document.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed(asked: Asked) -> Iterator[Right]:
    """The rights that the API server's authorizer looks for; discovery is everybody's."""
    if asked.path in ("/version", "/api/v1", "/apis/policy", f"/apis/{API_VERSION}", *DISCOVERED):
        return
    parts = asked.path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[0] == "namespaces":
        rest = rest[2:]
    resource, named = "/".join([rest[0], *rest[2:]]), len(rest) > 1
    verbs = {"GET": "get" if named else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
    yield Right(group, resource, "watch" if asked.query.get("watch") else verbs[asked.verb])
    if asked.headers.get("Content-Type", "").startswith("application/apply-patch+yaml"):
        yield Right(group, resource, "create")  # of what is not there yet


def answered(asked: Asked) -> Any:
    if asked.query.get("watch"):
        return {"type": "ADDED", "object": POD}
    if asked.path in DISCOVERED:
        return DISCOVERED[asked.path]
    if asked.path.endswith("/replicasets"):
        return REPLICA_SETS
    return {"metadata": {"resourceVersion": "1"}, "spec": {}, "items": [], "resources": []}


async def use_children(cluster: KubeClient) -> None:
    for spec in SPECS:
        for manifest in children(KEY, "uid-1", spec, FEATURES):
            await cluster.read(manifest)
            await cluster.check(manifest)
            await cluster.apply(manifest)
            await cluster.delete(manifest)


async def use_app(cluster: KubeClient) -> None:
    await cluster.scale(KEY, 2)
    await cluster.patch_status(KEY, {})
    for _ in range(2):  # the second time it is counted up
        await cluster.emit(Event(KEY, "uid-1", "Normal", "SuccessfulRescale", "from 2 to 3"))
    await cluster.resize(KEY, "web-1", RAISED)
    await cluster.resize_later_pods(DEPLOYMENT, RAISED)


async def use_lists(cluster: KubeClient) -> None:
    await cluster.features()
    assert await cluster.serves(API_VERSION, KIND) is False
    assert await cluster.why_not_listed("v1", "Pod", "shop") == ""
    await cluster.list_autoscalers()
    await cluster.list_resizers()
    await cluster.list_limits({"shop"})
    await cluster.resource_versions("shop", CONFIG_MAP)
    await cluster.mount_version("shop", Source(CONFIG_MAP, "config"))
    kinds = {KIND: API_VERSION, HTTP_ROUTE: API_VERSIONS[HTTP_ROUTE], **CHILD_KINDS}
    for kind, api_version in kinds.items():
        _ = [metadata async for metadata in cluster.list_metadata(api_version, kind)]


async def use_pods(api: KubeApi) -> None:
    events = PodWatch(api, "", "a=b").events()
    async with aclosing(events):  # type: ignore[type-var]  # it is a generator
        async for event in events:
            if isinstance(event, PodEvent):
                return


async def use_watch(api: KubeApi, path: str, labels: str) -> None:
    changes = Watch(api, path, "objects", labels).changes()
    async with aclosing(changes):  # type: ignore[type-var]  # it is a generator
        async for change in changes:
            if isinstance(change, Seen):
                return


async def use_targets(api: KubeApi, version: str) -> None:
    """As a target of each kind is followed: its kind, ReplicaSets and pods are watched, and its scale is written."""
    registry, scales = Registry(), Scales(api)
    queue = AsyncWorkQueue(WorkQueue(), time.monotonic)
    targets = Targets(registry, queue, KubeClient(api), api, scales)
    for kind in TARGETS[version]:
        ref = {"apiVersion": version, "kind": kind, "name": "web"}
        metadata = {"namespace": "shop", "name": kind.lower(), "uid": kind, "generation": 1}
        registry.app_seen({"metadata": metadata, "spec": {"targetRef": ref}})
        await scales.write("shop", TargetRef.model_validate(ref), 2)
    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await targets.follow()


def watched_by_kopf() -> Iterator[Right]:
    handlers = kopf_handlers(lambda *_: None, CHILD_KINDS)
    for selector in handlers._watching.get_all_selectors():
        for verb in ("list", "watch"):
            yield Right(str(selector.group), str(selector.plural or selector.any_name), verb)


def asked_for(server: ApiServer) -> set[Right]:
    return {right for asked in server.asked for right in needed(asked)}


async def test_the_operator_has_the_rights_that_it_uses_and_no_others(
    server: ApiServer, api: KubeApi, cluster: KubeClient
) -> None:
    server.respond = answered
    await use_children(cluster)
    await use_app(cluster)
    await use_lists(cluster)
    await use_pods(api)
    await use_targets(api, "apps/v1")
    await use_watch(api, collection(API_VERSIONS[HTTP_ROUTE], "httproutes", ""), "a=b")
    await use_watch(api, collection(API_VERSION, "requestsources"), "")
    owners = [
        child["metadata"]["ownerReferences"] for spec in SPECS for child in children(KEY, "uid-1", spec, FEATURES)
    ]
    assert all(owner["blockOwnerDeletion"] for (owner,) in owners)
    for_owners = Right("scalableapp.io", "scalableapps/finalizers", "update")
    (cluster_role,) = documents("cluster-role/cluster-role.yaml")
    assert granted(cluster_role) == asked_for(server) | set(watched_by_kopf()) | {for_owners}


async def test_rollouts_of_argo_take_the_rights_of_their_component_and_of_the_base(
    server: ApiServer, api: KubeApi
) -> None:
    server.respond = answered
    await use_targets(api, "argoproj.io/v1alpha1")
    rollouts = {right for right in asked_for(server) if right.group == "argoproj.io"}
    (component,) = documents("../components/target-rollouts/cluster-role.yaml")
    assert granted(component) == rollouts
    (cluster_role,) = documents("cluster-role/cluster-role.yaml")
    assert asked_for(server) - rollouts < granted(cluster_role)
    (gathered,) = (it for it in documents("rbac.yaml") if "aggregationRule" in it)
    assert (
        gathered["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"].items()
        <= component["metadata"]["labels"].items()
    )


async def test_the_component_for_secrets_lists_them_and_nothing_else(server: ApiServer, cluster: KubeClient) -> None:
    server.respond = answered
    await cluster.resource_versions("shop", SECRET)
    await cluster.mount_version("shop", Source(SECRET, "tls"))
    assert all("PartialObjectMetadataList" in asked.headers["Accept"] for asked in server.asked)
    component = BASE.parent / "components" / "rollout-on-secrets" / "rbac.yaml"
    assert granted(*yaml.safe_load_all(component.read_text())) == asked_for(server)


async def test_the_operator_may_do_with_its_lease_what_it_does(server: ApiServer, api: KubeApi) -> None:
    free = {"metadata": {"resourceVersion": "1"}, "spec": {}}
    for answers in ([Refusal(404), free], [free]):
        server.replies(*answers)
        await Lease(api, SYSTEM, LEASE_NAME, "me").acquire()
    role = next(document for document in documents("rbac.yaml") if document["kind"] == "Role")
    assert granted(role) == asked_for(server)
    assert [rule.get("resourceNames") for rule in role["rules"]] == [None, [LEASE_NAME]]


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((BASE / path).read_text()))


def user_roles() -> dict[str, dict[str, Any]]:
    return {
        document["metadata"]["name"].removeprefix("scalableapp-"): document for document in documents("user-roles.yaml")
    }


def test_each_of_the_users_roles_is_added_to_kubernetes_own_of_its_name() -> None:
    roles = user_roles()
    assert roles.keys() == {"view", "edit", "admin"}
    for name, role in roles.items():
        labels = {label for label in role["metadata"]["labels"] if label.startswith("rbac.")}
        assert labels == {f"rbac.authorization.k8s.io/aggregate-to-{name}"}


def test_who_may_edit_may_view_and_who_may_administer_may_edit() -> None:
    view, edit, admin = (granted(user_roles()[name]) for name in ("view", "edit", "admin"))
    assert view < edit < admin
    assert {right.verb for right in view} == {"get", "list", "watch"}
    assert not {
        right for right in admin if right.resource.endswith("status") and right.verb not in ("get", "list", "watch")
    }
