"""What is kept of a workload that is scaled through spec.targetRef, as taken from its object. No I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scalableapp.core.children.contest import setter_of
from scalableapp.core.children.resources import MANAGED_BY
from scalableapp.core.label_selectors import selector_of
from scalableapp.core.targets import Template, template_of
from scalableapp.engine.facts import DeploymentFacts, facts_of

APPS = "apps/v1"
_ROLLOUTS = "argoproj.io/v1alpha1"


@dataclass(slots=True)
class Workload:
    """One workload. `facts` are None until its scale has been read, where its kind does not tell them by itself.

    `setter` is who set its replicas last, `loses_volumes` whether a pod that is removed takes its volumes along.
    """

    uid: str
    generation: int
    facts: DeploymentFacts | None
    selector: str
    template: Template
    setter: str
    loses_volumes: bool = False


def workload_of(body: Mapping[str, Any]) -> Workload:
    """A workload from its object. Raises ValueError, TypeError or KeyError where it cannot be read."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    known = (body.get("apiVersion", ""), body.get("kind", ""))
    counted = COUNTED.get(known)
    retention = (spec.get("persistentVolumeClaimRetentionPolicy") or {}).get("whenScaled")
    return Workload(
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        facts=counted(body) if counted else None,
        selector=selector_of(spec.get("selector") or {}) if counted else "",
        template=template_of(body),
        setter=setter_of(body, MANAGED_BY),
        loses_volumes=retention == "Delete" and bool(spec.get("volumeClaimTemplates")),
    )


def counts_of(workload: Workload, replicas: int, running: int) -> DeploymentFacts:
    """What the scale subresource of a kind tells; whether it is rolled out is not known of any kind."""
    return DeploymentFacts(workload.generation, replicas, running=running, updated=running, ready=running)


def _deployment(body: Mapping[str, Any]) -> DeploymentFacts:
    return replace(facts_of(body), size=None, additions="")


def _stateful_set(body: Mapping[str, Any]) -> DeploymentFacts:
    """Pods of a former revision that will stay, since OnDelete or a partition keeps them, are no rollout."""
    facts, spec, status = _deployment(body), body.get("spec") or {}, body.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    kept = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    done = status.get("updateRevision") == status.get("currentRevision") or strategy.get("type") == "OnDelete"
    updated = status.get("updatedReplicas", 0)
    return replace(facts, updated=facts.running if done or updated + kept >= facts.running else updated)


def _replica_set(body: Mapping[str, Any]) -> DeploymentFacts:
    facts = _deployment(body)
    return replace(facts, updated=facts.running)


def _rollout(body: Mapping[str, Any]) -> DeploymentFacts:
    """Of Argo Rollouts: phase Healthy is no rollout, Degraded one that is stuck."""
    facts, status = _deployment(body), body.get("status") or {}
    phase = status.get("phase")
    updated = facts.running if phase == "Healthy" else status.get("updatedReplicas", 0)
    return replace(facts, updated=updated, stuck=phase == "Degraded", problem=None)


COUNTED = {
    (APPS, "Deployment"): _deployment,
    (APPS, "StatefulSet"): _stateful_set,
    (APPS, "ReplicaSet"): _replica_set,
    (_ROLLOUTS, "Rollout"): _rollout,
}
