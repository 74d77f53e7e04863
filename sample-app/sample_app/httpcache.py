"""What browsers and shared caches (an edge cache, a CDN) may keep, and for how long.

Nothing may be kept unless its view says so: an answer that a cache keeps by accident is hard to call back.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import ParamSpec

from flask import Flask, Response, current_app, make_response, request
from flask.typing import ResponseReturnValue

# A browser cannot be told to forget, so it keeps little; a shared cache can be invalidated.
BROWSER_SECONDS = 5
# While one request fetches a new copy, the others are still given the old one.
STALE_WHILE_REVALIDATE_SECONDS = 60
# The old copy goes on being served while the application is down.
STALE_IF_ERROR_SECONDS = 3600

View = ParamSpec("View")


def init_app(app: Flask, shared_seconds: int) -> None:
    """Finish every answer of `app`; those of `shared` views live `shared_seconds` in shared caches."""
    app.config["SHARED_SECONDS"] = shared_seconds
    app.after_request(_finish)


def shared(view: Callable[View, ResponseReturnValue]) -> Callable[View, Response]:
    """Let every cache keep what `view` answers with status 200; it must be the same for everybody."""

    @wraps(view)
    def answer(*args: View.args, **kwargs: View.kwargs) -> Response:
        response = make_response(view(*args, **kwargs))
        if response.status_code == HTTPStatus.OK:
            control = response.cache_control
            control.public = True
            control.max_age = BROWSER_SECONDS
            control.s_maxage = current_app.config["SHARED_SECONDS"]
            control.stale_while_revalidate = STALE_WHILE_REVALIDATE_SECONDS
            control.stale_if_error = STALE_IF_ERROR_SECONDS
        return response

    return answer


def _finish(response: Response) -> Response:
    if "Cache-Control" not in response.headers:
        response.cache_control.no_store = True
    if not response.cache_control.public:
        return response
    if "Set-Cookie" in response.headers:  # one visitor's cookie must not reach the next one
        response.headers["Cache-Control"] = "private, no-store"
        return response
    if request.method in ("GET", "HEAD") and response.status_code == HTTPStatus.OK:
        response.add_etag()
        response.make_conditional(request)
    return response
