"""The profiler's pages, for an operator of the app who has the token."""

import hmac
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from sample_app.icicle import Graph, rows, svg
from sample_app.observe import UNCOUNTED_ROUTES
from sample_app.profiles import Store, Taken
from sample_app.profiling import MAX_EVERY, MAX_SECONDS, ROUTE, Order, Profiler, Switch
from sample_app.query import number
from sample_app.serving import Serving

pages = Blueprint("profiles", __name__, url_prefix="/debug/profile")
DEFAULT_EVERY = 10
DEFAULT_SECONDS = 60


def init_app(app: Flask, serving: Serving) -> None:
    """Put the profiler around `app`, switched off, when there is a token; without one there is no such route."""
    if not serving.profile_token:
        return
    switch, store = Switch(serving.profile_folder), Store(serving.profile_folder)
    app.extensions["profiler"] = (switch, store, serving.profile_token)
    app.wsgi_app = Profiler(app.wsgi_app, switch, store)  # type: ignore[method-assign]  # Flask's documented way
    app.before_request(_tell_route)
    app.register_blueprint(pages)


def _tell_route() -> None:
    rule = request.url_rule.rule if request.url_rule else ""
    if rule and rule not in UNCOUNTED_ROUTES and not rule.startswith("/debug/"):
        request.environ[ROUTE] = rule


@pages.before_request
def _authorise() -> None:
    _switch, _store, token = current_app.extensions["profiler"]
    authorization = request.authorization
    given = ""
    if authorization:
        given = authorization.password or authorization.token or ""
    if not hmac.compare_digest(given.encode(), token.encode()):
        told = {"WWW-Authenticate": 'Basic realm="profiler: any name, the token as password"'}
        abort(Response("the profiler wants its token\n", 401, told))
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host:  # another site's page, with the browser's password
        abort(403)


@pages.get("/")
def overview() -> Response:
    """Whether it is on, and what has been taken; JSON for programs."""
    order, taken = _switch().order(), _store().all()
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        routes = sorted({one.route for one in taken})
        return Response(render_template("profiles.html", order=order, taken=taken, routes=routes))
    return jsonify(order=_told(order), profiles=[_listed(one) for one in taken])


@pages.post("/on")
def turn_on() -> AnyResponse:
    """Profile one request in `every` for `seconds`, in all workers of this pod."""
    every = number("every", DEFAULT_EVERY, 1, MAX_EVERY, "requests")
    seconds = number("seconds", DEFAULT_SECONDS, 1, MAX_SECONDS, "seconds")
    return _done(_switch().turn_on(every, seconds))


@pages.post("/off")
def turn_off() -> AnyResponse:
    """Take no more profiles."""
    _switch().turn_off()
    return _done(None)


@pages.post("/clear")
def clear() -> AnyResponse:
    """Drop all profiles."""
    _store().clear()
    return _done(_switch().order())


@pages.get("/route")
def of_route() -> Response:
    """All profiles of `route` added up."""
    route = request.args.get("route", "")
    taken = [one for one in _store().all() if one.route == route]
    seconds = sum(one.seconds for one in taken)
    return _page([one.name for one in taken], f"{len(taken)} requests to {route}, {seconds * 1000:.1f} ms")


@pages.get("/<name>")
def one(name: str) -> Response:
    """One profile as a table and a picture."""
    taken = next((each for each in _store().all() if each.name == name), None)
    return _page([name], f"{taken.route}, {taken.seconds * 1000:.1f} ms, worker {taken.worker}" if taken else name)


@pages.get("/<name>.pstats")
def download(name: str) -> Response:
    """One profile for pstats, snakeviz and the like."""
    content = _store().content(name)
    if content is None:
        abort(404, "no such profile: it may have been dropped for its age or for newer ones")
    return Response(content, mimetype="application/octet-stream")


def _page(names: list[str], title: str) -> Response:
    stats = _store().stats(names)
    if stats is None:
        abort(404, "no such profile: it may have been dropped for its age or for newer ones")
    graph = Graph(stats)
    table = rows(graph, by_total=request.args.get("sort") == "total")
    picture = Markup(svg(graph, title))  # noqa: S704 - svg() escapes what it is given
    return Response(render_template("profile.html", title=title, table=table, picture=picture, graph=graph))


def _done(order: Order | None) -> AnyResponse:
    """Back to the page for a browser, the state for a program."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return redirect(url_for("profiles.overview"), code=303)
    return jsonify(order=_told(order))


def _told(order: Order | None) -> dict[str, float] | None:
    return {"every": order.every, "until": order.until} if order else None


def _listed(taken: Taken) -> dict[str, str | float]:
    return {
        "name": taken.name,
        "route": taken.route,
        "at": taken.at,
        "seconds": taken.seconds,
        "worker": taken.worker,
        "page": url_for("profiles.one", name=taken.name),
    }


def _switch() -> Switch:
    switch: Switch = current_app.extensions["profiler"][0]
    return switch


def _store() -> Store:
    store: Store = current_app.extensions["profiler"][1]
    return store
