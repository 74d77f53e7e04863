"""The operator's own process, and an author whose pods the API server refuses."""

from pathlib import Path
from typing import Any

import pytest

from tests.control_plane import ControlPlane, OperatorProcess, eventually

pytestmark = [pytest.mark.process, pytest.mark.alone]

APPS = "/apis/scalableapp.io/v1alpha1/namespaces/default/scalableapps"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/authored"
MERGE = "application/merge-patch+json"


def change(plane: ControlPlane, **spec: Any) -> None:
    plane.ask("PATCH", f"{APPS}/authored", {"spec": spec}, MERGE)


def ready(plane: ControlPlane) -> dict[str, str]:
    conditions = plane.ask("GET", f"{APPS}/authored")["status"]["conditions"]
    return next(entry for entry in conditions if entry["type"] == "Ready")


def test_refused_pods_are_told_of_and_the_running_app_stays_until_they_are_mended(
    plane: ControlPlane, tmp_path: Path
) -> None:
    body = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": "authored"}}
    with OperatorProcess(plane.url, tmp_path, certificate=plane.certificate) as operator:
        eventually(operator.acts)
        plane.ask("POST", APPS, body | {"spec": {"image": "web:1"}})
        eventually(lambda: plane.ask("GET", DEPLOYMENT))
        before = plane.ask("GET", DEPLOYMENT)

        change(plane, image="web:2", podTemplate={"spec": {"nodeselector": {"a": "b"}}})
        eventually(lambda: ready(plane)["reason"] == "InvalidSpec")
        assert ".spec.template.spec.nodeselector: field not declared in schema" in ready(plane)["message"]
        assert plane.ask("GET", DEPLOYMENT) == before

        change(plane, podTemplate={"spec": {"nodeselector": None, "nodeSelector": {"a": "b"}}})
        eventually(lambda: plane.ask("GET", DEPLOYMENT)["spec"]["template"]["spec"].get("nodeSelector") == {"a": "b"})
        eventually(lambda: ready(plane)["reason"] != "InvalidSpec")
        assert plane.ask("GET", f"{APPS}/authored")["status"]["podTemplate"] == ["spec.nodeSelector.a"]
        assert "Traceback" not in operator.log
        assert operator.end() == 0
