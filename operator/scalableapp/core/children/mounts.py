"""ConfigMaps and Secrets that an app mounts, and the versions that its pods have: a new one is a new template."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from scalableapp.core.api.spec import ScalableAppSpec

ANNOTATION = "scalableapp.io/mounts"
UNREAD = "unread"
CONFIG_MAP, SECRET = "ConfigMap", "Secret"


class Source(NamedTuple):
    """An object whose keys are files of the app."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Version(NamedTuple):
    """What an object holds, shortened to a few characters, and the resource version at which it held that."""

    content: str
    resource_version: str


def sources(spec: ScalableAppSpec) -> tuple[Source, ...]:
    """The ConfigMaps and Secrets in spec.mounts, each once."""
    config_maps = [Source(CONFIG_MAP, mount.config_map) for mount in spec.mounts if mount.config_map]
    secrets = [Source(SECRET, mount.secret) for mount in spec.mounts if mount.secret]
    return tuple(dict.fromkeys(config_maps + secrets))


def config_map_version(body: Mapping[str, Any]) -> Version:
    """By its content, so that new labels start no rollout."""
    return Version(_short([body.get("data"), body.get("binaryData")]), _resource_version(body["metadata"]))


def secret_version(metadata: Mapping[str, Any]) -> Version:
    """By its metadata alone: what a Secret holds is never read, and a hash of it could be guessed at."""
    resource_version = _resource_version(metadata)
    return Version(_short([metadata.get("uid"), resource_version]), resource_version)


def _resource_version(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("resourceVersion", ""))


def _short(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def write(versions: Mapping[Source, str]) -> str:
    """The versions as an annotation of pods; "" for none."""
    return " ".join(f"{source}={version}" for source, version in sorted(versions.items()))


def read(text: str) -> dict[Source, str]:
    """The versions in an annotation; what cannot be read is left out."""
    found = {}
    for entry in text.split():
        source, _, version = entry.partition("=")
        kind, _, name = source.partition("/")
        if kind in (CONFIG_MAP, SECRET) and name and version:
            found[Source(kind, name)] = version
    return found
