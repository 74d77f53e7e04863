"""cache.backend Redis on the real cluster: shared by the pods, dispensable, and gone with the setting."""

import json
import time
from typing import Any

import pytest

from tests.cluster.shop import Shop, eventually

pytestmark = pytest.mark.cluster

SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
KINDS = "deployment,service,networkpolicy"
APP: dict[str, Any] = {"image": "sample-app:0.1.0", "replicas": 2, "resources": SMALL}


@pytest.fixture
def web(shop: Shop) -> Shop:
    """Two pods of the sample app, and their Redis."""
    shop.apply(**APP, cache={"backend": "Redis", "timeoutSeconds": 600})
    shop.wait_until_deployed()
    eventually(lambda: shop.kubectl("get", "deployment", "web-cache"))
    for deployment in ("web-cache", "web"):
        shop.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=150s")
    return shop


def pods(shop: Shop) -> list[str]:
    """Names of the app's pods that run."""
    listed = json.loads(shop.kubectl("get", "pods", "-l", shop.get("sapp")["status"]["selector"], "-o", "json"))
    return [pod["metadata"]["name"] for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]


def ask(shop: Shop, pod: str, path: str) -> str:
    """What that very pod answers; raises AssertionError for an error."""
    return shop.kubectl("get", "--raw", f"/api/v1/namespaces/{shop.namespace}/pods/{pod}:8000/proxy{path}")


def made_by(shop: Shop, pod: str) -> str:
    """The pod that computed what `pod` answers."""
    return str(json.loads(ask(shop, pod, "/cached"))["computed_by"]["pod"])


def makers(shop: Shop) -> set[str]:
    return {made_by(shop, pod) for pod in pods(shop) for _ in range(4)}


def test_what_one_pod_computes_the_other_answers(web: Shop) -> None:
    assert len(pods(web)) == 2
    eventually(lambda: _one(makers(web)))
    assert json.loads(ask(web, pods(web)[0], "/products/17"))["id"] == 17


def test_its_redis_is_bounded_and_keeps_nothing(web: Shop) -> None:
    asked = ("exec", "deployment/web-cache", "--", "redis-cli", "CONFIG", "GET")
    assert web.kubectl(*asked, "maxmemory").split()[-1] == str(64 * 1024 * 1024)
    assert web.kubectl(*asked, "maxmemory-policy").split()[-1] == "allkeys-lfu"
    assert web.kubectl(*asked, "save").split() == ["save"]
    assert web.kubectl("exec", "deployment/web-cache", "--", "id", "-u").strip() != "0"


def test_its_pod_is_not_counted_as_the_apps(web: Shop) -> None:
    status = web.get("sapp")["status"]
    assert (status["replicas"], status["desiredReplicas"]) == (2, 2)


def test_without_its_redis_the_app_answers_and_uses_it_again_when_it_is_back(web: Shop) -> None:
    eventually(lambda: _one(makers(web)))
    redis = ("pods", "-l", "app.kubernetes.io/name=web-cache")
    before = web.kubectl("get", *redis, "-o", "name")
    web.kubectl("delete", *redis, "--grace-period=0", "--force", "--wait=false")
    for _ in range(10):
        assert all(made_by(web, pod) for pod in pods(web))
        time.sleep(0.2)
    web.kubectl("rollout", "status", "deployment/web-cache", "--timeout=150s")
    assert web.kubectl("get", *redis, "-o", "name") != before
    eventually(lambda: _one(makers(web)))


def test_nobody_scales_it_to_nothing(web: Shop) -> None:
    web.kubectl("scale", "deployment/web-cache", "--replicas=0")

    def back() -> None:
        assert json.loads(web.kubectl("get", "deployment", "web-cache", "-o", "json"))["spec"]["replicas"] == 1

    eventually(back)


def test_with_another_backend_it_is_gone_and_the_app_answers(web: Shop) -> None:
    web.apply(**APP, cache={"backend": "Memory", "timeoutSeconds": 600})

    def gone() -> None:
        left = web.kubectl("get", KINDS, "-o", "name").split()
        assert [name for name in left if name.endswith("/web-cache")] == []

    eventually(gone)
    web.kubectl("rollout", "status", "deployment/web", "--timeout=150s")
    web.wait_until_deployed()
    assert all(made_by(web, pod) for pod in pods(web))


def _one(found: set[str]) -> None:
    assert len(found) == 1, found
