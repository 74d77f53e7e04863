"""How much memory the operator may take."""

import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/memory.max")


def limit_bytes(path: Path = _LIMIT) -> int | None:
    """The limit of its container (cgroup v2); None where there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" stands for no limit
        return None


def available_bytes(path: Path = _LIMIT) -> int:
    """The limit of its container, or all memory of the machine where there is none."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(limit_bytes(path) or machine, machine)
