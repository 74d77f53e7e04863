"""Workloads as teams run them, each a ScalableApp: read, accepted by the API server, and its pods by a namespace."""

from typing import Any

import pytest
import yaml

from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.drift import deviations
from scalableapp.core.children.pod_policy import PodTemplatePolicy
from scalableapp.core.children.resources import ClusterFeatures, children, pod_problem
from scalableapp.core.model import AppKey
from tests.control_plane import ControlPlane
from tests.pod_security import violations
from tests.unit.pod_template.workloads import WORKLOADS

APPS = "/apis/scalableapp.io/v1alpha1/namespaces/{}/scalableapps"
# All others meet the restricted standard.
BASELINE = {"root"}
# What the API server writes in another way.
NORMALISED = {"sidecar": {"spec.template.spec.containers[nginx].resources.requests.cpu"}}


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(WORKLOADS[name].read_text()))


@pytest.mark.parametrize("name", WORKLOADS)
async def test_a_workload_is_accepted_and_runs_where_its_standard_is_enforced(
    name: str, plane: ControlPlane, cluster: KubeClient
) -> None:
    namespace = "baseline" if name in BASELINE else "restricted"
    stored = plane.ask("POST", APPS.format(namespace) + "?dryRun=All&fieldValidation=Strict", read(name))
    spec, key = parse_spec(stored["spec"]), AppKey(namespace, stored["metadata"]["name"])
    assert pod_problem(key, spec, PodTemplatePolicy.ALL) is None

    for manifest in children(key, stored["metadata"]["uid"], spec, ClusterFeatures()):
        await cluster.check(manifest)
    deployment = children(key, stored["metadata"]["uid"], spec, ClusterFeatures())[0]
    differing = {path for path, _ in deviations(await cluster.apply(deployment), deployment)}
    assert differing == NORMALISED.get(name, set())

    template = deployment["spec"]["template"]
    plane.ask("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", _pod(template))
    assert (violations(template["spec"]) == []) == (namespace == "restricted")


def _pod(template: dict[str, Any]) -> dict[str, Any]:
    """A pod of the template. matchLabelKeys refers to a label that a ReplicaSet sets."""
    metadata = template["metadata"] | {
        "name": "pod",
        "labels": template["metadata"]["labels"] | {"pod-template-hash": "1"},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def test_a_worker_without_http_has_no_port_no_service_and_no_probes() -> None:
    made = children(AppKey("shop", "mailer"), "u", parse_spec(read("worker")["spec"]), ClusterFeatures())
    assert [manifest["kind"] for manifest in made] == ["Deployment", "PodDisruptionBudget"]
    container = made[0]["spec"]["template"]["spec"]["containers"][0]
    assert not {"ports", "startupProbe", "livenessProbe", "readinessProbe"} & container.keys()
    assert "PORT" not in {variable["name"] for variable in container["env"]}
    assert made[0]["spec"]["minReadySeconds"] == 10
    assert "prometheus.io/port" not in made[0]["spec"]["template"]["metadata"]["annotations"]
