"""Routes for the cluster's own use: they do not exist for whoever comes through a proxy."""

from flask import Flask, abort, request

# Every ingress controller and load balancer that speaks HTTP sets one of these; Prometheus and kubectl port-forward,
# which talk to the pod itself, set none. (The API server's proxy does: it is a way in from outside, too.)
_MARKS_OF_PROXIES = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP")
_PREFIXES = ("/metrics", "/debug/")


def init_app(app: Flask) -> None:
    """Answer 404 for these routes when a request has come through a proxy."""
    app.before_request(_hide)


def _hide() -> None:
    if request.path.startswith(_PREFIXES) and any(name in request.headers for name in _MARKS_OF_PROXIES):
        abort(404)
