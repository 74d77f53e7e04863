"""A real HorizontalPodAutoscaler, with CPU from metrics-server, next to an app and in command of one."""

import json
from typing import Any

import pytest

from tests.cluster.shop import Shop, eventually, kubectl

pytestmark = pytest.mark.cluster

# So little CPU that serving the probes is far above half of it.
TINY = {"requests": {"cpu": "1m", "memory": "48Mi"}, "limits": {"cpu": "500m", "memory": "192Mi"}}
APP: dict[str, Any] = {"image": "sample-app:0.1.0", "replicas": None, "resources": TINY}
HALF = 50  # percent
BUSY = ["python", "-c", "while True: sum(range(10**5))"]
# metrics-server needs two samples of a pod, and the HPA looks every 15 s.
PATIENCE_SECONDS = 240.0


@pytest.fixture(autouse=True)
def _metrics(operator: str) -> None:
    """That metrics-server serves metrics here."""
    if not kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found", "-o", "name"):
        pytest.fail("nobody serves metrics to HorizontalPodAutoscalers here; python -m cluster.test_parts")
    kubectl("wait", "--for=condition=Available", "--timeout=150s", "apiservice/v1beta1.metrics.k8s.io")


def autoscale(shop: Shop, deployment: str, highest: int) -> None:
    """An HPA on CPU, half of what the pods request; it does not wait before it scales down."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": HALF}}
    spec = {
        "scaleTargetRef": target,
        "minReplicas": 1,
        "maxReplicas": highest,
        "metrics": [{"type": "Resource", "resource": cpu}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    metadata = {"name": deployment}
    hpa = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    shop.kubectl("apply", "-f", "-", text=json.dumps(hpa))


def measured(shop: Shop, name: str) -> int:
    """The utilization that the HPA has read from metrics-server, once it has."""

    def check() -> int:
        current = shop.get("hpa", name)["status"].get("currentMetrics") or [{}]
        found = current[0].get("resource", {}).get("current", {}).get("averageUtilization")
        assert found is not None, shop.get("hpa", name)["status"]
        return int(found)

    return eventually(check, PATIENCE_SECONDS)


def has_replicas(shop: Shop, name: str, replicas: int) -> None:
    def check() -> None:
        assert shop.get("deployment", name)["spec"]["replicas"] == replicas

    eventually(check, PATIENCE_SECONDS)


def test_while_an_hpa_scales_the_app_it_is_left_to_it_and_control_returns_with_the_hpas_end(shop: Shop) -> None:
    shop.apply(**APP, scaling={"horizontal": {"minReplicas": 1, "maxReplicas": 1}})
    shop.wait_until_deployed()
    has_replicas(shop, "web", 1)
    with shop.replicas_seen() as seen:
        autoscale(shop, "web", 3)
        assert "HorizontalPodAutoscaler" in shop.wait_for("Conflicted", "True", "Conflicted")
        shop.wait_for("ScalingActive", "False", "Conflicted")
        assert measured(shop, "web") > HALF
        has_replicas(shop, "web", 3)  # by its CPU, as the HPA's least is 1
    assert 1 not in seen[1:], seen  # our bounds say 1, and nobody enforced them
    shop.kubectl("delete", "hpa", "web")
    shop.wait_for("Conflicted", "False", "NoConflict")
    has_replicas(shop, "web", 1)


def test_an_hpa_on_another_deployment_of_the_namespace_scales_it_and_does_not_disturb_the_app(shop: Shop) -> None:
    shop.apply(**APP, scaling={"horizontal": {"minReplicas": 1, "maxReplicas": 1}})
    shop.wait_until_deployed()
    other = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "other"},
        "spec": {
            "selector": {"matchLabels": {"run": "other"}},
            "template": {
                "metadata": {"labels": {"run": "other"}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "busy",
                            "image": "sample-app:0.1.0",
                            "imagePullPolicy": "IfNotPresent",
                            "command": BUSY,
                            "resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "50m"}},
                        }
                    ],
                },
            },
        },
    }
    shop.kubectl("apply", "-f", "-", text=json.dumps(other))
    autoscale(shop, "other", 2)
    assert measured(shop, "other") > HALF
    has_replicas(shop, "other", 2)  # by its CPU, as its least is 1
    assert shop.condition("Conflicted")[:2] == ("False", "NoConflict")
    assert shop.get("deployment")["spec"]["replicas"] == 1
