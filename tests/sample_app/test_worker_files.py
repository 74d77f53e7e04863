"""What dead workers have counted stays, in one file of each kind."""

import fcntl
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from sample_app import worker_files
from sample_app.multiprocess import VARIABLE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def counted(folder: Path, pid: int, value: float) -> None:
    """A worker of that process ID has counted so many requests."""
    values = MmapedDict(str(folder / f"counter_{pid}.db"))  # type: ignore[no-untyped-call] # unannotated upstream
    key = mmap_key("http_requests_total", "http_requests_total", ["code"], ["200"], "help")
    values.write_value(key, value, 0.0)  # type: ignore[no-untyped-call] # as above
    values.close()  # type: ignore[no-untyped-call] # as above


def total() -> float | None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # as above
    return registry.get_sample_value("http_requests_total", {"code": "200"})


def test_the_files_do_not_grow_in_number_and_nothing_is_lost(folder: Path) -> None:
    counted(folder, 1, 5)
    for pid in range(2, 122):
        counted(folder, pid, 10)
        worker_files.add_up({1})
    assert total() == 1205
    assert sorted(path.name for path in folder.glob("*.db")) == ["counter_1.db", "counter_gone.db"]


def test_the_living_keep_their_files(folder: Path) -> None:
    for pid in (1, 2, 3):
        counted(folder, pid, 10)
    worker_files.add_up({1, 3})
    assert sorted(path.name for path in folder.glob("*.db")) == ["counter_1.db", "counter_3.db", "counter_gone.db"]


def test_while_somebody_reads_the_files_stay_and_the_server_does_not_wait(folder: Path) -> None:
    counted(folder, 2, 10)
    with worker_files.reading():
        worker_files.add_up({1})
        assert (folder / "counter_2.db").exists()
    worker_files.add_up({1})
    assert not (folder / "counter_2.db").exists()
    assert total() == 10


def test_a_reader_that_dies_holds_nobody_up(folder: Path) -> None:
    counted(folder, 2, 10)
    if os.fork() == 0:
        file = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(file, fcntl.LOCK_SH)
        os._exit(0)
    os.wait()
    worker_files.add_up({1})
    assert not (folder / "counter_2.db").exists()
