import math
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from scalableapp.adapters import prometheus
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import MetricsRequest, PodAnswer, QueryAnswer, UsageMetric
from tests.unit.adapters.canned import Canned, vector

COPY = "namespace, pod, job, prometheus, prometheus_replica, replica, thanos_replica"
RPS, CPU = MetricType.REQUESTS_PER_SECOND, MetricType.CPU
PODS = ({"namespace": "shop", "pod": "web-1"}, "3.5"), ({"namespace": "shop", "pod": "web-2"}, "0")


async def per_pod(metrics: PrometheusMetrics, *namespaces: str) -> PodAnswer:
    wanted = MetricsRequest(frozenset({RPS}), frozenset(namespaces or ("shop",)))
    return (await metrics.collect(wanted)).kinds[RPS]


async def one(metrics: PrometheusMetrics, query: str = "sum(q)") -> QueryAnswer:
    return (await metrics.collect(MetricsRequest(frozenset(), frozenset(), {query: "shop"}))).queries[query]


def asked(canned: Canned) -> list[str]:
    """The queries for values over their least window: without what else an answer holds, and what is looked at."""
    values = (query.partition(" or label_replace(")[0] for query in canned.queries)
    beside = "label_replace(", "count by (namespace) (count by"
    return sorted(query for query in values if not query.startswith(beside))


