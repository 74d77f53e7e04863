"""`adopt --release-replicas`: after it, replicas can be removed from a manifest without a drop to one pod.

A field that an apply no longer states is removed, and the API server puts its default, 1, in its place
(kubernetes/kubernetes#25238), unless another field manager owns it too. With client-side apply, kubectl itself removes
what its annotation has and the manifest has not.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scalableapp.adapters.kube_api import APPLY_PATCH, MERGE_PATCH, Denied, KubeApi, Request, collection
from scalableapp.commands.adopt.workload import Workload
from scalableapp.commands.console.cluster import TRIES, with_fix
from scalableapp.core.children.resources import MANAGED_BY
from scalableapp.errors import ClusterError, Conflict, Rejected

Manifest = Mapping[str, Any]
# Begins as the operator's own name does, so that nobody takes it for a stranger's. A name of its own, since an apply
# under the same name without replicas would give them up; none that begins with kubectl, since Flux takes those over.
FIELD_MANAGER = f"{MANAGED_BY}-replicas"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ATTEMPTS = 5

NEXT = """\
Next: remove replicas from its manifest. If the manifest is applied with replicas once more before that, release again.
- kubectl apply, with or without --server-side, and Flux's Kustomization need nothing else.
- Argo CD: nothing else either, unless the sync option Replace=true is set; remove that option first.
- Helm: pass --server-side=true to the upgrade that removes replicas (Helm 4; Flux's HelmRelease: \
spec.upgrade.serverSideApply: enabled). Helm 3 compares with its own release, and would reset it to 1."""


class Released(NamedTuple):
    """How many replicas the workload keeps, who set them so far, and whether kubectl's annotation stated them."""

    replicas: int
    owners: tuple[str, ...]
    annotated: bool


async def release(api: KubeApi, workload: Workload) -> Released:
    """Own spec.replicas as it is, and take it out of kubectl's annotation.

    Raises ClusterError that names the missing rule, or the object that has no spec.replicas.
    """
    path = f"{collection(workload.api_version, workload.plural, workload.namespace)}/{workload.name}"
    manifest = workload.manifest
    for attempt in range(_ATTEMPTS):
        try:
            return await _release(api, path, workload, manifest)
        except Conflict as error:  # somebody was faster: what is owned has to be what is there
            if attempt == _ATTEMPTS - 1:
                raise Conflict(f"{error}; its replicas keep changing; try again") from error
            manifest = await api.ask(Request("GET", path), tries=TRIES)
        except Denied as error:
            raise Rejected(_missing_rule(error, workload)) from error
        except ClusterError as error:
            raise with_fix(error, "patch", workload.plural, f"-n {workload.namespace}", "edit") from error
    raise AssertionError  # the last attempt returns or raises


async def _release(api: KubeApi, path: str, workload: Workload, manifest: Manifest) -> Released:
    replicas = manifest["spec"].get("replicas")
    if replicas is None:
        raise Rejected(f"{workload.kind} {workload.name} has no spec.replicas, so there is nothing to release")
    metadata = manifest["metadata"]
    body = {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "metadata": {"name": workload.name, "namespace": workload.namespace, "uid": metadata["uid"]},
        "spec": {"replicas": replicas},
    }
    query = {"fieldManager": FIELD_MANAGER, "force": "false"}
    applied = await api.ask(Request("PATCH", path, query, body, APPLY_PATCH), tries=TRIES)
    annotation = _without_replicas((applied["metadata"].get("annotations") or {}).get(_LAST_APPLIED, ""))
    if annotation:
        version = applied["metadata"]["resourceVersion"]
        change = {"metadata": {"resourceVersion": version, "annotations": {_LAST_APPLIED: annotation}}}
        await api.ask(Request("PATCH", path, {"fieldManager": FIELD_MANAGER}, change, MERGE_PATCH), tries=TRIES)
    return Released(int(replicas), tuple(dict.fromkeys(_owners(metadata))), bool(annotation))


def _without_replicas(annotation: str) -> str:
    """The annotation as kubectl writes it, without spec.replicas; "" where it states none."""
    try:
        stated = json.loads(annotation or "{}")
    except ValueError:
        return ""
    if (stated.get("spec") or {}).pop("replicas", None) is None:
        return ""
    return json.dumps(stated, separators=(",", ":"), ensure_ascii=False) + "\n"


def _owners(metadata: Manifest) -> Iterator[str]:
    for entry in metadata.get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        if "f:replicas" in fields and entry.get("manager") != FIELD_MANAGER:
            yield str(entry.get("manager"))


def _missing_rule(error: Denied, workload: Workload) -> str:
    group = workload.api_version.rpartition("/")[0] or '""'
    return (
        f"{error.answer}; nothing was changed. It needs the rule apiGroups: [{group}], resources: "
        f"[{workload.plural}], verbs: [get, patch] in namespace {workload.namespace}, which the role edit has for the "
        f"built-in kinds; check with kubectl auth can-i patch {workload.plural} -n {workload.namespace}"
    )


def as_text(workload: Workload, released: Released) -> str:
    """What was done, and what to do next."""
    owners = f", together with {', '.join(released.owners)}" if released.owners else ""
    annotated = " It is no longer in the configuration that kubectl applied last." if released.annotated else ""
    return (
        f"{workload.kind} {workload.namespace}/{workload.name} keeps its {released.replicas} replicas: {FIELD_MANAGER} "
        f"owns spec.replicas now{owners}.{annotated}\n{NEXT}"
    )
