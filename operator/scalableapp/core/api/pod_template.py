"""spec.podTemplate: what it may hold, checked before it is merged onto the pod template that the operator makes.

The schema of a pod is the API server's: whether fields exist and fit together is checked there by a dry run.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, field_validator

from scalableapp.core.api.fields import Model, QualifiedName

CONTAINER = "app"
PATCH, DELETE, REPLACE = "$patch", "delete", "replace"
# The fields by which entries of a pod's lists are found, the API's patchMergeKey; other lists are replaced.
# For ports the API has containerPort alone, and so makes one of two entries for TCP and UDP.
KEYS = {
    **dict.fromkeys(("containers", "initContainers", "ephemeralContainers", "volumes", "env"), ("name",)),
    **dict.fromkeys(("imagePullSecrets", "resourceClaims", "schedulingGates"), ("name",)),
    "hostAliases": ("ip",),
    "ports": ("containerPort", "protocol"),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
}
# Labels by which the operator finds its objects and the Deployment its pods: selectors cannot be changed.
RESERVED_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/managed-by", "scalableapp.io/app")
# A pod's own schema is 11 deep where it is deepest.
_DEEPEST = 20

_Label = Annotated[str, Field(max_length=63)]
_Annotation = Annotated[str, Field(max_length=16384)]
PodSpec = dict[str, Any]


class PodMetadata(Model):
    """Labels and annotations that pods have in addition to the operator's."""

    labels: dict[QualifiedName, _Label] = Field(default_factory=dict, max_length=64, description="Labels of pods.")
    annotations: dict[QualifiedName, _Annotation] = Field(
        default_factory=dict, max_length=64, description="Annotations of pods."
    )

    @field_validator("labels")
    @classmethod
    def _not_the_operators(cls, labels: dict[str, str]) -> dict[str, str]:
        if taken := sorted(labels.keys() & set(RESERVED_LABELS)):
            raise ValueError(f"{', '.join(taken)} is a label by which pods are selected; remove it")
        return labels


class PodTemplate(Model):
    """A strategic merge patch of the pods' template, as `kubectl patch` takes it."""

    metadata: PodMetadata = Field(default_factory=PodMetadata, description="Labels and annotations.")
    spec: PodSpec = Field(
        default_factory=dict,
        max_length=64,
        description="Fields of a pod's spec (kubectl explain pod.spec). They are merged: what is not stated stays, "
        "null or {$patch: delete} removes, entries of lists are found by their name, mountPath, containerPort, ip or "
        "topologyKey, and other lists are replaced. The app's container is named app.",
    )

    @field_validator("spec")
    @classmethod
    def _can_be_merged(cls, spec: PodSpec) -> PodSpec:
        if problem := next(_problems(spec), ""):
            raise ValueError(problem)
        return spec

    @cached_property
    def patch(self) -> PodSpec:
        """What is stated, as a patch of a pod's template."""
        return self.model_dump(exclude_defaults=True)

    @cached_property
    def stated(self) -> tuple[str, ...]:
        """Paths of the fields that are stated: "spec.containers[app].livenessProbe"."""
        return tuple(_stated(self.patch, ""))


def _stated(patch: Mapping[str, Any], path: str) -> Iterator[str]:
    for field, value in patch.items():
        place = f"{path}.{field}".removeprefix(".")
        if isinstance(value, list) and field in KEYS:
            key = KEYS[field][0]
            for item in value:
                yield from _stated(
                    {k: v for k, v in item.items() if k != key} or {"": None}, f"{place}[{item.get(key)}]"
                )
        elif isinstance(value, Mapping) and value:
            yield from _stated(value, place)
        else:
            yield path if field in ("", PATCH) else place


def _problems(spec: PodSpec) -> Iterator[str]:
    if _depth(spec) > _DEEPEST:
        yield f"it is nested more than {_DEEPEST} deep; no field of a pod is"
        return
    yield from _unmergeable(spec, "")
    yield from _not_ours(spec)


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        depth += 1
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [entry for entries in inner for entry in entries]
    return depth


def _unmergeable(patch: Mapping[str, Any], path: str) -> Iterator[str]:
    """Directives that are not known, and entries of lists without the key by which they are found."""
    for field, value in patch.items():
        place = f"{path}.{field}".removeprefix(".")
        if field == PATCH:
            if value not in (DELETE, REPLACE):
                yield f"{place} is {str(value)[:64]!r}; the directives are {DELETE} and {REPLACE}"
        elif field.startswith("$"):
            yield f"{place} is not a directive; use {PATCH}: {DELETE}, {PATCH}: {REPLACE} or null"
        elif field in KEYS and isinstance(value, Mapping):
            yield f"{place} is not a list; write its entries with a hyphen each"
        elif isinstance(value, Mapping):
            yield from _unmergeable(value, place)
        elif isinstance(value, list):
            yield from _in_list(value, KEYS.get(field, ()), place)


def _in_list(items: list[Any], keys: tuple[str, ...], path: str) -> Iterator[str]:
    for index, item in enumerate(items):
        place = f"{path}[{index}]"
        if not keys:
            if isinstance(item, Mapping):
                yield from _unmergeable(item, place)
        elif not isinstance(item, Mapping):
            yield f"{place} is not a mapping; write {keys[0]}: and its other fields"
        elif keys[0] not in item and item != {PATCH: REPLACE}:
            yield f"{place} has no {keys[0]}, by which it is merged; add it"
        elif not isinstance(item.get(keys[0], ""), str | int):
            yield f"{place}.{keys[0]} is not a name or a number; correct it"
        else:
            yield from _unmergeable(item, place)


def _not_ours(spec: PodSpec) -> Iterator[str]:
    """What other fields of the spec decide."""
    for field in ("replicas", "selector", "template"):
        if field in spec:
            yield f"{field} is not a field of a pod; use spec.replicas or spec.scaling, and remove it"
    containers = spec.get("containers", [])
    if not isinstance(containers, list) or {PATCH: REPLACE} in containers:
        yield f"containers removes the app's own container; keep {CONTAINER}, which may be changed but not renamed"
        return
    for item in containers:
        if item.get("name") != CONTAINER:
            continue
        if PATCH in item:
            yield f"containers[{CONTAINER}] is removed or replaced; it may be changed but not removed or renamed"
        resources = item.get("resources", {})
        if not isinstance(resources, Mapping) or not {"requests", "limits", PATCH}.isdisjoint(resources):
            yield (
                f"containers[{CONTAINER}].resources is set, but scaling reads the requests and limits of the app from "
                "spec.resources; set them there"
            )
