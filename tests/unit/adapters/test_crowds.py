"""One tenant's series without end leave room for those of others, and the tenant is told."""

import math
import time
from typing import Any

import pytest

from scalableapp.adapters.crowds import Crowds
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_answers import Answer, Sample
from scalableapp.adapters.prometheus_http import LARGEST_ANSWER_BYTES, largest_answer_bytes
from scalableapp.adapters.prometheus_queries import PART, TOO_LONG
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import DataProblem
from scalableapp.ports import MetricsRequest, Snapshot
from tests.unit.adapters.canned import Canned, vector
from tests.unit.adapters.test_prometheus import RPS

MOST = 3200 * 320  # bytes, for 3,200 series


def counted(crowds: Crowds, sizes: dict[str, float], too_long: tuple[str, ...] = ()) -> set[str]:
    """The namespaces left out once these numbers of series have been counted."""
    samples = [Sample(size, {"namespace": name}) for name, size in sizes.items()]
    samples += [Sample(1.0, {"namespace": name, PART: TOO_LONG}) for name in too_long]
    crowds.counted(Answer(tuple(samples)))
    return set(crowds.left_out)


@pytest.mark.parametrize(
    ("sizes", "left_out"),
    [
        pytest.param({"a": 1600, "b": 1600}, set(), id="all fit"),
        pytest.param({"a": 1000, "b": 230_000}, {"b"}, id="one is too large for itself"),
        pytest.param({"a": 1000, "b": 1500, "c": 2000}, {"c"}, id="the largest makes room"),
        pytest.param({"a": 3000, "b": 3001, "c": 3002}, {"b", "c"}, id="as few as needed"),
        pytest.param({"a": 9000}, {"a"}, id="also where it is alone"),
        pytest.param({}, set(), id="none"),
    ],
)
def test_the_largest_namespaces_are_left_out_until_the_others_fit(sizes: dict[str, float], left_out: set[str]) -> None:
    assert counted(Crowds("q", MOST), sizes) == left_out


def test_who_is_left_out_is_told_the_number_and_what_to_do() -> None:
    crowds = Crowds("q", MOST)
    counted(crowds, {"a": 230_000, "c": 1}, ("c",))
    problem, message = crowds.left_out["a"]
    assert problem is DataProblem.TOO_MANY_SERIES
    assert "namespace a have 230,000 series of q" in message
    assert "at most 3,200" in message
    assert "remove buckets" in message
    assert "more than 64 characters" in crowds.left_out["c"][1]


def test_after_an_answer_that_was_too_large_less_is_allowed_and_later_tried_again() -> None:
    crowds = Crowds("q", MOST)
    crowds.overflowed()
    assert counted(crowds, {"a": 1000, "b": 1001}) == {"b"}
    found = [counted(crowds, {"a": 1000, "b": 1001}) for _ in range(9)]
    assert found == [{"b"}] * 8 + [set()]


REQUEST = MetricsRequest(frozenset({RPS}), frozenset({"shop", "greedy"}), latencies=True, failures=True)
WEB, POD = {"namespace": "shop", "pod": "web-1"}, {"namespace": "greedy", "pod": "x-1"}
GREEDY = [(POD | {"le": f"{number / 1000}"}, "1") for number in range(9000)]


def crowded(query: str) -> dict[str, Any]:
    """A Prometheus in which the namespace greedy has 9,000 buckets, if it is asked for."""
    now = time.time()
    if query.startswith("count by (namespace) (count by") and "duration" in query:
        return vector(({"namespace": "shop"}, "2"), ({"namespace": "greedy"}, "9000"), at=now)
    if query.startswith("count by (namespace)"):
        return vector(({"namespace": "shop"}, "1"), ({"namespace": "greedy"}, "1"), at=now)
    if "duration" in query:
        own = [(WEB | {"le": "+Inf"}, "4"), (WEB | {"le": "1"}, "3")]
        return vector(*own, *(GREEDY if "greedy" in query else []), at=now)
    return vector((WEB, "4"), (POD, "1"), at=now)


async def look(metrics: PrometheusMetrics) -> Snapshot:
    return await metrics.collect(REQUEST)


async def test_a_namespace_with_too_many_buckets_is_not_asked_for_and_named(canned: Canned) -> None:
    metrics = PrometheusMetrics(canned.url, most_bytes=2**20)
    canned.answer = crowded
    snapshot = await look(metrics)
    metrics.close()
    assert snapshot.latencies is not None
    assert snapshot.latencies.histograms == {("shop", "web-1"): {1.0: 3.0, math.inf: 4.0}}
    assert snapshot.latencies.left_out["greedy"][0] is DataProblem.TOO_MANY_SERIES
    assert snapshot.kinds[RPS].values == {("shop", "web-1"): 4.0, ("greedy", "x-1"): 1.0}
    assert not snapshot.kinds[RPS].left_out


async def test_one_that_has_them_suddenly_fails_one_look(canned: Canned) -> None:
    metrics = PrometheusMetrics(canned.url, most_bytes=2**20)
    canned.answer = lambda query: crowded(query.replace("greedy", "other"))
    assert (await look(metrics)).latencies is not None
    metrics._pods._crowds[MetricType.LATENCY].left_out = {}
    canned.answer = crowded
    found = [(await look(metrics)).latencies for _ in range(2)]
    metrics.close()
    assert [answer.problem for answer in found if answer] == [DataProblem.TOO_MANY_SERIES, None]


async def test_with_very_many_namespaces_those_left_out_are_named_instead(canned: Canned) -> None:
    metrics = PrometheusMetrics(canned.url, most_bytes=2**20)
    canned.answer = crowded
    names = {f"team-{number}" for number in range(51)} | REQUEST.namespaces
    await metrics.collect(MetricsRequest(frozenset({RPS}), frozenset(names), latencies=True))
    metrics.close()
    assert [query for query in canned.queries if 'bucket{namespace!~"greedy"}[60s]' in query]


@pytest.mark.parametrize(
    ("limit", "size"), [(2**28, 8 * 2**20), (2**30, 32 * 2**20), (None, LARGEST_ANSWER_BYTES), (1, 2**20)]
)
def test_the_largest_answer_follows_the_memory_limit(limit: int | None, size: int) -> None:
    assert largest_answer_bytes(limit) == size
