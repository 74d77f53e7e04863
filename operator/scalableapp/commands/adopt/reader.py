"""Workloads and their autoscalers, read from the cluster."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from scalableapp.adapters.kube_api import Denied, KubeApi, Request, collection
from scalableapp.commands.adopt.app import Found
from scalableapp.commands.adopt.workload import Workload
from scalableapp.commands.console.cluster import TRIES, with_fix
from scalableapp.core.children.resources import API_VERSION
from scalableapp.errors import ClusterError, NotFound, Rejected

Manifest = Mapping[str, Any]
_APPS = "apps/v1"
# As kubectl abbreviates them; what else has a scale is named by the autoscaler that it has.
WORKLOADS = {
    **dict.fromkeys(("deployment", "deployments", "deploy", "deployment.apps", "deployments.apps"), "Deployment"),
    **dict.fromkeys(("statefulset", "statefulsets", "sts", "statefulset.apps", "statefulsets.apps"), "StatefulSet"),
    **dict.fromkeys(("replicaset", "replicasets", "rs", "replicaset.apps", "replicasets.apps"), "ReplicaSet"),
    **dict.fromkeys(("rollout", "rollouts", "ro", "rollout.argoproj.io", "rollouts.argoproj.io"), "Rollout"),
}
_HPA, _SCALED, _VPA = "HorizontalPodAutoscaler", "ScaledObject", "VerticalPodAutoscaler"
AUTOSCALERS = {
    **dict.fromkeys(("hpa", "horizontalpodautoscaler", "horizontalpodautoscalers"), _HPA),
    **dict.fromkeys(("scaledobject", "scaledobjects", "so", "scaledobject.keda.sh", "scaledobjects.keda.sh"), _SCALED),
    **dict.fromkeys(("vpa", "verticalpodautoscaler", "verticalpodautoscalers"), _VPA),
}
_LISTS = {
    _HPA: ("autoscaling/v2", "horizontalpodautoscalers", "scaleTargetRef"),
    _SCALED: ("keda.sh/v1alpha1", "scaledobjects", "scaleTargetRef"),
    _VPA: ("autoscaling.k8s.io/v1", "verticalpodautoscalers", "targetRef"),
}
_API_VERSIONS = {"Deployment": _APPS, "StatefulSet": _APPS, "ReplicaSet": _APPS, "Rollout": "argoproj.io/v1alpha1"}


class Namespace:
    """What of a namespace `adopt` needs, each list and each kind read once."""

    def __init__(self, api: KubeApi, name: str) -> None:
        self._api = api
        self.name = name
        self._lists: dict[str, list[Manifest]] = {}
        self._plurals: dict[str, dict[str, str]] = {}
        self._apps: dict[tuple[str, str], str] | None = None

    async def found(self, text: str) -> Found:
        """What "deployment/web" or "hpa/web" names. Raises ClusterError that says what is wrong."""
        kind, slash, name = text.partition("/")
        if workload := WORKLOADS.get(kind.lower() if slash and name else ""):
            return await self._of(_API_VERSIONS[workload], workload, name)
        autoscaler = AUTOSCALERS.get(kind.lower())
        if autoscaler is None or not name:
            return await self._of(*await self._named_by_an_autoscaler(text))
        listed = await self.autoscalers(autoscaler)
        chosen = next((each for each in listed if each["metadata"]["name"] == name), None)
        if chosen is None:
            raise NotFound(f"There is no {autoscaler} {name} in namespace {self.name}")
        found = await self._of(*_target(autoscaler, chosen))
        if autoscaler == _HPA:
            return found.by(hpa=chosen)
        if autoscaler == _SCALED:
            return found.by(scaled_object=chosen)
        return found

    async def _named_by_an_autoscaler(self, text: str) -> tuple[str, str, str]:
        """A target of another kind: "fleet/arena". Raises Rejected where no autoscaler has it."""
        for target in await self._targets():
            if f"{target[1]}/{target[2]}".lower() == text.lower():
                return target
        raise Rejected(
            f"{text!r} names nothing that can be adopted; write deployment/NAME, statefulset/NAME, rollout/NAME, "
            "hpa/NAME, scaledobject/NAME or vpa/NAME, and the namespace as -n NAMESPACE"
        )

    async def _targets(self) -> list[tuple[str, str, str]]:
        """What autoscalers are for, by kind and name."""
        named = {
            _target(kind, each)
            for kind in _LISTS
            for each in await self.autoscalers(kind)
            if kind != _HPA or not _keda_owns(each)
        }
        return sorted(named, key=lambda each: (each[1], each[2]))

    async def all(self) -> list[tuple[str, Found | ClusterError]]:
        """Everything that an autoscaler names, by kind and name, or why it could not be read."""
        found: list[tuple[str, Found | ClusterError]] = []
        for api_version, kind, name in await self._targets():
            try:
                found.append((f"{kind.lower()}/{name}", await self._of(api_version, kind, name)))
            except ClusterError as error:
                found.append((f"{kind.lower()}/{name}", error))
        return found

    async def autoscalers(self, kind: str) -> list[Manifest]:
        """All of a kind; none where the cluster does not serve it. Raises Rejected that names the missing rule."""
        if kind not in self._lists:
            version, plural, _ = _LISTS[kind]
            try:
                self._lists[kind] = [item async for item in self._listed(version, plural)]
            except NotFound:
                self._lists[kind] = []
            except Denied as error:
                group = version.partition("/")[0]
                raise Rejected(
                    f"{error.answer}; whether a {kind} scales it cannot be told without the rule apiGroups: [{group}], "
                    f"resources: [{plural}], verbs: [list] in namespace {self.name}"
                ) from error
            except ClusterError as error:
                raise with_fix(error, "list", plural, f"-n {self.name}", "view") from error
        return self._lists[kind]

    async def _listed(self, version: str, plural: str) -> AsyncIterator[Manifest]:
        """Raises NotFound where the kind is not served: a list is refused before that is told, discovery is not."""
        await self._api.ask(Request("GET", f"/apis/{version}"), tries=TRIES)
        async for page in self._api.pages(Request("GET", collection(version, plural, self.name))):
            for item in page["items"]:
                yield item

    async def _of(self, api_version: str, kind: str, name: str) -> Found:
        workload = await self.workload(api_version, kind, name)
        for owner in workload.manifest["metadata"].get("ownerReferences") or ():
            if owner.get("kind") == "ScalableApp":
                raise Rejected(f"{kind} {name} is the child of ScalableApp {owner['name']}, which scales it already")
        mine = (workload.kind, name)
        hpas = [each for each in await self.autoscalers(_HPA) if _target(_HPA, each)[1:] == mine]
        return Found(
            workload,
            [each for each in hpas if not _keda_owns(each)],
            [each for each in await self.autoscalers(_SCALED) if _target(_SCALED, each)[1:] == mine],
            [each for each in await self.autoscalers(_VPA) if _target(_VPA, each)[1:] == mine],
        )

    async def app_of(self, workload: Workload) -> str:
        """The name of the ScalableApp that has this target already; "" if there is none, or none may be seen."""
        if self._apps is None:
            self._apps = {}
            with suppress(ClusterError):
                async for page in self._api.pages(Request("GET", collection(API_VERSION, "scalableapps", self.name))):
                    for item in page["items"]:
                        target = item["spec"].get("targetRef") or {}
                        self._apps[target.get("kind", ""), target.get("name", "")] = item["metadata"]["name"]
        return self._apps.get((workload.kind, workload.name), "")

    async def workload(self, api_version: str, kind: str, name: str) -> Workload:
        """The object. Raises ClusterError that says what is missing, and what to do."""
        try:
            plural = await self._plural(api_version, kind)
            manifest = await self._api.ask(
                Request("GET", f"{collection(api_version, plural, self.name)}/{name}"), tries=TRIES
            )
        except NotFound as error:
            raise NotFound(f"There is no {kind} {name} ({api_version}) in namespace {self.name}") from error
        except ClusterError as error:
            raise with_fix(error, "get", kind.lower(), f"-n {self.name}", "view") from error
        return Workload(api_version, manifest, plural)

    async def _plural(self, api_version: str, kind: str) -> str:
        """The name of a kind in paths, from the API server. Raises NotFound where it serves none with a scale."""
        if api_version not in self._plurals:
            listed = await self._api.ask(Request("GET", collection(api_version, "").rstrip("/")), tries=TRIES)
            resources = listed.get("resources") or ()
            scaled = {each["name"].partition("/")[0] for each in resources if each["name"].endswith("/scale")}
            self._plurals[api_version] = {each["kind"]: each["name"] for each in resources if each["name"] in scaled}
        if kind not in self._plurals[api_version]:
            raise Rejected(f"{kind} ({api_version}) has no scale subresource, so nothing can set its replicas")
        return self._plurals[api_version][kind]


def _target(kind: str, manifest: Manifest) -> tuple[str, str, str]:
    """API version, kind and name of what an autoscaler is for.

    The version is not checked when one is made; many still name one that is no longer served.
    """
    target = manifest["spec"][_LISTS[kind][2]]
    named, stated = target.get("kind") or "Deployment", target.get("apiVersion") or ""
    if named in _API_VERSIONS and stated.rpartition("/")[0] in ("", "apps", "extensions"):
        stated = _API_VERSIONS[named]
    return stated or _APPS, named, target["name"]


def _keda_owns(hpa: Manifest) -> bool:
    return any(owner.get("kind") == _SCALED for owner in hpa["metadata"].get("ownerReferences") or ())
