"""The metrics of the cache. Label values are few: endpoints of cached views and names of memoised functions."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RESULTS = ("hit", "stale", "miss", "error")
# From a look into this process's memory to a Redis that does not answer in time, and to a wait for another's answer.
LOOKUP_BUCKETS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0)


class CacheMetrics:
    """What a cache did for the application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lookups = Counter(
            "cache_requests_total",
            "Look-ups in a cache. stale: answered with the old value while another request makes the new one.",
            ["cache", "result"],
            registry=registry,
        )
        self.duration = Histogram(
            "cache_lookup_duration_seconds",
            "Time of a look-up, the wait for another request's answer included.",
            ["cache"],
            buckets=LOOKUP_BUCKETS_SECONDS,
            registry=registry,
        )
        self.errors = Counter(
            "cache_errors_total", "Calls to the cache that failed or came too late.", ["operation"], registry=registry
        )
        self.broken = Gauge(
            "cache_circuit_open",
            "Worker processes that let go of the cache for now, because it does not answer.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def declare(self, name: str) -> None:
        """Show a cache's series as zero before its first look-up."""
        for result in RESULTS:
            self.lookups.labels(name, result)
        self.duration.labels(name)
