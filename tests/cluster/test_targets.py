"""Workloads of others on a real cluster: scaled by the CPU of their pods, and nothing else of them changed."""

import copy
import json
from typing import Any

import pytest

from tests.cluster.shop import Shop, eventually, kubectl

pytestmark = pytest.mark.cluster

BUSY = "while True: sum(range(10**5))"
IDLE = "import time; time.sleep(3600)"
# cAdvisor's values are half a minute old, and Prometheus needs two scrapes of a pod.
PATIENCE_SECONDS = 240.0
NOW = {"scaleDown": {"stabilizationWindowSeconds": 0}}


def container(name: str, code: str, cpu: str) -> dict[str, Any]:
    """A container that runs a line of Python, with no more CPU than it requests."""
    amount = {"cpu": cpu, "memory": "32Mi"}
    return {
        "name": name,
        "image": "sample-app:0.1.0",
        "command": ["python", "-c", code],
        "resources": {"requests": amount, "limits": {"cpu": cpu, "memory": "64Mi"}},
    }


def deploy(shop: Shop, kind: str, *containers: dict[str, Any], replicas: int = 1) -> None:
    """Somebody deploys a workload `web`."""
    labels = {"app": "web"}
    pod = {"containers": list(containers), "terminationGracePeriodSeconds": 0}
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    manifest = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}
    shop.kubectl("apply", "-f", "-", text=json.dumps(manifest))
    shop.kubectl("rollout", "status", f"{kind.lower()}/web", "--timeout=150s")


def scale(shop: Shop, kind: str, *metrics: dict[str, Any], most: int = 3, **scaling: Any) -> None:
    """Somebody creates a ScalableApp that names it."""
    horizontal = {"minReplicas": 1, "maxReplicas": most, "metrics": list(metrics), "behavior": NOW}
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"},
        "scaling": {"horizontal": horizontal, **scaling},
    }
    app = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": "web"}, "spec": spec}
    shop.kubectl("apply", "-f", "-", text=json.dumps(app))


def read(shop: Shop, kind: str = "deployment") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.kubectl("get", kind, "web", "-o", "json", "--show-managed-fields"))
    return found


def has_replicas(shop: Shop, replicas: int, kind: str = "deployment") -> None:
    def check() -> None:
        assert read(shop, kind)["spec"]["replicas"] == replicas

    eventually(check, PATIENCE_SECONDS)


def but_replicas(body: dict[str, Any]) -> dict[str, Any]:
    """What is left of a workload without what its controller, or a change of replicas, changes."""
    rest = copy.deepcopy(body)
    del rest["status"], rest["spec"]["replicas"]
    for name in ("generation", "resourceVersion", "managedFields"):
        rest["metadata"].pop(name, None)
    return rest


def cpu(target: str, **fields: str) -> dict[str, Any]:
    return {"type": "CPU", "target": target, **fields}


def test_a_deployment_with_a_sidecar_follows_60_percent_of_what_both_request(shop: Shop) -> None:
    deploy(shop, "Deployment", container("web", BUSY, "50m"), container("proxy", IDLE, "10m"))
    before = read(shop)
    scale(shop, "Deployment", cpu("60%"))
    has_replicas(shop, 2)  # 50m or a little more of 36m: one pod more
    assert but_replicas(read(shop)) == but_replicas(before)
    ours = [it for it in read(shop)["metadata"]["managedFields"] if it["manager"].startswith("scalableapp-operator")]
    assert [(it["subresource"], it["fieldsV1"]) for it in ours] == [("scale", {"f:spec": {"f:replicas": {}}})]
    assert shop.get("sapp")["status"]["metrics"][0]["target"] == "36m"
    shop.kubectl("delete", "sapp", "web")
    assert "keeps the" in shop.wait_for_event("TargetLeft")
    assert read(shop)["spec"]["replicas"] > 1


def test_of_a_deployment_with_a_busy_sidecar_the_named_container_counts(shop: Shop) -> None:
    deploy(shop, "Deployment", container("web", IDLE, "10m"), container("proxy", BUSY, "50m"), replicas=2)
    scale(shop, "Deployment", cpu("60%", container="proxy"))
    has_replicas(shop, 3)
    scale(shop, "Deployment", cpu("150%", container="proxy"))
    has_replicas(shop, 2)


def test_a_stateful_set_gains_pods_in_order_and_loses_one_a_minute(shop: Shop) -> None:
    deploy(shop, "StatefulSet", container("web", BUSY, "50m"))
    scale(shop, "StatefulSet", cpu("60%"))
    has_replicas(shop, 2, "statefulset")
    scale(shop, "StatefulSet", cpu("1"), most=3)
    has_replicas(shop, 1, "statefulset")
    pods = [pod["metadata"]["name"] for pod in shop.find("pod", labelSelector="app=web")]
    assert "web-0" in pods


def test_an_hpa_hands_over_and_takes_back(shop: Shop) -> None:
    deploy(shop, "Deployment", container("web", BUSY, "50m"), replicas=2)
    shop.kubectl("autoscale", "deployment", "web", "--min=2", "--max=2", "--cpu-percent=60")
    scale(shop, "Deployment", cpu("60%"), most=3)
    shop.wait_for("ScalingActive", "False", "WaitingForHandOver")
    assert read(shop)["spec"]["replicas"] == 2
    with shop.replicas_seen() as seen:
        shop.kubectl("delete", "hpa", "web")
        shop.wait_for("ScalingActive", "True", "ValidMetricFound")
        has_replicas(shop, 3)
    assert seen == [2, 3]  # nothing drops at the hand-over
    shop.kubectl("autoscale", "deployment", "web", "--min=2", "--max=2", "--cpu-percent=60")
    shop.wait_for("ScalingActive", "False", "WaitingForHandOver")
    has_replicas(shop, 2)


def test_a_workload_whose_scale_the_operator_may_not_read_is_told_with_the_missing_rule(shop: Shop) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "farms.targets.test"},
        "spec": {
            "group": "targets.test",
            "scope": "Namespaced",
            "names": {"kind": "Farm", "plural": "farms", "singular": "farm"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                    "subresources": {
                        "status": {},
                        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                    },
                }
            ],
        },
    }
    kubectl("apply", "-f", "-", text=json.dumps(crd))
    try:
        spec = {
            "targetRef": {"apiVersion": "targets.test/v1", "kind": "Farm", "name": "web"},
            "scaling": {"horizontal": {"metrics": [cpu("100m")]}},
        }
        app = {
            "apiVersion": "scalableapp.io/v1alpha1",
            "kind": "ScalableApp",
            "metadata": {"name": "web"},
            "spec": spec,
        }
        shop.kubectl("apply", "-f", "-", text=json.dumps(app))
        message = shop.wait_for("Ready", "False", "TargetUnreadable")
        assert "farms" in message
        assert "scalableapp.io/aggregate-to-operator" in message
    finally:
        kubectl("delete", "crd", "farms.targets.test")
