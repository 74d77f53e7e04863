"""A real store of two clusters, written to by two Prometheus replicas with a label of their own."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_file import ConnectionFile
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import MetricsRequest, Snapshot
from tests.prometheus_servers import Server, write_past

pytestmark = pytest.mark.process
RPS = MetricType.REQUESTS_PER_SECOND
WEB = ("shop", "web-1")


def samples() -> Iterator[str]:
    """10 requests/s in one cluster, 1000 in the other, each told by both replicas."""
    now = int(time.time())
    yield "# TYPE http_requests_total unknown"
    for cluster, rate in (("a", 10), ("b", 1000)):
        for store in ("x", "y"):
            labels = f'namespace="shop",pod="web-1",job="pods",cluster="{cluster}",store="{store}"'
            for at in range(now - 900, now + 301, 15):
                yield f"http_requests_total{{{labels}}} {rate * (at - now + 1000)} {at}"
    yield "# TYPE up unknown"
    for cluster in ("a", "b"):
        for store in ("x", "y"):
            labels = f'namespace="shop",pod="web-1",job="pods",cluster="{cluster}",store="{store}"'
            yield from (f"up{{{labels}}} 1 {at}" for at in range(now - 900, now + 301, 15))
    yield "# EOF"


@pytest.fixture(scope="module")
def url(promql_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("clusters")
    write_past(samples(), folder)
    with promql_server.running(folder) as url:
        yield url


async def look(tmp_path: Path, text: str) -> Snapshot:
    (tmp_path / "prometheus.yaml").write_text(text)
    metrics = PrometheusMetrics(ConnectionFile(tmp_path / "prometheus.yaml").now)
    queries = {'sum(rate(http_requests_total{namespace="shop",store="x"}[1m]))': "shop"}
    try:
        return await metrics.collect(MetricsRequest(frozenset({RPS}), frozenset({"shop"}), queries))
    finally:
        metrics.close()


async def test_one_cluster_is_read_and_each_request_counts_once(url: str, tmp_path: Path) -> None:
    snapshot = await look(tmp_path, f"url: {url}\nmatchers: cluster='a'\nreplica_labels: [store]")
    answer = snapshot.kinds[RPS]
    assert answer.problem is None, answer.message
    assert dict(answer.refused) == {}
    assert answer.values[WEB] == pytest.approx(10, rel=0.1)
    assert answer.scrapes[WEB].interval == pytest.approx(15, rel=0.2)
    (query,) = snapshot.queries.values()
    assert query.value == pytest.approx(10, rel=0.1)


async def test_copies_that_nobody_stated_are_refused_with_the_field_to_state_them(url: str, tmp_path: Path) -> None:
    problem, message = (await look(tmp_path, f"url: {url}\nmatchers: cluster='a'")).kinds[RPS].refused[WEB]
    assert problem is DataProblem.DUPLICATE
    assert "state others as replica_labels" in message
