"""What of an existing Deployment a ScalableApp would take over, and what it has no field for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scalableapp.core.api.pod_fields import Health
from scalableapp.core.size import Size, read_size
from scalableapp.errors import Rejected
from scalableapp.ports import Manifest

_PROBES = {"livenessPath": "livenessProbe", "readinessPath": "readinessProbe"}
# As core/api/fields.py has it.
_PLAIN_PATH = re.compile(r"^/[^\s?#]*$")
_TAKEN = ("image", "env", "envFrom", "command", "args", "resources")
# Of a container and of a pod: what a ScalableApp has no field for, and what to know of it.
_LEFT_OF_CONTAINER = {
    "volumeMounts": "volumes are not taken over; add them as mounts or podTemplate, or the app can only write to /tmp",
    "lifecycle": "its lifecycle hooks are not taken over; the operator sets its own preStop, podTemplate another",
    "startupProbe": "its startupProbe is not taken over; set health.startupSeconds if it allows more than 120 s",
    "securityContext": "its securityContext is not taken over; pods run as non-root with a read-only root file system "
    "unless spec.securityContext says otherwise",
}
_LEFT_OF_POD = {
    "initContainers": "its init containers are not taken over; add them as podTemplate",
    "nodeSelector": "its nodeSelector is not taken over; add it as podTemplate",
    "affinity": "its affinity is not taken over; add it as podTemplate",
    "tolerations": "its tolerations are not taken over; add them as podTemplate",
    "hostNetwork": "hostNetwork is not taken over",
    "imagePullSecrets": "its imagePullSecrets are not taken over; add them as spec.imagePullSecrets",
}


class Found(NamedTuple):
    """A Deployment: its key's parts, its replicas, the app's container, and notes on what is not taken over."""

    namespace: str
    name: str
    replicas: int
    container: Mapping[str, Any]
    left: tuple[str, ...] = ()

    @property
    def size(self) -> Size:
        """Requests and limits of the container."""
        return read_size(self.container.get("resources"))


def read_deployment(manifest: Manifest, container: str | None) -> Found:
    """The Deployment, with the container of that name, or else the first. Raises Rejected where it does not serve."""
    metadata, spec = manifest["metadata"], manifest["spec"]
    owners = [owner for owner in metadata.get("ownerReferences") or () if owner.get("kind") == "ScalableApp"]
    if owners:
        app = f"{metadata['namespace']}/{owners[0].get('name')}"
        raise Rejected(f"Deployment {metadata['name']} is scaled by a ScalableApp: kubectl scalableapp explain {app}")
    pod = spec["template"]["spec"]
    chosen = _container(pod["containers"], container, metadata["name"])
    left = tuple(_left(pod, chosen))
    return Found(metadata["namespace"], metadata["name"], int(spec.get("replicas", 1)), chosen, left)


def _container(containers: Sequence[Mapping[str, Any]], name: str | None, deployment: str) -> Mapping[str, Any]:
    for container in containers:
        if name in (None, container["name"]):
            return container
    names = ", ".join(container["name"] for container in containers)
    raise Rejected(f"Deployment {deployment} has no container {name}; pass one of {names} as --container")


def _left(pod: Mapping[str, Any], chosen: Mapping[str, Any]) -> Iterator[str]:
    others = [container["name"] for container in pod["containers"] if container is not chosen]
    if others:
        yield f"its containers {', '.join(others)} are not taken over: add them as podTemplate"
    service_account = pod.get("serviceAccountName", "default")
    if service_account != "default":
        yield f"its ServiceAccount {service_account} is not taken over; add it as spec.serviceAccountName"
    yield from _probes_left(chosen)
    for source, notes in ((chosen, _LEFT_OF_CONTAINER), (pod, _LEFT_OF_POD)):
        yield from (note for field, note in notes.items() if source.get(field))


def _probes_left(container: Mapping[str, Any]) -> Iterator[str]:
    """Without a path of their own, the probes ask the usual ones, and an app that does not answer is never ready."""
    usual = Health().model_dump(by_alias=True)
    for field, probe in _PROBES.items():
        path = _path(container.get(probe))
        if path and not _PLAIN_PATH.match(path):
            yield f"its {probe} uses {path}, but queries are not supported: GET {usual[field]} is used instead"
        elif not path:
            yield f"it has no HTTP {probe}: GET {usual[field]} must answer 200, or set spec.health.{field}"


def taken_over(found: Found) -> dict[str, Any]:
    """The fields of a ScalableApp's spec that the Deployment states."""
    spec = {field: found.container[field] for field in _TAKEN if found.container.get(field)}
    ports = [port for port in found.container.get("ports") or () if port.get("protocol", "TCP") == "TCP"]
    if ports:
        spec["port"] = ports[0]["containerPort"]
    paths = {field: _path(found.container.get(probe)) for field, probe in _PROBES.items()}
    if health := {field: path for field, path in paths.items() if _PLAIN_PATH.match(path)}:
        spec["health"] = health
    return spec


def _path(probe: Mapping[str, Any] | None) -> str:
    return str(((probe or {}).get("httpGet") or {}).get("path") or "")
