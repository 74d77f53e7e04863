"""The way out: on SIGTERM the pod says "not ready", goes on serving for a while, and only then stops.

Stopping at once would refuse the requests that load balancers send until they have noticed, and would cut the
connections they keep open. The flag lives in memory shared by the server and its forked workers.
"""

import mmap
import os
import signal
from types import FrameType

from gunicorn.arbiter import Arbiter

from sample_app.logs import say_from_signal_handler

_flag = mmap.mmap(-1, 1)


def draining() -> bool:
    """Whether SIGTERM has arrived: true in every process forked after this module was imported."""
    return _flag[0] != 0


def begin() -> None:
    """Make `draining` true for good, in all processes that share the flag."""
    _flag[0] = 1


def install(server: Arbiter, drain_seconds: int) -> None:
    """Put `drain_seconds` of draining between SIGTERM and gunicorn's own graceful stop.

    A second SIGTERM ends the draining at once.
    """

    def stop(_signum: int, frame: FrameType | None) -> None:
        server.signal(signal.SIGTERM, frame)

    def drain(signum: int, frame: FrameType | None) -> None:
        if os.getpid() != server.pid:  # a worker so young that it has not set its own handlers yet
            return
        if draining() or drain_seconds == 0:
            begin()
            stop(signum, frame)
            return
        begin()
        say_from_signal_handler(f"SIGTERM: /readyz is 503 now, stopping in {drain_seconds} s")
        signal.setitimer(signal.ITIMER_REAL, drain_seconds)

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGTERM, drain)
