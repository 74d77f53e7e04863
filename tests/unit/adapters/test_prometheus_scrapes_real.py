"""A real Prometheus as others run theirs: slow scrapes, several that scrape the same pod, broken exporters.

What it holds is written beforehand and goes on into the future, so that it looks as if scraping went on.
"""

import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from scalableapp.adapters.prometheus import MOST_NAMESPACES, PrometheusMetrics
from scalableapp.adapters.prometheus_history import PrometheusHistory
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.ports import MetricsRequest, Snapshot, UsageMetric
from tests.prometheus_servers import VICTORIAMETRICS, Server, write_past

pytestmark = pytest.mark.process
RPS, CPU, MEMORY = MetricType.REQUESTS_PER_SECOND, MetricType.CPU, MetricType.MEMORY
_PAST_SECONDS, _FUTURE_SECONDS = 1200, 300
# What a counter shows so many seconds after its first sample.
Counter = Callable[[float], float]


def rising(per_second: float) -> Counter:
    return lambda since: per_second * since


def constant(value: float) -> Counter:
    return lambda _since: value


def swinging(since: float) -> float:
    """The counter of an exporter that starts from 0 at each scrape."""
    return 50.0 if since // 15 % 2 else 3.0


class Page:
    """Samples in OpenMetrics, by family, from 20 minutes before `now` to 5 minutes after it."""

    def __init__(self, now: int) -> None:
        self._families: dict[str, list[str]] = {}
        self.now, self.start, self.end = now, now - _PAST_SECONDS, now + _FUTURE_SECONDS

    def add(self, name: str, labels: dict[str, str], value: Counter, every: int = 15, shift: int = 0) -> None:
        self.add_at(range(self.start + shift, self.end, every), name, labels, value)

    def add_at(self, times: Iterable[int], name: str, labels: dict[str, str], value: Counter) -> None:
        text = ",".join(f'{label}="{of}"' for label, of in labels.items())
        self._families.setdefault(name, []).extend(f"{name}{{{text}}} {value(at - self.start)} {at}" for at in times)

    def lines(self) -> Iterator[str]:
        for name, lines in self._families.items():
            yield f"# TYPE {name} unknown"
            yield from lines
        yield "# EOF"


REQUESTS, DURATION = "http_requests_total", "http_request_duration_seconds_bucket"
CORES, BYTES = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"


