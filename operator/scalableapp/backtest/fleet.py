"""The simulated pods: created when asked for, ready some time later, deleted at once, the youngest first."""

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from scalableapp.backtest.service import Ints


class Startup:
    """Seconds from a pod's creation until it is ready; with a `spread` drawn log-normal around the median."""

    def __init__(self, median_seconds: float, spread: float = 0.0, seed: int = 1) -> None:
        self.median_seconds = median_seconds
        self._spread = spread
        self._random = np.random.default_rng(seed)

    def draw(self) -> int:
        """Start-up time of one more pod, in whole seconds."""
        if not self._spread:
            return round(self.median_seconds)
        return max(1, round(self.median_seconds * float(self._random.lognormal(0.0, self._spread))))


class Fleet:
    """Pods over time. Those there are at the start are ready."""

    def __init__(self, replicas: int, startup: Startup) -> None:
        self._startup = startup
        self._born = [0] * replicas  # by creation
        self._ready_at = [0] * replicas
        self._names = list(range(replicas))
        self._next_name = replicas
        self._sizes = [(0, replicas)]
        self._ready_since = [0]
        self._ready_counts = [replicas]

    @property
    def replicas(self) -> int:
        """Pods there are, ready or not."""
        return len(self._ready_at)

    @property
    def ready(self) -> int:
        """Pods that are ready."""
        return self._ready_counts[-1]

    @property
    def steady_since(self) -> int | None:
        """Since when the same pods are there, all of them ready; None while some are starting."""
        return self._ready_since[-1] if self.ready == self.replicas else None

    def ready_for(self, seconds: int, now: int) -> int:
        """Pods that have been ready for at least so long."""
        steady = self.steady_since
        if steady is not None and now - steady >= seconds:
            return self.ready
        return sum(at <= now - seconds for at in self._ready_at) or self.ready

    @property
    def names(self) -> list[int]:
        """Numbers of the pods, the oldest first."""
        return self._names

    @property
    def pods(self) -> Iterator[tuple[int, int, int]]:
        """Number, time of creation and time of readiness (maybe to come) of each pod."""
        return zip(self._names, self._born, self._ready_at, strict=True)

    def scale(self, now: int, replicas: int) -> None:
        """Create or delete pods so that there are `replicas`."""
        for _ in range(self.replicas, replicas):
            self._born.append(now)
            self._ready_at.append(now + self._startup.draw())
            self._names.append(self._next_name)
            self._next_name += 1
        for column in (self._born, self._ready_at, self._names):
            del column[replicas:]
        self._sizes.append((now, replicas))
        self._note(now)

    def pass_time(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Spans (from, until, ready pods) between `start` and `end`; pods become ready on the way."""
        if self.ready < self.replicas:
            for until in sorted({at for at in self._ready_at if start < at < end}):
                self._note(start)
                yield start, until, self.ready
                start = until
            self._note(start)
        yield start, end, self.ready

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Spans (from, until, ready pods) of the past."""
        index = bisect_right(self._ready_since, start) - 1
        while start < end:
            last = index + 1 >= len(self._ready_since)
            until = end if last else min(end, self._ready_since[index + 1])
            if until > start:
                yield start, until, self._ready_counts[index]
            start, index = until, index + 1

    def replicas_over_time(self, duration: int) -> Ints:
        """Pods there are in each second."""
        return _steps(self._sizes, duration)

    def ready_over_time(self, duration: int) -> Ints:
        """Ready pods in each second."""
        return _steps(list(zip(self._ready_since, self._ready_counts, strict=True)), duration)

    def changes(self) -> list[tuple[int, int]]:
        """Each scaling: its time and the signed change."""
        pairs = zip(self._sizes, self._sizes[1:], strict=False)
        return [(at, size - before) for (_, before), (at, size) in pairs if size != before]

    def _note(self, now: int) -> None:
        ready = sum(at <= now for at in self._ready_at)
        if ready != self.ready:
            self._ready_since.append(now)
            self._ready_counts.append(ready)


def _steps(changes: list[tuple[int, int]], duration: int) -> Ints:
    """A step function given by (from, value) as one value per second."""
    starts = np.asarray([at for at, _ in changes])
    values = np.asarray([value for _, value in changes])
    lengths = np.diff(np.append(np.minimum(starts, duration), duration))
    return np.repeat(values, lengths)
