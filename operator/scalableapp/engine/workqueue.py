"""Whose turn it is: keys of apps, each at most once, with back-off per key, shared fairly by namespace.

Namespaces take turns, whatever number of keys each has, and none has more than its share of the workers. The queue
itself knows no clock and no waiting: `now` (any monotonic seconds) is an argument. `AsyncWorkQueue` adds the waiting
for asyncio.
"""

import asyncio
import heapq
import random
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from scalableapp.core.model import AppKey

FIRST_DELAY_SECONDS = 1.0
LAST_DELAY_SECONDS = 60.0
# Far above the apps one operator serves: a guard against a fault of ours, not a setting.
LIMIT = 100_000
# Of so many turns one is not a scaling's, so that deployments proceed while many apps scale.
UPKEEP_EVERY = 4


def share_of(workers: int) -> int:
    """How many of the workers one namespace may have at once, so that its slow requests leave some to the others."""
    return max(1, workers // 2)


class _Lane:
    """Keys that are due, by namespace. Each operation takes the same time however many there are."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, OrderedDict[AppKey, None]] = OrderedDict()

    def add(self, key: AppKey) -> None:
        self._waiting.setdefault(key.namespace, OrderedDict())[key] = None

    def discard(self, key: AppKey) -> bool:
        """Whether it was here."""
        keys = self._waiting.get(key.namespace, OrderedDict())
        found = key in keys
        if found:
            del keys[key]
            if not keys:
                del self._waiting[key.namespace]
        return found

    def take(self, may_work: Callable[[str], bool]) -> AppKey | None:
        """The key that has waited longest in the namespace whose turn it is, among those that `may_work`."""
        namespace = next(filter(may_work, self._waiting), None)
        if namespace is None:
            return None
        self._waiting.move_to_end(namespace)
        key = next(iter(self._waiting[namespace]))
        self.discard(key)
        return key


@dataclass(slots=True)
class WorkQueue:
    """Keys that wait, due at a time; a key in work is not handed out, only noted to come again.

    `share` is how many keys of one namespace may be in work at once. `jitter` returns a number in 0..1; delays are
    spread over their upper half by it.
    """

    jitter: Callable[[], float] = random.random
    limit: int = LIMIT
    share: int = LIMIT
    _due: dict[AppKey, float] = field(default_factory=dict)
    _heap: list[tuple[float, AppKey]] = field(default_factory=list)
    _scalings: _Lane = field(default_factory=_Lane)
    _upkeep: _Lane = field(default_factory=_Lane)
    _urgent: set[AppKey] = field(default_factory=set)
    _working: set[AppKey] = field(default_factory=set)
    _in_work: Counter[str] = field(default_factory=Counter)
    _again: dict[AppKey, float] = field(default_factory=dict)
    _failures: dict[AppKey, int] = field(default_factory=dict)
    _turns: int = 0

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: AppKey) -> bool:
        return key in self._due or key in self._again

    def add(self, key: AppKey, now: float, delay: float = 0.0, *, urgent: bool = False) -> bool:
        """Let `key` come after `delay` seconds, or sooner if it waits already. False when the queue is full.

        What is `urgent`, a scaling, comes before what is not.
        """
        waiting = self._again if key in self._working else self._due
        due = now + delay
        if key not in waiting and len(waiting) >= self.limit:
            return False
        if urgent:
            self._urgent.add(key)
            if self._upkeep.discard(key):
                self._scalings.add(key)
        if due < waiting.get(key, float("inf")):
            waiting[key] = due
            if waiting is self._due:
                heapq.heappush(self._heap, (due, key))
        return True

    def take(self, now: float) -> AppKey | None:
        """The key whose turn it is, now in work; None when none is due, or only of namespaces that have their share."""
        self._call_due(now)
        lanes = (self._scalings, self._upkeep)
        for lane in lanes if (self._turns + 1) % UPKEEP_EVERY else reversed(lanes):
            if key := lane.take(self._has_share):
                self._turns += 1
                del self._due[key]
                self._urgent.discard(key)
                self._working.add(key)
                self._in_work[key.namespace] += 1
                return key
        return None

    def _call_due(self, now: float) -> None:
        """Those whose time has come wait for their namespace's turn."""
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                (self._scalings if key in self._urgent else self._upkeep).add(key)

    def _has_share(self, namespace: str) -> bool:
        return self._in_work[namespace] < self.share

    def next_due(self) -> float | None:
        """When the next key will be due of those that were not at the last `take`; None when there are none."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def done(self, key: AppKey, now: float) -> None:
        """The work on `key` succeeded: its back-off is reset; it comes again if it was added meanwhile."""
        self._failures.pop(key, None)
        self._finish(key, now)

    def failed(self, key: AppKey, now: float, at_least: float = 0.0) -> float:
        """The work on `key` failed: it comes again after a growing delay. Returns the seconds of that delay.

        `at_least` are the seconds that the server asked for.
        """
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        full = min(LAST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(count, 16))
        delay = max(full * (0.5 + 0.5 * self.jitter()), min(at_least, LAST_DELAY_SECONDS))
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
        self._urgent.discard(key)
        self._scalings.discard(key)
        self._upkeep.discard(key)

    def _finish(self, key: AppKey, now: float) -> None:
        if key in self._working:
            self._working.discard(key)
            self._in_work -= Counter((key.namespace,))  # forgets those at zero
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

    def add(self, key: AppKey, delay: float = 0.0, *, urgent: bool = False) -> bool:
        """See WorkQueue.add."""
        added = self._queue.add(key, self._clock(), delay, urgent=urgent)
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

    def failed(self, key: AppKey, at_least: float = 0.0) -> float:
        """See WorkQueue.failed."""
        delay = self._queue.failed(key, self._clock(), at_least)
        self._added.set()
        return delay

    def backs_off(self, key: AppKey) -> bool:
        """See WorkQueue.backs_off."""
        return self._queue.backs_off(key)

    def forget(self, key: AppKey) -> None:
        """See WorkQueue.forget."""
        self._queue.forget(key)
