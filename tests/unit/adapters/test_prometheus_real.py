"""The adapter against a real Prometheus that scrapes a page of ours."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import pytest_asyncio
import requests

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.promql import bind
from scalableapp.core.learning.scrapes import Scrape
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.ports import MetricsRequest, QueryAnswer
from tests.prometheus_servers import VICTORIAMETRICS, Server

pytestmark = pytest.mark.process

CONFIG = """
scrape_configs:
  - job_name: pods
    scrape_interval: 1s
    scrape_timeout: 1s
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: leaving
    scrape_interval: 1s
    scrape_timeout: 1s
    honor_labels: true
    metrics_path: /leaving
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
LEAVING = """
http_requests_total{{namespace="leaving",pod="web-1"}} {requests}
queue{{namespace="leaving"}} 40
"""
PAGE = """
http_requests_total{{namespace="shop",pod="web-1",path="/a"}} {requests}
http_requests_total{{namespace="shop",pod="web-1",path="/b"}} {requests}
http_requests_total{{namespace="other",pod="db-1"}} {requests}
http_requests_total{{namespace="shop",pod="web-2",path="/a",code="200"}} {requests}
http_requests_total{{namespace="shop",pod="web-2",path="/a",code="503"}} {seconds}
http_requests_total{{namespace="shop",pod="web-3",path="/a",status="500"}} {seconds}
http_request_duration_seconds_bucket{{namespace="shop",pod="web-2",le="0.25"}} {seconds}
http_request_duration_seconds_bucket{{namespace="shop",pod="web-2",le="+Inf"}} {requests}
container_memory_working_set_bytes{{namespace="shop",pod="web-1",container="app"}} 1048576
container_cpu_usage_seconds_total{{namespace="shop",pod="web-1",container="app"}} {seconds}
container_cpu_usage_seconds_total{{namespace="shop",pod="web-1",container="proxy"}} {requests}
queue{{namespace="shop"}} 40
queue{{namespace="other"}} 1
"""


# Set while the page of the pod that leaves is not served.
LEFT = threading.Event()


