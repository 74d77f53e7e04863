"""The pages and the calls of the application."""

import re
import time
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, request

from sample_app import __version__, cpu
from sample_app.caching import cache, cacheable
from sample_app.identity import served_by

MAX_WORK_MS = 5000
DEFAULT_WORK_MS = 50
# Some 0.1 s of a 2020s server core: enough to be seen on a graph, short enough to wait for.
COLLATZ_LIMIT = 12_000

site = Blueprint("site", __name__)


@site.get("/")
def index() -> Response:
    """Who served this: a page for people, JSON for programs."""
    facts = {"app": "sample-app", "version": __version__, **served_by()}
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        response = Response(render_template("index.html", **facts), mimetype="text/html")
    else:
        response = jsonify(facts)
    response.vary.add("Accept")
    return response


@site.get("/cached")
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


@site.get("/work")
def work() -> Response:
    """Use `ms` milliseconds of CPU time; never cached."""
    wanted = _work_ms(request.args.get("ms", str(DEFAULT_WORK_MS)))
    began = time.perf_counter()
    used = cpu.burn(wanted / 1000)
    response = jsonify(
        requested_ms=wanted,
        cpu_ms=_milliseconds(used),
        wall_ms=_milliseconds(time.perf_counter() - began),
        **served_by(),
    )
    response.cache_control.no_store = True
    return response


@site.get("/healthz")
def healthz() -> dict[str, Any]:
    """Whether this process can answer at all; it asks nobody else, as a restart would mend nothing there."""
    return {"status": "ok"}


@site.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Whether to send requests here: not any more once the pod is on its way out."""
    if current_app.config["DRAINING"]():
        return {"status": "draining"}, 503
    return {"status": "ready"}, 200


@site.get("/metrics")
def metrics() -> Response:
    """The metrics of all workers of this pod, for Prometheus."""
    body, content_type = current_app.extensions["metrics"].exposition(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)


def _work_ms(text: str) -> int:
    # At most nine digits: int() would refuse thousands of them by an exception of its own.
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > MAX_WORK_MS:
        abort(400, f"ms={text[:40]!r} is not a whole number of milliseconds from 0 to {MAX_WORK_MS}")
    return int(text)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
