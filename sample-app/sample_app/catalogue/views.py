"""The catalogue's pages: HTML for people, JSON for programs, kept in the cache.

With DEMO=1, `plan=before` or `plan=after` has an answer computed anew, by the slow queries or by the good ones, to be
compared; otherwise a stranger could burn CPU with it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, render_template, request, url_for
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session
from werkzeug.exceptions import ServiceUnavailable

from sample_app.caching import cache, cacheable, memoized
from sample_app.catalogue import accounting, plans, queries
from sample_app.catalogue.database import RETRY_SECONDS, Database, NotReady
from sample_app.httpcache import shared
from sample_app.query import number
from sample_app.settings import Settings

MAX_LIMIT = 100
DEFAULT_LIMIT = 20
_HIGHEST_ID = 999_999_999
_EXTENSION = "sample_app.catalogue"
_SLUG = re.compile(r"[a-z]{1,40}")
_WORD = re.compile(r"[a-z0-9]{1,40}")

catalogue = Blueprint("catalogue", __name__, url_prefix="/products")
comparing = Blueprint("comparing", __name__, url_prefix="/products")


def init_app(app: Flask, registry: CollectorRegistry, settings: Settings) -> None:
    """Add the pages, and fill a PostgreSQL database that is empty."""
    database = Database(settings.storing.database_url, settings.threads)
    metrics = accounting.DatabaseMetrics(registry)
    accounting.init_app(app, database.engine, metrics, tell=settings.serving.demo)
    app.extensions[_EXTENSION] = database
    app.register_blueprint(catalogue)
    if settings.serving.demo:
        app.register_blueprint(comparing)
    if database.dialect != "sqlite":
        database.prepare()


def _page(read: Callable[[], dict[str, Any]]) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Keep what a view answers, here and in shared caches; unless it is asked for to be measured.

    read: the view's arguments, out of the query string. An answer is kept by them and by nothing else of the request,
        so that no text in one of them reads as another, and junk in the query makes no new entry.
    """

    def decorate(view: Callable[..., Response]) -> Callable[..., Response]:
        kept = shared(cache.cached(make_cache_key=_key, response_filter=cacheable)(view))

        @wraps(view)
        def answer(**path: Any) -> Response:
            wanted = path | read()
            return view(**wanted) if _is_measured() else kept(**wanted)

        return answer

    return decorate


def _key(**wanted: Any) -> str:
    """The page's own address, in which each value is quoted, and the form of the answer."""
    return f"{_address(**wanted)}#{'html' if _wants_html() else 'json'}"


def _address(**wanted: Any) -> str:
    """The path and query string of this page with other arguments; parameters that say nothing are left out."""
    in_path = request.view_args or {}
    return url_for(str(request.endpoint), **{name: it for name, it in wanted.items() if it or name in in_path})


def _listing() -> dict[str, Any]:
    return {"category": _slug(), "after": _after(), "limit": _limit()}


def _searching() -> dict[str, Any]:
    return {"q": _words(), "after": _after(), "limit": _limit()}


@catalogue.get("")
@_page(_listing)
def products(category: str, after: int, limit: int) -> Response:
    """A page of the list, of one category if asked."""
    with _session() as session:
        found = queries.category_id(session, category) if category else None
        if category and found is None:
            abort(404, f"there is no category {category!r}")
        page = queries.page(session, found, after, limit, naive=_naive())
    listed = _listed(page, category=category, limit=limit)
    return _answer("list.html", listed, categories=_categories(), category=category)


@catalogue.get("/search")
@_page(_searching)
def search(q: str, after: int, limit: int) -> Response:
    """A page of the products whose names have words that begin as those of `q`."""
    page = queries.Page([], None)
    if q:
        with _session() as session:
            page = queries.search(session, q.split(), after, limit, naive=_naive())
    return _answer("list.html", _listed(page, q=q, limit=limit), categories=_categories(), q=q)


@catalogue.get("/<int:product_id>")
@_page(dict)
def product(product_id: int) -> Response:
    """One product, with its reviews and what is related to it."""
    found = None
    if product_id <= _HIGHEST_ID:
        with _session() as session:
            found = queries.detail(session, product_id, naive=_naive())
    if found is None:
        abort(404, "there is no such product")
    return _answer("product.html", found)


@comparing.get("/plans")
@_page(dict)
def compared() -> Response:
    """Each slow query beside the good one, with the database's own plans."""
    with _session() as session:
        results = [
            {
                "name": comparison.name,
                "lesson": comparison.lesson,
                "before": plans.run(session, comparison.before),
                "after": plans.run(session, comparison.after),
            }
            for comparison in plans.COMPARISONS
        ]
    return _answer("plans.html", {"database": _database().dialect, "comparisons": results})


@memoized
def category_list() -> list[dict[str, Any]]:
    """The categories, which every list shows."""
    with _session() as session:
        return queries.categories(session)


def _categories() -> list[dict[str, Any]]:
    return category_list() if _wants_html() else []


def _database() -> Database:
    database: Database = current_app.extensions[_EXTENSION]
    return database


@contextmanager
def _session() -> Iterator[Session]:
    """Answers 503 when the database is away: an error that passes, and is not kept."""
    try:
        with _database().session() as session:
            yield session
    except NotReady as error:
        message = "the catalogue's database does not answer now"
        raise ServiceUnavailable(message, retry_after=int(RETRY_SECONDS)) from error


def _wants_html() -> bool:
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _answer(template: str, facts: dict[str, Any], **more: Any) -> Response:
    if _wants_html():
        response = Response(render_template(f"catalogue/{template}", **facts, **more), mimetype="text/html")
    else:
        response = jsonify(facts)
    response.vary.add("Accept")
    return response


def _listed(page: queries.Page, **query: Any) -> dict[str, Any]:
    """The page, and the address of the next one."""
    following = None if page.next_after is None else _address(after=page.next_after, **query)
    return {"products": page.products, "next": following}


def _is_measured() -> bool:
    """Whether the answer is to be computed anew to see what that costs."""
    if "plan" not in request.args:
        return False
    if not current_app.config["SERVING"].demo:
        abort(404)
    return True


def _naive() -> bool:
    plan = request.args.get("plan", "after")
    if plan not in ("before", "after"):
        abort(400, f"plan={plan[:40]!r} is neither before nor after")
    return plan == "before"


def _after() -> int:
    return number("after", 0, 0, _HIGHEST_ID, "a product's id")


def _limit() -> int:
    return number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT, "products")


def _slug() -> str:
    slug = request.args.get("category", "")
    if slug and not _SLUG.fullmatch(slug):
        abort(400, f"category={slug[:40]!r} is not the name of a category")
    return slug


def _words() -> str:
    """The first words of `q` in small letters, with a space between; what is no letter or digit parts them."""
    return " ".join(_WORD.findall(request.args.get("q", "")[:200].lower())[: queries.MAX_WORDS])
