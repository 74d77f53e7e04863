"""The application factory: what is put together, in which order."""

import os
from collections.abc import Callable

from flask import Flask, Response, g, jsonify
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import HTTPException

from sample_app import (
    assets,
    caching,
    cgroup,
    demo,
    drain,
    httpcache,
    inside,
    limits,
    observe,
    profile_views,
    security_headers,
    views,
)
from sample_app.catalogue import views as catalogue
from sample_app.container import CgroupCollector
from sample_app.metrics import Metrics
from sample_app.settings import Settings


def create_app(settings: Settings | None = None, draining: Callable[[], bool] = drain.draining) -> Flask:
    """The application, ready to serve.

    Args:
        settings: from the environment when None.
        draining: asked by /readyz.

    Raises:
        SettingsError: the environment holds a value that cannot be used.
    """
    settings = settings or Settings.from_env(os.environ)
    registry = CollectorRegistry()
    metrics = Metrics(registry, CgroupCollector(cgroup.container(settings.serving.cgroup_folder)))
    app = Flask(__name__, static_folder=None)
    app.config["DRAINING"] = draining
    app.config["POD"] = settings.pod
    app.config["SERVING"] = settings.serving
    app.register_blueprint(views.site)
    if settings.serving.demo:
        app.register_blueprint(demo.faults)
    app.register_error_handler(HTTPException, _explain)
    profile_views.init_app(app, settings.serving)
    catalogue.init_app(app, registry, settings)
    # after_request runs the last registered first: the cache's header is there before the answer is observed.
    observe.init_app(app, metrics)
    inside.init_app(app)
    limits.init_app(app, metrics, settings.serving)
    httpcache.init_app(app, settings.cache_timeout_seconds)
    security_headers.init_app(app)
    assets.init_app(app, settings.serving.static_folder)
    caching.init_app(app, registry, settings)
    return app


def _explain(error: HTTPException) -> Response:
    """Errors as JSON, with the headers that belong to them (Allow, Retry-After, ...)."""
    response = jsonify(
        error={"status": error.code, "name": error.name, "message": error.description},
        request_id=g.get("request_id"),
    )
    original = error.get_response()
    response.status_code = original.status_code
    for name, value in original.headers:
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response
