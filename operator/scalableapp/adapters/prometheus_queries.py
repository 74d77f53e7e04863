"""The queries to Prometheus that bring a value for each pod, whoever scrapes it and however often.

A pod may be seen several times: by two scrape jobs, or by a pair of Prometheis behind one address. Requests are
added up within each such copy, and the largest copy counts. CPU and memory are of one container, whose series differ
by job, replica and, after a restart, id: the largest counts. Of a container that runs, neither is ever 0; a 0 is
what a broken exporter says, and no value.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.children.resources import CONTAINER
from scalableapp.core.learning.scrapes import LEAST_WINDOW_SECONDS, MINUTE_SECONDS
from scalableapp.core.quality import CPU_RATE_WINDOW_SECONDS
from scalableapp.ports import UsageMetric

# The label that tells parts of an answer from each other; the first part has none.
PART = "scalableapp_part"
NEWEST, SAMPLES, TOO_LONG = "newest", "samples", "too-long"
COUNTED_SECONDS = 300.0
# Of a copy of a series, not of what it counts.
COPY_LABELS = ("job", "prometheus", "prometheus_replica", "replica", "thanos_replica")
_POD = "namespace, pod"
_COPY = ", ".join((_POD, *COPY_LABELS))
# Labels that an exporter may fill as it likes, and how long they may be; `job` is what the scrape configuration says.
_FREE_LABELS = ("le", *COPY_LABELS[1:])
LONGEST_LABEL = 64
# What the status is called depends on the app's framework.
_STATUS_LABELS = ("code", "status", "status_code")
REQUESTS, DURATION = "http_requests_total", "http_request_duration_seconds_bucket"
# A container that restarts sets its counters back; one that does so more often in 5 minutes counts nothing.
_MOST_RESETS = 2


def _largest_copy(per_series: str, *labels: str) -> str:
    more = "".join(f", {label}" for label in labels)
    return f"max by ({_POD}{more}) (sum by ({_COPY}{more}) ({per_series}))"


def requests_query(matcher: str, window: float) -> str:
    """Requests per second of each pod."""
    return _largest_copy(f"rate({REQUESTS}{{{matcher}}}[{window:.0f}s])")


def failures_query(matcher: str, window: float = MINUTE_SECONDS) -> str:
    """Failed requests per second of each pod."""
    rates = (f'rate({REQUESTS}{{{label}=~"5..",{matcher}}}[{window:.0f}s])' for label in _STATUS_LABELS)
    return _largest_copy(" or ".join(rates))


def latencies_query(matcher: str, window: float = MINUTE_SECONDS) -> str:
    """The histogram of each pod."""
    return _largest_copy(f"rate({DURATION}{{{matcher}}}[{window:.0f}s])", "le")


def cores_query(matcher: str, window: float) -> str:
    """Cores that the container used in each pod. Old kubelets tell of each processor on its own."""
    rates = f"rate(container_cpu_usage_seconds_total{{{matcher}}}[{window:.0f}s])"
    return f"sum by ({_POD}) (max by ({_POD}, cpu) ({rates})) > 0"


def memory_query(matcher: str, _window: float = 0.0) -> str:
    """Bytes of the container's working set in each pod."""
    return f"max by ({_POD}) (container_memory_working_set_bytes{{{matcher}}}) > 0"


def memory_peak_query(matcher: str, window: float) -> str:
    """The most bytes of the container's working set in each pod."""
    return f"max by ({_POD}) (max_over_time(container_memory_working_set_bytes{{{matcher}}}[{window:.0f}s])) > 0"


_CONTAINER = f"{_POD}, container"


def _named(per_container: str) -> str:
    """Of each container, by POD/CONTAINER in the place of its pod's name."""
    return f'label_join({per_container}, "pod", "/", "pod", "container")'


