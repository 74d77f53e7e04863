"""What the container may use and what it has used, read from its cgroup (version 1 or 2).

The version, the mount and the place in it come from /proc/self, as a container may see its own cgroup as the root
of the mount (a private cgroup namespace, or version 1 with Docker) or the node's whole tree (the host's namespace).
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc/self")
_V2 = ""
# Version 1 writes "no limit" as the largest number of whole pages below 2^63.
_NO_MEMORY_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Usage:
    """What the container has used since its start; None is what the kernel does not tell.

    CPU in seconds, memory in bytes; `periods` are the scheduler's (0.1 s each), those of them in which the limit
    stopped the container are `throttled_periods`.
    """

    cpu_seconds: float | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_seconds: float | None = None
    memory: int | None = None
    working_set: int | None = None
    oom_kills: int | None = None


class Cgroup:
    """One container's cgroup, read anew at every call."""

    def __init__(self, folders: dict[str, tuple[Path, ...]]) -> None:
        """`folders`: by controller ("" is version 2), from the container's own folder up to the mount's root."""
        self._folders = folders

    @classmethod
    def at(cls, root: Path) -> "Cgroup":
        """The cgroup that is mounted at `root` as containers see it: files in it, or a folder per controller."""
        if (root / "cgroup.controllers").exists() or (root / "cpu.max").exists():
            return cls({_V2: (root,)})
        return cls({name: (root / name,) for name in ("cpu", "cpuacct", "memory")})

    @classmethod
    def own(cls, proc: Path = PROC) -> "Cgroup":
        """This process's cgroup; without a readable /proc, what is mounted at the usual place."""
        try:
            mounts = (proc / "mountinfo").read_text()
            places = _places((proc / "cgroup").read_text())
        except OSError:
            return cls.at(CGROUP_ROOT)
        found = dict(_mounted(mounts, places))
        if any(name != _V2 for name in found) and "cpu" in found:
            found.pop(_V2, None)  # hybrid: version 2 is mounted, too, but controls nothing
        return cls(found)

    def cpu_limit(self) -> float | None:
        """The CPU limit in cores; None when there is none, or when no cgroup can be read.

        `os.cpu_count` and the affinity mask know nothing of it: they tell the host's cores. The tightest limit on
        the way up counts. Formula: quota / period (Linux, cgroup-v2.rst "cpu.max", scheduler/sched-bwc.rst).
        """
        limits = [_quota(folder / "cpu.max") for folder in self._folders.get(_V2, ())]
        limits += [_cfs_quota(folder) for folder in self._folders.get("cpu", ())]
        return min((limit for limit in limits if limit is not None), default=None)

    def memory_limit(self) -> int | None:
        """The memory limit in bytes; None when there is none, or when no cgroup can be read."""
        limits = [_number(folder / "memory.max") for folder in self._folders.get(_V2, ())]
        limits += [_number(folder / "memory.limit_in_bytes") for folder in self._folders.get("memory", ())]
        return min((limit for limit in limits if limit is not None and limit < _NO_MEMORY_LIMIT), default=None)

    def usage(self) -> Usage:
        """What the container itself has used."""
        if _V2 in self._folders:
            return _usage_v2(self._folders[_V2][0])
        first = {name: folders[0] for name, folders in self._folders.items()}
        return _usage_v1(first.get("cpu"), first.get("cpuacct"), first.get("memory"))


def _places(text: str) -> dict[str, str]:
    """By controller, the path of the process in its hierarchy (man 7 cgroups, "/proc/pid/cgroup")."""
    places: dict[str, str] = {}
    for line in text.splitlines():
        _number_of_it, controllers, path = line.split(":", 2)
        places |= dict.fromkeys(controllers.split(","), path)
    return places


def _mounted(mountinfo: str, places: dict[str, str]) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """By controller, the folders from the process's own up to the root of the mount (man 5 proc, "mountinfo")."""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        root, mount_point = left.split()[3:5]
        kind, _, options = right.split(" ")[:3]
        names = [_V2] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        for name in {_V2, "cpu", "cpuacct", "memory"} & set(names) & set(places):
            yield name, _way_up(Path(mount_point), root, places[name])


def _way_up(mount_point: Path, root: str, place: str) -> tuple[Path, ...]:
    relative = os.path.relpath(place, root)
    folder = mount_point if relative.startswith("..") else mount_point / relative
    if not folder.is_dir():  # the mount shows only the container's own part, under another name
        return (mount_point,)
    return (folder, *(parent for parent in folder.parents if parent.is_relative_to(mount_point)))


def _quota(file: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        quota, period = file.read_text().split()
        return int(quota) / int(period)  # "max" is no number: no limit
    return None


def _cfs_quota(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _number(file: Path | None) -> int | None:
    if file:
        with contextlib.suppress(OSError, ValueError):
            return int(file.read_text())
    return None


def _table(file: Path | None) -> dict[str, int]:
    """A file of lines "NAME NUMBER"; empty when it cannot be read."""
    if file:
        with contextlib.suppress(OSError, ValueError):
            return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}
    return {}


def _usage_v2(folder: Path) -> Usage:
    cpu, memory = _table(folder / "cpu.stat"), _number(folder / "memory.current")
    return Usage(
        cpu_seconds=_in_seconds(cpu.get("usage_usec"), 1e6),
        periods=cpu.get("nr_periods"),
        throttled_periods=cpu.get("nr_throttled"),
        throttled_seconds=_in_seconds(cpu.get("throttled_usec"), 1e6),
        memory=memory,
        working_set=_working_set(memory, _table(folder / "memory.stat").get("inactive_file")),
        oom_kills=_table(folder / "memory.events").get("oom_kill"),
    )


def _usage_v1(cpu: Path | None, cpuacct: Path | None, memory: Path | None) -> Usage:
    stat, used = _table(cpu and cpu / "cpu.stat"), _number(memory and memory / "memory.usage_in_bytes")
    return Usage(
        cpu_seconds=_in_seconds(_number(cpuacct and cpuacct / "cpuacct.usage"), 1e9),
        periods=stat.get("nr_periods"),
        throttled_periods=stat.get("nr_throttled"),
        throttled_seconds=_in_seconds(stat.get("throttled_time"), 1e9),
        memory=used,
        working_set=_working_set(used, _table(memory and memory / "memory.stat").get("total_inactive_file")),
        oom_kills=_table(memory and memory / "memory.oom_control").get("oom_kill"),
    )


def _in_seconds(value: int | None, per_second: float) -> float | None:
    return None if value is None else value / per_second


def _working_set(used: int | None, inactive_file: int | None) -> int | None:
    """What cannot be taken back at will, as the kubelet reckons it (cAdvisor: usage - inactive_file)."""
    return None if used is None or inactive_file is None else max(used - inactive_file, 0)


@functools.cache
def container(folder: Path | None) -> Cgroup:
    """The cgroup of this container: at `folder`, or looked up when None."""
    return Cgroup.at(folder) if folder else Cgroup.own()