def slow(page: Page) -> None:
    """Pods that are scraped at various intervals."""
    for every in (5, 15, 30, 60, 120):
        page.add(REQUESTS, {"namespace": "slow", "pod": f"every-{every}"}, rising(10), every, every // 2)
    for every in (15, 30, 60):
        labels = {"namespace": "slow", "pod": f"every-{every}", "container": "app"}
        page.add(CORES, labels, rising(0.5), every)
        page.add(BYTES, labels, constant(2**20), every)
        page.add(REQUESTS, {"namespace": "past", "pod": f"web{every}-6b9d5f8c7-x2x4z"}, rising(10), every)


def stopped(page: Page) -> None:
    """A container whose samples have ended, as kubelets' do: without a mark."""
    labels = {"namespace": "slow", "pod": "stopped", "container": "app"}
    page.add_at(range(page.start, page.now - 100, 15), CORES, labels, rising(0.5))


def copied(page: Page) -> None:
    """Pods that are there twice, in labels that tell so."""
    for job, shift in (("pods", 0), ("services", 7)):
        labels = {"namespace": "shop", "pod": "two-jobs", "job": job}
        page.add(REQUESTS, labels, rising(10), 15, shift)
    for replica in ("a", "b"):
        labels = {"namespace": "shop", "job": "pods", "prometheus_replica": replica, "pod": "pair"}
        page.add(REQUESTS, labels | {"code": "200"}, rising(6))
        page.add(REQUESTS, labels | {"code": "503"}, rising(4))
        for bound, rate in (("0.1", 2), ("1.0", 8), ("+Inf", 10)):
            page.add(DURATION, labels | {"le": bound}, rising(rate))
    labels = {"namespace": "shop", "container": "app"}
    for of in ("a", "b"):
        page.add(CORES, labels | {"pod": "restarted", "id": f"/{of}", "cpu": "total"}, rising(0.5))
        page.add(BYTES, labels | {"pod": "restarted", "id": f"/{of}"}, constant(2**20))
        page.add(CORES, labels | {"pod": "old-kubelet", "cpu": f"cpu0{of}"}, rising(0.25))


def doubtful(page: Page) -> None:
    """Pods that are there twice, and nobody knows why; and broken exporters."""
    for instance in ("10.0.0.1:80", "10.0.0.1:81"):
        labels = {"namespace": "shop", "pod": "two-ports", "job": "p", "instance": instance}
        page.add(REQUESTS, labels, rising(10))
    for of in ("a", "b"):
        labels = {"namespace": "shop", "pod": "unknown-pair", "job": "p", "instance": "10.0.0.2:80", "ha": of}
        page.add(REQUESTS, labels, rising(10))
        page.add("up", labels, constant(1))
        page.add(CORES, {"namespace": "shop", "container": "app", "pod": "clusters", "cluster": of}, rising(0.5))
    page.add(REQUESTS, {"namespace": "shop", "pod": "from-0", "job": "p"}, swinging)
    page.add(REQUESTS, {"namespace": "shop", "pod": "idle", "job": "p"}, constant(7))
    page.add("http_requests_in_progress", {"namespace": "shop", "pod": "idle"}, rising(3))
    frozen = {"namespace": "shop", "pod": "frozen", "container": "app"}
    page.add(CORES, frozen, constant(7))
    page.add(BYTES, frozen, constant(0))
    for pod, buckets in {
        "no-infinite": (("0.1", 2), ("1.0", 8)),
        "decreasing": (("0.1", 8), ("1.0", 2), ("+Inf", 10)),
        "short": (("0.1", 2), ("1.0", 8), ("+Inf", 4)),
    }.items():
        for bound, rate in buckets:
            page.add(DURATION, {"namespace": "shop", "pod": pod, "job": "p", "le": bound}, rising(rate))


ENDED = (4, 11, 18, 25, 29)


def interrupted(page: Page) -> None:
    """Pods that are no longer scraped, and one that was not for 2 minutes in which its counter began again from 0."""
    now = page.now
    for ago in ENDED:
        labels = {"namespace": "holes", "pod": f"ended-{ago}"}
        page.add_at(range(now - ago - 600, now - ago + 1, 5), REQUESTS, labels, rising(10))
    times = (*range(page.start, now - 130, 5), *range(now - 20, page.end, 5))
    back = {"namespace": "holes", "pod": "back", "container": "app"}
    hole, again = _PAST_SECONDS - 130, _PAST_SECONDS - 25
    page.add_at(times, REQUESTS, back, lambda since: 10 * (since if since < hole else since - again))
    page.add_at(times, CORES, back, lambda since: 0.5 * (since if since < hole else since - again))


def page() -> Page:
    made = Page(int(time.time()))
    for scenes in (slow, stopped, copied, doubtful, interrupted):
        scenes(made)
    return made


@pytest.fixture(scope="module")
def url(promql_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("scrapes")
    write_past(page().lines(), folder)
    with promql_server.running(folder) as url:
        yield url


@pytest_asyncio.fixture
async def metrics(url: str) -> AsyncIterator[PrometheusMetrics]:
    adapter = PrometheusMetrics(url, timeout_seconds=20.0)
    yield adapter
    adapter.close()


@pytest_asyncio.fixture
async def snapshot(metrics: PrometheusMetrics) -> Snapshot:
    """A tick's answers to everything."""
    kinds, namespaces = frozenset({RPS, CPU, MEMORY}), frozenset({"slow", "shop", "holes"})
    everything = MetricsRequest(
        kinds, namespaces, bursts=frozenset({10, 40}), latencies=True, failures=True, usage=True
    )
    return await metrics.collect(everything)


async def test_each_pod_s_requests_have_a_value_over_the_window_that_fits_its_scrapes(snapshot: Snapshot) -> None:
    answer = snapshot.kinds[RPS]
    windows = {5: 30, 15: 60, 30: 120, 60: 240}
    for every, window in windows.items():
        pod = "slow", f"every-{every}"
        assert answer.values[pod] == pytest.approx(10, rel=0.01), pod
        assert answer.scrapes[pod].interval == pytest.approx(every, rel=0.1)
        assert answer.scrapes[pod].window == window
        assert answer.scrapes[pod].age == pytest.approx(every / 2, abs=every / 2 + 1)


async def test_a_pod_that_is_scraped_no_more_is_overdue_and_its_window_stays(snapshot: Snapshot) -> None:
    scrape = snapshot.kinds[CPU].scrapes["slow", "stopped"]
    assert scrape.interval == pytest.approx(15, rel=0.15)
    assert (scrape.window, scrape.overdue) == (60, True)


async def test_scrapes_that_are_too_rare_are_named_with_their_interval(snapshot: Snapshot) -> None:
    answer = snapshot.kinds[RPS]
    assert ("slow", "every-120") not in answer.values
    problem, message = answer.refused["slow", "every-120"]
    assert problem is DataProblem.TOO_RARE
    assert "every 150 s" in message or "every 120 s" in message or "every 100 s" in message


async def test_a_short_window_counts_where_scrapes_are_frequent_enough_for_it(snapshot: Snapshot) -> None:
    assert {name for (namespace, name) in snapshot.bursts[10].values if namespace == "slow"} == {"every-5"}
    assert snapshot.bursts[40].values["slow", "every-15"] == pytest.approx(10, rel=0.01)
    problem, message = snapshot.bursts[40].refused["slow", "every-30"]
    assert (problem, message) == (DataProblem.TOO_RARE, "a scrape interval of 30 s is too long for a window of 40 s")


@pytest.mark.parametrize("every", [15, 30, 60])
async def test_sizes_have_values_however_often_nodes_are_scraped(snapshot: Snapshot, every: int) -> None:
    pod = "slow", f"every-{every}"
    assert snapshot.kinds[CPU].values[pod] == pytest.approx(0.5, rel=0.01)
    assert snapshot.kinds[MEMORY].values[pod] == snapshot.usage[UsageMetric.MEMORY_PEAK].values[pod] == 2**20


async def test_a_hint_of_any_version_holds_no_query(metrics: PrometheusMetrics) -> None:
    query = 'sum(rate(http_requests_in_progress{namespace="shop"}[1m]))'
    answer = (await metrics.collect(MetricsRequest(frozenset(), frozenset(), {query: "shop"}))).queries[query]
    assert answer.problem is None
    assert answer.value == pytest.approx(3, rel=0.01)


async def test_with_very_many_namespaces_all_is_asked_for_without_naming_them(metrics: PrometheusMetrics) -> None:
    namespaces = frozenset(f"team-{number}" for number in range(MOST_NAMESPACES)) | {"shop"}
    everything = MetricsRequest(
        frozenset({RPS, CPU, MEMORY}), namespaces, bursts=frozenset({30}), latencies=True, failures=True, usage=True
    )
    found = await metrics.collect(everything)
    assert found.latencies is not None
    assert found.failures is not None
    problems = [answer.problem for answer in (*found.kinds.values(), *found.bursts.values(), found.failures)]
    assert [*problems, found.latencies.problem] == [None] * 6
    assert found.kinds[RPS].refused["shop", "unknown-pair"][0] is DataProblem.DUPLICATE


ONCE: dict[str, tuple[MetricType, str, float]] = {
    "a pod that two jobs scrape": (RPS, "two-jobs", 10.0),
    "a pair of Prometheis": (RPS, "pair", 10.0),
    "an idle pod": (RPS, "idle", 0.0),
    "CPU of a restarted container": (CPU, "restarted", 0.5),
    "CPU of each processor": (CPU, "old-kubelet", 0.5),
    "memory of a restarted container": (MEMORY, "restarted", 2.0**20),
}


@pytest.mark.parametrize(("kind", "pod", "value"), ONCE.values(), ids=ONCE.keys())
async def test_what_is_there_several_times_counts_once(
    snapshot: Snapshot, kind: MetricType, pod: str, value: float
) -> None:
    assert snapshot.kinds[kind].values["shop", pod] == pytest.approx(value, rel=0.01)


REFUSED: dict[str, tuple[MetricType, str, DataProblem, str]] = {
    "two addresses in one job": (RPS, "two-ports", DataProblem.DUPLICATE, "several addresses"),
    "a pair without a known label": (RPS, "unknown-pair", DataProblem.DUPLICATE, "exists more than once"),
    "several clusters": (CPU, "clusters", DataProblem.DUPLICATE, "several clusters"),
    "a counter that starts again": (RPS, "from-0", DataProblem.BROKEN, "counters were reset"),
}


@pytest.mark.parametrize("ago", ENDED)
async def test_requests_of_a_pod_that_is_no_longer_scraped_are_never_far_too_few_unnoticed(
    promql_server: Server, snapshot: Snapshot, ago: int
) -> None:
    answer, pod = snapshot.kinds[RPS], ("holes", f"ended-{ago}")
    # Prometheus' rates run out with the samples; it marks the end of real scrapes, which a written past does not have.
    least = 9.9 if promql_server.name == VICTORIAMETRICS else 5
    value = answer.values.get(pod)
    assert value is None or answer.scrapes[pod].overdue or value >= least


async def test_after_a_hole_a_rate_is_of_the_samples_that_followed_it(snapshot: Snapshot) -> None:
    # Of Prometheus it rises while the window fills. Over the hole it would be 2 requests/s and 0.1 cores.
    assert snapshot.kinds[RPS].values["holes", "back"] >= 5
    assert snapshot.kinds[CPU].values["holes", "back"] >= 0.15


@pytest.mark.parametrize(("kind", "pod", "problem", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_distinguished_is_named_and_no_value(
    snapshot: Snapshot, kind: MetricType, pod: str, problem: DataProblem, message: str
) -> None:
    answer = snapshot.kinds[kind]
    assert ("shop", pod) not in answer.values
    assert answer.refused["shop", pod][0] is problem
    assert message in answer.refused["shop", pod][1]


async def test_a_frozen_exporter_is_not_taken_for_an_idle_pod(snapshot: Snapshot) -> None:
    asked = (*snapshot.kinds.values(), snapshot.usage[UsageMetric.MEMORY_PEAK])
    assert [("shop", "frozen") in answer.values for answer in asked] == [False] * len(asked)


async def test_histograms_and_failures_count_once_too(snapshot: Snapshot) -> None:
    assert snapshot.latencies is not None
    assert snapshot.failures is not None
    histogram = snapshot.latencies.histograms["shop", "pair"]
    assert histogram == pytest.approx({0.1: 2.0, 1.0: 8.0, math.inf: 10.0}, rel=0.01)
    assert snapshot.failures.values["shop", "pair"] == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("pod", ["no-infinite", "decreasing", "short"])
async def test_broken_histograms_are_named(snapshot: Snapshot, pod: str) -> None:
    assert snapshot.latencies is not None
    assert ("shop", pod) not in snapshot.latencies.histograms
    assert snapshot.latencies.refused["shop", pod][0] is DataProblem.BROKEN


@pytest.mark.parametrize("every", [15, 30, 60])
async def test_the_past_is_read_however_often_pods_are_scraped(url: str, every: int) -> None:
    past, key = PrometheusHistory(url), AppKey("past", f"web{every}")
    until: Any = datetime.now(UTC)
    loads = (await past.loads({key: None}, until)).moments.get(key, ())
    pods = (await past.pods([key], [RPS], 120.0, until)).pods.get(key, ())
    past.close()
    assert [moment.load for moment in loads[-4:]] == pytest.approx([10] * 4, rel=0.01)
    assert [list(moment.values[RPS].values()) for moment in pods[-4:]] == [[pytest.approx(10, rel=0.01)]] * 4
