"""How much memory the operator may take."""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# Version 2, and version 1, with which kubelets run up to Kubernetes 1.34 and, if told to, later.
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")


def limit_bytes(cgroups: Path = _CGROUPS) -> int | None:
    """The limit of its container; None where there is none. Version 1 gives a number beyond every machine instead."""
    for name in _LIMITS:
        try:
            return int((cgroups / name).read_text())
        except (OSError, ValueError):  # "max" stands for no limit
            continue
    return None


def available_bytes(cgroups: Path = _CGROUPS) -> int:
    """The limit of its container, or all memory of the machine where there is none."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(limit_bytes(cgroups) or machine, machine)
