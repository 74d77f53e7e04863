"""Scale subresources of any kind: their paths by API discovery, what they say, and setting replicas through them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalableapp.adapters.kube_api import MERGE_PATCH, Denied, KubeApi, Request, collection
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.children.resources import MANAGED_BY
from scalableapp.errors import NotFound, Rejected

# The scale subresource gets a manager of its own: what server-side apply does not own it can't reset.
SCALE_MANAGER = f"{MANAGED_BY}-scale"


class NotScalable(Rejected):
    """The cluster does not serve the kind, or the kind has no scale subresource."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What a scale subresource says; `selector` is the text of its pods' labels, "" where it states none."""

    uid: str
    replicas: int
    running: int
    selector: str


class Scales:
    """Finds and uses scale subresources. What discovery has found is kept."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._plurals: dict[tuple[str, str], str] = {}

    async def plural(self, api_version: str, kind: str) -> str:
        """The name of the kind in paths. Raises NotScalable and other ClusterErrors."""
        known = self._plurals.get((api_version, kind))
        if known is None:
            known = self._plurals[api_version, kind] = await self._discovered(api_version, kind)
        return known

    async def _discovered(self, api_version: str, kind: str) -> str:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            found = (await self._api.ask(Request("GET", path))).get("resources") or ()
        except NotFound:
            found = ()
        names = [entry["name"] for entry in found if entry.get("kind") == kind and "/" not in entry["name"]]
        if not names:
            raise NotScalable(f"the cluster does not serve kind {kind} of {api_version}; correct spec.targetRef")
        if not any(entry["name"] == f"{names[0]}/scale" for entry in found):
            raise NotScalable(
                f"kind {kind} of {api_version} has no scale subresource, so nobody can set its replicas; name the "
                "workload that runs the pods in spec.targetRef"
            )
        return str(names[0])

    async def read(self, namespace: str, ref: TargetRef) -> Scale:
        """What the target's scale says. Raises ClusterError; Denied names the rule that is missing."""
        path = await self._path(namespace, ref)
        try:
            body = await self._api.ask(Request("GET", path), tries=1)
        except Denied as error:
            raise await self._denied(error, ref, "get") from error
        return _scale(body)

    async def write(self, namespace: str, ref: TargetRef, replicas: int) -> None:
        """Set the target's replicas, and nothing else of it."""
        path = await self._path(namespace, ref)
        request = Request("PATCH", path, {"fieldManager": SCALE_MANAGER}, {"spec": {"replicas": replicas}}, MERGE_PATCH)
        try:
            await self._api.ask(request, tries=1)
        except Denied as error:
            if " cannot " not in error.answer:  # refused for another reason than rights
                raise
            raise await self._denied(error, ref, "patch") from error

    async def _denied(self, error: Denied, ref: TargetRef, verb: str) -> Denied:
        """The same error with the rule that is missing."""
        resource = f"{await self.plural(ref.api_version, ref.kind)}/scale"
        return Denied(f"{error.answer}; {missing_rule(ref.group, resource, verb)}", error.answer)

    async def _path(self, namespace: str, ref: TargetRef) -> str:
        plural = await self.plural(ref.api_version, ref.kind)
        return f"{collection(ref.api_version, plural, namespace)}/{ref.name}/scale"


def missing_rule(group: str, resource: str, verbs: str) -> str:
    """What to add to the operator's rights, in words."""
    return (
        f'grant the operator {verbs} on {resource} (apiGroups: ["{group}"]) by a ClusterRole with the label '
        'scalableapp.io/aggregate-to-operator: "true"; docs/targets.md has one to copy'
    )


def _scale(body: Mapping[str, Any]) -> Scale:
    spec, status = body.get("spec") or {}, body.get("status") or {}
    return Scale(
        body["metadata"].get("uid", ""), spec.get("replicas", 0), status.get("replicas", 0), status.get("selector", "")
    )
