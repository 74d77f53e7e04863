"""What happens around every request: an id, the metrics, the access log, and who served it."""

import logging
import re
import time
import uuid

from flask import Flask, Response, current_app, g, request

from sample_app.identity import served_by
from sample_app.metrics import Metrics
from sample_app.worker import queue_seconds

# The cluster's own requests: counted, they would look like load and keep an idle application scaled up.
UNCOUNTED_ROUTES = frozenset({"/metrics", "/healthz", "/readyz", "/readyz/disable", "/readyz/enable"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

logger = logging.getLogger("sample_app.access")


def init_app(app: Flask, metrics: Metrics) -> None:
    """Observe every request of `app`."""
    app.extensions["metrics"] = metrics
    app.before_request(_start)
    app.after_request(_finish)
    app.teardown_request(_leave)
    for rule in app.url_map.iter_rules():
        if rule.rule not in UNCOUNTED_ROUTES:
            metrics.declare(rule.rule)


def _start() -> None:
    g.started = time.perf_counter() - queue_seconds.get()
    g.request_id = _request_id(request.headers.get("X-Request-ID", ""))
    g.counted = _route() not in UNCOUNTED_ROUTES
    if g.counted:
        _metrics().in_progress.inc()


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    response.headers["X-Served-By"] = "{pod}/{worker}".format_map(served_by())
    if g.counted:
        seconds = time.perf_counter() - g.started
        _metrics().observe(request.method, _route(), response.status_code, seconds)
        _log(response, seconds)
    return response


def _leave(_error: BaseException | None) -> None:
    if g.pop("counted", False):
        _metrics().in_progress.dec()


def _metrics() -> Metrics:
    metrics: Metrics = current_app.extensions["metrics"]
    return metrics


def _route() -> str | None:
    return request.url_rule.rule if request.url_rule else None


def _request_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _log(response: Response, seconds: float) -> None:
    fields = {
        "request_id": g.request_id,
        "remote": request.remote_addr,
        "forwarded_for": request.headers.get("X-Forwarded-For"),
        "method": request.method,
        "path": request.full_path.rstrip("?"),
        "route": _route(),
        "status": response.status_code,
        "bytes": response.content_length,
        "duration_ms": round(seconds * 1000, 1),
        "queue_ms": round(queue_seconds.get() * 1000, 1),
        "user_agent": request.user_agent.string,
    }
    logger.info("request", extra={"fields": fields})
