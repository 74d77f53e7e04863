"""What the container may use, read from its cgroup (version 1 or 2)."""

from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def cpu_limit(root: Path = CGROUP_ROOT) -> float | None:
    """The CPU limit in cores; None when there is none, or when no cgroup can be read.

    `os.cpu_count` and the affinity mask know nothing of it: they tell the host's cores.
    Formula: quota / period (Linux, admin-guide/cgroup-v2.rst "cpu.max" and scheduler/sched-bwc.rst).
    """
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text()
    except OSError:
        return None
    if quota == "max" or int(quota) <= 0:
        return None
    return int(quota) / int(period)
