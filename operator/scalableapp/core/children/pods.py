"""Parts of the pods' template: their probes, user, service account and mounts. resources.py puts them together."""

import hashlib
from typing import Any

from scalableapp.core.api.pod_fields import Health, Mount, Probes, SecurityContext
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.quantity import canonical_quantity

Manifest = dict[str, Any]

TMP = "/tmp"  # noqa: S108 - a mount of the pod's own
# Room for uploads and gunicorn's and prometheus_client's small files; more is a leak and evicts the pod.
TMP_SIZE = "128Mi"
PORT_NAME = "http"


def probes(spec: ScalableAppSpec) -> dict[str, Manifest]:
    """Start-up is watched closely, as every second of it is a second of overload; liveness is slow to kill.

    Readiness is patient with slow answers: were a busy pod taken out, its load would drown the others.
    """
    if not has_probes(spec):
        return {}
    health = spec.health
    alive, ready = _get(health, health.liveness_path), _get(health, health.readiness_path)
    found = {
        "startupProbe": alive | {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": health.startup_seconds},
        "livenessProbe": alive | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": ready | {"periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3},
    }
    if health.liveness is Probes.NONE:
        del found["livenessProbe"]
    return found


def has_probes(spec: ScalableAppSpec) -> bool:
    """Whether the kubelet can tell whether a pod works."""
    return spec.health.type is Probes.HTTP and (spec.port != 0 or spec.health.port is not None)


def _get(health: Health, path: str) -> Manifest:
    """With the API server's own defaults: what is not stated would be left of a probe that is no longer wanted."""
    headers = [{"name": header.name, "value": header.value} for header in health.headers]
    return {
        "httpGet": {
            "path": path,
            "port": health.port or PORT_NAME,
            "scheme": health.scheme.value,
            **({"httpHeaders": headers} if headers else {}),
        },
        "successThreshold": 1,
    }


def pod_security(stated: SecurityContext) -> Manifest:
    """The user is the image's own, which knows whom its files belong to, unless one is stated."""
    chosen = {"runAsUser": stated.run_as_user, "runAsGroup": stated.run_as_group, "fsGroup": stated.fs_group}
    # Else each start of a pod walks through all files of its volumes.
    policy = {} if stated.fs_group is None else {"fsGroupChangePolicy": "OnRootMismatch"}
    return {
        "runAsNonRoot": stated.run_as_non_root,
        "seccompProfile": {"type": "RuntimeDefault"},
        **{field: number for field, number in chosen.items() if number is not None},
        **policy,
    }


def account(spec: ScalableAppSpec) -> Manifest:
    """What a pod shows to the cluster and to registries."""
    secrets = [{"name": secret.name} for secret in spec.image_pull_secrets]
    return {
        **({"serviceAccountName": spec.service_account_name} if spec.service_account_name else {}),
        **({"imagePullSecrets": secrets} if secrets else {}),
    }


def volumes(spec: ScalableAppSpec) -> list[Manifest]:
    """Those of the mounts, and a small one for /tmp unless a mount is there."""
    return [*_tmp(spec, {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}}), *map(_volume, spec.mounts)]


def volume_mounts(spec: ScalableAppSpec) -> list[Manifest]:
    """Where the volumes are found in the app's container."""
    return [*_tmp(spec, {"name": "tmp", "mountPath": TMP}), *map(_volume_mount, spec.mounts)]


def _tmp(spec: ScalableAppSpec, entry: Manifest) -> list[Manifest]:
    return [] if any(mount.path == TMP for mount in spec.mounts) else [entry]


def _volume(mount: Mount) -> Manifest:
    if mount.config_map:
        return {"name": _name(mount), "configMap": {"name": mount.config_map}}
    if mount.secret:
        return {"name": _name(mount), "secret": {"secretName": mount.secret}}
    limit = mount.empty_dir.size_limit if mount.empty_dir else None
    return {"name": _name(mount), "emptyDir": {"sizeLimit": canonical_quantity(limit)} if limit else {}}


def _volume_mount(mount: Mount) -> Manifest:
    read_only = {} if mount.empty_dir else {"readOnly": True}
    return {"name": _name(mount), "mountPath": mount.path, **read_only}


def _name(mount: Mount) -> str:
    """By the path, so that a mount keeps its name when others come and go."""
    return f"mount-{hashlib.sha256(mount.path.encode(errors='surrogatepass')).hexdigest()[:10]}"
