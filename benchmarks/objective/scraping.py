"""Prometheus in the world: counters at scrapes, and rates between them."""

from collections import deque
from typing import NamedTuple

import numpy as np

from benchmarks.objective.world import Floats, World

_KEPT_SECONDS = 300.0


class _Scrape(NamedTuple):
    at: float
    pods: int
    requests: Floats
    slow: Floats
    failed: Floats
    cpu: Floats


class Rates(NamedTuple):
    """Per second, of each pod by number, over a window that ended with the last scrape."""

    at: float
    pods: list[int]
    requests: list[float]
    slow: list[float]
    failed: list[float]
    cpu: list[float]


class Scraping:
    """Scrapes every `seconds`; what is read between two scrapes is what the last one saw."""

    def __init__(self, world: World, seconds: float) -> None:
        self.seconds = seconds
        self._world = world
        self._scrapes: deque[_Scrape] = deque()

    def look(self) -> None:
        """Scrape if it is time."""
        world = self._world
        if world.now % self.seconds:
            return
        self._scrapes.append(_Scrape(world.now, world.born, *world.counters.copy(world.born)))
        while self._scrapes[0].at < world.now - _KEPT_SECONDS:
            self._scrapes.popleft()

    def rates(self, window_seconds: float) -> Rates | None:
        """rate()[window]; None before the second scrape. A pod has one once it is ready and scraped twice."""
        if len(self._scrapes) < 2:
            return None
        last = self._scrapes[-1]
        first = next(scrape for scrape in self._scrapes if scrape.at >= last.at - window_seconds)
        if first.at >= last.at:
            first = self._scrapes[-2]
        there = [*self._world.pods, *(pod for pod, _ in self._world.gone)]
        alive = [pod for pod in there if pod.ready_at <= last.at - self.seconds]
        numbers = [pod.number for pod in alive]
        since = [max(first.at, pod.ready_at) for pod in alive]
        spans = last.at - np.asarray(since)

        def of(before: Floats, after: Floats) -> list[float]:
            start = np.zeros(last.pods)
            start[: first.pods] = before
            found: list[float] = ((after - start)[numbers] / np.maximum(spans, self.seconds)).tolist()
            return found

        return Rates(
            last.at,
            numbers,
            of(first.requests, last.requests),
            of(first.slow, last.slow),
            of(first.failed, last.failed),
            of(first.cpu, last.cpu),
        )
