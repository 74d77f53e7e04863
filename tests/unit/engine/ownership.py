"""Who owns spec.replicas of a Deployment after server-side apply, as the API server keeps it in managedFields."""

from typing import Any

from scalableapp.core.children.resources import MANAGED_BY
from scalableapp.ports import Manifest

REPLICAS: dict[str, Any] = {"operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}


def applied_replicas(old: Manifest, new: Manifest) -> int:
    """The replicas after `new` is applied by us; those that only we had applied, and do not any more, fall to one.

    Writes the owners into `new`.
    """
    before = old.get("metadata", {}).get("managedFields") or []
    others = [entry for entry in before if entry["manager"] != MANAGED_BY]
    ours = [REPLICAS | {"manager": MANAGED_BY}] if "replicas" in new["spec"] else []
    if others or ours:
        new["metadata"]["managedFields"] = others + ours
    lost = before and not others
    kept: int = new["spec"].get("replicas", 1 if lost else old.get("spec", {}).get("replicas", 1))
    return kept
