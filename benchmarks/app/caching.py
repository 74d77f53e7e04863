"""The application's cache: how much faster, how often it hits with several replicas, what a herd costs."""

from collections.abc import Callable, Sequence
from statistics import median

from redis import Redis

from benchmarks.app.plan import Plan
from benchmarks.app.results import Comparison, Curve, Results
from benchmarks.app.servers import BALANCER, Lab, Server, cached_by
from benchmarks.app.wrk import Measured, wrk

REPLICAS = (1, 4, 10)
# Of the catalogue's 20,000, as in a shop some pages are asked for often and most never.
PAGES = 300
HERD = 50


def view_cache(lab: Lab, plan: Plan) -> Results:
    """The costly view without a cache and with each backend, on two workers."""
    with lab.redis() as url:
        uncached = _costly(lab, plan, cached_by("None"))
        memory = _costly(lab, plan, cached_by("Memory"))
        shared = _costly(lab, plan, cached_by("Redis", url))
    comparisons = []
    for name, cached in (("Memory", memory), ("Redis", shared)):
        labels = ("no cache", name)
        comparisons += [
            Comparison("cache", f"costly view, {name}", "requests/s", uncached.rate, cached.rate, labels),
            Comparison("cache", f"costly view, {name}", "ms p99", uncached.p99_ms, cached.p99_ms, labels, False),
        ]
    return Results(comparisons)


def hit_ratio(lab: Lab, plan: Plan) -> Results:
    """The share of pages that come from the cache, by replicas: the same requests each time."""
    comparisons = []
    with lab.redis() as url:
        for count in REPLICAS:
            memory = _hits(lab, plan, count, cached_by("Memory"))
            with Redis.from_url(url) as raw:
                raw.flushall()
            shared = _hits(lab, plan, count, cached_by("Redis", url))
            comparisons.append(
                Comparison("hits", f"hit ratio, {_replicas(count)}", "%", memory, shared, ("Memory", "Redis"))
            )
    points = [(float(count), each) for count, each in zip(REPLICAS, comparisons, strict=True)]
    memory_curve = tuple((count, each.without) for count, each in points)
    redis_curve = tuple((count, each.with_it) for count, each in points)
    return Results(comparisons, [Curve("hits", "Memory", memory_curve), Curve("hits", "Redis", redis_curve)])


def stampede(lab: Lab, plan: Plan) -> Results:
    """What is computed when a page that many want has expired, on two replicas with one cache."""
    off, on = (_herd(lab, plan, single_flight) for single_flight in ("0", "1"))
    units = ("computations per expiry", "database queries per expiry")
    return Results(
        [
            Comparison("stampede", "single flight", unit, without, with_it, ("off", "on"), False)
            for unit, without, with_it in zip(units, off, on, strict=True)
        ]
    )


def _costly(lab: Lab, plan: Plan, environment: dict[str, str]) -> Measured:
    with lab.app(environment | {"WEB_CONCURRENCY": "2"}) as app:
        app.ask("/cached")
        return wrk(app.url("/cached"), plan.seconds)


def _hits(lab: Lab, plan: Plan, replicas: int, environment: dict[str, str]) -> float:
    """In percent."""
    with lab.apps(replicas, environment | {"WEB_CONCURRENCY": "1"}) as apps, lab.nginx(BALANCER, apps) as balancer:
        wrk(balancer.url(), plan.patience, connections=8, answers=plan.page_requests, pages=PAGES)
        hits, asked = (_total(apps, "cache_requests_total", cache="catalogue.product", **kind) for kind in _KINDS)
    return 100 * hits / asked


_KINDS: tuple[dict[str, str], ...] = ({"result": "hit"}, {})


def _herd(lab: Lab, plan: Plan, single_flight: str) -> tuple[float, float]:
    """Computations of the costly view and queries of a long list, each per expiry."""
    with lab.redis() as url, Redis.from_url(url) as raw:
        environment = cached_by("Redis", url, WEB_CONCURRENCY="2", CACHE_SINGLE_FLIGHT=single_flight)
        with lab.apps(2, environment) as apps, lab.nginx(BALANCER, apps) as balancer:

            def per_expiry(path: str, metric: str, **labels: str) -> float:
                costs = (
                    _expiry(balancer, raw, path, lambda: _total(apps, metric, **labels)) for _ in range(plan.expiries)
                )
                return median(costs)

            computations = per_expiry("/cached", "cache_requests_total", cache="site.cached", result="miss")
            queries = per_expiry("/products?limit=100", "db_queries_total", route="/products")
    return computations, queries


def _expiry(balancer: Server, raw: Redis, path: str, cost: Callable[[], float]) -> float:
    """What it costs that everything has expired when the herd comes."""
    raw.flushall()
    before = cost()
    wrk(balancer.url(path), 2, connections=HERD)
    return cost() - before


def _total(apps: Sequence[Server], name: str, **labels: str) -> float:
    return sum(app.metric(name, **labels) for app in apps)


def _replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"
