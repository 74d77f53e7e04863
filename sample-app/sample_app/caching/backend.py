"""What Flask-Caching's backends lack under load: one request computes, the others wait for it or get the old value.

A mixin over a backend: `cache.cached` and `cache.memoize` stay as they are in the application's code. To `get` a value
that is not there takes the turn to make it; `set` ends the turn. A turn that ends without a value (an error, a 5xx)
ends with its request. It is kept where the values are, so with a shared cache one request of all replicas has it.
"""

import math
import random
import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from flask import g
from flask_caching.backends.base import BaseCache

from sample_app.caching.codec import Entry, status_of

T = TypeVar("T")

# Longer than an answer may take; after it another request gets the turn of one that died.
TURN_SECONDS = 20
# As long as people wait for a page; then a request computes for itself, and does not keep the result.
WAIT_SECONDS = 5.0
# Entries that are made together do not expire together.
JITTER = 0.1
# Flask-Caching's version of a memoised function, part of its keys: a new one forgets all its values.
VERSION_SECONDS = 86400
VERSION_RESET = 0
_NEGATIVE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class Unreachable(Exception):
    """The cache does not answer; it has been counted."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long what is kept. Seconds."""

    stale_seconds: int = 30
    negative_seconds: int = 5
    single_flight: bool = True


@dataclass(frozen=True, slots=True)
class Lookup:
    """How the last `get` of this thread ended: hit, stale, miss or error, and how long it took."""

    result: str
    seconds: float


last_lookup: ContextVar[Lookup | None] = ContextVar("last_lookup", default=None)


class SingleFlight(BaseCache):
    """To be mixed in before a backend of Flask-Caching whose serializer keeps Entries."""

    policy = Policy()
    where = ""  # who sees the values, in words

    @abstractmethod
    def take_turn(self, key: str, token: str) -> bool:
        """Take the turn to make the value of `key`, unless somebody has it. May raise Unreachable."""

    @abstractmethod
    def end_turn(self, key: str, token: str) -> None:
        """Give the turn back, if `token` still holds it. May raise Unreachable."""

    @abstractmethod
    def keep(self, key: str, entry: Entry, seconds: int, token: str | None) -> bool:
        """Store, and end the turn of `token`; nothing when the turn has been lost (None: without a turn).

        Whoever invalidates takes the turn away, so that what was computed before is not kept after it.
        """

    @abstractmethod
    def forget(self, key: str) -> int:
        """Remove a value and the turn to make it; how many values that were. May raise Unreachable."""

    @abstractmethod
    def forget_prefix(self, prefix: str) -> int:
        """Remove all values whose keys begin so, and the turns to make them. May raise Unreachable."""

    def reach(self, _operation: str, call: Callable[[], T]) -> T:
        """Make a call to where the values are. May raise Unreachable."""
        return call()

    def get(self, key: str) -> Any:
        """The value; None when it is for the caller to compute."""
        began = time.perf_counter()
        try:
            result, value = self._look_up(key)
        except Unreachable:
            result, value = "error", None
        last_lookup.set(Lookup(result, time.perf_counter() - began))
        return value

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Keep a value for about `timeout` seconds; not an error of the server, and not out of one's turn."""
        turns = _turns()
        if key in turns and turns[key] is None:
            del turns[key]
            return False
        token = turns.pop(key, None)
        life = self._life(value, timeout)
        try:
            if life:
                entry = Entry(value, time.time() + life)
                return self.keep(key, entry, math.ceil(life) + self.policy.stale_seconds, token)
            if token:
                self.end_turn(key, token)
        except Unreachable:
            pass  # counted; the answer is served all the same
        return False

    def get_many(self, *keys: str) -> list[Any]:
        """Versions of memoised functions; one that is not there is agreed on by all who ask for it."""
        return [self._version(key) for key in keys]

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[Any]:
        """A new version, which forgets all values of a function. May raise Unreachable.

        Flask-Caching writes an old one anew with each value, which here would undo a reset in between.
        """
        if timeout == VERSION_RESET:
            for key, version in mapping.items():
                self.keep(key, _version_entry(version), VERSION_SECONDS, None)
        return list(mapping)

    def end_turns(self) -> None:
        """End the turns that this request still has: it did not come to a value."""
        turns = _turns()
        while turns:
            key, token = turns.popitem()
            if token:
                with suppress(Unreachable):  # then it ends by itself
                    self.end_turn(key, token)

    def _look_up(self, key: str) -> tuple[str, Any]:
        turns, deadline = _turns(), time.monotonic() + WAIT_SECONDS
        for pause in _pauses():
            entry = self._entry(key)
            if entry and entry.fresh_until > time.time():
                return "hit", entry.value
            if not self.policy.single_flight or key in turns:
                break
            if self._begin(key):
                return self._look_again(key)
            if entry:
                return "stale", entry.value
            if time.monotonic() > deadline:
                turns[key] = None
                break
            time.sleep(pause)
        return "miss", None

    def _begin(self, key: str) -> bool:
        token = secrets.token_hex(8)
        begun = self.take_turn(key, token)
        if begun:
            _turns()[key] = token
        return begun

    def _look_again(self, key: str) -> tuple[str, Any]:
        """With the turn: who had it before may have finished between our look and our turn."""
        entry = self._entry(key)
        if entry is None or entry.fresh_until <= time.time():
            return "miss", None
        token = _turns().pop(key)
        if token:
            self.end_turn(key, token)
        return "hit", entry.value

    def _entry(self, key: str) -> Entry | None:
        entry: Entry | None = self.reach("read", lambda: super(SingleFlight, self).get(key))
        return entry

    def _version(self, key: str) -> str:
        new = secrets.token_hex(4)
        try:
            entry = self._entry(key)
            if entry is None:
                self.reach("write", lambda: super(SingleFlight, self).add(key, _version_entry(new), VERSION_SECONDS))
                entry = self._entry(key)
        except Unreachable:
            entry = None
        return entry.value if entry else new

    def _life(self, value: Any, timeout: Any) -> float:
        """Seconds for which a value is fresh, a little different each time; 0 for what is not to be kept."""
        status, seconds = status_of(value), self.default_timeout if timeout is None else timeout
        if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return 0.0
        if status in _NEGATIVE:
            seconds = min(seconds, self.policy.negative_seconds)
        return float(seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - jitter is no secret


def _turns() -> dict[str, str | None]:
    """The turns of this request by key; None stands for a key that another one will keep."""
    turns: dict[str, str | None] = g.setdefault("cache_turns", {})
    return turns


def _version_entry(version: str) -> Entry:
    return Entry(version, time.time() + VERSION_SECONDS)


def _pauses() -> Iterator[float]:
    """Between two looks for another's answer: 5 ms first, then growing to 50 ms, which a Redis hardly feels."""
    pause = 0.005
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
        pause = min(0.05, pause * 1.5)
