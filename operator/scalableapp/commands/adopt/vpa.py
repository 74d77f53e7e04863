"""What a VerticalPodAutoscaler sets. A ScalableApp sets no sizes of an existing workload yet, so all of it is named."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalableapp.commands.adopt.draft import Draft

Manifest = Mapping[str, Any]
_OFF = "Off"
_SIZES = "sizes of an existing workload have no counterpart yet; keep the VPA, which sets sizes and no replicas"
_NO_SUCH_RULE = "it configures the VPA, which may stay"


def add_vpa(draft: Draft, vpa: Manifest) -> None:
    """Name all that the VPA states. One that only recommends changes nothing, and is only noted."""
    spec, name = vpa["spec"], vpa["metadata"]["name"]
    policy = spec.get("updatePolicy") or {}
    mode = policy.get("updateMode", "Recreate")
    if mode == _OFF:
        draft.notes.append(
            f"vpa/{name} recommends sizes and changes none (updateMode Off); it may stay, beside the ScalableApp"
        )
        return
    for path, value, why in _stated(spec, mode):
        named = Draft(source=f"vpa/{name}")
        named.leave(path, value, why)
        draft.left.extend(named.left)
    draft.notes.append(
        f"vpa/{name} may stay: percentages refer to the request in the workload's template, which the VPA does not "
        "change, so the two do not influence each other"
    )


def _stated(spec: Manifest, mode: str) -> Iterator[tuple[str, object, str]]:
    yield "spec.updatePolicy.updateMode", mode, _SIZES
    for field, value in (spec.get("updatePolicy") or {}).items():
        if field != "updateMode":
            yield f"spec.updatePolicy.{field}", value, _NO_SUCH_RULE
    for index, policy in enumerate((spec.get("resourcePolicy") or {}).get("containerPolicies") or ()):
        rules = {name: value for name, value in policy.items() if name != "containerName"}
        yield (
            f"spec.resourcePolicy.containerPolicies[{index}]",
            {"containerName": policy.get("containerName", "*"), **rules},
            _SIZES,
        )
    for field in ("recommenders", "startupBoost"):
        if spec.get(field):
            yield f"spec.{field}", spec[field], _NO_SUCH_RULE
