"""A circuit breaker: what does not answer is left alone for a while, so that its time-outs do not become ours."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Breaker:
    """Opens after `failures` in a row; then, every `pause_seconds`, one caller tries whether it can close again.

    Safe under threads, and no lock is held during the calls it decides on. `changed` is told True when it opens and
    False when it closes; each is logged once.
    """

    def __init__(
        self,
        what: str,
        changed: Callable[[bool], None],
        failures: int = 3,
        pause_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._changed = changed
        self._limit = failures
        self._pause = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0

    def allows(self) -> bool:
        """Whether a call may be tried now."""
        with self._lock:
            if self._failures < self._limit:
                return True
            if self._clock() < self._retry_at:
                return False
            self._retry_at = self._clock() + self._pause
            return True

    def failed(self, error: Exception) -> None:
        """A call was tried and failed."""
        with self._lock:
            self._failures += 1
            opened = self._failures == self._limit
            if opened:
                self._retry_at = self._clock() + self._pause
        if opened:
            self._changed(True)
            logger.warning(
                "%s does not answer and is left alone, tried every %.0f s: %s", self._what, self._pause, error
            )

    def succeeded(self) -> None:
        """A call was tried and answered."""
        with self._lock:
            closed, self._failures = self._failures >= self._limit, 0
        if closed:
            self._changed(False)
            logger.info("%s answers again", self._what)
