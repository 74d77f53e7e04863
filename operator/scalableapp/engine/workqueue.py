"""Whose turn it is: keys of apps, each at most once, with back-off per key.

The queue itself knows no clock and no waiting: `now` (any monotonic seconds) is an argument. `AsyncWorkQueue`
adds the waiting for asyncio.
"""

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from scalableapp.core.model import AppKey

FIRST_DELAY_SECONDS = 1.0
LAST_DELAY_SECONDS = 60.0
# Far above the apps one operator serves: a guard against a fault of ours, not a setting.
LIMIT = 100_000


@dataclass(slots=True)
class WorkQueue:
    """Keys that wait, due at a time; a key in work is not handed out, only noted to come again.

    `jitter` returns a number in 0..1; delays are spread over their upper half by it.
    """

    jitter: Callable[[], float] = random.random
    limit: int = LIMIT
    _due: dict[AppKey, float] = field(default_factory=dict)
    _heap: list[tuple[float, AppKey]] = field(default_factory=list)
    _working: set[AppKey] = field(default_factory=set)
    _again: dict[AppKey, float] = field(default_factory=dict)
    _failures: dict[AppKey, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: AppKey) -> bool:
        return key in self._due or key in self._again

    def add(self, key: AppKey, now: float, delay: float = 0.0) -> bool:
        """Let `key` come after `delay` seconds, or sooner if it waits already. False when the queue is full."""
        waiting = self._again if key in self._working else self._due
        due = now + delay
        if key not in waiting and len(waiting) >= self.limit:
            return False
        if due < waiting.get(key, float("inf")):
            waiting[key] = due
            if waiting is self._due:
                heapq.heappush(self._heap, (due, key))
        return True

    def take(self, now: float) -> AppKey | None:
        """The key that has been due longest, now in work; None when none is due."""
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._working.add(key)
                return key
        return None

    def next_due(self) -> float | None:
        """When the next key is due; None when none waits."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def done(self, key: AppKey, now: float) -> None:
        """The work on `key` succeeded: its back-off is reset; it comes again if it was added meanwhile."""
        self._failures.pop(key, None)
        self._finish(key, now)

    def failed(self, key: AppKey, now: float) -> float:
        """The work on `key` failed: it comes again after a growing delay. Returns the seconds of that delay."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        full = min(LAST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(count, 16))
        delay = full * (0.5 + 0.5 * self.jitter())
        self._finish(key, now)
        self.add(key, now, delay)
        return delay

    def backs_off(self, key: AppKey) -> bool:
        """Whether the last work on `key` failed, and the next try waits for its delay."""
        return key in self._failures

    def forget(self, key: AppKey) -> None:
        """The app is gone: it has no turn and no back-off any more."""
        for known in (self._due, self._again, self._failures):
            known.pop(key, None)

    def _finish(self, key: AppKey, now: float) -> None:
        self._working.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, now, max(0.0, again - now))


class AsyncWorkQueue:
    """A WorkQueue that workers wait on."""

    def __init__(self, queue: WorkQueue, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._clock = clock
        self._added = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    def __contains__(self, key: AppKey) -> bool:
        return key in self._queue

    def add(self, key: AppKey, delay: float = 0.0) -> bool:
        """See WorkQueue.add."""
        added = self._queue.add(key, self._clock(), delay)
        self._added.set()
        return added

    async def next(self) -> AppKey:
        """The next key that is due; waits for it."""
        while (key := self._queue.take(self._clock())) is None:
            self._added.clear()
            due = self._queue.next_due()
            timeout = None if due is None else max(0.0, due - self._clock())
            try:
                await asyncio.wait_for(self._added.wait(), timeout)
            except TimeoutError:
                continue
        return key

    def done(self, key: AppKey) -> None:
        """See WorkQueue.done."""
        self._queue.done(key, self._clock())
        self._added.set()

    def failed(self, key: AppKey) -> float:
        """See WorkQueue.failed."""
        delay = self._queue.failed(key, self._clock())
        self._added.set()
        return delay

    def backs_off(self, key: AppKey) -> bool:
        """See WorkQueue.backs_off."""
        return self._queue.backs_off(key)

    def forget(self, key: AppKey) -> None:
        """See WorkQueue.forget."""
        self._queue.forget(key)
