"""Every metric of the application: names, labels, buckets, and how they are shown to Prometheus.

Label values must be few: a route is told by its template, a method nobody defined as OTHER.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from sample_app import multiprocess, worker_files

# From a cached answer to a client's usual patience; 0.1, 0.25, 0.5 and 1 are there because objectives are set there.
LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "unmatched"


class Metrics:
    """The metrics of one application, right for one process and for several that share a folder."""

    def __init__(self, registry: CollectorRegistry, container: Collector | None = None) -> None:
        """`container`: further metrics that are the same whichever worker is asked, such as the cgroup's."""
        self._registry = registry
        self._container = container
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
        self.workers = self._live("worker_processes", "Worker processes that serve.")
        self.threads = self._live("worker_threads", "Threads that answer requests, of all workers.")
        self.threads_busy = self._live("worker_threads_busy", "Threads that answer a request now.")
        self.queue = self._live("worker_queue_length", "Requests that wait for a free thread.")
        self.restarts = Counter(
            "worker_restarts_total", "Workers replaced because they died or hung.", registry=registry
        )
        self.refused = Counter(
            "http_requests_refused_total", "Requests answered without work being done.", ["reason"], registry=registry
        )
        for reason in ("overload", "rate", "size"):
            self.refused.labels(reason)

    def _live(self, name: str, text: str) -> Gauge:
        """A gauge that is the sum over the workers that live."""
        return Gauge(name, text, registry=self._registry, multiprocess_mode="livesum")

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
        registry = CollectorRegistry()  # anew for each scrape, as it is the files that hold the values
        encode, content_type = choose_encoder(accept)
        if self._container:
            registry.register(self._container)
        if not multiprocess.active():
            registry.register(self._registry)
            return encode(registry), content_type
        with worker_files.reading():
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # unannotated upstream
            return encode(registry), content_type
