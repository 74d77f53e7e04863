"""Programs from the machine's own package manager: installed when missing, remembered, purged again on request."""

import functools
import json
import os
import shutil
from pathlib import Path

from .console import ClusterError, say
from .settings import cache_dir, log_file
from .shell import run, run_with_progress

_APT_SECONDS = 600.0
_UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive"}


def need(program: str, package: str) -> None:
    """Installs `package` when `program` (a name on PATH, or a file) is missing.

    Raises ClusterError where that takes another user or another system.
    """
    if shutil.which(program) or Path(program).is_file():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(f"{program} is missing (Debian and Ubuntu: package {package}); install it, or run as root.")
    say("packages", f"installing {package} for {program} (`down --all` removes it again)")
    _refresh_lists()
    before = _installed()
    try:
        _apt("install", "--no-install-recommends", package)
    finally:
        _remember(_installed() - before)


def purge_ours() -> None:
    """Purges what `need` installed, and nothing that was there before."""
    if packages := _remembered():
        say("packages", f"purging what was installed here: {' '.join(packages)}")
        _apt("purge", *packages)
    _state_file().unlink(missing_ok=True)


@functools.cache
def _refresh_lists() -> None:
    run_with_progress("packages", "apt-get", "update", log=log_file("apt-update"), timeout=_APT_SECONDS)


def _apt(verb: str, *arguments: str) -> None:
    command = ("apt-get", verb, "--yes", *arguments)
    run_with_progress("packages", *command, log=log_file(f"apt-{verb}"), timeout=_APT_SECONDS, env=_UNATTENDED)


def _installed() -> set[str]:
    listed = run("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}\t${Package}\n").splitlines()
    return {line.split("\t")[1] for line in listed if line.startswith("ii")}


def _remembered() -> list[str]:
    try:
        packages: list[str] = json.loads(_state_file().read_text())
    except (OSError, ValueError):
        return []
    return packages


def _remember(packages: set[str]) -> None:
    _state_file().parent.mkdir(parents=True, exist_ok=True)
    _state_file().write_text(json.dumps(sorted({*_remembered(), *packages})))


def _state_file() -> Path:
    return cache_dir() / "installed-packages.json"
