"""What became of each look-up: Flask-Caching's signals tell whose cache it was, the backend how it ended."""

from collections.abc import Iterable
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask_caching import cache_memoize_hit, cache_memoize_miss, cache_view_hit, cache_view_miss

from sample_app.caching.backend import Lookup, SingleFlight, last_lookup
from sample_app.caching.metrics import CacheMetrics

_METRICS = "sample_app.cache_metrics"


def init_app(app: Flask, metrics: CacheMetrics, functions: Iterable[str]) -> None:
    """Count look-ups, tell them in X-Cache, and end the turns that a request did not use."""
    app.extensions[_METRICS] = metrics
    for name in (*functions, *(name for name, view in app.view_functions.items() if hasattr(view, "uncached"))):
        metrics.declare(name)
    app.after_request(_tell)
    app.teardown_appcontext(_end_turns)


@cache_view_hit.connect
@cache_view_miss.connect
def _view(_sender: Any, **_: Any) -> None:
    g.cache_result = _count(request.endpoint or "")


@cache_memoize_hit.connect
@cache_memoize_miss.connect
def _function(_sender: Any, f: Any, **_: Any) -> None:
    _count(f.__name__)


def _count(name: str) -> str:
    lookup = last_lookup.get() or Lookup("miss", 0.0)  # without a cache nothing looks
    last_lookup.set(None)
    metrics: CacheMetrics = current_app.extensions[_METRICS]
    metrics.lookups.labels(name, lookup.result).inc()
    metrics.duration.labels(name).observe(lookup.seconds)
    return lookup.result


def _tell(response: Response) -> Response:
    if result := g.pop("cache_result", None):
        response.headers["X-Cache"] = result.upper()
    return response


def _end_turns(_error: BaseException | None) -> None:
    for backend in current_app.extensions["cache"].values():
        if isinstance(backend, SingleFlight):
            backend.end_turns()
