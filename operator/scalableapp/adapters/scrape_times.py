"""How often each pod is scraped, measured.

From one look to the next the newest sample moves on by the interval, if looks are more frequent than scrapes: known
after two scrapes, which is when there is a rate at all. Where looks are rarer, and after a start of the operator, the
number of samples in five minutes tells it, of series that are older than that. (The interval that Prometheus is
configured with is in no series that every Prometheus has.)
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from statistics import median_low

from scalableapp.core.learning.scrapes import LONGEST_INTERVAL_SECONDS, too_rare

Pod = tuple[str, str]
Copy = tuple[str, ...]  # namespace, pod, and what tells the copies of its series apart

_GAPS = 3
_EXACT = 1.5
_MUCH_SHORTER = 0.7


class ScrapeTimes:
    """The scrapes of one metric. Used from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._observed_at: float | None = None
        self._newest: Mapping[Copy, float] = {}
        self._gaps: dict[Copy, tuple[float, ...]] = {}
        self._exact: set[Copy] = set()
        self._counted: Mapping[Copy, float] = {}
        self.newest: Mapping[Pod, float] = {}
        self.intervals: Mapping[Pod, float] = {}
        self.slowest: Mapping[str, float] = {}

    @property
    def observed(self) -> bool:
        """Whether the newest samples have been asked for, be it that there were none."""
        return self._observed_at is not None

    def seen(self, newest: Mapping[Copy, float]) -> None:
        """Take in when the newest sample of each copy was taken, Unix time."""
        with self._lock:
            now = self._clock()
            elapsed = float("inf") if self._observed_at is None else now - self._observed_at
            for copy, at in newest.items():
                gap = at - self._newest.get(copy, at)
                if gap > 0:
                    self._moved(copy, gap, gap > _EXACT * elapsed)
            self._observed_at, self._newest = now, dict(newest)
            self._gaps = {copy: gaps for copy, gaps in self._gaps.items() if copy in newest}
            self._exact &= newest.keys()
            self.newest = _by_pod(newest)
            self._update()

    def counted(self, intervals: Mapping[Copy, float], ended: Collection[Copy] = ()) -> None:
        """Take in the mean intervals of the last minutes; of copies that have ended in them, the last one stays."""
        with self._lock:
            kept = {copy: self._counted[copy] for copy in ended if copy in self._counted}
            self._counted = kept | dict(intervals)
            self._update()

    def interval_of(self, pod: Pod) -> float | None:
        """The pod's interval; of one that is too new for that, the longest of its namespace."""
        return self.intervals.get(pod) or self.slowest.get(pod[0])

    def _moved(self, copy: Copy, gap: float, exact: bool) -> None:
        """A gap is the interval if looks in between saw no sample; else the interval is not longer than the gap."""
        self._exact.discard(copy)
        if exact:
            self._exact.add(copy)
        known = gap if exact else min(gap, LONGEST_INTERVAL_SECONDS)
        self._gaps[copy] = (*self._gaps.get(copy, ())[1 - _GAPS :], known)

    def _update(self) -> None:
        found: dict[Pod, list[float]] = {}
        for copy in self._gaps.keys() | self._counted.keys():
            found.setdefault((copy[0], copy[1]), []).append(self._interval(copy))
        self.intervals = {pod: _of_copies(intervals) for pod, intervals in found.items()}
        slowest: dict[str, float] = {}
        for (namespace, _), interval in self.intervals.items():
            slowest[namespace] = max(interval, slowest.get(namespace, 0.0))
        self.slowest = slowest

    def _interval(self, copy: Copy) -> float:
        counted = self._counted.get(copy)
        gaps = self._gaps.get(copy)
        if not gaps:
            return counted or 0.0
        gap = median_low(gaps)
        if counted is None:
            return gap
        if copy not in self._exact:
            return min(gap, counted)
        # Of two Prometheis that answer in turn, gaps are too short; right after a change the mean is.
        return counted if gap < _MUCH_SHORTER * counted else gap


def _by_pod(newest: Mapping[Copy, float]) -> dict[Pod, float]:
    found: dict[Pod, float] = {}
    for copy, at in newest.items():
        pod = copy[0], copy[1]
        found[pod] = max(at, found.get(pod, at))
    return found


def _of_copies(intervals: list[float]) -> float:
    """The longest, so that the window fits each copy; but for copies that are of no use beside better ones."""
    return max((each for each in intervals if not too_rare(each)), default=min(intervals))
