"""Whether what lives in the cluster is what we want: pure comparisons of manifests."""

import hashlib
import json
from collections.abc import Iterator, Mapping
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


# The API server does not write these back where they are so. What is absent is as wanted then.
UNWRITTEN = {"paused": False, "minReadySeconds": 0}
_ABSENT = object()


def in_sync(live: Any, desired: Any) -> bool:
    """Whether everything desired is in the live object; defaults and additions of others don't matter."""
    return next(differences(live, desired), None) is None


def differences(live: Any, desired: Any) -> Iterator[str]:
    """Paths of what is desired and differs in the live object: "spec.ports[http].port"."""
    return (path for path, _ in _deviations(live, desired, ""))


# A path of what is desired, and the live value as JSON.
Deviations = frozenset[tuple[str, str]]


def deviations(live: Any, desired: Any) -> Deviations:
    """The paths of `differences`, each with its live value.

    Right after an apply they are what the API server writes in another way, such as 0.5 CPUs as 500m: no drift.
    """
    return frozenset(
        (path, "" if value is _ABSENT else json.dumps(value, sort_keys=True))
        for path, value in _deviations(live, desired, "")
    )


def _deviations(live: Any, desired: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The live value of each path at which what is desired differs.

    Lists of maps that each have a name of their own (containers, env, ports, volumes) are compared by name, all others
    item by item.
    """
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for key, value in desired.items():
            inner = live.get(key, _ABSENT)
            if inner is not _ABSENT or UNWRITTEN.get(key, _ABSENT) != value:
                yield from _deviations(inner, value, f"{path}.{key}" if path else key)
    elif isinstance(desired, list) and isinstance(live, list):
        yield from _between_lists(live, desired, path)
    elif type(live) is not type(desired) or live != desired:
        yield path, live


def _between_lists(live: list[Any], desired: list[Any], path: str) -> Iterator[tuple[str, Any]]:
    named = all(isinstance(item, Mapping) and "name" in item for item in desired)
    if named and len({item["name"] for item in desired}) == len(desired) > 0:
        by_name = {item.get("name"): item for item in live if isinstance(item, Mapping)}
        for item in desired:
            yield from _deviations(by_name.get(item["name"], _ABSENT), item, f"{path}[{item['name']}]")
    elif len(live) != len(desired):
        yield path, live
    else:
        for index, (one, other) in enumerate(zip(live, desired, strict=True)):
            yield from _deviations(one, other, f"{path}[{index}]")


def owned_by(live: Mapping[str, Any], uid: str) -> bool:
    """Whether the controller of the live object is the ScalableApp with this uid."""
    owners = live.get("metadata", {}).get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)
