"""How much memory the operator may take."""

import os
from pathlib import Path


def available_bytes(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """The limit of its container (cgroup v2), or all memory of the machine where there is none."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(int(limit.read_text()), machine)
    except (OSError, ValueError):  # "max" stands for no limit
        return machine
