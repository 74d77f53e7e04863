"""Running other programs: every one has a time limit, none runs silently for long, none outlives Ctrl-C."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from .console import ClusterError, say

_HEARTBEAT_SECONDS = 20.0
_TAIL_LINES = 12
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run(
    *command: str,
    timeout: float = 60.0,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Runs a short command and returns its standard output.

    `timeout` is in seconds; `env` is added to the environment.
    Raises ClusterError when the program is missing, fails or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError:
        raise ClusterError(f"`{command[0]}` is not installed; install it, then try again.") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{_shown(command)}` did not finish within {timeout:.0f} s; try again.") from None
    if done.returncode:
        raise ClusterError(f"`{_shown(command)}` failed: {_tail(done.stderr or done.stdout)}")
    return done.stdout


def succeeds(*command: str, timeout: float = 30.0) -> bool:
    """Whether a command exists, ends in time and exits with 0."""
    try:
        run(*command, timeout=timeout)
    except ClusterError:
        return False
    return True


def run_with_progress(
    topic: str,
    *command: str,
    log: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    progress: Callable[[], str] | None = None,
) -> None:
    """Runs a long command with its output in `log`, and says now and then how far that has come.

    How far is what `progress` says, else the last line of the output.

    Raises ClusterError with the end of the log when it fails or takes longer than `timeout` seconds.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = _start(command, output, env, cwd)
        try:
            status = _follow(topic, process, log, timeout, progress or (lambda: _last_line(log)))
        finally:
            _end(process)
    if status:
        raise ClusterError(f"`{_shown(command)}` failed; the end of {log}:\n{_tail(log.read_text(errors='replace'))}")


def _start(
    command: Sequence[str], output: IO[str], env: Mapping[str, str] | None, cwd: Path | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            # A group of its own, so that the whole of it can be ended.
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ClusterError(f"`{command[0]}` is not installed; install it, then try again.") from None


def _follow(
    topic: str, process: subprocess.Popen[bytes], log: Path, timeout: float, progress: Callable[[], str]
) -> int:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return process.wait(timeout=_HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            say(topic, f"... {progress()}")
        if time.monotonic() > deadline:
            raise ClusterError(f"{topic} did not finish within {timeout:.0f} s; its output is in {log}. Try again.")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the command's process group; harmless when nothing is."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        text = _COLOUR.sub("", file.read().decode(errors="replace"))
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:100] if lines else "no output yet"


def _shown(command: Sequence[str]) -> str:
    text = " ".join(command)
    return text if len(text) <= 120 else text[:117] + "..."


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_TAIL_LINES:]) or "no output"
