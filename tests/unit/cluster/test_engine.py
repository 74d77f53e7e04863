import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster import docker, engine
from cluster.console import ClusterError

SAVED = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -i docker0 -o docker0 -j ACCEPT
COMMIT
"""


def test_only_dockers_own_firewall_rules_are_taken_away() -> None:
    kept = engine.without_docker_rules(SAVED)
    assert kept.splitlines() == [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD ACCEPT [0:0]",
        "-A INPUT -p tcp --dport 22 -j ACCEPT",
        "COMMIT",
    ]


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "answers", lambda: False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)


@pytest.mark.usefixtures("no_engine")
def test_without_root_the_message_says_to_start_docker_or_become_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"start Docker.*as root"):
        engine.ensure()


@pytest.mark.usefixtures("no_engine")
def test_an_engine_that_the_user_points_to_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(ClusterError, match="DOCKER_HOST"):
        engine.ensure()


@pytest.mark.usefixtures("no_engine")
def test_without_apt_the_message_says_to_install_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ClusterError, match=r"only on Debian and Ubuntu.*install it first"):
        engine.ensure()


@pytest.fixture
def pid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "scalableapp" / "engine" / "dockerd.pid"
    file.parent.mkdir(parents=True)
    return file


def test_a_process_id_that_another_program_has_by_now_is_not_our_engine(pid_file: Path) -> None:
    pid_file.write_text(str(os.getpid()))
    assert engine._dockerd_process() is None


def test_a_killed_engine_that_nobody_has_reaped_yet_does_not_count_as_running(pid_file: Path, tmp_path: Path) -> None:
    program = shutil.copy("/bin/sleep", tmp_path / "dockerd")
    with subprocess.Popen([program, "600"]) as process:
        pid_file.write_text(str(process.pid))
        # Popen returns once the program has been started.
        assert engine._dockerd_process() == process.pid
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert engine._dockerd_process() is None


@pytest.mark.parametrize("content", ["", "not a number", "999999999"])
def test_a_spoilt_or_stale_process_id_file_means_no_engine(pid_file: Path, content: str) -> None:
    pid_file.write_text(content)
    assert engine._dockerd_process() is None


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        pytest.param({"started by us", "installed"}, True, id="ours, killed"),
        pytest.param({"started by us", "installed", "answers"}, False, id="an engine runs"),
        pytest.param({"installed"}, False, id="never started by us"),
        pytest.param({"started by us"}, False, id="no longer installed"),
    ],
)
def test_only_our_own_dead_engine_is_started_again_to_clean_up(
    pid_file: Path, monkeypatch: pytest.MonkeyPatch, situation: set[str], expected: bool
) -> None:
    monkeypatch.setattr(docker, "answers", lambda: "answers" in situation)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/sbin/dockerd" if "installed" in situation else None)
    if "started by us" in situation:
        pid_file.write_text("1")
    assert engine.is_ours_but_dead() == expected
