"""What exporters, meshes and ingress controllers serve, as a real Prometheus has it: rate, failures and slow share.

Each row has ten requests a second, of which one fails and two take more than 250 ms.
"""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_history import PrometheusHistory
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.presets import PRESETS, SIGNS, recognised
from scalableapp.core.learning.latency import slow_share
from scalableapp.core.model import AppKey, DataProblem
from scalableapp.engine.attribution import Claims, attributed
from scalableapp.ports import LookedFor, MetricsRequest, Snapshot
from tests.prometheus_servers import Server, write_past
from tests.unit.adapters.request_expositions import POD, ROWS
from tests.unit.adapters.test_prometheus_scrapes_real import Page, constant, rising

pytestmark = pytest.mark.process
RPS = MetricType.REQUESTS_PER_SECOND


@pytest.fixture(scope="module")
def url(promql_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    page = Page(int(time.time()))
    for name, row in ROWS.items():
        for series in row.series:
            own = {"job": "apps", "instance": "10.0.0.1:8000", "namespace": name, "pod": POD} | series.labels
            page.add(series.name, {label: value for label, value in own.items() if value}, rising(series.per_second))
    proxy = {"job": "broken", "instance": "10.0.0.9:8080", "namespace": "ingress", "pod": "proxy-9"}
    page.add("traefik_service_requests_total", proxy | {"service": "down-web-80@kubernetes"}, rising(10))
    page.add("up", proxy, constant(0))
    page.add("up", proxy | {"job": "ingress", "pod": "proxy-1"}, constant(1))
    folder = tmp_path_factory.mktemp("sources")
    write_past(page.lines(), folder)
    with promql_server.running(folder) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def snapshot(url: str) -> AsyncIterator[Snapshot]:
    """One look that asks for every source."""
    metrics = PrometheusMetrics(url, timeout_seconds=60.0)
    namespaces = frozenset(ROWS)
    everything = MetricsRequest(frozenset({RPS}), namespaces, latencies=True, failures=True, bursts=frozenset({30}))
    sources = {PRESETS[row.source].source: everything for row in ROWS.values()}
    looked_for = LookedFor(namespaces, SIGNS)
    yield await metrics.collect(MetricsRequest(frozenset(), namespaces, sources=sources, looked_for=looked_for))
    metrics.close()


def answers(snapshot: Snapshot, name: str) -> tuple[Snapshot, tuple[str, str]]:
    """The answers on a row's source, and the place of its app or pod in them."""
    source = PRESETS[ROWS[name].source].source
    found = snapshot.sources[source]
    if not source.per_app:
        return found, (name, POD)
    return attributed(found, Claims(source, {key: key for key in [AppKey(name, "web"), AppKey("other", "web")]})), (
        name,
        "web",
    )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ROWS)
async def test_a_source_has_the_right_rate_failures_and_slow_share(snapshot: Snapshot, name: str) -> None:
    found, place = answers(snapshot, name)
    assert found.kinds[RPS].values.get(place) == pytest.approx(10, rel=0.01)
    assert found.kinds[RPS].scrapes[place].interval == pytest.approx(15, rel=0.1)
    assert place not in found.kinds[RPS].refused
    if ROWS[name].has_failures:
        assert found.failures is not None
        assert found.failures.values.get(place) == pytest.approx(1, rel=0.01)
    histogram = found.latencies.histograms.get(place) if found.latencies else None
    share = slow_share(histogram, 0.25) if histogram else None
    # The coarse one has buckets of 0.1, 0.5 and 1 s.
    assert share == (
        pytest.approx(0.2, abs=0.002 if name != "fastapi-coarse" else 0.11) if ROWS[name].has_durations else None
    )


RECOGNISED = [
    name for name, row in ROWS.items() if PRESETS[row.source].source.labels == PRESETS["default"].source.labels
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name in RECOGNISED if name not in ("envoy", "fastapi-coarse")])
async def test_a_pod_s_source_is_recognised_by_what_it_serves(snapshot: Snapshot, name: str) -> None:
    assert snapshot.served is not None
    assert recognised(snapshot.served[name, POD]) == (ROWS[name].source,)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["flask-live", "otel-ms-live", "f5", "ambient", "traefik"])
async def test_the_past_of_an_app_is_as_its_source_counted_it(url: str, name: str) -> None:
    history, source = PrometheusHistory(url), PRESETS[ROWS[name].source].source
    key = AppKey(name, "web")
    found = await history.loads({key: 0.25}, datetime.now(UTC), source)
    history.close()
    assert found.problem is None
    moment = found.moments[key][-1]
    assert moment.load == pytest.approx(10, rel=0.02)
    assert moment.slow_share == pytest.approx(0.3, abs=0.01)  # slow ones, and the one that failed
    assert moment.ready == (None if source.per_app else 1)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_proxy_counts_is_not_used_while_one_of_its_targets_cannot_be_scraped(snapshot: Snapshot) -> None:
    source = PRESETS["traefik"].source
    found = attributed(
        snapshot.sources[source],
        Claims(source, {key: key for key in [AppKey("down", "web"), AppKey("traefik", "web")]}),
    )
    assert {place: why[0] for place, why in found.kinds[RPS].refused.items()} == {("down", "web"): DataProblem.PARTIAL}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_preset_has_a_row(snapshot: Snapshot) -> None:
    assert {row.source for row in ROWS.values()} == PRESETS.keys()
    assert len(snapshot.sources) == len(PRESETS)
