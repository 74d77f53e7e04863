"""The queries to Prometheus that bring a value for each pod, whoever scrapes it and however often.

A pod may be seen several times: by two scrape jobs, or by a pair of Prometheis behind one address. Requests are
added up within each such copy, and the largest copy counts. CPU and memory are of one container, whose series differ
by job, replica and, after a restart, id: the largest counts. Of a container that runs, neither is ever 0; a 0 is
what a broken exporter says, and no value.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import ANY_NAMESPACE
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


def largest_copy(per_series: str, *labels: str) -> str:
    """The largest copy of what is added up within each copy, by pod and further labels."""
    more = "".join(f", {label}" for label in labels)
    return f"max by ({_POD}{more}) (sum by ({_COPY}{more}) ({per_series}))"


def requests_query(matcher: str, window: float) -> str:
    """Requests per second of each pod."""
    return largest_copy(f"rate({REQUESTS}{{{matcher}}}[{window:.0f}s])")


def failures_query(matcher: str, window: float = MINUTE_SECONDS) -> str:
    """Failed requests per second of each pod."""
    rates = (f'rate({REQUESTS}{{{label}=~"5..",{matcher}}}[{window:.0f}s])' for label in _STATUS_LABELS)
    return largest_copy(" or ".join(rates))


def latencies_query(matcher: str, window: float = MINUTE_SECONDS) -> str:
    """The histogram of each pod."""
    return largest_copy(f"rate({DURATION}{{{matcher}}}[{window:.0f}s])", "le")


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


def _of_container(per_container: str) -> str:
    """Of each container, by POD/CONTAINER in the place of its pod's name."""
    return f'label_join({per_container}, "pod", "/", "pod", "container")'


def container_cores_query(matcher: str, window: float) -> str:
    """Cores that each container used. An idle one has 0, which counts in the sum of its pod."""
    rates = f"rate(container_cpu_usage_seconds_total{{{matcher}}}[{window:.0f}s])"
    return _of_container(f"sum by ({_CONTAINER}) (max by ({_CONTAINER}, cpu) ({rates}))")


def container_memory_query(matcher: str, _window: float = 0.0) -> str:
    """Bytes of each container's working set."""
    return _of_container(f"max by ({_CONTAINER}) (container_memory_working_set_bytes{{{matcher}}})")


def _throttled_query(matcher: str, window: float) -> str:
    """Share of periods. A pod that was not throttled for a minute has no periods, or 0 of 0."""
    throttled, periods = (
        f"rate(container_cpu_cfs_{what}periods_total{{{matcher}}}[{window:.0f}s])" for what in ("throttled_", "")
    )
    return f"max by ({_POD}) ({throttled} / ({periods} > 0))"


def _pressure_query(matcher: str, window: float) -> str:
    return f"max by ({_POD}) (rate(container_pressure_cpu_waiting_seconds_total{{{matcher}}}[{window:.0f}s]))"


def selector(metric: str, matchers: str) -> str:
    """Series of a metric, whose name may have dots where it came by OTLP."""
    return f'{{__name__="{metric}",{matchers}}}' if "." in metric else f"{metric}{{{matchers}}}"


class Owner(NamedTuple):
    """Labels that tell whose series these are: "" where no label has the namespace; of the pod or the app.

    `relayed` are series that are not of the pod's own target, but of a proxy or a collector that counts for many.
    """

    namespace: str = "namespace"
    pod: str = "pod"
    relayed: bool = False

    def named(self, vector: str, how: str, *labels: str) -> str:
        """The vector with its owners under the usual labels; put together by `how` first where others have them."""
        if (self.namespace, self.pod) == ("namespace", "pod"):
            return vector
        own = dict.fromkeys((self.namespace, self.pod, *COPY_LABELS, *labels))
        found = f"{how} by ({', '.join(filter(None, own))}) ({vector})"
        if self.namespace != "namespace":
            of = ("$1", self.namespace, "(.*)") if self.namespace else (ANY_NAMESPACE, "", "")
            found = _relabelled(found, "namespace", *of)
        return found if self.pod == "pod" else _relabelled(found, "pod", "$1", self.pod, "(.*)")


def _relabelled(vector: str, label: str, value: str, source: str, pattern: str) -> str:
    return f'label_replace({vector}, "{label}", "{value}", "{source}", "{pattern}")'


