"""Cgroups as containers see them, written as files; and this process's own."""

from pathlib import Path

import pytest

from sample_app.cgroup import CGROUP_ROOT, Cgroup, Usage


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"cpu.max": "50000 100000\n"}, 0.5, id="v2"),
        pytest.param({"cpu.max": "max 100000\n"}, None, id="v2 without limit"),
        pytest.param({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.5, id="v1"),
        pytest.param(
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None, id="v1 without limit"
        ),
        pytest.param({}, None, id="no cgroup"),
        pytest.param({"cpu.max": "?\n"}, None, id="unreadable"),
    ],
)
def test_the_cpu_limit_is_quota_by_period(tmp_path: Path, files: dict[str, str], limit: float | None) -> None:
    write(tmp_path, files)
    assert Cgroup.at(tmp_path).cpu_limit() == limit


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"cgroup.controllers": "", "memory.max": "268435456\n"}, 256 << 20, id="v2"),
        pytest.param({"cgroup.controllers": "", "memory.max": "max\n"}, None, id="v2 without limit"),
        pytest.param({"memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20, id="v1"),
        pytest.param({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None, id="v1 without limit"),
    ],
)
def test_the_memory_limit_is_told_in_bytes(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    write(tmp_path, files)
    assert Cgroup.at(tmp_path).memory_limit() == limit


def test_usage_is_read_from_version_2(tmp_path: Path) -> None:
    cpu = "usage_usec 2500000\nuser_usec 1\nnr_periods 40\nnr_throttled 7\nthrottled_usec 300000\n"
    write(tmp_path, {"cpu.max": "max 100000\n", "cpu.stat": cpu, "memory.current": "1000\n"})
    write(tmp_path, {"memory.stat": "anon 1\ninactive_file 400\n", "memory.events": "low 0\noom_kill 2\n"})
    assert Cgroup.at(tmp_path).usage() == Usage(2.5, 40, 7, 0.3, 1000, 600, 2)


def test_usage_is_read_from_version_1(tmp_path: Path) -> None:
    write(tmp_path, {"cpuacct/cpuacct.usage": "2500000000\n"})
    write(tmp_path, {"cpu/cpu.stat": "nr_periods 40\nnr_throttled 7\nthrottled_time 300000000\n"})
    write(tmp_path, {"memory/memory.usage_in_bytes": "1000\n", "memory/memory.stat": "total_inactive_file 400\n"})
    write(tmp_path, {"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"})
    assert Cgroup.at(tmp_path).usage() == Usage(2.5, 40, 7, 0.3, 1000, 600, 2)


def test_what_the_kernel_does_not_tell_is_unknown_not_zero(tmp_path: Path) -> None:
    assert Cgroup.at(tmp_path).usage() == Usage()


def proc(folder: Path, mountinfo: str, cgroup: str) -> Path:
    write(folder, {"proc/mountinfo": mountinfo, "proc/cgroup": cgroup})
    return folder / "proc"


def test_a_private_namespace_shows_the_container_as_the_root(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    write(mount, {"cpu.max": "150000 100000\n"})
    process = proc(tmp_path, f"30 23 0:26 / {mount} ro,nosuid - cgroup2 cgroup rw\n", "0::/\n")
    assert Cgroup.own(process).cpu_limit() == 1.5


def test_in_the_nodes_namespace_the_tightest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    mount = tmp_path / "fs"
    write(mount, {"kubepods/pod1/cpu.max": "200000 100000\n", "kubepods/pod1/c1/cpu.max": "max 100000\n"})
    process = proc(tmp_path, f"30 23 0:26 / {mount} rw - cgroup2 cgroup rw\n", "0::/kubepods/pod1/c1\n")
    assert Cgroup.own(process).cpu_limit() == 2.0


def test_with_version_1_in_docker_the_mount_is_the_containers_own_part(tmp_path: Path) -> None:
    mount = tmp_path / "fs" / "cpu,cpuacct"
    write(mount, {"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n"})
    mountinfo = f"35 30 0:31 /docker/abc {mount} ro - cgroup cgroup rw,cpu,cpuacct\n"
    process = proc(tmp_path, mountinfo, "4:cpu,cpuacct:/docker/abc\n")
    assert Cgroup.own(process).cpu_limit() == 0.5


def test_beside_version_1_an_empty_version_2_does_not_count(tmp_path: Path) -> None:
    cpu, unified = tmp_path / "cpu", tmp_path / "unified"
    write(cpu, {"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n", "cpu.stat": "nr_periods 3\n"})
    unified.mkdir()
    mountinfo = f"1 2 0:1 / {unified} rw - cgroup2 cgroup2 rw\n3 2 0:2 / {cpu} rw - cgroup cgroup rw,cpu\n"
    found = Cgroup.own(proc(tmp_path, mountinfo, "1:cpu:/\n0::/\n"))
    assert (found.cpu_limit(), found.usage().periods) == (0.5, 3)


def test_without_proc_the_usual_place_is_read(tmp_path: Path) -> None:
    assert Cgroup.own(tmp_path / "nowhere").cpu_limit() == Cgroup.at(CGROUP_ROOT).cpu_limit()


def test_this_machines_own_cgroup_can_be_read() -> None:
    limit = Cgroup.own().cpu_limit()
    assert limit is None or limit > 0