def container_cores_query(matcher: str, window: float) -> str:
    """Cores that each container used. An idle one has 0, which counts in the sum of its pod."""
    rates = f"rate(container_cpu_usage_seconds_total{{{matcher}}}[{window:.0f}s])"
    return _named(f"sum by ({_CONTAINER}) (max by ({_CONTAINER}, cpu) ({rates}))")


def container_memory_query(matcher: str, _window: float = 0.0) -> str:
    """Bytes of each container's working set."""
    return _named(f"max by ({_CONTAINER}) (container_memory_working_set_bytes{{{matcher}}})")


def _throttled_query(matcher: str, window: float) -> str:
    """Share of periods. A pod that was not throttled for a minute has no periods, or 0 of 0."""
    throttled, periods = (
        f"rate(container_cpu_cfs_{what}periods_total{{{matcher}}}[{window:.0f}s])" for what in ("throttled_", "")
    )
    return f"max by ({_POD}) ({throttled} / ({periods} > 0))"


def _pressure_query(matcher: str, window: float) -> str:
    return f"max by ({_POD}) (rate(container_pressure_cpu_waiting_seconds_total{{{matcher}}}[{window:.0f}s]))"


def _named_copy(per_series: str) -> str:
    return f"max by ({_COPY}) ({_named(per_series)})"


class Grouped(NamedTuple):
    """What is asked of each pod: the metric behind it, further matchers, the query, and its least window in seconds."""

    metric: str
    matchers: str
    build: Callable[[str, float], str]
    window: float = MINUTE_SECONDS
    of_rate: bool = True
    of_newest: str = ""
    of_container: bool = False

    def query(self, matcher: str, window: float = 0.0) -> str:
        """A value for each pod."""
        return self.build(f"{self.matchers}{matcher}", window or self.window)

    def newest(self, matcher: str) -> str:
        """When the newest sample of each copy of each pod's series was taken."""
        newest = f"timestamp({self.series(matcher)})"
        return _named_copy(newest) if self.of_container else f"max by ({_COPY}) ({newest})"

    def series(self, matcher: str) -> str:
        """Series that tell of the scrapes."""
        return f"{self.metric}{{{self.of_newest}{self.matchers}{matcher}}}"


_OF_THE_APP = f'container="{CONTAINER}",'
KINDS = {
    MetricType.REQUESTS_PER_SECOND: Grouped(REQUESTS, "", requests_query, LEAST_WINDOW_SECONDS),
    MetricType.CPU: Grouped("container_cpu_usage_seconds_total", _OF_THE_APP, cores_query, CPU_RATE_WINDOW_SECONDS),
    MetricType.MEMORY: Grouped("container_memory_working_set_bytes", _OF_THE_APP, memory_query, of_rate=False),
}
# Not the pod's sandbox, nor its sum.
_ANY_CONTAINER = 'container!="",container!="POD",'
CONTAINERS = {
    MetricType.CPU: Grouped(
        "container_cpu_usage_seconds_total",
        _ANY_CONTAINER,
        container_cores_query,
        CPU_RATE_WINDOW_SECONDS,
        of_container=True,
    ),
    MetricType.MEMORY: Grouped(
        "container_memory_working_set_bytes", _ANY_CONTAINER, container_memory_query, of_rate=False, of_container=True
    ),
}
FAILURES = Grouped(REQUESTS, "", failures_query)
LATENCIES = Grouped(DURATION, "", latencies_query, of_newest='le="+Inf",')
USAGE = {
    UsageMetric.MEMORY_PEAK: Grouped(
        "container_memory_working_set_bytes", _OF_THE_APP, memory_peak_query, of_rate=False
    ),
    UsageMetric.THROTTLED: Grouped("container_cpu_cfs_throttled_periods_total", _OF_THE_APP, _throttled_query),
    UsageMetric.CPU_PRESSURE: Grouped("container_pressure_cpu_waiting_seconds_total", _OF_THE_APP, _pressure_query),
}


def part(name: str, query: str) -> str:
    """A query whose series carry the name of a part of an answer."""
    return f'label_replace({query}, "{PART}", "{name}", "", "")'