class Grouped(NamedTuple):
    """What is asked of each pod: the metric behind it, further matchers, the query, and its least window in seconds.

    `in_a_second` is how many units of a histogram's buckets are a second; `of_requests`: an exporter of the app's, or
    of a proxy, counts them, and may do so wrongly.
    """

    metric: str
    matchers: str
    build: Callable[[str, float], str]
    window: float = MINUTE_SECONDS
    of_rate: bool = True
    of_newest: str = ""
    of_container: bool = False
    owner: Owner = Owner()
    in_a_second: float = 1.0
    of_requests: bool = False

    def query(self, matcher: str, window: float = 0.0) -> str:
        """A value for each pod."""
        return self.build(f"{self.matchers}{matcher}", window or self.window)

    def newest(self, matcher: str) -> str:
        """When the newest sample of each copy of each pod's series was taken."""
        newest = self.named(f"timestamp({self.series(matcher)})", "max")
        return f"max by ({_COPY}) ({newest})"

    def named(self, vector: str, how: str, *labels: str) -> str:
        """The vector with its owners under the usual labels: see Owner.named. A container's is POD/CONTAINER."""
        return _of_container(vector) if self.of_container else self.owner.named(vector, how, *labels)

    def series(self, matcher: str) -> str:
        """Series that tell of the scrapes."""
        return selector(self.metric, f"{self.of_newest}{self.matchers}{matcher}")


_OF_THE_APP = f'container="{CONTAINER}",'
KINDS = {
    MetricType.REQUESTS_PER_SECOND: Grouped(REQUESTS, "", requests_query, LEAST_WINDOW_SECONDS, of_requests=True),
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
FAILURES = Grouped(REQUESTS, "", failures_query, of_requests=True)
LATENCIES = Grouped(DURATION, "", latencies_query, of_newest='le="+Inf",', of_requests=True)
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
    samples = f"max by ({_COPY}) ({_counted(grouped, matcher)})"
    newest = part(NEWEST, grouped.newest(matcher))
    return " or ".join([part(SAMPLES, samples), newest, *(part(flaw.name, flaw.query) for flaw in flaws)])


def sizes_query(grouped: Grouped, matcher: str) -> str:
    """How many series of each namespace an answer on the metric may hold, and which namespaces have too long labels."""
    metric, matcher, named = grouped.metric, f"{grouped.matchers}{matcher}", grouped.named
    sizes = named(selector(metric, matcher), "count", "le")
    long = " or ".join(selector(metric, f'{label}=~".{{{LONGEST_LABEL + 1},}}",{matcher}') for label in _FREE_LABELS)
    too_long = part(TOO_LONG, f"count by (namespace) ({named(long, 'count')})")
    return f"count by (namespace) (count by ({_COPY}, le) ({sizes})) or {too_long}"


def fewest_samples_query(grouped: Grouped, matcher: str) -> str:
    """Samples in five minutes of the pod that has the fewest."""
    return f"min(max by ({_POD}) ({_counted(grouped, matcher)}))"


def _counted(grouped: Grouped, matcher: str) -> str:
    """Samples in five minutes, of series that are older."""
    series, window = grouped.series(matcher), f"{COUNTED_SECONDS:.0f}s"
    return grouped.named(f"(count_over_time({series}[{window}]) and {series} offset {window})", "max")


def flaws_of(grouped: Grouped, matcher: str) -> tuple[Flaw, ...]:
    """The flaws that the series of a kind can have: copies that no label known here tells apart, counters set back."""
    series, named = grouped.series(matcher), grouped.named
    clusters = Flaw(
        "clusters",
        f"count by ({_POD}) (count by ({_POD}, cluster) ({named(series, 'count', 'cluster')})) > 1",
        "Prometheus has series of several clusters (label cluster), each with a pod of this name",
    )
    if not grouped.of_requests:
        return (clusters,)
    counted_resets = named(f"resets({series}[{COUNTED_SECONDS:.0f}s])", "max")
    resets = Flaw(
        RESETS,
        f"max by ({_POD}) ({counted_resets}) > {_MOST_RESETS}",
        f"its counters were reset more than {_MOST_RESETS} times in 5 minutes, as if several processes answered in "
        "turn, or an exporter started from 0 at each scrape",
    )
    if grouped.owner.relayed:
        return clusters, resets, _unscraped(grouped, series)
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
        resets,
    )


def _unscraped(grouped: Grouped, series: str) -> Flaw:
    """Requests are counted by several proxies; without what one of them counts they look fewer than they are."""
    down = grouped.named(f"({series} and on (job) (up == 0))", "count")
    return Flaw(
        UNSCRAPED,
        f"count by ({_POD}) ({down})",
        "a target that counts its requests cannot be scraped (up is 0), so a part of them is missing",
    )


RESETS, UNSCRAPED = "resets", "unscraped"
