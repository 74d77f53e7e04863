"""The application's cache (Flask-Caching), its metrics, and what may be kept in it."""

from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g
from flask_caching import Cache, cache_view_hit, cache_view_miss

from sample_app.metrics import Metrics
from sample_app.settings import Settings

cache = Cache()

_CACHE_TYPES = {"None": "NullCache", "Memory": "SimpleCache"}
_LOOKUPS = "sample_app.cache_lookups"


def init_app(app: Flask, metrics: Metrics, settings: Settings) -> None:
    """Give `app` the cache that the settings ask for; its answers say X-Cache: HIT or MISS."""
    config = {
        "CACHE_TYPE": _CACHE_TYPES[settings.cache_backend],
        "CACHE_DEFAULT_TIMEOUT": settings.cache_timeout_seconds,
        "CACHE_ENABLE_SIGNALS": True,
        "CACHE_NO_NULL_WARNING": True,  # a backend of None is asked for, not forgotten
    }
    cache.init_app(app, config)
    app.extensions[_LOOKUPS] = {result: metrics.cache.labels("view", result) for result in ("hit", "miss")}
    app.after_request(_tell)


def cacheable(response: Response) -> bool:
    """Whether an answer may be kept: an error of the server must not outlive its cause."""
    return response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR


@cache_view_hit.connect
def _hit(_sender: Any, **_fields: Any) -> None:
    _count("hit")


@cache_view_miss.connect
def _miss(_sender: Any, **_fields: Any) -> None:
    _count("miss")


def _count(result: str) -> None:
    current_app.extensions[_LOOKUPS][result].inc()
    g.cache_result = result


def _tell(response: Response) -> Response:
    if result := g.pop("cache_result", None):
        response.headers["X-Cache"] = result.upper()
    return response
