"""How busy one worker process is: the requests that wait for a thread, and the threads that work."""

import threading

from sample_app.metrics import Metrics
from sample_app.serving import Serving


class Load:
    """Counts for one worker, and tells when it has too much to do.

    A queue without a bound makes an overloaded pod useless to everyone: each request waits longer than its client
    does, and is worked on for nobody. With one, the requests within the bound are answered in time, and the others
    learn at once that they should come again.
    """

    def __init__(self, metrics: Metrics, serving: Serving, threads: int) -> None:
        self._queue_limit = serving.queue_limit
        self._queue_seconds = serving.queue_seconds
        self._waiting = 0
        self._lock = threading.Lock()
        self._metrics = metrics
        metrics.workers.set(1)
        metrics.threads.set(threads)

    def full(self) -> bool:
        """Whether no further request may wait."""
        return self._waiting >= self._queue_limit

    def arrive(self) -> None:
        """A request begins to wait."""
        self._wait(1)

    def begin(self, waited_seconds: float) -> bool:
        """A thread takes a request up; True when that has waited too long to be worked on."""
        self._wait(-1)
        self._metrics.threads_busy.inc()
        return waited_seconds > self._queue_seconds

    def end(self) -> None:
        """The thread is free again."""
        self._metrics.threads_busy.dec()

    def _wait(self, change: int) -> None:
        with self._lock:
            self._waiting += change
            self._metrics.queue.set(self._waiting)
