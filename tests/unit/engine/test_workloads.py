"""Which counts of a workload mean that old and new pods run side by side."""

from typing import Any

import pytest

from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.workloads import workload_of


def facts(kind: str, spec: dict[str, Any], **status: Any) -> DeploymentFacts:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "generation": 3}
    api_version = "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"
    body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec, "status": status}
    found = workload_of(body).facts
    assert found
    return found


NEW = {"currentRevision": "a", "updateRevision": "b", "replicas": 3, "readyReplicas": 3}
ARGO = {"replicas": 4, "readyReplicas": 4}


@pytest.mark.parametrize(
    ("found", "rollout"),
    [
        pytest.param(facts("Deployment", {}, replicas=4, updatedReplicas=1), True, id="a Deployment's new pods"),
        pytest.param(facts("Deployment", {}, replicas=4, updatedReplicas=4), False, id="a Deployment at rest"),
        pytest.param(facts("StatefulSet", {}, **NEW, updatedReplicas=1), True, id="another revision"),
        pytest.param(facts("StatefulSet", {}, **NEW | {"currentRevision": "b"}), False, id="one revision"),
        pytest.param(facts("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, **NEW), False, id="pods that stay"),
        pytest.param(
            facts("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 2}}}, **NEW, updatedReplicas=1),
            False,
            id="a partition that is reached",
        ),
        pytest.param(
            facts("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, **NEW, updatedReplicas=1),
            True,
            id="a partition that is not reached",
        ),
        pytest.param(facts("ReplicaSet", {}, replicas=3), False, id="a ReplicaSet has one template"),
        pytest.param(facts("Rollout", {}, **ARGO, phase="Paused", updatedReplicas=1), True, id="a canary"),
        pytest.param(facts("Rollout", {}, **ARGO, phase="Healthy", updatedReplicas=1), False, id="a healthy Rollout"),
        pytest.param(facts("Rollout", {}, **ARGO, phase="Degraded", updatedReplicas=1), False, id="a stuck canary"),
    ],
)
def test_a_rollout_is_in_progress(found: DeploymentFacts, rollout: bool) -> None:
    assert found.rollout is rollout


def test_a_kind_that_nobody_knows_tells_no_counts_by_itself() -> None:
    metadata = {"name": "web", "namespace": "shop", "uid": "u"}
    found = workload_of({"apiVersion": "acme.io/v1", "kind": "Farm", "metadata": metadata, "spec": {"replicas": 3}})
    assert (found.facts, found.selector, found.template) == (None, "", {})
