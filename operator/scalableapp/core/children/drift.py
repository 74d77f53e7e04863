"""Whether what lives in the cluster is what we want: pure comparisons of manifests."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

ANNOTATION_SPEC_HASH = "scalableapp.io/spec-hash"


def with_spec_hash(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `manifest` that carries the hash of its own content as an annotation.

    `in_sync` cannot see that a key is no longer wanted, as the live object may hold keys of others; the hash can.
    """
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    spec_hash = hashlib.sha256(text.encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION_SPEC_HASH: spec_hash}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def in_sync(live: Any, desired: Any) -> bool:
    """Whether everything desired is in the live object; defaults and additions of others don't matter.

    Lists of maps that each have a name of their own (containers, env, ports, volumes) are compared by name, all others
    item by item.
    """
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(
            key in live and in_sync(live[key], value) for key, value in desired.items()
        )
    if isinstance(desired, list):
        return isinstance(live, list) and _lists_in_sync(live, desired)
    return type(live) is type(desired) and bool(live == desired)


def _lists_in_sync(live: list[Any], desired: list[Any]) -> bool:
    named = all(isinstance(item, Mapping) and "name" in item for item in desired)
    if named and len({item["name"] for item in desired}) == len(desired) > 0:
        by_name = {item.get("name"): item for item in live if isinstance(item, Mapping)}
        return all(in_sync(by_name.get(item["name"]), item) for item in desired)
    return len(live) == len(desired) and all(map(in_sync, live, desired))


def owned_by(live: Mapping[str, Any], uid: str) -> bool:
    """Whether the controller of the live object is the ScalableApp with this uid."""
    owners = live.get("metadata", {}).get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)