def window_part(window: float) -> str:
    """The name of the part that holds the values over a window."""
    return f"{window:.0f}s"


def grouped_query(grouped: Grouped, matcher: str, windows: Iterable[float], *, with_newest: bool) -> str:
    """One query for the values over the least window, those over others, and when the newest samples were taken."""
    further = [
        part(window_part(window), grouped.query(matcher, window))
        for window in sorted(windows)
        if window != grouped.window
    ]
    newest = [part(NEWEST, grouped.newest(matcher))] if with_newest else []
    return " or ".join([grouped.query(matcher), *further, *newest])


class Flaw(NamedTuple):
    """What makes the series of a pod useless: the part of the answer that names the pods, its query, and words."""

    name: str
    query: str
    message: str


def inspection_query(grouped: Grouped, matcher: str, flaws: Iterable[Flaw]) -> str:
    """What is looked at now and then: how many samples five minutes hold, of series that are older, and flaws."""
    counted = _counted(grouped, matcher)
    samples = _named_copy(counted) if grouped.of_container else f"max by ({_COPY}) ({counted})"
    newest = part(NEWEST, grouped.newest(matcher))
    return " or ".join([part(SAMPLES, samples), newest, *(part(flaw.name, flaw.query) for flaw in flaws)])


def sizes_query(metric: str, matcher: str) -> str:
    """How many series of each namespace an answer on the metric may hold, and which namespaces have too long labels."""
    sizes = f"count by (namespace) (count by ({_COPY}, le) ({metric}{{{matcher}}}))"
    long = " or ".join(f'{metric}{{{label}=~".{{{LONGEST_LABEL + 1},}}",{matcher}}}' for label in _FREE_LABELS)
    return f"{sizes} or {part(TOO_LONG, f'count by (namespace) ({long})')}"


def fewest_samples_query(grouped: Grouped, matcher: str) -> str:
    """Samples in five minutes of the pod that has the fewest."""
    return f"min(max by ({_POD}) ({_counted(grouped, matcher)}))"


def _counted(grouped: Grouped, matcher: str) -> str:
    """Samples in five minutes, of series that are older."""
    series, window = grouped.series(matcher), f"{COUNTED_SECONDS:.0f}s"
    return f"count_over_time({series}[{window}]) and {series} offset {window}"


def flaws_of(grouped: Grouped, matcher: str) -> tuple[Flaw, ...]:
    """The flaws that the series of a kind can have: copies that no label known here tells apart, counters set back."""
    series = _named(grouped.series(matcher)) if grouped.of_container else grouped.series(matcher)
    clusters = Flaw(
        "clusters",
        f"count by ({_POD}) (count by ({_POD}, cluster) ({series})) > 1",
        "Prometheus has series of several clusters (label cluster), each with a pod of this name",
    )
    if grouped.metric not in (REQUESTS, DURATION):
        return (clusters,)
    in_a_copy = f"count by ({_COPY}) (count by ({_COPY}, instance) ({series}))"
    of_a_target = f'count by ({_COPY}, instance) (up{{pod!="",{matcher}}})'
    return (
        clusters,
        Flaw(
            "instances",
            f"max by ({_POD}) ({in_a_copy}) > 1",
            "one scrape job reads several addresses of the pod (label instance)",
        ),
        Flaw(
            "targets",
            f"max by ({_POD}) ({of_a_target}) > 1",
            "the pod's target exists more than once, as if two Prometheus replicas wrote to one store without a known "
            f"replica label ({', '.join(COPY_LABELS)}; state others as replica_labels)",
        ),
        Flaw(
            RESETS,
            f"max by ({_POD}) (resets({series}[{COUNTED_SECONDS:.0f}s])) > {_MOST_RESETS}",
            f"its counters were reset more than {_MOST_RESETS} times in 5 minutes, as if several processes answered in "
            "turn, or an exporter started from 0 at each scrape",
        ),
    )


RESETS = "resets"
