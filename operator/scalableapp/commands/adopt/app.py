"""The ScalableApp that a workload and its autoscalers make."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scalableapp.commands.adopt.draft import Draft, Left
from scalableapp.commands.adopt.hpa import Manifest, from_hpa
from scalableapp.commands.adopt.scaledobject import from_scaled_object
from scalableapp.commands.adopt.vpa import add_vpa
from scalableapp.commands.adopt.workload import Workload, start, start_metric
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import API_VERSION, KIND
from scalableapp.core.targets import InvalidTarget, as_deployed
from scalableapp.errors import Rejected, SpecError


@dataclass(frozen=True)
class Found:
    """A workload and what scales or sizes it; `beside` names what also scales it and is not converted."""

    workload: Workload
    hpas: Sequence[Manifest] = ()
    scaled_objects: Sequence[Manifest] = ()
    vpas: Sequence[Manifest] = ()
    beside: Sequence[str] = ()

    def by(self, hpa: Manifest | None = None, scaled_object: Manifest | None = None) -> "Found":
        """The same with one of those that scale it; the others are only named."""
        others = [
            *(f"hpa/{each['metadata']['name']}" for each in self.hpas if each is not hpa),
            *(f"scaledobject/{each['metadata']['name']}" for each in self.scaled_objects if each is not scaled_object),
        ]
        return replace(
            self, hpas=[hpa] if hpa else [], scaled_objects=[scaled_object] if scaled_object else [], beside=others
        )

    @property
    def scaled(self) -> bool:
        """Whether something sets its replicas."""
        return bool(self.hpas or self.scaled_objects)

    def __str__(self) -> str:
        return f"{self.workload.kind.lower()}/{self.workload.name}"


@dataclass(frozen=True)
class Adopted:
    """A ScalableApp as it could be applied, of which objects it is made, and what to know of it."""

    target: str
    sources: Sequence[str]
    manifest: dict[str, Any]
    left: Sequence[Left] = ()
    notes: Sequence[str] = field(default=())


def adopt(found: Found, name: str) -> Adopted:
    """The ScalableApp of that name. Raises Rejected where there is nothing that it could scale on."""
    workload = found.workload
    draft = _draft(found)
    if not draft.metrics:
        draft.metrics.append(start_metric(workload))
        draft.notes.append(
            "none of its metrics could be converted, so CPU at 80 % of the request is used until you add one"
        )
    draft.notes.extend(
        f"{name} also scales it and was not converted; only one of the two can stay" for name in found.beside
    )
    for vpa in found.vpas:
        add_vpa(draft, vpa)
    _note_on_the_workload(draft, workload)
    spec = _spec(draft, workload)
    metadata = {"name": name, "namespace": workload.namespace}
    manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
    try:
        as_deployed(parse_spec(spec), workload.template)
    except SpecError as error:
        raise Rejected(f"{found} cannot be adopted as it is: {error}") from error
    except InvalidTarget as error:
        draft.notes.append(f"it cannot scale yet: {error}")
    sources = [draft.source, *(f"vpa/{vpa['metadata']['name']}" for vpa in found.vpas)]
    return Adopted(str(found), sources, manifest, tuple(draft.left), tuple(draft.notes))


def _draft(found: Found) -> Draft:
    """By the one that scales it. Raises Rejected where two do."""
    scalers = [
        *(from_hpa(hpa, found.workload) for hpa in found.hpas),
        *(from_scaled_object(scaled, found.workload) for scaled in found.scaled_objects),
    ]
    if len(scalers) > 1:
        names = " and ".join(draft.source for draft in scalers)
        raise Rejected(f"{found} is scaled by {names}; name the one to convert, and delete the other")
    return scalers[0] if scalers else start(found.workload)


def _spec(draft: Draft, workload: Workload) -> dict[str, Any]:
    bounds = {name: draft.horizontal[name] for name in ("minReplicas", "maxReplicas")}
    horizontal = {**bounds, "metrics": draft.metrics}
    if "behavior" in draft.horizontal:
        horizontal["behavior"] = draft.horizontal["behavior"]
    if draft.schedules:
        horizontal["schedules"] = draft.schedules
    if "fallback" in draft.horizontal:
        horizontal["fallback"] = draft.horizontal["fallback"]
    pinned = {} if draft.pinned is None else {"replicas": draft.pinned}
    scaling = {"dryRun": True, **draft.scaling, "horizontal": horizontal}
    return {"targetRef": workload.target_ref, **pinned, "scaling": scaling}


def _note_on_the_workload(draft: Draft, workload: Workload) -> None:
    metadata, spec = workload.manifest["metadata"], workload.manifest["spec"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            draft.notes.append(
                f"{owner['kind']} {owner['name']} controls this {workload.kind} and may set its replicas itself"
            )
    if (spec.get("persistentVolumeClaimRetentionPolicy") or {}).get("whenScaled") == "Delete":
        draft.notes.append(
            "persistentVolumeClaimRetentionPolicy.whenScaled is Delete: each pod that is removed loses its volumes"
        )
    if workload.kind == "StatefulSet" and "policies" not in draft.horizontal.get("behavior", {}).get("scaleDown", {}):
        draft.notes.append(
            "of a StatefulSet, one pod a minute is removed; behavior.scaleDown.policies changes that (docs/targets.md)"
        )
    if not workload.api_version.startswith("apps/"):
        draft.notes.append(f"the operator needs rights on {workload.plural}: see Other kinds in docs/targets.md")
    if workload.replicas == 0:
        draft.notes.append(f"the {workload.kind} has 0 replicas now; it stays at 0 only if minReplicas is 0")
