"""Every metric of the application: names, labels, buckets, and how they are shown to Prometheus.

Label values must be few: a route is told by its template, a method nobody defined as OTHER.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from sample_app import multiprocess

# From a cached answer to a client's usual patience; 0.1, 0.25, 0.5 and 1 are there because objectives are set there.
LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "unmatched"


class Metrics:
    """The metrics of one application, right for one process and for several that share a folder."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.requests = Counter(
            "http_requests_total", "HTTP requests answered.", ["method", "route", "code"], registry=registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time from the arrival of a request, its wait for a free thread included, to its answer.",
            ["method", "route"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        # livesum: the share of a worker that died is forgotten with it.
        self.in_progress = Gauge(
            "http_requests_in_progress",
            "HTTP requests being handled now.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def declare(self, route: str) -> None:
        """Show a route's series as zero before its first request, so that `rate()` misses none of them."""
        self.requests.labels("GET", route, "200")
        self.duration.labels("GET", route)

    def observe(self, method: str, route: str | None, code: int, seconds: float) -> None:
        """Count one answered request. `route` is the template that matched, None for none."""
        known_method = method if method in METHODS else "OTHER"
        self.requests.labels(known_method, route or NO_ROUTE, str(code)).inc()
        self.duration.labels(known_method, route or NO_ROUTE).observe(seconds)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics of all workers in the format that `accept` asks for, and its content type."""
        registry = self._registry
        if multiprocess.active():
            registry = CollectorRegistry()  # anew for each scrape, as it is the files that hold the values
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # unannotated upstream
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type
