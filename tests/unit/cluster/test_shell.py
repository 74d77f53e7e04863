import os
import sys
from pathlib import Path

import pytest

from cluster import lock, shell
from cluster.console import ClusterError


def test_a_missing_program_is_named_with_its_fix() -> None:
    with pytest.raises(ClusterError, match="`no-such-program` is not installed; install it"):
        shell.run("no-such-program")


def test_a_failing_command_shows_what_it_said() -> None:
    with pytest.raises(ClusterError, match="out of cheese"):
        shell.run(sys.executable, "-c", "raise SystemExit('out of cheese')")


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(ClusterError, match="did not finish within"):
        shell.run(sys.executable, "-c", "import time; time.sleep(60)", timeout=0.3)


def test_a_long_command_that_fails_names_its_log_and_shows_its_end(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    with pytest.raises(ClusterError, match=r"x\.log:\nboom"):
        shell.run_with_progress("x", sys.executable, "-c", "raise SystemExit('boom')", log=log, timeout=60)


def test_a_long_command_shows_how_far_it_is_and_is_ended_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shell, "_HEARTBEAT_SECONDS", 0.2)
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    log = tmp_path / "x.log"
    with pytest.raises(ClusterError, match="did not finish within 3 s"):
        shell.run_with_progress("x", sys.executable, "-c", code, log=log, timeout=3)
    process = int(log.read_text())
    assert f"... {process}" in capsys.readouterr().out
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_the_lock_is_free_again_after_its_holder_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        with lock.only_one():
            assert (tmp_path / "scalableapp" / "cluster.lock").read_text() == str(os.getpid())


def test_a_second_run_waits_for_the_first_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(lock, "_WAIT_SECONDS", 0.0)
    with lock.only_one(), pytest.raises(ClusterError, match=f"process {os.getpid()}.*for an hour"), lock.only_one():
        pass
