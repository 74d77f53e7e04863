"""Compiling in a process of its own, in parallel with work that needs no compiled program."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import gobuild
from .console import STARTED, STARTED_VARIABLE, ClusterError
from .settings import REPOSITORY

_WAIT_SECONDS = 3600.0
_END_SECONDS = 20.0


class Compiling:
    """The process that compiles; None where nothing has to be compiled."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._process = process

    @property
    def done(self) -> bool:
        """Whether nothing is being compiled any more."""
        return self._process is None or self._process.poll() is not None

    def wait(self) -> None:
        """Waits for its end. Raises ClusterError when it failed; it has said why."""
        if self._process is None:
            return
        try:
            status = self._process.wait(timeout=_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise ClusterError(
                f"compiling did not finish within {_WAIT_SECONDS / 60:.0f} minutes; try again."
            ) from None
        if status:
            raise ClusterError("the programs of the cluster could not be compiled (see above).")


@contextmanager
def compiling(groups: tuple[str, ...], *, nice: int = 0) -> Iterator[Compiling]:
    """Compiles what the cache lacks of the groups meanwhile; ended, unfinished, when the block is left by an error."""
    lacking = [group for group in groups if not gobuild.is_built(group)]
    process = _start(lacking, nice) if lacking else None
    try:
        yield Compiling(process)
    finally:
        if process and process.poll() is None:
            _end(process)


def _start(groups: list[str], nice: int) -> subprocess.Popen[bytes]:
    command = ["nice", "-n", str(nice), sys.executable, "-m", "cluster", "compile", *groups]
    environment = {**os.environ, STARTED_VARIABLE: str(STARTED)}
    # A session of its own: Ctrl-C reaches us, and we end it.
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
