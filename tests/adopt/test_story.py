"""The way of docs/adopt.md with the operator's process on a real API server: shadow, hand over, return.

There is no kubelet, so no pod and no load: that minReplicas is above the present number is what a decision acts on.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.adopt.conftest import Terminal
from tests.adopt.test_workloads import WORKLOADS, path_of
from tests.control_plane import ControlPlane, OperatorProcess, eventually

pytestmark = [pytest.mark.process, pytest.mark.long]

NAMESPACE = "story"
MERGE = "application/merge-patch+json"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web"
APPS = f"/apis/scalableapp.io/v1alpha1/namespaces/{NAMESPACE}/scalableapps"
HPAS = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"


@pytest.fixture
def operator(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    folder = tmp_path_factory.mktemp("operator")
    with OperatorProcess(plane.url, folder, namespaces=NAMESPACE, certificate=plane.certificate) as operator:
        yield operator


def replicas(plane: ControlPlane) -> int:
    return int(plane.ask("GET", DEPLOYMENT)["spec"]["replicas"])


def decision(plane: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = (plane.ask("GET", f"{APPS}/web").get("status") or {}).get("decision") or {}
    return found


def has_seen(plane: ControlPlane) -> bool:
    """Whether the status is of the spec as it is now."""
    app = plane.ask("GET", f"{APPS}/web")
    return bool(app["status"]["observedGeneration"] == app["metadata"]["generation"])


def set_scaling(plane: ControlPlane, **scaling: Any) -> None:
    plane.ask("PATCH", f"{APPS}/web", {"spec": {"scaling": scaling}}, MERGE)


def test_shadow_hand_over_and_return(plane: ControlPlane, terminal: Terminal, operator: OperatorProcess) -> None:
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    deployment, hpa = yaml.safe_load_all((WORKLOADS / "web-with-sidecar.yaml").read_text())
    for document in (deployment, hpa):
        plane.ask("POST", path_of(NAMESPACE, document), document)
    eventually(operator.acts, what="the operator acts")

    # Shadow: it decides, and the HPA goes on scaling.
    app = yaml.safe_load(terminal.adopt("-n", NAMESPACE, "deployment/web").out)
    app["spec"]["scaling"]["horizontal"]["minReplicas"] = 5
    plane.ask("POST", APPS, app)
    eventually(lambda: decision(plane), what="a decision in the shadow")
    assert replicas(plane) == 3

    # Hand over: it waits for as long as the HPA is there, and then starts.
    set_scaling(plane, dryRun=False)
    eventually(lambda: decision(plane)["reason"] == "WaitingForHandOver", what="waiting for the HPA to go")
    assert replicas(plane) == 3
    plane.ask("DELETE", f"{HPAS}/web")
    eventually(lambda: replicas(plane) == 5, what="the operator scales")

    # Return: the HPA comes back, and the operator yields.
    plane.ask("POST", HPAS, hpa)
    eventually(lambda: decision(plane)["reason"] == "WaitingForHandOver", what="yielding to the HPA")
    set_scaling(plane, horizontal={"minReplicas": 7})
    eventually(lambda: has_seen(plane), what="the operator sees the change")
    assert replicas(plane) == 5
    plane.ask("DELETE", f"{APPS}/web")
    eventually(lambda: plane.ask("GET", f"{APPS}/web") is None, what="the app is gone")
    assert replicas(plane) == 5
