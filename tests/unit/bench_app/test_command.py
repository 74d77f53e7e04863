"""`make bench-app` itself, with real servers: what it prints, and that nothing is left when it is stopped."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.app.servers import APP_FOLDER, REPOSITORY

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not all(map(shutil.which, ("wrk", "nginx", "redis-server"))), reason="make test-tools installs what is missing"
    ),
]

TIMEOUT_SECONDS = 120
INTERRUPTED = 130


def bench(*arguments: str) -> subprocess.Popen[str]:
    """What a shell runs in the background ignores SIGINT, and so would all that it starts."""
    return subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "benchmarks.app", "--quick", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(APP_FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_topic_is_measured_and_reported_as_a_table(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    with bench("--only", "delivery", "--markdown", str(table)) as process:
        output, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, said
    assert "edge cache: of 1,000 requests reach the app" in output
    assert "| 1.00 (through the edge) |" in table.read_text()


def test_stopped_it_leaves_nothing_running() -> None:
    with bench("--only", "stampede") as process:
        servers = started(process.pid, {"gunicorn"})
        process.send_signal(signal.SIGINT)
        _told, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == INTERRUPTED, said
    assert [server for server in servers if Path(f"/proc/{server}").exists()] == []


def started(pid: int, names: set[str]) -> set[int]:
    """The processes that it has started, once programs of all these names are among them."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        found = descendants(pid)
        if all(any(name in command for command in found.values()) for name in names):
            return set(found)
        time.sleep(0.1)
    raise AssertionError(f"not all of {names} were started within {TIMEOUT_SECONDS} s")


def descendants(pid: int) -> dict[int, str]:
    """The command lines of the processes that `pid` and those below it have started."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    processes = [line.split(None, 2) for line in listed.splitlines()]
    found: dict[int, str] = {}
    for child, parent, command in processes:  # parents are told before their children
        if int(parent) in {pid, *found}:
            found[int(child)] = command
    return found
