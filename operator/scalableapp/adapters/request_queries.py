"""The queries of a request source: rate, failures and durations of each pod or app, one query each for all apps."""

from functools import partial
from typing import NamedTuple

from scalableapp.adapters.prometheus_queries import (
    FAILURES,
    KINDS,
    LATENCIES,
    Grouped,
    Owner,
    largest_copy,
    selector,
)
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.request_source import NAMESPACE, POD, RequestSource, quoted
from scalableapp.core.learning.scrapes import LEAST_WINDOW_SECONDS


class RequestQueries(NamedTuple):
    """What is asked of a source; None for what it does not have."""

    rate: Grouped = KINDS[MetricType.REQUESTS_PER_SECOND]
    failures: Grouped | None = FAILURES
    latencies: Grouped | None = LATENCIES


def queries_of(source: RequestSource) -> RequestQueries:
    """The queries of a source. Texts of it are in them as checked names and quoted strings only."""
    owner, where = owner_of(source), f"{source.where}," if source.where else ""
    rate = Grouped(
        source.requests,
        where,
        partial(_rate, source.requests, owner),
        LEAST_WINDOW_SECONDS,
        owner=owner,
        of_requests=True,
    )
    failures = rate._replace(build=partial(_failures, source, owner), window=FAILURES.window) if source.failed else None
    return RequestQueries(rate, failures, _latencies_of(source, owner, where))


def owner_of(source: RequestSource) -> Owner:
    """The labels that tell whose series the source's are."""
    labels = source.labels
    pod = labels.app or labels.pod
    return Owner(labels.namespace, pod, relayed=(labels.namespace, pod) != (NAMESPACE, POD))


def _latencies_of(source: RequestSource, owner: Owner, where: str) -> Grouped | None:
    duration = source.duration
    if duration is None:
        return None
    metric, more = f"{duration.metric}_bucket", f"{duration.where}," if duration.where else ""
    return LATENCIES._replace(
        metric=metric,
        matchers=f"{where}{more}",
        build=partial(_histogram, metric, owner),
        owner=owner,
        in_a_second=duration.unit.in_a_second,
    )


def _rate(metric: str, owner: Owner, matchers: str, window: float) -> str:
    """Requests per second."""
    return largest_copy(owner.named(f"rate({selector(metric, matchers)}[{window:.0f}s])", "sum"))


def _failures(source: RequestSource, owner: Owner, matchers: str, window: float) -> str:
    """Failed requests per second."""
    if source.failed is None:
        return "vector(0) < 0"
    values = quoted(source.failed.values)
    rates = (
        f"rate({selector(source.requests, f'{label}=~{values},{matchers}')}[{window:.0f}s])"
        for label in source.failed.label.split("|")
    )
    return largest_copy(owner.named(" or ".join(rates), "sum"))


def _histogram(metric: str, owner: Owner, matchers: str, window: float) -> str:
    """Requests per second up to each bound."""
    return largest_copy(owner.named(f"rate({selector(metric, matchers)}[{window:.0f}s])", "sum", "le"), "le")
