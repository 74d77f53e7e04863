"""The cache that all replicas share. When Redis does not answer the application goes on without it, only slower."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flask import Flask
from flask_caching.backends.rediscache import RedisCache
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.retry import Retry

from sample_app import __version__
from sample_app.caching.backend import TURN_SECONDS, SingleFlight, Unreachable
from sample_app.caching.breaker import Breaker
from sample_app.caching.codec import AnswerSerializer, Entry
from sample_app.caching.metrics import CacheMetrics

T = TypeVar("T")

# A Redis nearby answers in under a millisecond; beyond this, to compute an answer is the better use of the time.
TIMEOUT_SECONDS = 0.25
_BATCH = 500
_JSON = AnswerSerializer()
# Replicas of two versions run side by side during a rollout; a page of one may name style sheets the other lacks.
VALUE, TURN = f"sample-app:{__version__}:value:", f"sample-app:{__version__}:turn:"

# Turns end with their token only, and nothing is kept for one that was lost: each in one step, as Redis runs scripts.
_KEEP = """
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
"""
_END_TURN = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def connect(url: str) -> Redis:
    """A client that is safe under threads and forks, and never waits long. It connects when it is first used."""
    return Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # Once more at once, for a connection that a restarted Redis has closed; not after a time-out.
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionLost,)),
    )


class RedisBackend(SingleFlight, RedisCache):
    """Flask-Caching's RedisCache, with turns among all replicas and a circuit breaker."""

    where = "all replicas"

    def __init__(self, client: Redis, metrics: CacheMetrics, **kwargs: Any) -> None:
        super().__init__(client, key_prefix=VALUE, **kwargs)
        self._client = client
        self._errors = metrics.errors
        self._breaker = Breaker("Redis", lambda opened: metrics.broken.set(int(opened)))
        self._keep = client.register_script(_KEEP)
        self._end_turn = client.register_script(_END_TURN)

    @classmethod
    def factory(cls, _app: Flask, config: dict[str, Any], _args: list[Any], kwargs: dict[str, Any]) -> "RedisBackend":
        """As Flask-Caching makes its backends."""
        policy, metrics = config["SAMPLE_APP_CACHE"]
        client = connect(config["CACHE_REDIS_URL"])
        backend = cls(client, metrics, **kwargs)
        backend.policy = policy
        return backend

    def reach(self, operation: str, call: Callable[[], T]) -> T:
        """See SingleFlight."""
        if not self._breaker.allows():
            raise Unreachable
        try:
            answer = call()
        except RedisError as error:
            self._errors.labels(operation).inc()
            self._breaker.failed(error)
            raise Unreachable from error
        self._breaker.succeeded()
        return answer

    def take_turn(self, key: str, token: str) -> bool:
        """See SingleFlight."""
        return bool(self.reach("lock", lambda: self._client.set(self._turn(key), token, ex=TURN_SECONDS, nx=True)))

    def end_turn(self, key: str, token: str) -> None:
        """See SingleFlight."""
        self.reach("lock", lambda: self._end_turn([self._turn(key)], [token]))

    def keep(self, key: str, entry: Entry, seconds: int, token: str | None) -> bool:
        """See SingleFlight."""
        arguments: list[str | bytes | int] = [token or "", _JSON.dumps(entry), seconds]
        return bool(self.reach("write", lambda: self._keep([self._name(key), self._turn(key)], arguments)))

    def forget(self, key: str) -> int:
        """See SingleFlight."""
        self.reach("delete", lambda: self._client.unlink(self._turn(key)))
        return int(self.reach("delete", lambda: self._client.unlink(self._name(key))))

    def forget_prefix(self, prefix: str) -> int:
        """See SingleFlight."""
        self._unlink_all(TURN, prefix)
        return self._unlink_all(VALUE, prefix)

    def _unlink_all(self, space: str, prefix: str) -> int:
        """In batches, so that Redis answers others in between."""
        pattern, cursor, removed = f"{space}{_literally(prefix)}*", 0, 0
        while True:
            cursor, names = self.reach("delete", partial(self._client.scan, cursor, pattern, _BATCH))
            if names:
                removed += self.reach("delete", partial(self._client.unlink, *names))
            if cursor == 0:
                return removed

    def _name(self, key: str) -> str:
        return f"{VALUE}{key}"

    def _turn(self, key: str) -> str:
        return f"{TURN}{key}"


def _literally(text: str) -> str:
    """As a pattern of Redis that stands for itself."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
