"""The cache of one worker process: as fast as memory, and shared with nobody."""

import time
from typing import Any

from flask import Flask
from flask_caching.backends.simplecache import SimpleCache

from sample_app.caching.backend import TURN_SECONDS, SingleFlight
from sample_app.caching.codec import Entry


class MemoryBackend(SingleFlight, SimpleCache):
    """Flask-Caching's SimpleCache, with turns among the threads of the process."""

    where = "this worker process"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: dict[str, tuple[str, float]] = {}

    @classmethod
    def factory(cls, _app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "MemoryBackend":
        """As Flask-Caching makes its backends."""
        backend = cls(*args, threshold=config["CACHE_THRESHOLD"], **kwargs)
        backend.policy, _metrics = config["SAMPLE_APP_CACHE"]
        return backend

    def take_turn(self, key: str, token: str) -> bool:
        """See SingleFlight."""
        now = time.monotonic()
        with self._lock:
            if self._held.get(key, ("", 0.0))[1] > now:
                return False
            self._held[key] = (token, now + TURN_SECONDS)
            return True

    def end_turn(self, key: str, token: str) -> None:
        """See SingleFlight."""
        with self._lock:
            if self._has_turn(key, token):
                del self._held[key]

    def keep(self, key: str, entry: Entry, seconds: int, token: str | None) -> bool:
        """See SingleFlight."""
        with self._lock:
            if token and not self._has_turn(key, token):
                return False
            self._held.pop(key, None)
            return bool(SimpleCache.set(self, key, entry, seconds))

    def forget(self, key: str) -> int:
        """See SingleFlight."""
        with self._lock:
            self._held.pop(key, None)
            return int(SimpleCache.delete(self, key))

    def forget_prefix(self, prefix: str) -> int:
        """See SingleFlight."""
        with self._lock:
            for key in [key for key in self._held if key.startswith(prefix)]:
                del self._held[key]
            return sum(self.forget(key) for key in [key for key in self._cache if key.startswith(prefix)])

    def _has_turn(self, key: str, token: str) -> bool:
        return self._held.get(key, ("", 0.0))[0] == token
