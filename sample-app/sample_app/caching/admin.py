"""Invalidation by key, by prefix and by memoised function, for whoever knows the token."""

import hmac
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request
from flask_caching import Cache

from sample_app.caching.backend import SingleFlight, Unreachable

_STATE = "sample_app.cache_admin"
_WAYS = ("key", "prefix", "function")

admin = Blueprint("cache_admin", __name__)
# By name, as caching.memoized has registered them.
functions: dict[str, Any] = {}


def init_app(app: Flask, cache: Cache, token: str) -> None:
    """Add the route; without a token it answers 404 to everybody."""
    app.extensions[_STATE] = (cache, token)
    app.register_blueprint(admin)


@admin.delete("/cache")
def invalidate() -> Response:
    """Remove what `key`, `prefix` or `function` names; the answer says how many values, and where."""
    cache, token = current_app.extensions[_STATE]
    _authorize(token)
    given = [way for way in _WAYS if request.args.get(way)]
    if len(given) != 1:
        abort(400, f"give one of {', '.join(_WAYS)}")
    backend = cache.cache
    if not isinstance(backend, SingleFlight):
        abort(409, "there is no cache: CACHE_BACKEND is None")
    try:
        removed = _invalidate(backend, cache, given[0], request.args[given[0]])
    except Unreachable:
        abort(503, "the cache does not answer, so nothing was removed; what it holds expires by itself")
    return jsonify(removed=removed, where=backend.where)


def _invalidate(backend: SingleFlight, cache: Cache, way: str, name: str) -> int | None:
    """How many values were removed; None where nobody counts them."""
    if way == "key":
        return backend.forget(name)
    if way == "prefix":
        return backend.forget_prefix(name)
    if name not in functions:
        abort(404, f"{name[:80]!r} is no memoised function; there are {', '.join(sorted(functions))}")
    cache.delete_memoized(functions[name])
    return None


def _authorize(token: str) -> None:
    """Refuse all but the holder of the token, in a time that tells nothing about it."""
    if not token:
        abort(404)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        abort(401, "Authorization: Bearer and the value of CACHE_TOKEN are needed")
