"""The counts of a Deployment, or of another workload that has them, as its object shows them. No I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalableapp.core.children.contest import additions, replicas_applied
from scalableapp.core.children.mounts import ANNOTATION as MOUNTS
from scalableapp.core.children.resources import MANAGED_BY
from scalableapp.core.size import Size
from scalableapp.core.status.conditions import AppProblem
from scalableapp.core.status.deployment_status import deployment_problem
from scalableapp.core.vertical.sized import template_size


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """Counts of a Deployment. `replicas` is what its spec asks for, the others are of its status.

    `size` is what its template gives the app's container, `mounts` the versions that its pods mount, `additions` what
    others set in its spec, `problem` why its controller cannot bring its pods in line. `replicas_applied`: the replicas
    were set by apply, as it was recreated. `paused`: its controller leaves its pods alone.
    """

    generation: int
    replicas: int
    running: int = 0
    updated: int = 0
    ready: int = 0
    stuck: bool = False
    size: Size | None = None
    problem: AppProblem | None = None
    additions: str = ""
    replicas_applied: bool = False
    paused: bool = False
    mounts: str = ""

    @property
    def refused(self) -> bool:
        """Whether pods cannot be created, as for a quota."""
        return self.problem is not None and self.problem.reason == "ReplicaFailure"

    @property
    def rollout(self) -> bool:
        """Whether pods of an older template still run beside the new ones, and will give way to them."""
        return self.running > self.updated and not self.stuck


def facts_of(body: Mapping[str, Any]) -> DeploymentFacts:
    """What decisions need of it."""
    status = body.get("status") or {}
    conditions = status.get("conditions") or ()
    stuck = any(
        entry.get("type") == "Progressing" and entry.get("reason") == "ProgressDeadlineExceeded" for entry in conditions
    )
    return DeploymentFacts(
        generation=body["metadata"].get("generation", 0),
        replicas=(body.get("spec") or {}).get("replicas", 1),
        running=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        stuck=stuck,
        size=template_size(body),
        problem=deployment_problem(status),
        additions=additions(body, MANAGED_BY),
        replicas_applied=replicas_applied(body, MANAGED_BY),
        paused=bool((body.get("spec") or {}).get("paused")),
        mounts=_mounts(body),
    )


def _mounts(body: Mapping[str, Any]) -> str:
    metadata = ((body.get("spec") or {}).get("template") or {}).get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(MOUNTS, ""))
