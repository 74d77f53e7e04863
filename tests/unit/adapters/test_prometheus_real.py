"""The adapter against a real Prometheus that scrapes a page of ours."""

import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import pytest_asyncio
import requests

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.core.metrics import MetricType
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.core.promql import bind
from scalableapp.ports import QueryAnswer, Wanted
from tests.prometheus_servers import Program

pytestmark = pytest.mark.process

CONFIG = """
scrape_configs:
  - job_name: pods
    scrape_interval: 1s
    scrape_timeout: 1s
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
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


@pytest.fixture(scope="module")
def target() -> Iterator[int]:
    """A page with 10 requests a second per path and half a core."""
    started = time.monotonic()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            age = time.monotonic() - started
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(PAGE.format(requests=10 * age, seconds=0.5 * age).encode())

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
def url(prometheus: Program, target: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has scraped the page often enough for rates."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(CONFIG.format(port=target))
    with prometheus.running(folder, _has_samples) as url:
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
    return (await metrics.collect(Wanted(frozenset(), frozenset(), frozenset({bound})))).queries[bound]


async def test_grouped_queries_bring_rates_per_pod_of_our_container_and_namespaces(metrics: PrometheusMetrics) -> None:
    wanted = Wanted(frozenset({MetricType.REQUESTS_PER_SECOND, MetricType.CPU}), frozenset({"shop"}))
    kinds = (await metrics.collect(wanted)).kinds
    requests_, cores = kinds[MetricType.REQUESTS_PER_SECOND].values, kinds[MetricType.CPU].values
    assert requests_.keys() == {("shop", "web-1"), ("shop", "web-2"), ("shop", "web-3")}
    assert cores.keys() == {("shop", "web-1")}
    # Samples of a few seconds do not fill the windows yet, so the rates are lower; the other container's would be 20
    # times the app's.
    assert 0 < cores["shop", "web-1"] < requests_["shop", "web-1"] / 20 < 1.1


async def test_histograms_come_per_pod_with_their_bounds(metrics: PrometheusMetrics) -> None:
    answer = (await metrics.collect(Wanted(frozenset(), frozenset({"shop"}), latencies=True))).latencies
    assert answer is not None
    (histogram,) = answer.histograms.values()
    assert answer.histograms.keys() == {("shop", "web-2")}
    assert histogram[0.25] / histogram[math.inf] == pytest.approx(0.05, rel=0.01)


async def test_failed_requests_are_found_by_whatever_name_their_status_has(metrics: PrometheusMetrics) -> None:
    answer = (await metrics.collect(Wanted(frozenset(), frozenset({"shop"}), failures=True))).failures
    assert answer is not None
    assert answer.values.keys() == {("shop", "web-2"), ("shop", "web-3")}
    assert all(value > 0 for value in answer.values.values())


async def test_memory_is_read_as_it_stands(metrics: PrometheusMetrics) -> None:
    kinds = (await metrics.collect(Wanted(frozenset({MetricType.MEMORY}), frozenset({"shop"})))).kinds
    assert kinds[MetricType.MEMORY].values == {("shop", "web-1"): 2.0**20}


async def test_without_pods_the_grouped_answer_is_empty(metrics: PrometheusMetrics) -> None:
    wanted = Wanted(frozenset({MetricType.CPU}), frozenset({"nobody"}))
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


@pytest.mark.parametrize(
    ("query", "problem", "message"),
    [
        pytest.param('nothing{namespace="$namespace"}', DataProblem.EMPTY, "returns nothing", id="empty"),
        pytest.param("0/0", DataProblem.NOT_A_NUMBER, "NaN", id="NaN"),
        pytest.param('sum(queue{namespace="$namespace"}) / 0', DataProblem.INFINITE, "inf", id="infinite"),
        pytest.param('http_requests_total{namespace="$namespace"}', DataProblem.WRONG_TYPE, "5 series", id="several"),
        pytest.param(
            'queue{namespace="$namespace"} + on() http_requests_total{namespace="$namespace"}',
            DataProblem.QUERY_FAILED,
            "execution: found duplicate series",
            id="fails when evaluated",
        ),
        pytest.param(
            'mad_over_time(queue{namespace="$namespace"}[1m])',
            DataProblem.QUERY_FAILED,
            'function "mad_over_time" is not enabled',
            id="experimental",
        ),
    ],
)
async def test_what_prometheus_cannot_answer_is_named(
    metrics: PrometheusMetrics, query: str, problem: DataProblem, message: str
) -> None:
    answer = await ask(metrics, query)
    assert answer.problem is problem
    assert message in answer.message
