"""The application's cache: Flask-Caching's decorators over backends that are safe under load.

`backend` keeps a herd of requests from computing the same answer, `redis` shares it among all replicas and lets go of
a Redis that does not answer, `codec` is the JSON that is kept, `observe` counts, `admin` invalidates.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar

from flask import Flask
from flask_caching import Cache
from prometheus_client import CollectorRegistry

from sample_app.caching import admin, observe
from sample_app.caching.backend import Policy
from sample_app.caching.codec import AnswerSerializer
from sample_app.caching.metrics import CacheMetrics
from sample_app.settings import Settings

__all__ = ["cache", "cacheable", "init_app", "memoized"]

P = ParamSpec("P")
R = TypeVar("R")

cache = Cache()

_KEPT = (HTTPStatus.OK, HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_CACHE_TYPES = {
    "None": "NullCache",
    "Memory": "sample_app.caching.memory.MemoryBackend",
    "Redis": "sample_app.caching.redis.RedisBackend",
}


def init_app(app: Flask, registry: CollectorRegistry, settings: Settings) -> None:
    """Give `app` the cache that the settings ask for; its answers say X-Cache: HIT, STALE, MISS or ERROR."""
    metrics = CacheMetrics(registry)
    policy = Policy(
        stale_seconds=settings.storing.stale_seconds,
        negative_seconds=settings.storing.negative_seconds,
        single_flight=settings.storing.single_flight,
    )
    config: dict[str, Any] = {
        "CACHE_TYPE": _CACHE_TYPES[settings.cache_backend],
        "CACHE_DEFAULT_TIMEOUT": settings.cache_timeout_seconds,
        "CACHE_REDIS_URL": settings.storing.redis_url,
        "CACHE_ENABLE_SIGNALS": True,
        "CACHE_NO_NULL_WARNING": True,  # a backend of None is asked for, not forgotten
        "SAMPLE_APP_CACHE": (policy, metrics),
    }
    if settings.cache_backend != "None":
        config["CACHE_SERIALIZER"] = AnswerSerializer
    cache.init_app(app, config)
    observe.init_app(app, metrics, admin.functions)
    admin.init_app(app, cache, settings.storing.cache_token)


def cacheable(response: Any) -> bool:
    """Whether an answer may be kept: what there is and what there is not.

    An error of the server must not outlive its cause, and a client's mistakes would only fill the cache.
    """
    return getattr(response, "status_code", HTTPStatus.OK) in _KEPT


def memoized(function: Callable[P, R]) -> Callable[P, R]:
    """`cache.memoize`, and all values of the function can be invalidated by its name. They must be JSON."""
    decorated: Callable[P, R] = cache.memoize()(function)
    admin.functions[function.__name__] = decorated
    return decorated
