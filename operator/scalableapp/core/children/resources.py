"""What the children of a ScalableApp look like: Deployment, Service, Ingress or HTTPRoute, PodDisruptionBudget, Redis.

Values stand here as the API server writes them back, so that drift.in_line holds against the live objects.
`spec.replicas` stands here only while a Deployment is created: afterwards the scale subresource alone moves it.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from scalableapp.core.api.env_fields import EnvVar, FieldRef, ValueFrom, as_in_a_pod
from scalableapp.core.api.pod_template import CONTAINER
from scalableapp.core.api.routing_fields import Ingress, Route
from scalableapp.core.api.spec import CacheBackend, ScalableAppSpec
from scalableapp.core.children import mounts, pods, redis
from scalableapp.core.children.annotations import annotations
from scalableapp.core.children.drift import in_sync, owned_by, with_spec_hash
from scalableapp.core.children.merge import merged
from scalableapp.core.children.pod_policy import PodTemplatePolicy, unsafe
from scalableapp.core.children.routing import (
    API_VERSIONS,
    HTTP_ROUTE,
    INGRESS,
    SERVICE_PORT,
    http_route_spec,
    ingress_spec,
    kind_of,
)
from scalableapp.core.model import AppKey
from scalableapp.core.quantity import canonical_quantity
from scalableapp.core.size import Resource, Size, write_size
from scalableapp.errors import FieldProblem

__all__ = [
    "CONTAINER",
    "ClusterFeatures",
    "child_names",
    "children",
    "in_sync",
    "name_problem",
    "owned_by",
    "pod_problem",
    "unwanted",
    "with_replicas",
]

Manifest = dict[str, Any]

API_VERSION = "scalableapp.io/v1alpha1"
KIND = "ScalableApp"
MANAGED_BY = "scalableapp-operator"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_APP = "scalableapp.io/app"

# Time for kube-proxies and ingress controllers to stop sending before the app gets SIGTERM.
PRE_STOP_SECONDS = 5
# preStop, then gunicorn's or the app's own drain of requests (30 s is the common limit), then some room.
TERMINATION_GRACE_SECONDS = 40
# A pod of a new size is watched for so long before the others follow.
WATCH_SECONDS = 30
# So many pods a rollout starts beside those that it replaces.
_SURGE_PERCENT = 25
# Without probes a pod is ready as soon as its process runs: it has to run for so long before another is replaced.
RUNS_SECONDS = 10
# Old ReplicaSets kept for `kubectl rollout undo`; ten, the default, are many objects in a cluster of many apps.
REVISIONS = 3
# A Service's name is a DNS label that starts with a letter (RFC 1035); ours are the app's name.
_NAME = re.compile(r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")


@dataclass(frozen=True, slots=True)
class ClusterFeatures:
    """What not every cluster supports or allows, and where it gets what is not the user's.

    `resize`: pods have the subresource resize (1.33 and later), so that their size can change in place.
    `gateway_api`: HTTPRoutes can be made. `redis_image`: what apps with cache.backend Redis get.
    `pod_template`: what authors may give their pods.
    """

    resize: bool = False
    gateway_api: bool = False
    redis_image: str = redis.IMAGE
    pod_template: PodTemplatePolicy = PodTemplatePolicy.ALL


class Template(NamedTuple):
    """How the pods' template differs from the spec: their size, and how it is rolled out.

    `canary`: one pod first, which counts only once it has been ready for a while. `paused`: pods are left alone.
    `mounted`: the versions of what pods mount, see mounts.py.
    """

    size: Size | None = None
    resources: tuple[Resource, ...] = ()
    canary: bool = False
    paused: bool = False
    mounted: str = ""


AS_SPECIFIED = Template()


def name_problem(key: AppKey) -> FieldProblem | None:
    """What is wrong with the app's name, which its Service and its labels use as well."""
    if _NAME.match(key.name):
        return None
    return FieldProblem(
        "metadata.name",
        f"{key.name!r} is not a valid name for the app's Service",
        "use 1 to 63 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen",
    )


def cache_name_problem(key: AppKey, spec: ScalableAppSpec) -> FieldProblem | None:
    """Why the name of the app's Redis, which is made from the app's name, is not valid."""
    if not _has_redis(spec) or len(key.name) <= redis.LONGEST_APP_NAME:
        return None
    return FieldProblem(
        "metadata.name",
        f"{key.name!r} is too long for an app with a Redis, which is named {redis.cache_name(key)}",
        f"use at most {redis.LONGEST_APP_NAME} characters, or another spec.cache.backend",
    )


