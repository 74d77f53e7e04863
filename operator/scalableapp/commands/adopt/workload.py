"""The workload that is to be scaled: what of it counts for an autoscaler."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scalableapp.commands.adopt.draft import Draft
from scalableapp.core.targets import Template, template_of
from scalableapp.errors import Rejected

_START_PERCENT, _START_FACTOR = 80, 3
# As in core/api/metrics.py, by their names in a container's requests.
METRIC_OF = {"cpu": "CPU", "memory": "Memory"}
# The names of the pods that a kind makes of its own name.
_POD_NAMES = {
    "Deployment": "-[a-z0-9]+-[a-z0-9]+",
    "Rollout": "-[a-z0-9]+-[a-z0-9]+",
    "ReplicaSet": "-[a-z0-9]+",
    "StatefulSet": "-[0-9]+",
}


@dataclass(frozen=True)
class Workload:
    """A Deployment, a StatefulSet, or another object with a scale. `plural` names its kind in paths of the API."""

    api_version: str
    manifest: Mapping[str, Any]
    plural: str = ""

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def replicas(self) -> int:
        """How many pods it asks for; Kubernetes' default is 1."""
        return int(self.manifest["spec"].get("replicas", 1))

    @cached_property
    def template(self) -> Template:
        """Requests and limits of its containers; empty for a kind that has its pods' template elsewhere."""
        return template_of(self.manifest)

    @property
    def target_ref(self) -> dict[str, str]:
        """spec.targetRef of a ScalableApp for it."""
        return {"apiVersion": self.api_version, "kind": self.kind, "name": self.name}

    @property
    def pod_names(self) -> str | None:
        """A regular expression for the names of its pods; None where its kind does not tell."""
        ending = _POD_NAMES.get(self.kind)
        return None if ending is None else self.name.replace(".", "[.]") + ending


def start(workload: Workload) -> Draft:
    """What a workload begins with that nothing scales yet. Raises Rejected where no container requests CPU."""
    least = max(1, workload.replicas)
    draft = Draft(source=f"{workload.kind.lower()}/{workload.name}")
    draft.horizontal = {"minReplicas": least, "maxReplicas": _START_FACTOR * least}
    draft.metrics.append(start_metric(workload))
    draft.notes.append(
        f"nothing scales {draft.source} yet, so this is a starting point: CPU at {_START_PERCENT} % of the request, "
        f"minReplicas is the current replica count ({least}), maxReplicas {_START_FACTOR} times that; adjust both"
    )
    return draft


def start_metric(workload: Workload) -> dict[str, Any]:
    """CPU at 80 % of the request: of all containers, or of the first that requests any. Raises Rejected for none."""
    requesting = [name for name, amounts in workload.template.items() if amounts["requests"].get("cpu")]
    if not requesting:
        raise Rejected(
            f"{workload.kind} {workload.name} has no metric that can be converted, and no container in its "
            "template requests CPU, so a percentage cannot be computed; set resources.requests.cpu in its template, or "
            "write a ScalableApp with another metric (docs/adopt.md)"
        )
    metric: dict[str, Any] = {"type": "CPU", "target": f"{_START_PERCENT}%"}
    return metric if len(requesting) == len(workload.template) else {**metric, "container": requesting[0]}
