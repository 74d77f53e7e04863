"""`kubectl scalableapp explain` on the real cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.shop import CONTEXT, OPERATOR, SYSTEM, Shop, eventually, kubectl
from tests.cluster.test_outages import queue, running

pytestmark = pytest.mark.cluster


def explain(shop: Shop, *arguments: str) -> str:
    """What kubectl's plugin prints of the app."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["kubectl", "scalableapp", "explain", "--context", CONTEXT, "-n", shop.namespace, "web", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_status_event_log_describe_and_explain_use_the_same_messages(shop: Shop) -> None:
    patient = {"scaleDown": {"stabilizationWindowSeconds": 900}}
    shop.apply(**queue(15, behavior=patient))
    running(shop, 2)
    message = shop.wait_for_event("SuccessfulRescale")
    assert message.startswith("1 -> 2 replicas (DesiredWithinRange): queue is 15 per pod over 1 replica")
    assert f"{shop.namespace}/web: {message}" in logged(shop)

    shop.apply(**queue(5, behavior=patient))
    shop.wait_for("ScalingLimited", "True", "ScaleDownStabilized")

    def read_at_one_time() -> tuple[dict[str, Any], str, str, dict[str, Any]]:
        before = shop.get("sapp")
        text, described = explain(shop), shop.kubectl("describe", "sapp", "web")
        as_json = json.loads(explain(shop, "-o", "json"))
        assert shop.get("sapp")["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        return before["status"], text, described, as_json

    status, text, described, as_json = eventually(read_at_one_time)
    decision = status["decision"]
    expected = [
        decision["message"],
        *(step["message"] for step in decision["steps"]),
        *(entry["message"] for entry in status["conditions"]),
        message,
    ]
    assert [each for each in expected if each not in text] == []
    assert [each for each in expected if each not in described] == []
    assert as_json["decision"] == decision
    assert as_json["conditions"] == status["conditions"]
    assert message in [event["message"] for event in as_json["events"]]


def logged(shop: Shop) -> list[str]:
    """What the operator's log says of the namespace."""
    lines = kubectl("logs", OPERATOR, "-n", SYSTEM, "--tail=-1").splitlines()
    return [str(json.loads(line)["message"]) for line in lines if line.startswith("{") and shop.namespace in line]


def test_an_app_that_is_not_there_is_named(shop: Shop) -> None:
    with pytest.raises(AssertionError, match=f"There is no ScalableApp {shop.namespace}/web"):
        explain(shop)
