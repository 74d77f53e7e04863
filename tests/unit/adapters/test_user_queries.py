"""Users' own queries: none harms the others, and threads and places are shared between namespaces."""

import threading
import time
from typing import Any

from scalableapp.adapters import user_queries
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.turns import Turns, fairly
from scalableapp.core.model import DataProblem
from scalableapp.ports import MetricsRequest, QueryAnswer
from tests.unit.adapters.canned import Canned, vector
from tests.unit.adapters.test_prometheus import PODS, RPS


async def test_one_bad_query_leaves_the_others_alone(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.answer = lambda query: vector(({}, "NaN" if "bad" in query else "1"), at=time.time())
    wanted = MetricsRequest(frozenset(), frozenset(), dict.fromkeys(("sum(bad)", "sum(good)"), "shop"))
    answers = (await metrics.collect(wanted)).queries
    assert answers["sum(good)"] == QueryAnswer(1.0)
    assert answers["sum(bad)"].problem is DataProblem.NOT_A_NUMBER


async def test_slow_queries_of_users_do_not_hold_up_the_others(canned: Canned, metrics: PrometheusMetrics) -> None:
    def answer(query: str) -> dict[str, Any]:
        time.sleep(0.5 if "slow" in query else 0)
        return vector(PODS[0], at=time.time())

    canned.answer = answer
    queries = {f"sum(slow{number})": "shop" for number in range(100)}
    snapshot = await metrics.collect(MetricsRequest(frozenset({RPS}), frozenset({"shop"}), queries))
    assert snapshot.kinds[RPS].problem is None
    late = [found for found in snapshot.queries.values() if found.problem is DataProblem.QUERY_FAILED]
    assert late
    assert "did not answer within" in late[0].message
    assert snapshot.queries.keys() == queries.keys()


async def test_queries_beyond_the_limit_are_reported(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(({}, "1"), at=time.time())
    queries = {f"sum(q{number:04})": "shop" for number in range(user_queries.MOST_QUERIES + 1)}
    answers = (await metrics.collect(MetricsRequest(frozenset(), frozenset(), queries))).queries
    assert "at most 500" in answers[f"sum(q{user_queries.MOST_QUERIES:04})"].message
    assert len(canned.queries) <= user_queries.MOST_QUERIES


def test_each_namespace_has_a_query_before_one_has_two() -> None:
    queries = {f"a{number}": "first" for number in range(6)} | {"x": "second", "y": "second", "z": "third"}
    assert fairly(queries, 6) == ["a0", "x", "z", "a1", "y", "a2"]
    assert fairly(queries, 100)[-3:] == ["a3", "a4", "a5"]


async def test_queries_beyond_the_limit_are_those_of_who_has_most(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.vector(({}, "1"), at=time.time())
    queries = {f"sum(a{number:04})": "greedy" for number in range(user_queries.MOST_QUERIES)}
    wanted = queries | {"sum(z)": "modest"}
    answers = (await metrics.collect(MetricsRequest(frozenset(), frozenset(), wanted))).queries
    assert answers["sum(z)"] == QueryAnswer(1.0)
    last = answers[f"sum(a{user_queries.MOST_QUERIES - 1:04})"]
    assert (last.problem, "exceeds the limit" in last.message) == (DataProblem.QUERY_FAILED, True)


class Clock:
    """Seconds, as they are set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_namespace_that_used_the_threads_least_is_next() -> None:
    clock = Clock()
    turns = Turns(clock)
    turns.begin({"a1": "slow", "a2": "slow", "a3": "slow", "b1": "fast", "b2": "fast", "b3": "fast"})
    assert {turns.next(), turns.next()} == {"a1", "b1"}
    clock.now += 0.01
    turns.ended("b1")
    clock.now += 1
    assert [turns.next(), turns.next()] == ["b2", "b3"]
    assert turns.next() == "a2"


def test_what_was_slow_in_the_look_before_comes_last_in_this_one() -> None:
    clock = Clock()
    turns = Turns(clock)
    turns.begin({"a1": "slow", "b1": "fast"})
    turns.next(), turns.next()
    clock.now += 0.01
    turns.ended("b1")
    clock.now += 4  # a1 has not ended
    turns.begin({f"a{number}": "slow" for number in range(9)} | {f"b{number}": "fast" for number in range(9)})
    assert [turns.next() for _ in range(9)] == [f"b{number}" for number in range(9)]


def test_all_take_their_turn_in_the_end() -> None:
    turns = Turns(Clock())
    queries = {f"{name}{number}": name for name in "abc" for number in range(5)}
    turns.begin(queries)
    assert sorted(filter(None, (turns.next() for _ in range(16)))) == sorted(queries)


async def test_slow_queries_of_one_namespace_do_not_delay_those_of_another(canned: Canned) -> None:
    """They are answered only once all others have been asked: with all threads, they would wait for ever."""
    slow = {f"sum(_slow{number:02})": "slow" for number in range(16)}
    others = {f"sum(a{number:02})": "team-a" for number in range(20)} | {"sum(z)": "team-z"}
    waiting, all_asked = set(others), threading.Event()

    def answer(query: str) -> dict[str, Any]:
        waiting.discard(query)
        if not waiting:
            all_asked.set()
        if query in slow:
            all_asked.wait(20)
        return vector(({}, "1"), at=time.time())

    canned.answer = answer
    metrics = PrometheusMetrics(canned.url, timeout_seconds=20.0)
    answers = (await metrics.collect(MetricsRequest(frozenset(), frozenset(), slow | others))).queries
    metrics.close()
    assert {query for query, found in answers.items() if found.problem} == set()


async def test_an_answer_with_very_many_series_is_not_read_and_told(canned: Canned, metrics: PrometheusMetrics) -> None:
    series = [({"pod": f"web-{number}"}, "1") for number in range(10_000)]
    canned.answer = lambda query: vector(*(series if "bad" in query else [({}, "1")]), at=time.time())
    wanted = dict.fromkeys(("sum(good)", "bad"), "shop")
    answers = (await metrics.collect(MetricsRequest(frozenset(), frozenset(), wanted))).queries
    assert answers["sum(good)"] == QueryAnswer(1.0)
    assert answers["bad"].problem is DataProblem.TOO_MANY_SERIES
    assert "larger than 256 KiB: bad; it must return one number" in answers["bad"].message
