"""The programs kind and kubectl: the user's, else our own copies in the cache."""

import hashlib
import os
import platform
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from . import gobuild
from .console import ClusterError, say
from .settings import KIND_SHA256, KIND_URL, KIND_VERSION, cache_dir, offline
from .shell import run

_DOWNLOAD_SECONDS = 20.0


def kind() -> str:
    """Path of a kind program. Raises ClusterError when none can be had."""
    if found := _find("kind"):
        return found
    own = _own("kind")
    own.parent.mkdir(parents=True, exist_ok=True)
    if gobuild.is_built("node") or not _download_kind(own):
        compiled = gobuild.ensure("node") / "kind"
        own.unlink(missing_ok=True)
        os.link(compiled, own)
    say("kind", run(str(own), "version").strip())
    return str(own)


def kubectl() -> str:
    """Path of a kubectl program. Raises ClusterError when there is none yet (every node image brings one)."""
    if found := _find("kubectl"):
        return found
    raise ClusterError("`kubectl` is not installed; install it, or run `up`, which uses the one in the node image.")


def keep_kubectl_of(node: str) -> None:
    """Copies the kubectl of a running node into the cache, for machines that have none."""
    if not _find("kubectl"):
        _own("kubectl").parent.mkdir(parents=True, exist_ok=True)
        run("docker", "cp", "--follow-link", f"{node}:/usr/bin/kubectl", str(_own("kubectl")))
        say("kubectl", f"none on PATH; using the node's own: {_own('kubectl')}")


def _find(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=str(cache_dir() / "programs"))


def _own(name: str) -> Path:
    return cache_dir() / "programs" / name


def architecture() -> str:
    """This machine's architecture in Go's terms. Raises ClusterError for one that kind does not know."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    try:
        return names[platform.machine()]
    except KeyError:
        raise ClusterError(
            f"kind has no release for {platform.machine()}; use a machine with x86_64 or aarch64."
        ) from None


def _download_kind(target: Path) -> bool:
    if offline():
        say("kind", "not downloaded because of OFFLINE=1")
        return False
    url = KIND_URL.format(version=KIND_VERSION, architecture=architecture())
    say("kind", f"downloading {KIND_VERSION}")
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as response:  # noqa: S310 - the address is our own, https
            program = response.read()
    except (urllib.error.URLError, TimeoutError) as error:
        say("kind", f"the download site does not answer ({error})")
        return False
    if hashlib.sha256(program).hexdigest() != KIND_SHA256[architecture()]:
        raise ClusterError(
            f"{url} is not the expected kind {KIND_VERSION} (its checksum differs); install kind yourself."
        )
    _put(program, target)
    return True


def _put(program: bytes, target: Path) -> None:
    unfinished = target.with_suffix(".new")
    unfinished.write_bytes(program)
    unfinished.chmod(0o755)
    unfinished.rename(target)
