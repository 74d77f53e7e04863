"""The database: each slow query beside the one that mends it."""

from statistics import median
from typing import Any

from benchmarks.app.plan import Plan
from benchmarks.app.results import Comparison, Results
from benchmarks.app.servers import Lab, cached_by
from benchmarks.app.wrk import wrk

# Their order on the application's page of plans (catalogue/plans.py), whose first one is measured as a page here.
_SHOWN = (
    (1, "reviews of a product", ("index hidden by a cast", "index")),
    (2, "a page 18,000 rows deep", ("OFFSET", "keyset")),
    (3, "search by words", ("LIKE '%...'", "table of words")),
)
_LONG_PAGE = "/products?limit=100&plan="


def n_plus_one(lab: Lab, plan: Plan) -> Results:
    """A page of 100 products with categories and reviews, computed anew each time."""
    labels = ("N+1", "joined")
    with lab.app(cached_by("None", WEB_CONCURRENCY="2")) as app:
        queries = []
        for variant in ("before", "after"):
            start = app.metric("db_queries_total", route="/products")
            app.ask(_LONG_PAGE + variant)
            queries.append(app.metric("db_queries_total", route="/products") - start)
        slow, fast = (
            wrk(app.url(_LONG_PAGE + variant), plan.seconds, connections=8) for variant in ("before", "after")
        )
    what = "page of 100 products"
    return Results(
        [
            Comparison("queries", what, "queries per page", queries[0], queries[1], labels, False),
            Comparison("queries", what, "requests/s", slow.rate, fast.rate, labels),
            Comparison("queries", what, "ms p99", slow.p99_ms, fast.p99_ms, labels, False),
        ]
    )


def plans(lab: Lab, plan: Plan) -> Results:
    """The pairs that the application's page /products/plans shows, by the times that it tells."""
    with lab.app(cached_by("None", WEB_CONCURRENCY="2")) as app:
        samples = [app.json("/products/plans?plan=after")["comparisons"] for _ in range(plan.samples)]
    return Results(
        [
            Comparison(
                "queries", what, "ms", _time(samples, index, "before"), _time(samples, index, "after"), labels, False
            )
            for index, what, labels in _SHOWN
        ]
    )


def _time(samples: list[list[dict[str, Any]]], index: int, variant: str) -> float:
    times: list[float] = [each[index][variant]["milliseconds"] for each in samples]
    return median(times)
