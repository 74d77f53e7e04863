"""What workers that are gone have counted, added up in one file of each kind.

Each process keeps its values in files of its own. What a dead worker has counted must stay, or counters would fall; but
a file for each of them would make every scrape slower than the one before.
"""

import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from sample_app.multiprocess import VARIABLE

# Gauges of dead workers are removed by prometheus_client itself.
_KINDS = ("counter", "histogram")
_GONE = "gone"
_LOCK = "lock"
# The server must not wait for a scrape that hangs; what is left is added up with the next worker that goes.
_TRIES, _PAUSE_SECONDS = 20, 0.005


@contextmanager
def reading() -> Iterator[None]:
    """While the files are read nobody adds them up: a value would be counted twice, or not at all."""
    with _lock_file() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def add_up(alive: Collection[int]) -> None:
    """Put the values of all processes but those `alive` together. To be called in the server's process."""
    folder = Path(os.environ[VARIABLE])
    with _lock_file() as file:
        if not _locked(file):
            return
        for kind in _KINDS:
            dead = [path for path in folder.glob(f"{kind}_*.db") if _pid(path) not in {_GONE, *map(str, alive)}]
            if dead:
                _together(folder / f"{kind}_{_GONE}.db", dead)


@contextmanager
def _lock_file() -> Iterator[int]:
    file = os.open(Path(os.environ[VARIABLE]) / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
    return False


def _pid(path: Path) -> str:
    return path.stem.rpartition("_")[2]


def _together(gone: Path, dead: Iterable[Path]) -> None:
    """The new file takes the place of the old one at once: a process that ends in between loses nothing."""
    values: defaultdict[str, float] = defaultdict(float)
    for path in (gone, *dead):
        if path.exists():
            for key, value, _, _ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]  # unannotated upstream
                values[key] += value
    fresh = gone.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    written = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]  # as above
    for key, value in values.items():
        written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]  # as above
    written.close()  # type: ignore[no-untyped-call]  # as above
    fresh.replace(gone)
    for path in dead:
        path.unlink()
