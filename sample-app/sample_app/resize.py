"""Workers that follow the CPU limit while the pod runs.

An in-place resize changes the cgroup and nothing else: no variable, no restart, no signal. As one worker computes on
one core (the GIL), a pod that is given a second core would never use it, and vertical scaling would do nothing.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gunicorn.arbiter import Arbiter

from sample_app import drain

logger = logging.getLogger("gunicorn.error")  # the server's own words

LOOK_SECONDS = 2.0
# A larger limit is used at the second look that tells it. A worker takes its warm cache along when it goes, so a
# smaller one has to last for 20 s, which outlives a resize that is taken back at once.
LOOKS_TO_GROW = 2
LOOKS_TO_SHRINK = 10


@dataclass
class Hysteresis:
    """How many workers to run, from how many the limit has asked for at the latest looks."""

    _latest: list[int] = field(default_factory=list)

    def look(self, wanted: int, current: int) -> int:
        """The number to run after a look that asks for `wanted` while `current` run."""
        self._latest = [*self._latest, wanted][-LOOKS_TO_SHRINK:]
        lasting_growth = min(self._latest[-LOOKS_TO_GROW:])
        if len(self._latest) >= LOOKS_TO_GROW and lasting_growth > current:
            return lasting_growth
        if len(self._latest) == LOOKS_TO_SHRINK:
            return min(max(self._latest), current)
        return current


class Follower:
    """Looks at the limit every LOOK_SECONDS, in a thread of the master, and tells the master to add or end workers.

    The thread only puts signals into the master's own queue; the master forks and ends workers itself, as it does for
    TTIN and TTOU from outside. A worker that is ended finishes its requests first (worker.py).
    """

    def __init__(self, server: Arbiter, wanted: Callable[[], int]) -> None:
        self._server = server
        self._wanted = wanted
        self._hysteresis = Hysteresis()

    def start(self, every_seconds: float = LOOK_SECONDS) -> None:
        """Look from now on."""
        threading.Thread(target=self._run, args=(every_seconds,), name="follow-cpu-limit", daemon=True).start()

    def _run(self, every_seconds: float) -> None:
        while not drain.draining():
            time.sleep(every_seconds)
            self.look()

    def look(self) -> None:
        """Bring the number of workers in line with the limit."""
        before = self._server.num_workers
        after = self._hysteresis.look(self._wanted(), before)
        if after != before:
            logger.info("workers: %d -> %d, to match the container's CPU limit", before, after)
            for signum in steps(before, after):
                self._server.SIG_QUEUE.put_nowait(signum)


def steps(before: int, after: int) -> Iterable[signal.Signals]:
    """The signals that take gunicorn from one number of workers to another."""
    return [signal.SIGTTIN if after > before else signal.SIGTTOU] * abs(after - before)
