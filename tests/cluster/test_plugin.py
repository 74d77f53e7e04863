"""`kubectl scalableapp` on the real cluster: a real app, the API server's proxy, and the Prometheus behind it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.shop import CONTEXT, Shop, eventually, kubectl
from tests.cluster.test_outages import queue, running

pytestmark = pytest.mark.cluster


def plugin(*arguments: str) -> str:
    """What kubectl's plugin prints. Raises AssertionError with its complaint."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["kubectl", "scalableapp", *arguments, "--context", CONTEXT]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_app_is_listed_paused_resumed_and_its_history_shown(shop: Shop) -> None:
    place = ("-n", shop.namespace)
    shop.apply(**queue(15))
    running(shop, 2)
    before = shop.get("sapp")["spec"]

    def listed() -> dict[str, Any]:
        (app,) = json.loads(plugin("list", *place, "-o", "json"))["items"]
        assert (app["name"], app["desiredReplicas"]) == ("web", 2)
        return dict(app)

    assert eventually(listed)["metric"]["name"] == "queue"
    assert f"{shop.namespace}/web" in plugin("top", "--all-namespaces")

    assert "paused: it stays at" in plugin("pause", *place, "web")
    assert "is already paused; nothing was changed" in plugin("pause", *place, "web")
    shop.wait_for("Paused", "True", "Paused")
    assert "resumed: it is scaled again" in plugin("resume", *place, "web")
    shop.wait_for("Paused", "False", "NotPaused")
    before["scaling"]["paused"] = False
    assert shop.get("sapp")["spec"] == before

    def past() -> dict[str, Any]:
        output = json.loads(plugin("history", *place, "web", "-o", "json"))
        assert any(note.startswith("Prometheus: samples every ") for note in output["notes"]), output["notes"]
        return dict(output)

    rows = [row for row in eventually(past)["items"] if row.get("to") == 2 and row["from"] == 1]
    assert [(row["source"], row["reason"]) for row in rows] == [("Event", "DesiredWithinRange")]


def test_a_deployment_gets_an_advice_that_the_api_server_takes(operator: str) -> None:
    assert operator
    advice = eventually(
        lambda: plugin("recommend", "deployment/scalableapp-operator", "-n", "scalableapp-system", "--since", "1h"), 300
    )
    (manifest,) = yaml.safe_load_all(advice)
    assert manifest["spec"]["image"].startswith("scalableapp-operator")
    assert manifest["spec"]["scaling"]["horizontal"]["metrics"][0]["type"] == "CPU"
    assert kubectl("apply", "--dry-run=server", "-f", "-", text=advice).startswith("scalableapp.scalableapp.io/")
