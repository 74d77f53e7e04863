"""What pods serve is asked for once a minute, and what was found stays while Prometheus cannot tell."""

import time

from scalableapp.adapters.pod_series import INSPECTION_SECONDS
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.ports import LookedFor, MetricsRequest, ServedBy
from tests.unit.adapters.canned import Canned

FLASK = {"__name__": "flask_http_request_total", "namespace": "shop", "pod": "web-1"}
WANTED = LookedFor(frozenset({"shop"}), frozenset({"flask_http_request_total", "starlette_requests_total"}))


async def look(metrics: PrometheusMetrics, wanted: LookedFor = WANTED) -> ServedBy | None:
    request = MetricsRequest(frozenset(), wanted.namespaces, looked_for=wanted)
    return (await metrics.collect(request)).served


async def test_one_query_names_the_metrics_of_all_apps(metrics: PrometheusMetrics, canned: Canned) -> None:
    canned.vector((FLASK, "3"), ({"__name__": "flask_http_request_total"}, "1"), at=time.time())
    assert await look(metrics) == {("shop", "web-1"): frozenset({"flask_http_request_total"})}
    names = "flask_http_request_total|starlette_requests_total"
    (query,) = canned.queries
    assert query == f'count by (__name__, namespace, pod) ({{__name__=~"{names}",namespace=~"shop"}})'


async def test_it_is_asked_once_a_minute(metrics: PrometheusMetrics, canned: Canned) -> None:
    canned.vector((FLASK, "3"), at=time.time())
    first = await look(metrics)
    assert await look(metrics) is first
    assert len(canned.queries) == 1
    metrics._served._look_at -= INSPECTION_SECONDS  # a minute passes
    await look(metrics)
    assert len(canned.queries) == 2


async def test_what_was_found_stays_while_prometheus_refuses(metrics: PrometheusMetrics, canned: Canned) -> None:
    canned.vector((FLASK, "3"), at=time.time())
    first = await look(metrics)
    canned.status, canned.body = 422, b'{"status":"error","errorType":"execution","error":"too many samples"}'
    metrics._served._look_at -= INSPECTION_SECONDS  # a minute passes
    assert await look(metrics) is first


async def test_nothing_is_asked_where_every_app_names_its_source(metrics: PrometheusMetrics, canned: Canned) -> None:
    assert await look(metrics, LookedFor()) is None
    assert canned.queries == []
