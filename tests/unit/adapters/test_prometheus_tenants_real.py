"""A real Prometheus in which one tenant's exporter writes what it likes: buckets without end, bounds that are none."""

import math
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.adapters.prometheus_queries import LATENCIES, PART, TOO_LONG, sizes_query
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import LatencyAnswer, MetricsRequest, Snapshot
from tests.prometheus_servers import Server, write_past

pytestmark = pytest.mark.process
RPS = MetricType.REQUESTS_PER_SECOND
DURATION = "http_request_duration_seconds_bucket"
GREEDY = 8000
NAMESPACES = frozenset({"shop", "greedy", "long", "broken"})


def lines() -> Iterator[str]:
    """OpenMetrics of some minutes before and after now."""
    now = int(time.time())
    buckets = {"shop": ["0.1", "+Inf"], "broken": ["abc", "+Inf"], "long": ["0.1", "+Inf"]}
    buckets["greedy"] = [*(f"{number / 1000}" for number in range(1, GREEDY)), "+Inf"]
    yield f"# TYPE {DURATION} unknown"
    for namespace, bounds in buckets.items():
        replica = f',replica="{"x" * 65}"' if namespace == "long" else ""
        for le in bounds:
            for at in range(now - 90, now + 181, 15):
                labels = f'namespace="{namespace}",pod="web-1",le="{le}"{replica}'
                yield f"{DURATION}{{{labels}}} {10 * (at - now + 100)} {at}"
    yield "# TYPE http_requests_total unknown"
    for namespace in buckets:
        for at in range(now - 90, now + 181, 15):
            yield f'http_requests_total{{namespace="{namespace}",pod="web-1",code="200"}} {10 * (at - now + 100)} {at}'
    yield "# EOF"


@pytest.fixture(scope="module")
def url(promql_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("tenants")
    write_past(lines(), folder)
    with promql_server.running(folder) as url:
        yield url


@pytest_asyncio.fixture
async def metrics(url: str) -> AsyncIterator[PrometheusMetrics]:
    adapter = PrometheusMetrics(url, most_bytes=2**20)
    yield adapter
    adapter.close()


async def look(metrics: PrometheusMetrics) -> tuple[Snapshot, LatencyAnswer]:
    snapshot = await metrics.collect(MetricsRequest(frozenset({RPS}), NAMESPACES, latencies=True, failures=True))
    assert snapshot.latencies is not None
    return snapshot, snapshot.latencies


@pytest.mark.parametrize("matcher", ["", 'namespace=~"broken|greedy|long|shop"'])
def test_series_are_counted_by_namespace_and_long_labels_found(url: str, matcher: str) -> None:
    queries = Queries(url, 5.0, 1)
    answer = queries.ask(sizes_query(LATENCIES, matcher))
    queries.close()
    assert answer.problem is None, answer.message
    found = {(sample.labels["namespace"], sample.labels.get(PART)): sample.value for sample in answer.samples}
    sizes = {"shop": 2.0, "broken": 2.0, "long": 2.0, "greedy": float(GREEDY)}
    assert found == {(name, None): size for name, size in sizes.items()} | {("long", TOO_LONG): 2.0}


async def test_one_tenant_s_buckets_leave_the_others_theirs_and_each_is_told(metrics: PrometheusMetrics) -> None:
    snapshot, latencies = await look(metrics)
    assert latencies.problem is None, latencies.message
    assert latencies.histograms.keys() == {("shop", "web-1")}
    assert latencies.histograms["shop", "web-1"][math.inf] == pytest.approx(10, rel=0.05)
    assert {name: why[0] for name, why in latencies.left_out.items()} == dict.fromkeys(
        ("greedy", "long"), DataProblem.TOO_MANY_SERIES
    )
    problem, message = latencies.refused["broken", "web-1"]
    assert (problem, "le='abc'" in message) == (DataProblem.BROKEN, True)
    assert snapshot.kinds[RPS].values.keys() == {(name, "web-1") for name in NAMESPACES}
