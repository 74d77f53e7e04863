"""The Kubernetes adapter against a real API server and its controllers."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from scalableapp.adapters.kube_api import KubeApi, Request, load_configuration
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.lease import Lease, LeaseLost, LeaseTimes
from scalableapp.adapters.podwatch import PodEvent, PodWatch
from scalableapp.adapters.watch import Listed
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.contest import additions, editor_of, setter_of
from scalableapp.core.children.drift import differences, in_sync
from scalableapp.core.children.resources import MANAGED_BY, ClusterFeatures, children
from scalableapp.core.model import AppKey
from scalableapp.errors import ClusterError, Conflict, NotFound, Rejected
from scalableapp.ports import Event, Manifest
from tests.cluster.shop import CONTEXT, kubectl

pytestmark = pytest.mark.cluster

CRDS = Path(__file__).parents[2] / "crds"
PATIENCE_SECONDS = 180
LABELS = {"scalableapp.io/app": "web"}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[KubeApi]:
    try:
        configuration = await load_configuration(CONTEXT)
    except ClusterError as error:
        pytest.fail(f"no cluster: {error}; make cluster-up")
    api = KubeApi(configuration, timeout_seconds=20)
    yield api
    await api.close()


@pytest_asyncio.fixture
async def namespace(api: KubeApi) -> AsyncIterator[str]:
    name = f"adapter-{secrets.token_hex(3)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await api.ask(Request("POST", "/api/v1/namespaces", body=body))
    yield name
    await api.ask(Request("DELETE", f"/api/v1/namespaces/{name}"))


@pytest.fixture
def cluster(api: KubeApi) -> KubeClient:
    return KubeClient(api)


def deployment(namespace: str, image: str = "nothing.invalid/none:1") -> Manifest:
    """Pods of it never start: nothing is pulled."""
    container = {"name": "app", "image": image, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "web", "labels": LABELS},
        "spec": {
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}},
        },
    }


async def test_apply_creates_and_updates_and_takes_fields_back(
    cluster: KubeClient, api: KubeApi, namespace: str
) -> None:
    manifest = deployment(namespace)
    assert await cluster.read(manifest) is None
    created = await cluster.apply(manifest)
    updated = await cluster.apply(deployment(namespace, "nothing.invalid/none:2"))
    assert updated["metadata"]["uid"] == created["metadata"]["uid"]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    by_hand = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "nothing.invalid/by-hand"}]}}}}
    await api.ask(Request("PATCH", path, body=by_hand, content_type="application/strategic-merge-patch+json"))
    restored = await cluster.apply(deployment(namespace, "nothing.invalid/none:2"))
    assert restored["spec"]["template"]["spec"]["containers"][0]["image"] == "nothing.invalid/none:2"


async def test_applying_the_same_again_changes_nothing(cluster: KubeClient, namespace: str) -> None:
    first = await cluster.apply(deployment(namespace))
    again = await cluster.apply(deployment(namespace))
    assert again["metadata"]["generation"] == first["metadata"]["generation"]


def child(namespace: str, **fields: Any) -> Manifest:
    """An app's Deployment as the operator applies it, but without its owner, which does not exist."""
    spec = parse_spec({"image": "nothing.invalid/none:1"} | fields)
    manifest = children(AppKey(namespace, "web"), "uid", spec, ClusterFeatures())[0]
    del manifest["metadata"]["ownerReferences"]
    return manifest


async def test_any_text_is_applied_and_comes_back_as_it_was(cluster: KubeClient, namespace: str) -> None:
    text = "Hello \U0001f30d \x01\x7f\x85\u2028\ufeff\uffff - 'a': *b\n\t\\ud83c"
    manifest = child(namespace, env=[{"name": "A", "value": text}], args=[text])
    assert in_sync(await cluster.apply(manifest), manifest)


