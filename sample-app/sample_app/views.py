"""The pages and the calls of the application."""

import time
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template, request

from sample_app import __version__, cpu, demo
from sample_app.caching import cache, cacheable
from sample_app.httpcache import shared
from sample_app.identity import served_by
from sample_app.query import number

# Some 0.1 s of a 2020s server core: enough to be seen on a graph, short enough to wait for.
COLLATZ_LIMIT = 12_000
DEFAULT_SPREAD = 100
MAX_SPREAD = 1000

site = Blueprint("site", __name__)


@site.get("/")
def index() -> Response:
    """Who served this: a page for people, JSON for programs."""
    facts = {"app": "sample-app", "version": __version__, **served_by()}
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        response = Response(
            render_template("index.html", demo=current_app.config["SERVING"].demo, **facts), mimetype="text/html"
        )
    else:
        response = jsonify(facts)
    response.vary.add("Accept")
    return response


@site.get("/spread")
def spread() -> str:
    """A page that asks `n` times who answers, and shows how that spreads over pods and workers."""
    return render_template("spread.html", requests=number("n", DEFAULT_SPREAD, 1, MAX_SPREAD, "requests"))


@site.get("/cached")
@shared
@cache.cached(response_filter=cacheable)
def cached() -> Response:
    """A costly answer, computed once per life of the cache's entry; it tells who computed it, and when."""
    began = time.thread_time()
    start, steps = cpu.longest_collatz(COLLATZ_LIMIT)
    return jsonify(
        below=COLLATZ_LIMIT,
        start=start,
        steps=steps,
        cpu_ms=_milliseconds(time.thread_time() - began),
        computed_at=time.time(),
        computed_by=served_by(),
    )


@site.get("/healthz")
def healthz() -> dict[str, Any]:
    """Whether this process can answer at all; it asks nobody else, as a restart would mend nothing there."""
    return {"status": "ok"}


@site.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Whether to send requests here: not any more once the pod is on its way out."""
    if current_app.config["DRAINING"]():
        return {"status": "draining"}, 503
    if demo.disabled():
        return {"status": "disabled"}, 503
    return {"status": "ready"}, 200


@site.get("/metrics")
def metrics() -> Response:
    """The metrics of all workers of this pod, for Prometheus."""
    body, content_type = current_app.extensions["metrics"].exposition(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