async def test_one_query_brings_the_values_of_all_pods(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(*PODS, at=time.time())
    await per_pod(metrics)
    looked_at = len(canned.queries)
    assert (await per_pod(metrics)).values == {("shop", "web-1"): 3.5, ("shop", "web-2"): 0.0}
    assert len(canned.queries) == looked_at + 1


async def test_series_without_pod_are_nobody_s(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(({"namespace": "shop"}, "9"), PODS[0], at=time.time())
    assert (await per_pod(metrics)).values == {("shop", "web-1"): 3.5}


async def test_queries_name_the_namespaces_of_apps(canned: Canned, metrics: PrometheusMetrics) -> None:
    await metrics.collect(MetricsRequest(frozenset({RPS, CPU}), frozenset({"team-b", "a"})))
    assert asked(canned) == [
        f'max by (namespace, pod) (sum by ({COPY}) (rate(http_requests_total{{namespace=~"a|team-b"}}[30s])))',
        (
            "sum by (namespace, pod) (max by (namespace, pod, cpu) "
            '(rate(container_cpu_usage_seconds_total{container="app",namespace=~"a|team-b"}[60s]))) > 0'
        ),
    ]


async def test_each_short_window_is_asked_for_once(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(*PODS, at=time.time())
    snapshot = await metrics.collect(MetricsRequest(frozenset({RPS}), frozenset({"a"}), bursts=frozenset({10, 20})))
    assert asked(canned) == [
        f'max by (namespace, pod) (sum by ({COPY}) (rate(http_requests_total{{namespace=~"a"}}[{window}s])))'
        for window in (10, 20, 30)
    ]
    assert snapshot.bursts[10].values == snapshot.bursts[20].values == snapshot.kinds[RPS].values
    assert set(snapshot.kinds) == {RPS}


async def test_latencies_and_failures_are_asked_for_where_an_objective_needs_them(
    canned: Canned, metrics: PrometheusMetrics
) -> None:
    await metrics.collect(MetricsRequest(frozenset(), frozenset({"a"}), latencies=True, failures=True))
    rates = " or ".join(
        f'rate(http_requests_total{{{label}=~"5..",namespace=~"a"}}[60s])'
        for label in ("code", "status", "status_code")
    )
    assert asked(canned) == [
        f"max by (namespace, pod) (sum by ({COPY}) ({rates}))",
        (
            f"max by (namespace, pod, le) (sum by ({COPY}, le) "
            '(rate(http_request_duration_seconds_bucket{namespace=~"a"}[60s])))'
        ),
    ]


async def test_pods_with_a_value_and_no_newest_sample_are_overdue_even_if_all_pods_are(
    canned: Canned, metrics: PrometheusMetrics
) -> None:
    pods = [{"namespace": "shop", "pod": f"web-{number}"} for number in (1, 2)]
    canned.vector(*((pod, "3") for pod in pods), at=time.time())
    wanted = MetricsRequest(frozenset({MetricType.REQUESTS_PER_SECOND}), frozenset({"shop"}))
    scrapes = (await metrics.collect(wanted)).kinds[MetricType.REQUESTS_PER_SECOND].scrapes
    assert [scrape.overdue for scrape in scrapes.values()] == [True, True]


async def test_a_histogram_is_read_by_its_bounds(canned: Canned, metrics: PrometheusMetrics) -> None:
    web = {"namespace": "shop", "pod": "web-1"}
    canned.vector((web | {"le": "0.25"}, "3"), (web | {"le": "+Inf"}, "4"), (web, "9"), at=time.time())
    answer = (await metrics.collect(MetricsRequest(frozenset(), frozenset({"shop"}), latencies=True))).latencies
    assert answer is not None
    assert answer.histograms == {("shop", "web-1"): {0.25: 3.0, math.inf: 4.0}}


async def test_with_very_many_namespaces_they_are_not_named(canned: Canned, metrics: PrometheusMetrics) -> None:
    await per_pod(metrics, *(f"team-{number}" for number in range(prometheus.MOST_NAMESPACES + 1)))
    assert asked(canned) == [f"max by (namespace, pod) (sum by ({COPY}) (rate(http_requests_total{{}}[30s])))"]


async def test_a_user_s_query_brings_one_number(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(({}, "12.5"), at=time.time())
    assert await one(metrics) == QueryAnswer(12.5)


async def test_a_scalar_is_a_number_too(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.json({"status": "success", "data": {"resultType": "scalar", "result": [time.time(), "7"]}})
    assert await one(metrics, "scalar(sum(q))") == QueryAnswer(7.0)


def error(kind: str, text: str) -> dict[str, str]:
    return {"status": "error", "errorType": kind, "error": text}


def data(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


BAD_ANSWERS: dict[str, tuple[Callable[[float], Any], DataProblem, str]] = {
    "empty": (lambda now: vector(at=now), DataProblem.EMPTY, "returns nothing: sum"),
    "NaN": (lambda now: vector(({}, "NaN"), at=now), DataProblem.NOT_A_NUMBER, "NaN: sum"),
    "infinite": (lambda now: vector(({}, "+Inf"), at=now), DataProblem.INFINITE, "+inf"),
    "minus infinite": (lambda now: vector(({}, "-Inf"), at=now), DataProblem.INFINITE, "-inf"),
    "several series": (lambda now: vector(*PODS, at=now), DataProblem.WRONG_TYPE, "2 series"),
    "matrix": (lambda _now: data("matrix", []), DataProblem.WRONG_TYPE, "returns a matrix"),
    "string": (lambda now: data("string", [now, "x"]), DataProblem.WRONG_TYPE, "returns a string"),
    "histogram": (
        lambda now: data("vector", [{"metric": {}, "histogram": [now, {}]}]),
        DataProblem.WRONG_TYPE,
        "as numbers",
    ),
    "no data": (lambda _now: {"status": "success", "data": None}, DataProblem.WRONG_TYPE, "as numbers"),
    "warnings": (
        lambda now: vector(({}, "1"), at=now, warnings=["store down"]),
        DataProblem.WARNINGS,
        "store down",
    ),
    "clock behind": (lambda now: vector(({}, "1"), at=now - 3600), DataProblem.CLOCK_SKEW, "behind"),
    "clock ahead": (lambda now: vector(({}, "1"), at=now + 3600), DataProblem.CLOCK_SKEW, "ahead"),
    "JSON of something else": (lambda _now: [], DataProblem.UNREACHABLE, "not from Prometheus"),
}


@pytest.mark.parametrize(("body", "problem", "message"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_each_bad_answer_is_a_state_of_its_own_and_never_a_number(
    canned: Canned, metrics: PrometheusMetrics, body: Callable[[float], Any], problem: DataProblem, message: str
) -> None:
    canned.json(body(time.time()))
    answer = await one(metrics)
    assert (answer.value, answer.problem) == (None, problem)
    assert message in answer.message


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, error("bad_data", "parse error: x"), "bad_data: parse error: x"),
        (422, error("execution", "too many samples"), "too many samples"),
        (503, error("timeout", "timed out"), "timeout: timed out"),
    ],
)
async def test_an_error_is_reported_with_prometheus_own_message(
    canned: Canned, metrics: PrometheusMetrics, status: int, body: Any, message: str
) -> None:
    canned.status = status
    canned.json(body)
    answer = await one(metrics)
    assert answer.problem is DataProblem.QUERY_FAILED
    assert message in answer.message


async def test_an_error_of_something_else_says_that_the_address_is_wrong(
    canned: Canned, metrics: PrometheusMetrics
) -> None:
    canned.status = 404
    canned.json({"message": "no such page"})
    answer = await one(metrics)
    assert answer.problem is DataProblem.UNREACHABLE
    assert "HTTP 404" in answer.message


async def test_a_web_page_instead_of_json_says_that_the_address_is_wrong(
    canned: Canned, metrics: PrometheusMetrics
) -> None:
    canned.body = b"<html><title>Login</title></html>"
    answer = await per_pod(metrics)
    assert answer.problem is DataProblem.UNREACHABLE
    assert "<html>" in answer.message
    assert "SCALABLEAPP_PROMETHEUS_URL" in answer.message


async def test_no_pods_at_all_is_empty_and_names_what_is_missing(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(at=time.time())
    answer = await per_pod(metrics)
    assert answer.problem is DataProblem.EMPTY
    assert "http_requests_total" in answer.message


async def test_infos_of_newer_prometheus_are_no_problem(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(({}, "1"), at=time.time(), infos=["metric might not be a counter"])
    assert await one(metrics) == QueryAnswer(1.0)


async def test_a_refused_connection_is_named_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        metrics = PrometheusMetrics(url, timeout_seconds=1.0)
        answer = await one(metrics)
        metrics.close()
    assert answer.problem is DataProblem.UNREACHABLE
    assert url in answer.message
    assert "refused" in answer.message


@pytest.mark.parametrize(
    ("age", "scrapes_in_5_minutes", "stale"),
    [
        pytest.param("59", "60", False, id="fresh"),
        pytest.param("61", "48", True, id="its target was scraped every 5 s until a minute ago"),
        pytest.param("61", "5", False, id="it is scraped once a minute"),
        pytest.param("200", "4", False, id="two slow scrapes were missed"),
        pytest.param("290", "4", True, id="four were"),
    ],
)
async def test_a_plain_selector_s_sample_may_be_three_scrapes_old(
    canned: Canned, metrics: PrometheusMetrics, age: str, scrapes_in_5_minutes: str, stale: bool
) -> None:
    answers = {"time() - timestamp(": age, "count_over_time(": scrapes_in_5_minutes}
    canned.answer = lambda query: vector(
        ({}, next((value for start, value in answers.items() if query.startswith(start)), "8")), at=time.time()
    )
    answer = await one(metrics, 'queue{namespace="shop"}')
    assert answer.problem is (DataProblem.STALE if stale else None)
    assert answer.value == (None if stale else 8.0)


async def test_a_value_whose_age_cannot_be_read_is_not_used(canned: Canned, metrics: PrometheusMetrics) -> None:
    warning = {"warnings": ["some stores did not answer"]}
    canned.answer = lambda query: vector(({}, "8"), at=time.time(), **(warning if "timestamp(" in query else {}))
    answer = await one(metrics, 'queue{namespace="shop"}')
    assert (answer.value, answer.problem) == (None, DataProblem.WARNINGS)
    assert answer.message.startswith("the age of its samples cannot be read: ")


async def test_how_long_queries_took_is_reported(canned: Canned) -> None:
    observed: list[str] = []
    metrics = PrometheusMetrics(canned.url, observe=lambda kind, _seconds: observed.append(kind))
    canned.vector(PODS[0], at=time.time())
    await metrics.collect(MetricsRequest(frozenset({RPS}), frozenset({"shop"}), {"sum(q)": "shop"}))
    metrics.close()
    assert sorted(observed) == [MetricType.PROMETHEUS, RPS, RPS, RPS]


async def test_what_sizes_need_is_asked_for_in_three_more_queries(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(*PODS, at=time.time())
    snapshot = await metrics.collect(MetricsRequest(frozenset(), frozenset({"a"}), usage=True))
    selector = '{container="app",namespace=~"a"}'
    throttled, periods = (f"rate(container_cpu_cfs_{what}periods_total{selector}[60s])" for what in ("throttled_", ""))
    assert asked(canned) == [
        f"max by (namespace, pod) (max_over_time(container_memory_working_set_bytes{selector}[60s])) > 0",
        f"max by (namespace, pod) ({throttled} / ({periods} > 0))",
        f"max by (namespace, pod) (rate(container_pressure_cpu_waiting_seconds_total{selector}[60s]))",
    ]
    assert set(snapshot.usage) == set(UsageMetric)
    assert all(answer.values == {("shop", "web-1"): 3.5, ("shop", "web-2"): 0.0} for answer in snapshot.usage.values())


async def test_throttling_that_no_node_shows_is_no_data(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(at=time.time())
    snapshot = await metrics.collect(MetricsRequest(frozenset(), frozenset({"a"}), usage=True))
    assert {answer.problem for answer in snapshot.usage.values()} == {DataProblem.EMPTY}