@pytest.fixture(scope="module")
def target() -> Iterator[int]:
    """A page with 10 requests a second per path and half a core."""
    started = time.monotonic()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            age = time.monotonic() - started
            leaving = self.path == "/leaving"
            self.send_response(503 if leaving and LEFT.is_set() else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write((LEAVING if leaving else PAGE).format(requests=10 * age, seconds=0.5 * age).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(scope="module")
def url(promql_server: Server, target: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has scraped the page often enough for rates."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(CONFIG.format(port=target))
    with promql_server.running(folder, _has_samples) as url:
        yield url


def _has_samples(url: str) -> bool:
    answer = requests.get(f"{url}/api/v1/query", {"query": "min(count_over_time(queue[1m])) >= 4"}, timeout=2)
    return bool(answer.json().get("data", {}).get("result"))


@pytest_asyncio.fixture
async def metrics(url: str) -> AsyncIterator[PrometheusMetrics]:
    adapter = PrometheusMetrics(url)
    yield adapter
    adapter.close()


async def ask(metrics: PrometheusMetrics, query: str) -> QueryAnswer:
    bound = bind(query, AppKey("shop", "web"), 0)
    return (await metrics.collect(MetricsRequest(frozenset(), frozenset(), {bound: "shop"}))).queries[bound]


async def test_grouped_queries_bring_rates_per_pod_of_our_container_and_namespaces(metrics: PrometheusMetrics) -> None:
    wanted = MetricsRequest(frozenset({MetricType.REQUESTS_PER_SECOND, MetricType.CPU}), frozenset({"shop"}))
    kinds = (await metrics.collect(wanted)).kinds
    requests_, cores = kinds[MetricType.REQUESTS_PER_SECOND].values, kinds[MetricType.CPU].values
    assert requests_.keys() == {("shop", "web-1"), ("shop", "web-2"), ("shop", "web-3")}
    assert cores.keys() == {("shop", "web-1")}
    # Samples of a few seconds do not fill the windows yet, so the rates are lower; the other container's would be 20
    # times the app's.
    assert 0 < cores["shop", "web-1"] < requests_["shop", "web-1"] / 20 < 1.1


async def test_histograms_come_per_pod_with_their_bounds(metrics: PrometheusMetrics) -> None:
    answer = (await metrics.collect(MetricsRequest(frozenset(), frozenset({"shop"}), latencies=True))).latencies
    assert answer is not None
    (histogram,) = answer.histograms.values()
    assert answer.histograms.keys() == {("shop", "web-2")}
    assert histogram[0.25] / histogram[math.inf] == pytest.approx(0.05, rel=0.01)


async def test_failed_requests_are_found_by_whatever_name_their_status_has(metrics: PrometheusMetrics) -> None:
    answer = (await metrics.collect(MetricsRequest(frozenset(), frozenset({"shop"}), failures=True))).failures
    assert answer is not None
    assert answer.values.keys() == {("shop", "web-2"), ("shop", "web-3")}
    assert all(value > 0 for value in answer.values.values())


async def test_memory_is_read_as_it_stands(metrics: PrometheusMetrics) -> None:
    kinds = (await metrics.collect(MetricsRequest(frozenset({MetricType.MEMORY}), frozenset({"shop"})))).kinds
    assert kinds[MetricType.MEMORY].values == {("shop", "web-1"): 2.0**20}


async def test_without_pods_the_grouped_answer_is_empty(metrics: PrometheusMetrics) -> None:
    wanted = MetricsRequest(frozenset({MetricType.CPU}), frozenset({"nobody"}))
    assert (await metrics.collect(wanted)).kinds[MetricType.CPU].problem is DataProblem.EMPTY


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        pytest.param('queue{namespace="$namespace"}', QueryAnswer(40.0), id="plain selector"),
        pytest.param('sum(queue{namespace="$namespace"}) * 2', QueryAnswer(80.0), id="computed"),
        pytest.param('scalar(queue{namespace="$namespace"})', QueryAnswer(40.0), id="scalar"),
        pytest.param('absent(nothing{namespace="$namespace"})', QueryAnswer(1.0), id="absent"),
    ],
)
async def test_users_queries_bring_numbers(metrics: PrometheusMetrics, query: str, answer: QueryAnswer) -> None:
    assert await ask(metrics, query) == answer


WRONG: dict[str, tuple[str, DataProblem, str]] = {
    "empty": ('nothing{namespace="$namespace"}', DataProblem.EMPTY, "returns nothing"),
    "infinite": ('sum(queue{namespace="$namespace"}) / 0', DataProblem.INFINITE, "inf"),
    "several": ('http_requests_total{namespace="$namespace"}', DataProblem.WRONG_TYPE, "5 series"),
    "fails when evaluated": (
        'queue{namespace="$namespace"} + on() http_requests_total{namespace="$namespace"}',
        DataProblem.QUERY_FAILED,
        "duplicate",
    ),
}


@pytest.mark.parametrize(("query", "problem", "message"), WRONG.values(), ids=WRONG.keys())
async def test_what_a_server_cannot_answer_is_named(
    metrics: PrometheusMetrics, query: str, problem: DataProblem, message: str
) -> None:
    answer = await ask(metrics, query)
    assert answer.problem is problem
    assert message in answer.message


async def test_zero_divided_by_zero_is_no_value(promql_server: Server, metrics: PrometheusMetrics) -> None:
    # VictoriaMetrics leaves NaN out of its answers.
    expected = DataProblem.EMPTY if promql_server.name == VICTORIAMETRICS else DataProblem.NOT_A_NUMBER
    assert (await ask(metrics, "0/0")).problem is expected


async def test_a_function_that_prometheus_has_not_enabled_is_named(
    promql_server: Server, metrics: PrometheusMetrics
) -> None:
    answer = await ask(metrics, 'mad_over_time(queue{namespace="$namespace"}[1m])')
    if promql_server.name == VICTORIAMETRICS:
        assert answer == QueryAnswer(0.0)
    else:
        assert 'function "mad_over_time" is not enabled' in answer.message


async def test_queries_are_answered_as_of_now(metrics: PrometheusMetrics) -> None:
    now = await ask(metrics, "time()")
    assert now.value == pytest.approx(time.time(), abs=5)
    queue = await ask(metrics, 'queue{namespace="$namespace"}')
    assert queue.age is not None
    assert queue.age < 5
    wanted = MetricsRequest(frozenset({MetricType.REQUESTS_PER_SECOND}), frozenset({"shop"}))
    scrapes = (await metrics.collect(wanted)).kinds[MetricType.REQUESTS_PER_SECOND].scrapes
    assert max(scrape.age or math.inf for scrape in scrapes.values()) < 5


async def test_a_pod_whose_scrapes_fail_is_noticed_and_never_shown_with_fewer_requests(
    metrics: PrometheusMetrics,
) -> None:
    known = await look_until(metrics, lambda scrape, _: scrape.interval is not None)
    LEFT.set()
    try:
        await look_until(metrics, lambda scrape, value: noticed(scrape, value, 0.95 * known))
    finally:
        LEFT.clear()


def noticed(scrape: Scrape, value: float | None, least: float) -> bool:
    assert value is None or scrape.overdue or value >= least
    return scrape.overdue


async def look_until(metrics: PrometheusMetrics, done: Callable[[Scrape, float | None], bool]) -> float:
    """Looks at the leaving pod's requests as the loop does, until it is done with them; what was seen last."""
    rps, pod = MetricType.REQUESTS_PER_SECOND, ("leaving", "web-1")
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        answer = (await metrics.collect(MetricsRequest(frozenset({rps}), frozenset({"leaving"})))).kinds[rps]
        if done(answer.scrapes.get(pod, Scrape(gone=True)), answer.values.get(pod)):
            return answer.values.get(pod, 0.0)
        await asyncio.sleep(0.25)
    pytest.fail("the pod was not seen that way within 20 s")
