"""The size of pods that a later scale-out makes: against the real Deployment controller, whatever its version."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from scalableapp.adapters.kube_api import KubeApi, load_configuration
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import ClusterFeatures, Manifest, Template, children
from scalableapp.core.model import AppKey
from scalableapp.core.size import Size, read_size
from scalableapp.core.vertical.change import Change, Phase, Way
from scalableapp.engine import resizing
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.registry import Registry
from tests.cluster.shop import CONTEXT, Shop, eventually

pytestmark = pytest.mark.cluster

FEATURES = ClusterFeatures()
SPEC = parse_spec(
    {
        "image": "sample-app:0.1.0",
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
        "scaling": {"mode": "Vertical"},
    }
)
OLD = read_size({"requests": SPEC.resources.requests, "limits": SPEC.resources.limits})
NEW = read_size({"requests": {"cpu": "30m", "memory": "112Mi"}, "limits": {"cpu": "750m", "memory": "288Mi"}})


def unowned(*arguments: Any) -> tuple[Manifest, ...]:
    """The children without an owner: there is no ScalableApp here, and the garbage collector would take them."""
    manifests = children(*arguments)
    for manifest in manifests:
        del manifest["metadata"]["ownerReferences"]
    return manifests


@pytest.fixture
def without_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resizing, "children", unowned)


def pods(shop: Shop) -> dict[str, Size]:
    listed = json.loads(shop.kubectl("get", "pods", "-l", "scalableapp.io/app=later", "-o", "json"))["items"]
    return {pod["metadata"]["name"]: read_size(pod["spec"]["containers"][0]["resources"]) for pod in listed}


def wait_for_pods(shop: Shop, count: int) -> None:
    def check() -> None:
        assert shop.get("deployment", "later")["status"].get("readyReplicas", 0) == count
        assert len(pods(shop)) == count

    eventually(check)


async def resized_later(key: AppKey) -> None:
    """Let the operator's own code give later pods the new size."""
    api = KubeApi(await load_configuration(CONTEXT), timeout_seconds=20)
    try:
        registry, client, now = Registry(), KubeClient(api), datetime.now(UTC)
        registry.child_seen(await client.read(unowned(key, "", SPEC, FEATURES, Template())[0]) or {})
        record = registry._record(key)
        record.spec, record.deployment = SPEC, record.deployment or DeploymentFacts(0, 0)
        change = Change(NEW, OLD, Way.IN_PLACE, Phase.TEMPLATE, now, now, "tried")
        resizer = resizing.Resizer(registry, client, FEATURES, lambda: datetime.now(UTC))
        await resizer._resize_later_pods(record, change)
    finally:
        await api.close()


@pytest.mark.usefixtures("without_owner")
def test_later_pods_have_the_new_size_and_no_rollout_comes_of_it(shop: Shop) -> None:
    key = AppKey(shop.namespace, "later")
    deployment = unowned(key, "", SPEC, FEATURES, Template())[0]
    shop.kubectl(
        "apply", "--server-side", "--field-manager=scalableapp-operator", "-f", "-", text=json.dumps(deployment)
    )
    shop.kubectl("scale", "deployment", "later", "--replicas=2")
    wait_for_pods(shop, 2)
    before = pods(shop)

    asyncio.run(resized_later(key))

    live = shop.get("deployment", "later")
    assert "paused" not in live["spec"]
    assert read_size(live["spec"]["template"]["spec"]["containers"][0]["resources"]) == NEW
    shop.kubectl("scale", "deployment", "later", "--replicas=3")
    wait_for_pods(shop, 3)
    after = pods(shop)
    assert {name: after.get(name) for name in before} == dict.fromkeys(before, OLD)
    assert [size for name, size in after.items() if name not in before] == [NEW]
    sets = json.loads(shop.kubectl("get", "replicasets", "-l", "scalableapp.io/app=later", "-o", "json"))["items"]
    assert len(sets) == 1
