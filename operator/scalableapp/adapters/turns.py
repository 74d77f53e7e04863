"""Whose query is asked next, where there are fewer threads than queries: shared fairly between namespaces."""

import time
from collections.abc import Callable, Mapping
from itertools import zip_longest


def fairly(queries: Mapping[str, str], most: int) -> list[str]:
    """At most so many of the queries, which map to their namespaces: one of each namespace, then another of each."""
    by_namespace: dict[str, list[str]] = {}
    for query in sorted(queries):
        by_namespace.setdefault(queries[query], []).append(query)
    rounds = zip_longest(*(by_namespace[name] for name in sorted(by_namespace)))
    return [query for of_all in rounds for query in of_all if query is not None][:most]


class Turns:
    """The namespace that has used the threads least is next: in this look, the one before, and with what is running.

    So slow queries wait for those of others, and take whatever time these leave.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._waiting: dict[str, list[str]] = {}
        self._running: dict[str, tuple[str, float]] = {}

    def begin(self, queries: Mapping[str, str]) -> None:
        """A look begins that asks these queries, which map to their namespaces."""
        for query in list(self._running):
            self.ended(query)
        self._before, self._used, self._waiting = self._used, {}, {}
        for query, namespace in sorted(queries.items(), reverse=True):
            self._waiting.setdefault(namespace, []).append(query)

    def next(self) -> str | None:
        """The query whose turn it is; None when none waits."""
        if not self._waiting:
            return None
        namespace = min(self._waiting, key=self._used_by)
        query = self._waiting[namespace].pop()
        if not self._waiting[namespace]:
            del self._waiting[namespace]
        self._running[query] = namespace, self._clock()
        return query

    def ended(self, query: str) -> None:
        """A query has been answered, or was left."""
        namespace, started = self._running.pop(query)
        self._used[namespace] = self._used.get(namespace, 0.0) + self._clock() - started

    def _used_by(self, namespace: str) -> tuple[float, int]:
        """Seconds of threads; among equals who has fewer."""
        running = [started for name, started in self._running.values() if name == namespace]
        used = self._before.get(namespace, 0.0) + self._used.get(namespace, 0.0)
        return used + len(running) * self._clock() - sum(running), len(running)
