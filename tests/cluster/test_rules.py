"""Rules beyond HPA, decided by the operator in its pod."""

from typing import Any

import pytest

from tests.cluster.shop import Shop, eventually

pytestmark = pytest.mark.cluster

# No such series: the answer is empty.
UNUSABLE = {"type": "Prometheus", "name": "queue", "query": 'no_such_metric{namespace="$namespace"}', "target": "10"}
# Without a ready pod an app is neither put to sleep nor taken for one without metrics, so these run for real.
RUNS: dict[str, Any] = {"image": "sample-app:0.1.0", "replicas": None}
ALWAYS = {"start": "* * * * *", "end": "0 0 29 2 *"}


def decided(shop: Shop, replicas: int) -> dict[str, Any]:
    """The decision that led to so many replicas, once the Deployment has them."""

    def check() -> dict[str, Any]:
        assert shop.get("deployment")["spec"]["replicas"] == replicas
        status = shop.get("sapp")["status"]
        assert status["desiredReplicas"] == replicas
        found: dict[str, Any] = status["decision"]
        return found

    return eventually(check)


def test_a_schedule_sets_the_floor_while_it_is_active(shop: Shop) -> None:
    schedule = {"name": "office-hours", "minReplicas": 2, **ALWAYS}
    shop.apply(replicas=None, scaling={"horizontal": {"maxReplicas": 3, "schedules": [schedule]}})
    decided(shop, 2)

    def reported() -> None:
        assert any("schedule office-hours" in event["message"] for event in shop.events("SuccessfulRescale"))

    eventually(reported)


def test_a_schedule_caps_replicas_that_are_there(shop: Shop) -> None:
    shop.apply(replicas=3)
    shop.wait_for("Paused", "True", "Pinned")
    schedule = {"name": "night", "maxReplicas": 1, **ALWAYS}
    shop.apply(replicas=None, scaling={"horizontal": {"maxReplicas": 3, "schedules": [schedule]}})
    decided(shop, 1)


def test_a_static_fallback_counts_while_no_metric_can_be_used(shop: Shop) -> None:
    fallback = {"afterSeconds": 0, "behavior": "Static", "replicas": 3}
    horizontal = {"maxReplicas": 5, "metrics": [UNUSABLE], "fallback": fallback}
    shop.apply(**RUNS, scaling={"horizontal": horizontal})
    assert decided(shop, 3)["reason"] == "Fallback"


def test_a_worker_is_at_0_while_its_queue_is_empty_and_is_activated_with_it(shop: Shop) -> None:
    def scaling(query: str) -> dict[str, Any]:
        metric = {"type": "Prometheus", "name": "queue", "query": query, "target": "10", "activationTarget": "0"}
        at_once = {"scaleDown": {"stabilizationWindowSeconds": 0}}
        return {"horizontal": {"minReplicas": 0, "maxReplicas": 2, "metrics": [metric], "behavior": at_once}}

    shop.apply(**RUNS, scaling=scaling("vector(0)"))
    decided(shop, 0)
    shop.apply(**RUNS, scaling=scaling("vector(5)"))
    decided(shop, 1)
