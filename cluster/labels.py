"""What an image says of its origin, in the OCI's own labels (title, description and licence are in the Dockerfile).

All of it comes from the last commit that changed what the image is made of: other commits leave the image as it is,
and a second build of the same commit says the same.
"""

import urllib.parse

from .console import ClusterError
from .settings import REPOSITORY
from .shell import run

_PREFIX = "org.opencontainers.image"


def of(reference: str, paths: tuple[str, ...]) -> dict[str, str]:
    """The labels of an image made of `paths`; without a git checkout only its version is known."""
    labels = {f"{_PREFIX}.version": reference.rpartition(":")[2]}
    try:
        revision, created = _git("log", "-1", "--format=%H %cI", "--", *paths).split()
        changed = "-dirty" if _git("status", "--porcelain", "--", *paths) else ""
    except (ClusterError, ValueError):
        return labels
    labels |= {f"{_PREFIX}.revision": revision + changed, f"{_PREFIX}.created": created}
    if source := _source():
        labels[f"{_PREFIX}.source"] = source
    return labels


def public_address(remote: str) -> str:
    """A git remote as an address for a label: http(s) without the name and password in it, else empty."""
    parts = urllib.parse.urlsplit(remote.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.removesuffix('.git')}"


def _source() -> str:
    try:
        return public_address(_git("remote", "get-url", "origin"))
    except (ClusterError, ValueError):
        return ""


def _git(*arguments: str) -> str:
    return run("git", "-C", str(REPOSITORY), *arguments, timeout=30).strip()
