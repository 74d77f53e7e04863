"""The Redis of an app: restricted, bounded, found by nobody but its app."""

from typing import Any

import pytest

from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children import redis
from scalableapp.core.children.drift import owned_by
from scalableapp.core.children.resources import ClusterFeatures, child_names, children, selector, unwanted
from scalableapp.core.model import AppKey

KEY = AppKey("shop", "cart")
FEATURES = ClusterFeatures(redis_image="mirror/redis:1")


def cache_children(**cache: Any) -> dict[str, dict[str, Any]]:
    manifests = children(KEY, "uid-1", parse_spec({"image": "cart:1", "cache": cache}), FEATURES)
    return {found["kind"]: found for found in manifests if found["metadata"]["name"] == "cart-cache"}


def pod() -> dict[str, Any]:
    found: dict[str, Any] = cache_children(backend="Redis")["Deployment"]["spec"]["template"]["spec"]
    return found


def app_env(**cache: Any) -> dict[str, Any]:
    (deployment, *_) = children(KEY, "uid-1", parse_spec({"image": "cart:1", "cache": cache}), FEATURES)
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {variable["name"]: variable.get("value") for variable in variables}


@pytest.mark.parametrize("backend", ["None", "Memory"])
def test_only_the_backend_redis_has_one(backend: str) -> None:
    assert cache_children(backend=backend) == {}
    assert "CACHE_REDIS_URL" not in app_env(backend=backend)


def test_it_is_a_deployment_a_service_and_a_policy_of_the_apps_own() -> None:
    made = cache_children(backend="Redis")
    assert list(made) == ["NetworkPolicy", "Deployment", "Service"]
    for manifest in made.values():
        assert owned_by(manifest, "uid-1")
        assert manifest["metadata"]["labels"]["scalableapp.io/app"] == "cart"
        assert manifest["metadata"]["name"] in child_names(KEY)


def test_the_app_gets_its_address() -> None:
    variables = app_env(backend="Redis", timeoutSeconds=9)
    assert variables["CACHE_REDIS_URL"] == "redis://cart-cache:6379/0"
    assert variables["CACHE_BACKEND"] == "Redis"
    assert cache_children(backend="Redis")["Service"]["spec"]["ports"][0]["port"] == 6379


@pytest.mark.parametrize("backend", ["None", "Memory"])
def test_with_another_backend_it_is_unwanted(backend: str) -> None:
    spec = parse_spec({"image": "cart:1", "cache": {"backend": backend}})
    gone = {(found["kind"], found["metadata"]["name"]) for found in unwanted(KEY, spec)}
    assert gone - {("Ingress", "cart"), ("HTTPRoute", "cart")} == {
        ("Deployment", "cart-cache"),
        ("Service", "cart-cache"),
        ("NetworkPolicy", "cart-cache"),
    }


def test_with_redis_nothing_of_it_is_unwanted() -> None:
    gone = unwanted(KEY, parse_spec({"image": "cart:1", "cache": {"backend": "Redis"}}))
    assert [found["kind"] for found in gone] == ["Ingress", "HTTPRoute"]


def test_its_pods_are_not_taken_for_the_apps() -> None:
    """The app's Service sends no requests to them, its Deployment does not adopt them, the operator counts none."""
    labels = cache_children(backend="Redis")["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert not selector(KEY).items() <= labels.items()
    assert "app.kubernetes.io/managed-by" not in labels
    assert "scalableapp.io/app" not in labels


def test_the_apps_pods_are_not_taken_for_its() -> None:
    made = cache_children(backend="Redis")
    for found in (
        made["Service"]["spec"]["selector"],
        made["Deployment"]["spec"]["selector"]["matchLabels"],
        made["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert found.items() <= made["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
        assert not found.items() <= (selector(KEY) | {"app.kubernetes.io/managed-by": "scalableapp-operator"}).items()


def test_only_the_apps_pods_may_reach_it() -> None:
    policy = cache_children(backend="Redis")["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": selector(KEY)}}],
            "ports": [{"port": 6379, "protocol": "TCP"}],
        }
    ]
    assert "egress" not in policy


def test_the_pod_meets_the_restricted_pod_security_standard() -> None:
    found = pod()
    assert found["automountServiceAccountToken"] is False
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["runAsUser"] > 0
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_it_writes_nothing_and_forgets_before_it_is_killed() -> None:
    container = pod()["containers"][0]
    command = " ".join(container["command"])
    assert container["image"] == "mirror/redis:1"
    assert "volumes" not in pod()
    assert "--save  --appendonly no" in command
    assert "--maxmemory 64mb --maxmemory-policy allkeys-lfu" in command
    assert container["resources"]["limits"]["memory"] == "128Mi"


def test_one_runs_at_a_time() -> None:
    spec = cache_children(backend="Redis")["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_longest_name_leaves_room_for_a_service() -> None:
    assert len(redis.cache_name(AppKey("shop", "a" * redis.LONGEST_APP_NAME))) == 63
