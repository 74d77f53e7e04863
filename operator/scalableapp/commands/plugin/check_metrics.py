"""What Prometheus tells of itself and of the pods of apps: whether it scrapes them, how often, and what they serve."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from scalableapp.adapters.prometheus_answers import Answer, Sample
from scalableapp.adapters.prometheus_file import Source
from scalableapp.adapters.prometheus_history import DAYS
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.adapters.prometheus_queries import COUNTED_SECONDS, KINDS
from scalableapp.adapters.request_past import pods_of
from scalableapp.commands.plugin.findings import Finding, bad, good, unknown
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.learning.scrapes import too_rare
from scalableapp.core.model import AppKey

_TIMEOUT_SECONDS = 30.0
_REQUESTS, _CPU = KINDS[MetricType.REQUESTS_PER_SECOND], KINDS[MetricType.CPU]
_POD_MONITOR = "add its pods to a PodMonitor or to Prometheus' scrape configuration (docs/operations.md)"
_CADVISOR = "let Prometheus scrape each kubelet's /metrics/cadvisor once"


class Wanted(NamedTuple):
    """What an app is decided on, how many of its pods are ready, and which source of requests the operator found."""

    kinds: frozenset[MetricType]
    ready: int
    source: str = ""


class Scraped(NamedTuple):
    """What Prometheus has of an app's pods: by pod and job whether the target is up, samples in 5 minutes, series.

    The samples are of targets that are older than that.
    """

    up: Mapping[tuple[str, str], float]
    samples: Mapping[tuple[str, str], float]
    requests: Collection[str]
    containers: Mapping[tuple[str, str], float]


def check(where: str | Source, apps: Mapping[AppKey, Wanted]) -> Iterator[Finding]:
    """Prometheus itself, and if that answers, each app's pods. Raises WrongAddress."""
    queries = Queries(where, _TIMEOUT_SECONDS, 1)
    try:
        answer = queries.ask("count(up{})")
        if answer.problem:
            message, _, fix = answer.message.partition("; ")
            yield bad("Prometheus", f"{answer.problem}: {message}", fix)
            return
        yield good("Prometheus", f"answers{_named(queries.version())}, and its clock agrees")
        yield _matched(queries, answer)
        yield _remembered(queries)
        for key, wanted in apps.items():
            yield from _of_app(queries, key, wanted)
    finally:
        queries.close()


def _named(version: str) -> str:
    return f" (version {version})" if version else ""


def _matched(queries: Queries, answer: Answer) -> Finding:
    """Whether it scrapes anything that the connection's matchers select."""
    count = int(answer.samples[0].value) if answer.samples else 0
    matchers = queries.matchers
    if count:
        return good("targets", f"{count} are scraped{f' with {matchers}' if matchers else ''}")
    if matchers:
        return bad("targets", f"no target has {matchers}", "correct `matchers` in the connection file")
    return bad("targets", "it scrapes nothing", "check that this is the Prometheus that scrapes the apps")


def _remembered(queries: Queries) -> Finding:
    """How far back its data go."""
    for days, fix in ((DAYS, ""), (1, "")):
        answer = queries.ask(f"count(up{{}} offset {days}d)")
        if answer.problem:
            return unknown("history", answer.message)
        if answer.samples:
            return good("history", f"it remembers {days} day{'s' * (days > 1)} or more{fix}")
    return unknown(
        "history",
        f"it remembers less than a day; forecasts and sizes learn from up to {DAYS} days",
        f"unless it is new, run it with --storage.tsdb.retention.time={DAYS}d or more, and on a volume",
    )


def _of_app(queries: Queries, key: AppKey, wanted: Wanted) -> Iterator[Finding]:
    if not wanted.ready:
        yield unknown(str(key), "it has no ready pod, so nothing can be scraped")
        return
    matcher, window = pods_of([key]), f"{COUNTED_SECONDS:.0f}s"
    asked = (
        f"max by (pod, job) (up{{{matcher}}})",
        f"max by (pod, job) (count_over_time(up{{{matcher}}}[{window}]) and up{{{matcher}}} offset {window})",
        f"count by (pod) ({_REQUESTS.metric}{{{matcher}}})",
        f"count by (pod, job) ({_CPU.metric}{{{_CPU.matchers}{matcher}}})",
    )
    answers = [queries.ask(query) for query in asked]
    if problem := next((answer for answer in answers if answer.problem), None):
        yield unknown(str(key), problem.message)
        return
    up, samples, requests, containers = (answer.samples for answer in answers)
    scraped = Scraped(_by_job(up), _by_job(samples), {_pod(each) for each in requests}, _by_job(containers))
    if wanted.kinds - {MetricType.CPU, MetricType.MEMORY, MetricType.PROMETHEUS}:
        yield _targets(key, scraped, wanted.source)
    if wanted.kinds & {MetricType.CPU, MetricType.MEMORY}:
        yield _containers(key, scraped)


def _targets(key: AppKey, scraped: Scraped, source: str) -> Finding:
    """Whether the pods are scraped, how often, and whether they serve requests' metrics."""
    if source and not scraped.requests:
        return good(f"pods of {key}", f"their requests are known from the source {source}")
    subject, jobs = f"pods of {key}", sorted({job for _, job in scraped.up})
    if not scraped.up:
        return bad(subject, "Prometheus does not scrape them", _POD_MONITOR)
    down = sorted({pod for (pod, _), value in scraped.up.items() if not value})
    if down:
        return bad(
            subject,
            f"the scrape of {len(down)} fails ({', '.join(down[:3])}): wrong port or path, or a NetworkPolicy",
            "look at the error on Prometheus' page Status > Targets",
        )
    interval = COUNTED_SECONDS / max(1.0, min(scraped.samples.values())) if scraped.samples else None
    often = "scraped for less than 5 minutes" if interval is None else f"scraped every {interval:.0f} s"
    if interval is not None and too_rare(interval):
        return bad(subject, f"{often}, which is too rare to decide on", "set scrape_interval to 30s or less for them")
    if not scraped.requests:
        fix = f"let the app export {_REQUESTS.metric} (docs/operations.md), or correct the path that is scraped"
        return bad(subject, f"{often}, but they serve no {_REQUESTS.metric}", fix)
    by = f"job {jobs[0]}" if len(jobs) == 1 else f"{len(jobs)} jobs ({', '.join(jobs)}), each request counts once"
    return good(subject, f"{often} by {by}")


def _containers(key: AppKey, scraped: Scraped) -> Finding:
    """Whether cAdvisor's series are there, once for each container."""
    subject = f"containers of {key}"
    if not scraped.containers:
        return bad(subject, f"Prometheus has no {_CPU.metric} of them", _CADVISOR)
    jobs = sorted({job for _, job in scraped.containers})
    if len(jobs) > 1:
        return bad(subject, f"cAdvisor is scraped by {len(jobs)} jobs ({', '.join(jobs)}); one is enough", _CADVISOR)
    return good(subject, f"cAdvisor is scraped by job {jobs[0]}")


def _pod(sample: Sample) -> str:
    return sample.labels.get("pod", "")


def _by_job(samples: Collection[Sample]) -> dict[tuple[str, str], float]:
    return {(_pod(sample), sample.labels.get("job", "")): sample.value for sample in samples}
