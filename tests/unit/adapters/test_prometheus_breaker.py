"""A Prometheus that cannot be reached at all is left alone for a while."""

import time

import pytest

from scalableapp.adapters import prometheus
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.core.model import DataProblem
from tests.unit.adapters.canned import Canned
from tests.unit.adapters.test_prometheus import PODS, error, one, per_pod


async def test_a_prometheus_that_stays_away_is_not_waited_for_at_each_tick(
    canned: Canned, metrics: PrometheusMetrics
) -> None:
    canned.body = b"gone"
    for _ in range(3):
        assert (await per_pod(metrics)).problem is DataProblem.UNREACHABLE
    asked = len(canned.queries)
    answer = await per_pod(metrics)
    assert answer.problem is DataProblem.UNREACHABLE
    assert "asked again" in answer.message
    assert len(canned.queries) == asked


async def test_it_is_asked_again_with_one_query_and_trusted_when_that_succeeds(
    canned: Canned, metrics: PrometheusMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "_BREAK_SECONDS", (0.0, 0.0))
    canned.body = b"gone"
    for _ in range(4):
        await per_pod(metrics)
    assert canned.queries[-1] == "vector(1)"
    canned.vector(PODS[0], at=time.time())
    assert (await per_pod(metrics)).problem is None
    assert canned.queries[-2:].count("vector(1)") == 1


async def test_it_is_asked_again_within_five_seconds_of_the_last_try(
    canned: Canned, metrics: PrometheusMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that scaling is back 5 s and one look after Prometheus is."""
    canned.body = b"gone"
    for _ in range(3):
        await per_pod(metrics)
    now = time.monotonic()
    due = []
    for seconds in (1, 2, 5):
        with monkeypatch.context() as later:
            later.setattr(time, "monotonic", lambda at=now + seconds: at)
            due.append(metrics._breaker.may_probe())
    assert due == [False, False, True]


async def test_bad_queries_do_not_count_as_an_absent_prometheus(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.status = 400
    canned.json(error("bad_data", "x"))
    for _ in range(5):
        await one(metrics)
    assert len(canned.queries) == 5
