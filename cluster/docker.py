"""The few things we ask of the Docker engine."""

import functools
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .console import ClusterError, say
from .settings import log_file, offline
from .shell import run, run_with_progress, succeeds

_PROBE_SECONDS = 20.0
_BUILD_SECONDS = 3600.0
# Any small public image: only whether its registry answers matters.
_PROBED = "hello-world:latest"


def answers() -> bool:
    """Whether an engine answers on the current socket."""
    return succeeds("docker", "version", "--format", "{{.Server.Version}}", timeout=15)


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """`docker KIND inspect NAME`, None when there is no such thing."""
    try:
        found: list[dict[str, Any]] = json.loads(run("docker", kind, "inspect", name))
    except ClusterError:
        return None
    return found[0]


def has_image(reference: str) -> bool:
    """Whether the engine holds the image."""
    return inspect("image", reference) is not None


@functools.cache
def registry_answers() -> bool:
    """Whether a container registry can be reached, asked once a run; never asked with OFFLINE=1."""
    if offline():
        say("registry", "not tried because of OFFLINE=1")
        return False
    reached = succeeds("docker", "manifest", "inspect", _PROBED, timeout=_PROBE_SECONDS)
    say("registry", "answers" if reached else f"does not answer within {_PROBE_SECONDS:.0f} s")
    return reached


def pull(reference: str, *, timeout: float) -> None:
    """Pulls an image. Raises ClusterError when it is not there within `timeout` seconds."""
    run_with_progress("pull", "docker", "pull", reference, log=log_file("pull"), timeout=timeout)


@functools.cache
def _builder() -> dict[str, str]:
    """BuildKit where the client has it, else the classic builder (all that Debian 12's package brings)."""
    return {
        "DOCKER_BUILDKIT": "1" if succeeds("docker", "buildx", "version") else "0",
        # They hold the time: an unchanged image would look new each time.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    }


def build(
    reference: str,
    context: Path,
    *,
    topic: str,
    dockerfile: Path | None = None,
    target: str | None = None,
    labels: Mapping[str, str] | None = None,
    arguments: Mapping[str, str] | None = None,
    cached: bool = True,
) -> None:
    """Builds an image from a folder, on the host's network: a mirror or proxy on loopback works in it too."""
    command = ["docker", "build", "--network", "host", "--tag", reference]
    command += [part for name, value in (arguments or {}).items() for part in ("--build-arg", f"{name}={value}")]
    command += [part for name, value in (labels or {}).items() for part in ("--label", f"{name}={value}")]
    if not cached:
        command.append("--no-cache")
    if dockerfile:
        command += ["--file", str(dockerfile)]
    if target:
        command += ["--target", target]
    log = log_file("build-" + reference.replace("/", "_").replace(":", "_"))
    run_with_progress(topic, *command, str(context), log=log, timeout=_BUILD_SECONDS, env=_builder())


def refuse_small_disk(needed: float, purpose: str) -> None:
    """Raises ClusterError when the engine's disk has less than `needed` bytes left."""
    # The engine's folder, where it is on this machine and ours to look at.
    folders = (Path(run("docker", "info", "--format", "{{.DockerRootDir}}").strip()), Path.home())
    folder = next(folder for folder in folders if folder.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ClusterError(
            f"{purpose} needs {needed / 1e9:.0f} GB of disk and {folder} has {free / 1e9:.0f} GB left; free some (or,"
            " if this tool started the engine, point XDG_CACHE_HOME to a larger disk)."
        )


def import_root(root: Path, reference: str) -> None:
    """Makes an image of a folder that holds a root file system."""
    _import(["tar", "-C", str(root), "-c", "."], reference, ['CMD ["bash"]'])


def import_program(program: Path, reference: str, changes: Sequence[str]) -> None:
    """Makes an image that holds one program, in /usr/local/bin; `changes` are lines as a Dockerfile has them."""
    folder = "--transform=s,^,usr/local/bin/,"
    owner = ("--owner=0", "--group=0", "--numeric-owner")
    _import(["tar", "-C", str(program.parent), *owner, folder, "-c", program.name], reference, changes)


def _import(archiver: Sequence[str], reference: str, changes: Sequence[str]) -> None:
    options = [part for change in changes for part in ("--change", change)]
    with subprocess.Popen(archiver, stdout=subprocess.PIPE) as tar:
        imported = subprocess.run(
            ["docker", "import", *options, "-", reference], stdin=tar.stdout, capture_output=True, check=False
        )
    if imported.returncode or tar.returncode:
        raise ClusterError(f"docker import of {reference} failed: {imported.stderr.decode(errors='replace').strip()}")
