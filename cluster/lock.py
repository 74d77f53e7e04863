"""One run at a time: two that build or create at once would spoil each other's work."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from .console import ClusterError, say
from .settings import cache_dir

_WAIT_SECONDS = 3600.0
_SAY_EVERY_SECONDS = 20.0


@contextmanager
def only_one(what: str = "cluster") -> Iterator[None]:
    """Holds the lock on `what`; waits while another run has it. Raises ClusterError after an hour of waiting.

    The kernel gives the lock back when its holder dies, however it dies.
    """
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / f"{what}.lock").open("a+") as file:
        _acquire(file, what)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _acquire(file: IO[str], what: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    said = float("-inf")
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        if time.monotonic() > deadline:
            raise ClusterError(
                f"another run (process {_holder(file)}) has been running for an hour; stop it, then retry."
            )
        if time.monotonic() - said > _SAY_EVERY_SECONDS:
            said = time.monotonic()
            say("lock", f"another run (process {_holder(file)}) is working on {what}; waiting for it")
        time.sleep(0.5)


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
