"""Autoscalers other than ours: who else sets the replicas of an app, and who else sets the sizes of its pods."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scalableapp.adapters.kube_api import KubeApi, Request
from scalableapp.core.children.resources import API_VERSION, CONTAINER, KIND
from scalableapp.core.model import AppKey
from scalableapp.core.size import Resource, SizeConflict
from scalableapp.errors import NotFound

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of autoscaler; `default_target` is the kind that it scales where none is named."""

    group_version: str
    plural: str
    kind: str
    target: str
    default_target: str = ""


_REPLICAS = (
    _Kind("autoscaling/v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "scaleTargetRef"),
    _Kind("keda.sh/v1alpha1", "scaledobjects", "ScaledObject", "scaleTargetRef", "Deployment"),
)
_SIZES = _Kind("autoscaling.k8s.io/v1", "verticalpodautoscalers", "VerticalPodAutoscaler", "targetRef")
# Where a Deployment and a ScalableApp are served; the same name in another group is another thing.
_GROUPS = {"Deployment": "apps", KIND: API_VERSION.partition("/")[0]}


async def list_autoscalers(api: KubeApi, namespace: str) -> dict[AppKey, str]:
    """Others that set replicas, each as a message.

    By the workload's "GROUP/KIND/NAME" (engine/target.py), and of a Deployment or a ScalableApp by its name, too.
    """
    found: dict[AppKey, str] = {}
    for kind in _REPLICAS:
        async for key, item in _targeted(api, kind, namespace):
            found[key] = f"{_name(kind, item)} also scales it; delete one of the two"
    return found


async def list_resizers(api: KubeApi, namespace: str) -> dict[AppKey, SizeConflict]:
    """Others that set the size of the app's own container; for its replicas they are no conflict."""
    found: dict[AppKey, SizeConflict] = {}
    async for key, item in _targeted(api, _SIZES, namespace):
        if resources := _controlled(item.get("spec") or {}):
            names = " and ".join(sorted(resources))
            message = (
                f"{_name(_SIZES, item)} also sets {names} of its pods; delete one of the two, or set updateMode: Off"
            )
            found[key] = SizeConflict(frozenset(resources), message)
    return found


def _controlled(spec: Manifest) -> set[Resource]:
    """What a VerticalPodAutoscaler changes of the app's container; one that only recommends changes nothing."""
    if (spec.get("updatePolicy") or {}).get("updateMode") == "Off":
        return set()
    policies = {
        entry.get("containerName"): entry for entry in (spec.get("resourcePolicy") or {}).get("containerPolicies") or ()
    }
    policy = policies.get(CONTAINER) or policies.get("*") or {}
    if policy.get("mode") == "Off":
        return set()
    stated = policy.get("controlledResources")
    return {resource for resource in Resource if stated is None or resource.value in stated}


async def _targeted(api: KubeApi, kind: _Kind, namespace: str) -> AsyncIterator[tuple[AppKey, Manifest]]:
    """Each of that kind, by the names of what it aims at; none where the cluster does not serve it."""
    where = f"namespaces/{namespace}/" if namespace else ""
    try:
        async for page in api.pages(Request("GET", f"/apis/{kind.group_version}/{where}{kind.plural}")):
            for item in page.get("items") or ():
                target = (item.get("spec") or {}).get(kind.target) or {}
                for name in _names_of(target, kind.default_target):
                    yield AppKey(item["metadata"]["namespace"], name), item
    except NotFound:
        return


def _names_of(target: Manifest, default_kind: str) -> Iterator[str]:
    """Of the workload with its group and kind; of what an app may be known by, the name alone, too."""
    kind, version = target.get("kind") or default_kind, target.get("apiVersion") or ""
    group = version.rpartition("/")[0] if version else _GROUPS.get(kind, "apps")
    yield f"{group}/{kind}/{target.get('name', '')}"
    if kind in _GROUPS and group == _GROUPS[kind]:
        yield target.get("name", "")


def _name(kind: _Kind, item: Manifest) -> str:
    return f"{kind.kind} {item['metadata']['namespace']}/{item['metadata']['name']}"
