"""What an app has to survive: Prometheus that is away, an operator that starts anew, and bounds that come and go."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cluster.shop import OPERATOR, SMALL, SYSTEM, Shop, eventually, kubectl

pytestmark = pytest.mark.cluster

PROMETHEUS = "deployment/prometheus"
# A periodic write of the status comes within 76 s, if something in it moves.
WRITE_SECONDS = 240.0


def queue(length: int, **horizontal: Any) -> dict[str, Any]:
    """An app whose pods run, and whose queue needs a replica for each 10 in it."""
    metric = {"type": "Prometheus", "name": "queue", "query": f"vector({length})", "target": "10"}
    at_once = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    scaling = {"horizontal": {"maxReplicas": 5, "metrics": [metric], "behavior": at_once, **horizontal}}
    return {"image": "sample-app:0.1.0", "replicas": None, "resources": SMALL, "scaling": scaling}


def running(shop: Shop, replicas: int) -> dict[str, Any]:
    """The decision in status, once so many pods are wanted and ready."""

    def check() -> dict[str, Any]:
        status = shop.get("sapp").get("status", {})
        assert (status.get("desiredReplicas"), status.get("readyReplicas")) == (replicas, replicas)
        assert shop.get("deployment")["spec"]["replicas"] == replicas
        found: dict[str, Any] = status["decision"]
        return found

    return eventually(check)


@pytest.fixture
def prometheus(operator: str) -> Iterator[None]:
    """Prometheus, which runs again afterwards, whatever the test has done to it."""
    yield
    start_prometheus()


def start_prometheus() -> None:
    kubectl("scale", PROMETHEUS, "-n", SYSTEM, "--replicas=1")
    kubectl("rollout", "status", PROMETHEUS, "-n", SYSTEM, "--timeout=150s")


@pytest.mark.alone
@pytest.mark.usefixtures("prometheus")
def test_an_outage_of_prometheus_costs_no_replica_and_is_got_over(shop: Shop) -> None:
    fallback = {"afterSeconds": 60, "behavior": "CurrentIfHigher", "replicas": 3}
    shop.apply(**queue(15, fallback=fallback))
    running(shop, 2)
    with shop.replicas_seen() as seen:
        kubectl("scale", PROMETHEUS, "-n", SYSTEM, "--replicas=0")
        message = shop.wait_for("MetricsAvailable", "False", "PrometheusUnreachable")
        assert "check that Prometheus runs" in message
        announced = shop.wait_for("ScalingActive", "False", "PrometheusUnreachable")
        assert re.search(r"no metric has been usable since .* UTC: keeps at least 2 replicas; fallback", announced)
        assert running(shop, 3)["reason"] == "Fallback"
        start_prometheus()
        shop.wait_for("MetricsAvailable", "True", "MetricsRead")
        shop.wait_for("ScalingActive", "True", "ValidMetricFound")
        running(shop, 2)
    assert seen == [2, 3, 2]
    shop.wait_for_event("PrometheusUnreachable")


def promise(decision: dict[str, Any]) -> tuple[str, str, str]:
    """What is held, until when, and what comes next: of "holds 3 until 12:08:15 UTC, ...; then 1"."""
    found = re.search(r"holds (\d+) until ([-\d: ]+) UTC, .*; (then \d+) unless more are needed", decision["message"])
    assert found, decision["message"]
    return found[1], found[2], found[3]


@pytest.mark.alone
def test_a_restart_within_a_stabilisation_window_changes_no_decision(shop: Shop, operator: str) -> None:
    patient = {"scaleDown": {"stabilizationWindowSeconds": 900}}
    shop.apply(**queue(25, behavior=patient))
    running(shop, 3)
    shop.apply(**queue(5, behavior=patient))
    shop.wait_for("ScalingLimited", "True", "ScaleDownStabilized")
    written = shop.get("sapp")["status"]
    before = written["decision"]
    generation = shop.get("deployment")["metadata"]["generation"]
    with shop.replicas_seen() as seen:
        kubectl("delete", "-n", SYSTEM, operator)
        kubectl("rollout", "status", OPERATOR, "-n", SYSTEM, "--timeout=150s")
        shop.kubectl("delete", "service", "web")
        eventually(lambda: shop.get("service"))  # so the new one is at work

        def reported_again() -> dict[str, Any]:
            status = shop.get("sapp")["status"]
            assert status["recommendations"] != written["recommendations"]  # with the time of the last one
            decision: dict[str, Any] = status["decision"]
            return decision

        after = eventually(reported_again, WRITE_SECONDS)
    same = ("time", "from", "to", "reason")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    held, until, then = promise(after)
    assert (held, then) == promise(before)[::2]
    assert until >= promise(before)[1]  # the time without an operator is no part of the window
    assert shop.get("deployment")["metadata"]["generation"] == generation
    assert [event["message"].partition(" (")[0] for event in shop.events("SuccessfulRescale")] == ["1 -> 3 replicas"]
    assert seen == [3]


@pytest.mark.long
def test_a_schedule_begins_and_ends_on_time(shop: Shop) -> None:
    begins = datetime.now(UTC) + timedelta(seconds=100)
    ends = begins + timedelta(minutes=2)
    schedule = {"name": "rush", "minReplicas": 2, "start": cron(begins), "end": cron(ends)}
    with_schedule = queue(5, schedules=[schedule])
    shop.apply(**with_schedule)
    assert "no schedule is active; rush starts at" in running(shop, 1)["message"]
    with shop.replicas_seen() as seen:
        decision = running(shop, 2)
        assert f"schedule rush sets minReplicas 2 until {ends:%Y-%m-%d %H:%M} UTC" in decision["message"]
        assert datetime.now(UTC) >= begins.replace(second=0, microsecond=0)
        running(shop, 1)
        assert datetime.now(UTC) >= ends.replace(second=0, microsecond=0)
    assert seen == [1, 2, 1]


def cron(at: datetime) -> str:
    return f"{at.minute} {at.hour} * * *"
