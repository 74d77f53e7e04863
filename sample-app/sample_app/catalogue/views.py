"""The catalogue's pages: HTML for people, JSON for programs, kept in the cache.

With `plan=before` or `plan=after` an answer is computed anew, by the slow queries or by the good ones, to be compared.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

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

_ARGUMENTS = ("category", "q", "after", "limit")
_LONGEST_KEY = 200

catalogue = Blueprint("catalogue", __name__, url_prefix="/products")


def init_app(app: Flask, registry: CollectorRegistry, settings: Settings) -> None:
    """Add the pages, and fill a PostgreSQL database that is empty."""
    database = Database(settings.storing.database_url, settings.threads)
    metrics = accounting.DatabaseMetrics(registry)
    accounting.init_app(app, database.engine, metrics, tell=settings.serving.demo)
    app.extensions[_EXTENSION] = database
    app.register_blueprint(catalogue)
    if database.dialect != "sqlite":
        database.prepare()


def _key(*_: Any, **__: Any) -> str:
    """The path, what of the query string counts, and the form of the answer: junk in the query makes no new entry.

    Two queries never share a key: what stands in a value is quoted, and what is long is hashed, not cut.
    """
    wanted = urlencode([(name, request.args[name]) for name in _ARGUMENTS if name in request.args])
    if len(wanted) > _LONGEST_KEY:
        wanted = sha256(wanted.encode()).hexdigest()
    return f"{request.path}?{wanted}#{'html' if _wants_html() else 'json'}"


def _page(view: Callable[..., Response]) -> Callable[..., Response]:
    """Keep what `view` answers, here and in shared caches; unless it is asked for to be measured."""
    kept = shared(cache.cached(make_cache_key=_key, response_filter=cacheable)(view))

    @wraps(kept)
    def answer(*args: Any, **kwargs: Any) -> Response:
        return view(*args, **kwargs) if "plan" in request.args else kept(*args, **kwargs)

    return answer


@catalogue.get("")
@_page
def products() -> Response:
    """A page of the list, of one category if asked."""
    slug, after, limit, naive = _slug(), _after(), _limit(), _naive()
    with _session() as session:
        category = queries.category_id(session, slug) if slug else None
        if slug and category is None:
            abort(404, f"there is no category {slug!r}")
        page = queries.page(session, category, after, limit, naive=naive)
    return _answer("list.html", _listed(page, category=slug, limit=limit), categories=_categories(), category=slug)


@catalogue.get("/search")
@_page
def search() -> Response:
    """A page of the products whose names have words that begin as those of `q`."""
    words, after, limit, naive = _words(), _after(), _limit(), _naive()
    page = queries.Page([], None)
    if words:
        with _session() as session:
            page = queries.search(session, words, after, limit, naive=naive)
    return _answer(
        "list.html", _listed(page, q=" ".join(words), limit=limit), categories=_categories(), q=" ".join(words)
    )


@catalogue.get("/<int:product_id>")
@_page
def product(product_id: int) -> Response:
    """One product, with its reviews and what is related to it."""
    naive = _naive()
    found = None
    if product_id <= _HIGHEST_ID:
        with _session() as session:
            found = queries.detail(session, product_id, naive=naive)
    if found is None:
        abort(404, "there is no such product")
    return _answer("product.html", found)


@catalogue.get("/plans")
@_page
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
    following = None
    if page.next_after is not None and request.endpoint:
        shown = {name: value for name, value in query.items() if value}
        following = url_for(request.endpoint, after=page.next_after, **shown)
    return {"products": page.products, "next": following}


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


def _words() -> list[str]:
    """The first words of `q` in small letters; what is no letter or digit parts them."""
    return _WORD.findall(request.args.get("q", "")[:200].lower())[: queries.MAX_WORDS]