def children(
    key: AppKey, uid: str, spec: ScalableAppSpec, features: ClusterFeatures, template: Template = AS_SPECIFIED
) -> tuple[Manifest, ...]:
    """The manifests to apply, each with the hash of its content; none for an app that scales an existing workload."""
    if spec.target_ref:
        return ()
    manifests = [
        _owned("apps/v1", "Deployment", key, uid, {"spec": _deployment(key, spec, template)}),
        *([_owned("v1", "Service", key, uid, {"spec": _service(key)})] if spec.port else []),
    ]
    if isinstance(spec.entry_point, Ingress):
        manifests.append(
            _entry_point(INGRESS, key, uid, ingress_spec(key, spec.entry_point), annotations(spec.entry_point))
        )
    if isinstance(spec.entry_point, Route) and features.gateway_api:
        manifests.append(_entry_point(HTTP_ROUTE, key, uid, http_route_spec(key, spec.entry_point), {}))
    manifests.append(_owned("policy/v1", "PodDisruptionBudget", key, uid, {"spec": _budget(key)}))
    if _has_redis(spec):
        manifests += _redis(key, uid, features)
    return tuple(with_spec_hash(manifest) for manifest in manifests)


def with_replicas(deployment: Manifest, replicas: int) -> Manifest:
    """The Deployment as it is created again, with the replicas it had. The hash is that of every later time."""
    return deployment | {"spec": deployment["spec"] | {"replicas": replicas}}


def child_names(key: AppKey) -> tuple[str, ...]:
    """Names that children of the app may have: its own, and that of its Redis."""
    return key.name, redis.cache_name(key)


def unwanted(key: AppKey, spec: ScalableAppSpec) -> tuple[Manifest, ...]:
    """Names of the objects that must not be there, to be deleted when they are ours."""
    wanted = kind_of(spec.entry_point)
    entry_points = tuple(
        _named(version, kind, key, key.name) for kind, version in API_VERSIONS.items() if kind != wanted
    )
    name = redis.cache_name(key)
    cache = () if _has_redis(spec) else tuple(_named(version, kind, key, name) for version, kind in _REDIS_KINDS)
    return entry_points + cache + (() if spec.port else (_named("v1", "Service", key, key.name),))


def pod_problem(key: AppKey, spec: ScalableAppSpec, policy: PodTemplatePolicy) -> FieldProblem | None:
    """What keeps an app's pods from being made, though the API server might take them."""
    if policy is PodTemplatePolicy.OFF and spec.pod_template:
        return FieldProblem("spec.podTemplate", "the operator does not take it", "remove it, or ask " + _ADMIN)
    pod = _template(key, spec, AS_SPECIFIED)["spec"]
    if policy is not PodTemplatePolicy.ALL and (found := list(unsafe(pod))):
        return FieldProblem(
            "spec",
            f"the operator gives pods no {', '.join(found)[:_LONGEST]}",
            f"remove it, or ask {_ADMIN}, or to create the Deployment",
        )
    ports = next(entry for entry in pod["containers"] if entry["name"] == CONTAINER).get("ports")
    if spec.port and all(port.get("name") != pods.PORT_NAME for port in ports or ()):
        return FieldProblem(
            "spec.podTemplate.spec.containers[app].ports",
            f"no port is named {pods.PORT_NAME} any more, to which the Service leads",
            f"keep that name for {spec.port}",
        )
    return None


_ADMIN = "who runs the operator for SCALABLEAPP_POD_TEMPLATE=All"
_LONGEST = 500


def surge_of(replicas: int) -> int:
    """How many pods more than its replicas a rollout has, rounded up as its controller does."""
    return max(1, -(-replicas * _SURGE_PERCENT // 100))


def selector(key: AppKey) -> dict[str, str]:
    """Labels that find the app's pods. A Deployment's selector is immutable: these never change."""
    return {LABEL_NAME: key.name, LABEL_APP: key.name}


def selector_text(key: AppKey) -> str:
    """The selector as status.selector holds it, for HPA-like readers of the scale subresource."""
    return ",".join(f"{label}={value}" for label, value in selector(key).items())


def _has_redis(spec: ScalableAppSpec) -> bool:
    return spec.cache.backend is CacheBackend.REDIS


_REDIS_KINDS = (("networking.k8s.io/v1", "NetworkPolicy"), ("apps/v1", "Deployment"), ("v1", "Service"))


def _redis(key: AppKey, uid: str, features: ClusterFeatures) -> list[Manifest]:
    """The policy comes first, so that nobody reaches the Redis before it applies."""
    specs = (
        redis.network_policy(key, selector(key)),
        redis.deployment(key, features.redis_image),
        redis.service(key),
    )
    name = redis.cache_name(key)
    return [
        _owned(version, kind, key, uid, {"spec": spec}, name=name)
        for (version, kind), spec in zip(_REDIS_KINDS, specs, strict=True)
    ]


def _named(api_version: str, kind: str, key: AppKey, name: str) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": key.namespace, "name": name}}


def _owned(api_version: str, kind: str, key: AppKey, uid: str, body: Manifest, *, name: str = "") -> Manifest:
    manifest = _named(api_version, kind, key, name or key.name)
    manifest["metadata"] |= {
        "labels": selector(key) | {LABEL_MANAGED_BY: MANAGED_BY},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": key.name,
                "uid": uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    return manifest | body


def _deployment(key: AppKey, spec: ScalableAppSpec, template: Template) -> Manifest:
    surge = 1 if template.canary else f"{_SURGE_PERCENT}%"
    return {
        # It holds the Deployment's own controller back while the first pod is watched.
        "minReadySeconds": WATCH_SECONDS if template.canary else 0 if pods.has_probes(spec) else RUNS_SECONDS,
        # Stated even where it is false: else one that somebody has paused would stay so.
        "paused": template.paused,
        "selector": {"matchLabels": selector(key)},
        "revisionHistoryLimit": REVISIONS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": surge}},
        "template": _template(key, spec, template),
    }


def _template(key: AppKey, spec: ScalableAppSpec, template: Template) -> Manifest:
    metadata = {
        "labels": selector(key) | {LABEL_MANAGED_BY: MANAGED_BY},
        "annotations": {
            "kubectl.kubernetes.io/default-container": CONTAINER,
            **_scrape(spec),
            **({mounts.ANNOTATION: template.mounted} if template.mounted else {}),
        },
    }
    made = {"metadata": metadata, "spec": _pod(key, spec, template)}
    if spec.pod_template:
        made = merged(made, spec.pod_template.patch)
    if account := made["spec"].get("serviceAccountName"):
        # Else its former name, which the API server fills in, would stay when no account is stated any more.
        made["spec"]["serviceAccount"] = account
    return made


def _scrape(spec: ScalableAppSpec) -> dict[str, str]:
    if not spec.monitoring.scrape or not spec.port:
        return {}
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(spec.port),
        "prometheus.io/path": spec.monitoring.path,
    }


def _pod(key: AppKey, spec: ScalableAppSpec, template: Template) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "securityContext": pods.pod_security(spec.security_context),
        "topologySpreadConstraints": [_spread(key)],
        "containers": [_container(key, spec, template)],
        "volumes": pods.volumes(spec),
        **pods.account(spec),
    }


def _spread(key: AppKey) -> Manifest:
    """Each revision for itself, or the pods that a rollout replaces would decide where the new ones go.

    Not over zones: a node that lacks the label of one constraint is left out of all of them, so that on a cluster
    without zones nothing would be spread.
    """
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(key)},
        "matchLabelKeys": ["pod-template-hash"],
        "nodeTaintsPolicy": "Honor",
    }


