"""What is refused before any work is done for it: overload, too large bodies, clients that ask too often.

Probes and scrapes are never refused: a busy pod must not look dead, and the autoscaler must not go blind.
"""

import math
import time
from http import HTTPStatus

from flask import Flask, Response, abort, current_app, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

from sample_app.metrics import Metrics
from sample_app.observe import UNCOUNTED_ROUTES
from sample_app.serving import Serving
from sample_app.worker import refused

# Long enough for a queue of short requests to go down, short enough for a person to wait.
RETRY_AFTER_SECONDS = 2
# A Redis that does not answer must cost a request less than the work it asks for.
_PATIENCE: dict[str, str | int] = {"socket_connect_timeout": 1, "socket_timeout": 1}
_REASONS = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "size", HTTPStatus.TOO_MANY_REQUESTS: "rate"}


def init_app(app: Flask, metrics: Metrics, serving: Serving) -> None:
    """Refuse what is too much for `app`; to be called after what counts and logs requests is in place."""
    app.config["MAX_CONTENT_LENGTH"] = serving.max_body_bytes  # for bodies that do not tell their length
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=serving.trusted_proxies, x_proto=serving.trusted_proxies)  # type: ignore[method-assign]  # Flask's documented way
    app.before_request(_refuse_overload)
    app.before_request(_refuse_large)
    if serving.rate_limit:
        _limit_rate(app, serving)

    @app.after_request
    def count(response: Response) -> Response:
        if reason := g.pop("refused", None) or _REASONS.get(HTTPStatus(response.status_code)):
            metrics.refused.labels(reason).inc()
        return response


def _limit_rate(app: Flask, serving: Serving) -> None:
    """At most so many requests per client, all routes together.

    Counted in memory, each worker allows that many by itself. Counted in Redis, all replicas share the count; while
    Redis does not answer, each worker counts by itself again.
    """
    limiter = Limiter(
        get_remote_address,
        app=app,
        application_limits=[serving.rate_limit],
        storage_uri=serving.rate_limit_storage,
        storage_options=_PATIENCE if serving.rate_limit_storage.startswith("redis") else {},
        strategy="sliding-window-counter",
        in_memory_fallback_enabled=True,
        # Its headers differ from client to client, which has no place in an answer that a cache may keep.
        headers_enabled=False,
    )
    limiter.request_filter(_spared)

    @app.after_request
    def say_when(response: Response) -> Response:
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and (limit := limiter.current_limit):
            response.headers["Retry-After"] = str(max(1, math.ceil(limit.reset_at - time.time())))
        return response


def _spared() -> bool:
    return request.url_rule is not None and request.url_rule.rule in UNCOUNTED_ROUTES


def _refuse_overload() -> None:
    if refused.get() and not _spared():
        g.refused = "overload"
        raise ServiceUnavailable(
            "this pod has more requests waiting than it can answer in time: come again",
            retry_after=RETRY_AFTER_SECONDS,
        )


def _refuse_large() -> None:
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    if request.content_length is not None and request.content_length > limit:
        abort(413, f"the body has {request.content_length} bytes, more than the {limit} that are read")
