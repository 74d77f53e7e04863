"""A CPU limit for processes of this machine: by a cgroup where one can be made, else by fewer cores."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
PERIOD_MICROSECONDS = 100_000
_LEAVE_SECONDS = 5.0

Place = Callable[[int], None]


@contextmanager
def cpu_limit(cores: float, root: Path = CGROUP_ROOT) -> Iterator[tuple[Place, str]]:
    """What puts a process (and those it forks) under a limit of so many cores, and how that is done, in words."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(_cgroup(root, cores))
        except OSError:
            yield _affinity(cores)
        else:
            yield lambda pid: _write(folder / "cgroup.procs", pid), "cgroup"


@contextmanager
def _cgroup(root: Path, cores: float) -> Iterator[Path]:
    """A cgroup with that quota (version 2 when it controls CPU, else version 1). Raises OSError."""
    second = "cpu" in _words(root / "cgroup.subtree_control")
    folder = (root if second else root / "cpu") / f"bench-app-{os.getpid()}"
    folder.mkdir()
    try:
        quota = round(cores * PERIOD_MICROSECONDS)
        if second:
            _write(folder / "cpu.max", f"{quota} {PERIOD_MICROSECONDS}")
        else:
            _write(folder / "cpu.cfs_period_us", PERIOD_MICROSECONDS)
            _write(folder / "cpu.cfs_quota_us", quota)
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """The kernel lets go of it a moment after the last process has left."""
    deadline = time.monotonic() + _LEAVE_SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _affinity(cores: float) -> tuple[Place, str]:
    """Whole cores only, at least one."""
    allowed = sorted(os.sched_getaffinity(0))[: max(round(cores), 1)]
    return lambda pid: os.sched_setaffinity(pid, allowed), f"affinity to {len(allowed)}"


def _words(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text().split()
    return []


def _write(file: Path, value: object) -> None:
    file.write_text(f"{value}\n")