def _container(key: AppKey, spec: ScalableAppSpec, template: Template) -> Manifest:
    container = {
        "name": CONTAINER,
        "image": spec.image,
        "command": list(spec.command),
        "args": list(spec.args),
        "ports": [{"name": pods.PORT_NAME, "containerPort": spec.port, "protocol": "TCP"}] if spec.port else [],
        "env": _environment(key, spec),
        "envFrom": [as_in_a_pod(source) for source in spec.env_from],
        "resources": _resources(spec, template),
        "volumeMounts": pods.volume_mounts(spec),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": spec.security_context.read_only_root_filesystem,
        },
    }
    return {field: value for field, value in (container | pods.probes(spec)).items() if value}


def _resources(spec: ScalableAppSpec, template: Template) -> dict[str, dict[str, str]]:
    amounts = {"requests": spec.resources.requests, "limits": spec.resources.limits}
    stated = {field: {n: canonical_quantity(text) for n, text in values.items()} for field, values in amounts.items()}
    if template.size:
        sized = write_size(template.size)
        for field, resource in ((field, resource) for field in stated for resource in template.resources):
            stated[field].pop(resource.value, None)
            if text := sized.get(field, {}).get(resource.value):
                stated[field][resource.value] = text
    return {field: values for field, values in stated.items() if values}


def _environment(key: AppKey, spec: ScalableAppSpec) -> list[Manifest]:
    """Ours first, so that a user's variable can refer to them as $(POD_NAME); the user's win over ours."""
    ours = [
        EnvVar(name="POD_NAME", value_from=ValueFrom(field_ref=FieldRef(field_path="metadata.name"))),
        EnvVar(name="POD_NAMESPACE", value_from=ValueFrom(field_ref=FieldRef(field_path="metadata.namespace"))),
        *([EnvVar(name="PORT", value=str(spec.port))] if spec.port else []),
        EnvVar(name="CACHE_BACKEND", value=spec.cache.backend.value),
        EnvVar(name="CACHE_TIMEOUT_SECONDS", value=str(spec.cache.timeout_seconds)),
        *([EnvVar(name="CACHE_REDIS_URL", value=redis.address(key))] if _has_redis(spec) else []),
    ]
    taken = {variable.name for variable in spec.env}
    chosen = [*(variable for variable in ours if variable.name not in taken), *spec.env]
    # The API server drops an empty value, so it isn't written either.
    return [{name: value for name, value in as_in_a_pod(variable).items() if value} for variable in chosen]


def _service(key: AppKey) -> Manifest:
    return {
        "type": "ClusterIP",
        "selector": selector(key),
        "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": pods.PORT_NAME, "protocol": "TCP"}],
    }


def _entry_point(kind: str, key: AppKey, uid: str, spec: Manifest, noted: dict[str, str]) -> Manifest:
    manifest = _owned(API_VERSIONS[kind], kind, key, uid, {"spec": spec})
    manifest["metadata"]["annotations"] = noted
    return manifest


def _budget(key: AppKey) -> Manifest:
    """Pods that are not ready serve nobody: they must not keep a node from being drained."""
    return {
        "maxUnavailable": 1,
        "selector": {"matchLabels": selector(key)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