async def test_a_deployment_that_somebody_paused_is_resumed_and_what_they_added_is_named(
    cluster: KubeClient, api: KubeApi, namespace: str
) -> None:
    manifest = child(namespace)
    assert in_sync(await cluster.apply(manifest), manifest)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    body = {"spec": {"paused": True, "minReadySeconds": 77, "template": {"spec": {"hostNetwork": True}}}}
    query = {"fieldManager": "somebody"}
    edited = await api.ask(Request("PATCH", path, query, body, "application/strategic-merge-patch+json"))
    assert list(differences(edited, manifest)) == ["spec.minReadySeconds", "spec.paused"]
    assert editor_of(edited, MANAGED_BY) == "somebody"
    restored = await cluster.apply(manifest)
    assert in_sync(restored, manifest)
    assert additions(restored, MANAGED_BY) == "'somebody' set spec.template.spec.hostNetwork"


async def test_a_later_apply_keeps_the_replicas(cluster: KubeClient, namespace: str) -> None:
    await cluster.apply(deployment(namespace))
    await cluster.scale(AppKey(namespace, "web"), 3)
    applied = await cluster.apply(deployment(namespace, "nothing.invalid/none:2"))
    assert applied["spec"]["replicas"] == 3
    await cluster.scale(AppKey(namespace, "web"), 0)
    assert (await cluster.apply(deployment(namespace)))["spec"]["replicas"] == 0


async def test_who_set_the_replicas_is_named_by_managed_fields(cluster: KubeClient, namespace: str) -> None:
    key, where = AppKey(namespace, "web"), ("-n", namespace)
    await cluster.apply(deployment(namespace))
    await cluster.scale(key, 3)

    def setter() -> str:
        live = json.loads(kubectl("get", "deployment", "web", *where, "-o", "json", "--show-managed-fields"))
        return setter_of(live, MANAGED_BY)

    assert setter() == ""
    wanted = deployment(namespace)
    wanted["spec"]["replicas"] = 1
    kubectl(
        *("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-"),
        text=json.dumps(wanted),
    )
    assert setter() == "argocd-controller"
    patch = json.dumps({"spec": {"replicas": 0}})
    kubectl("patch", "deployment", "web", *where, "--type=merge", "--field-manager=tool", "-p", patch)
    assert setter() == "tool"


async def test_a_manifest_that_makes_no_sense_is_rejected_with_the_reason(cluster: KubeClient, namespace: str) -> None:
    broken = deployment(namespace)
    broken["spec"]["selector"]["matchLabels"] = {"another": "app"}
    with pytest.raises(Rejected, match="selector"):
        await cluster.apply(broken)


async def test_scaling_what_is_not_there_says_so(cluster: KubeClient, namespace: str) -> None:
    with pytest.raises(NotFound):
        await cluster.scale(AppKey(namespace, "web"), 3)


