"""The configurations of this repository, put before other gunicorns."""

from pathlib import Path

import pytest

from benchmarks.app.capacity import outcome
from benchmarks.app.cpulimit import cpu_limit
from benchmarks.app.errors import BenchError
from benchmarks.app.open_loop import Answer
from benchmarks.app.servers import BALANCER, EDGE, behind


@pytest.mark.parametrize("configuration", [BALANCER, EDGE], ids=lambda path: path.parent.name)
def test_any_number_of_gunicorns_takes_the_place_of_those_named(configuration: Path) -> None:
    text = behind(configuration.read_text(), 9000, [9001, 9002, 9003])
    servers = [line.split(";")[0].split()[1] for line in text.splitlines() if line.strip().startswith("server 1")]
    assert servers == ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"]
    assert "listen 127.0.0.1:9000" in text
    assert "127.0.0.1:800" not in text


def test_goodput_counts_what_was_answered_in_time_and_p99_what_was_not_refused() -> None:
    refused = [Answer(503, 5.0)] * 500
    good, late, gone = [Answer(200, 300.0)] * 98, [Answer(200, 1500.0)], [Answer(0, 2000.0)]
    assert outcome([*refused, *good, *late, *gone], seconds=10.0) == (9.8, 1500.0)


def test_a_pod_that_refuses_everything_has_no_latency() -> None:
    with pytest.raises(BenchError):
        outcome([Answer(503, 5.0)], seconds=1.0)


def test_a_cgroup_of_version_2_is_given_a_quota_and_removed(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpuset cpu memory\n")
    with cpu_limit(1.5, tmp_path) as (place, how):
        (folder,) = tmp_path.glob("bench-app-*")
        place(4711)
        assert (folder / "cpu.max").read_text() == "150000 100000\n"
        assert (folder / "cgroup.procs").read_text() == "4711\n"
        assert how == "cgroup"
        for file in folder.iterdir():
            file.unlink()  # the kernel's files are no obstacle to rmdir
    assert not folder.exists()


def test_of_version_1_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    with cpu_limit(0.5, tmp_path):
        (folder,) = (tmp_path / "cpu").glob("bench-app-*")
        assert (folder / "cpu.cfs_quota_us").read_text() == "50000\n"
        for file in folder.iterdir():
            file.unlink()


def test_where_none_can_be_made_whole_cores_are_taken(tmp_path: Path) -> None:
    with cpu_limit(1.0, tmp_path / "nowhere") as (_place, how):
        assert how == "affinity to 1"