async def test_deleting_spares_an_object_of_another_uid_and_is_done_twice(cluster: KubeClient, namespace: str) -> None:
    manifest = await cluster.apply(deployment(namespace))
    successor = {**manifest, "metadata": {**manifest["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}
    with pytest.raises(Conflict):
        await cluster.delete(successor)
    await cluster.delete(manifest)
    await cluster.delete(manifest)
    assert await cluster.read(manifest) is None


@pytest_asyncio.fixture
async def app(cluster: KubeClient, api: KubeApi, namespace: str) -> dict[str, Any]:
    """A ScalableApp that asks for no pods."""
    kubectl("apply", "-k", str(CRDS))
    path = f"/apis/scalableapp.io/v1alpha1/namespaces/{namespace}/scalableapps"
    body = {
        "apiVersion": "scalableapp.io/v1alpha1",
        "kind": "ScalableApp",
        "metadata": {"name": "web"},
        "spec": {"image": "nothing.invalid/none:1", "replicas": 0, "ingress": {"enabled": False}},
    }
    return await api.ask(Request("POST", path, body=body))


async def test_status_is_written_and_fields_are_removed(
    cluster: KubeClient, app: dict[str, Any], namespace: str
) -> None:
    key = AppKey(namespace, "web")

    async def url_after(url: str | None) -> str | None:
        await cluster.patch_status(key, {"url": url})
        live = await cluster.read(app) or {}
        text: str | None = live.get("status", {}).get("url")
        return text

    for _ in range(10):  # an operator that runs in the cluster may write in between
        written = [await url_after("http://somewhere"), await url_after(None)]
        if written == ["http://somewhere", None]:
            return
    pytest.fail(f"the status read back was {written}")


async def test_the_same_event_is_one_object_that_counts(
    cluster: KubeClient, api: KubeApi, app: dict[str, Any], namespace: str
) -> None:
    event = Event(AppKey(namespace, "web"), app["metadata"]["uid"], "Normal", "TestedRescale", "from 1 to 2")
    for _ in range(3):
        await cluster.emit(event)
    query = {"fieldSelector": "involvedObject.name=web,reason=TestedRescale"}
    events = await api.ask(Request("GET", f"/api/v1/namespaces/{namespace}/events", query))
    assert [(item["count"], item["message"]) for item in events["items"]] == [(3, "from 1 to 2")]
    described = kubectl("-n", namespace, "describe", "sapp", "web")
    assert "TestedRescale" in described
    assert "(x3 over" in described


async def test_the_resync_lists_every_app_by_its_metadata(
    cluster: KubeClient, app: dict[str, Any], namespace: str
) -> None:
    found = [item async for item in cluster.list_metadata("scalableapp.io/v1alpha1", "ScalableApp", namespace)]
    assert [item["uid"] for item in found] == [app["metadata"]["uid"]]


async def test_pods_are_followed_through_their_lives(cluster: KubeClient, api: KubeApi, namespace: str) -> None:
    await cluster.apply(deployment(namespace))
    events = PodWatch(api, namespace).events()
    pods: dict[str, PodEvent] = {}
    listed = False

    async def follow(enough: Callable[[], bool]) -> None:
        nonlocal listed
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for event in events:
                listed = listed or isinstance(event, Listed)
                if isinstance(event, PodEvent):
                    pods[event.name] = event
                if enough():
                    return

    def alive() -> list[PodEvent]:
        return [event for event in pods.values() if event.pod]

    await follow(lambda: listed and len(alive()) == 1)
    await cluster.scale(AppKey(namespace, "web"), 2)
    await follow(lambda: len(alive()) == 2)
    assert {event.key for event in alive()} == {AppKey(namespace, "web")}
    assert not any(event.pod.ready for event in alive() if event.pod)
    await cluster.scale(AppKey(namespace, "web"), 0)
    await follow(lambda: not alive())


async def test_a_horizontalpodautoscaler_on_our_deployment_is_found(
    cluster: KubeClient, api: KubeApi, namespace: str
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {"metadata": {"name": "rival"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}}
    path = f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers"
    await api.ask(Request("POST", path, body=body))
    for where in (namespace, ""):
        assert "rival" in (await cluster.list_autoscalers(where))[AppKey(namespace, "web")]


async def test_features_fit_the_version(cluster: KubeClient, api: KubeApi) -> None:
    minor = int((await api.ask(Request("GET", "/version")))["minor"].rstrip("+"))
    assert (await cluster.features()).resize == (minor >= 33)


async def test_one_of_two_holds_the_lease_and_the_other_follows_when_it_lets_go(api: KubeApi, namespace: str) -> None:
    times = LeaseTimes(duration_seconds=30, renew_deadline_seconds=20, retry_seconds=0.2)
    one, two = (Lease(api, namespace, "operator", name, times=times) for name in ("one", "two"))
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    renewals = one.renewals()
    assert [await anext(renewals) for _ in range(8)] == [""] * 8
    assert not waiting.done()
    await one.release()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await waiting
    lease = await api.ask(Request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/operator"))
    assert lease["spec"]["holderIdentity"] == "two"
    assert lease["spec"]["leaseTransitions"] == 2


async def test_a_silent_holder_loses_the_lease(api: KubeApi, namespace: str) -> None:
    times = LeaseTimes(duration_seconds=2, renew_deadline_seconds=1.5, retry_seconds=0.2)
    one, two = (Lease(api, namespace, "operator", name, times=times) for name in ("one", "two"))
    await one.acquire()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await two.acquire()
        with pytest.raises(LeaseLost, match=r"taken over by two|could not be renewed"):
            await anext(one.renewals())
