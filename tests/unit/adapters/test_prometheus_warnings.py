"""What a server says beside its numbers: hints, doubts, and that a part is missing."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scalableapp.adapters.prometheus_http import Queries
from scalableapp.core.model import DataProblem
from tests.unit.adapters.canned import Canned, vector

HINT = 'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "in_progress"'
DOUBT = "PromQL warning: encountered a mix of histograms and floats"
STORE = "No StoreAPIs matched for this query"


@pytest.fixture
def queries(canned: Canned) -> Iterator[Queries]:
    asked = Queries(canned.url, 1.0, 1)
    yield asked
    asked.close()


def matrix(**more: Any) -> dict[str, Any]:
    result = [{"metric": {}, "values": [[time.time(), "7"]]}]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}


BESIDE: dict[str, tuple[dict[str, Any], DataProblem | None]] = {
    "nothing": ({}, None),
    "no warnings": ({"warnings": []}, None),
    "null": ({"warnings": None}, None),
    "a hint among the warnings, as 2.48 to 2.53 have it": ({"warnings": [HINT]}, None),
    "hints of later ones": ({"infos": [HINT]}, None),
    "a hint and a store that is away": ({"warnings": [HINT, STORE]}, DataProblem.WARNINGS),
    "a store that is away": ({"warnings": [STORE]}, DataProblem.WARNINGS),
    "a doubt": ({"warnings": [DOUBT]}, DataProblem.WARNINGS),
    "one text": ({"warnings": STORE}, DataProblem.WARNINGS),
    "VictoriaMetrics' whole answer": ({"isPartial": False}, None),
    "VictoriaMetrics' partial answer": ({"isPartial": True}, DataProblem.PARTIAL),
    "a partial answer with a hint": ({"isPartial": True, "warnings": [HINT]}, DataProblem.PARTIAL),
}


@pytest.mark.parametrize(("beside", "problem"), BESIDE.values(), ids=BESIDE.keys())
def test_hints_are_no_warnings_and_parts_are_no_whole(
    canned: Canned, queries: Queries, beside: dict[str, Any], problem: DataProblem | None
) -> None:
    canned.json(vector(({}, "7"), at=time.time(), **beside))
    answer = queries.ask("sum(rate(in_progress[1m]))")
    assert (answer.problem, [sample.value for sample in answer.samples]) == (problem, [] if problem else [7.0])


@pytest.mark.parametrize(("beside", "problem"), BESIDE.values(), ids=BESIDE.keys())
def test_so_it_is_with_the_past(
    canned: Canned, queries: Queries, beside: dict[str, Any], problem: DataProblem | None
) -> None:
    canned.json(matrix(**beside))
    answer = queries.ask_range("sum(rate(in_progress[1m]))", 0, 60, 60)
    assert (answer.problem, len(answer.series)) == (problem, 0 if problem else 1)


def test_the_message_tells_a_doubt_from_a_missing_part(canned: Canned, queries: Queries) -> None:
    messages = []
    for beside in ({"warnings": [DOUBT]}, {"warnings": [HINT, STORE]}, {"isPartial": True}):
        canned.json(vector(({}, "7"), at=time.time(), **beside))
        messages.append(queries.ask("q").message)
    assert messages == [
        f"Prometheus warns about the result of the query: {DOUBT}",
        f"Prometheus warns that its answer may be partial: {STORE}",
        "the answer is partial (isPartial): a part of the storage behind Prometheus' API did not answer",
    ]


VICTORIAMETRICS = {"stats": {"seriesFetched": "1", "executionTimeMsec": 1}}


def further(canned: Canned) -> list[dict[str, str]]:
    """What was sent beside the questions."""
    usual = {"query", "start", "end", "step", "timeout"}
    return [{name: value for name, value in form.items() if name not in usual} for form in canned.forms]


def test_victoriametrics_is_asked_again_as_of_now_and_from_then_on(canned: Canned, queries: Queries) -> None:
    as_of_now = {"latency_offset": "1ms", "nocache": "1"}
    canned.json(vector(({}, "7"), at=time.time(), **VICTORIAMETRICS))
    queries.ask("q")
    queries.ask("q")
    queries.ask("rate(q[1m])", of_rates=True)
    assert further(canned) == [{}, as_of_now, as_of_now, as_of_now | {"max_lookback": "1ms"}]
    assert [form.get("step") for form in canned.forms] == [None, None, None, "5m"]
    canned.json(matrix(**VICTORIAMETRICS))
    queries.ask_range("q", 0, 60, 60)
    assert further(canned)[-1] == as_of_now
    assert canned.forms[-1]["step"] == "60"


@pytest.mark.parametrize("beside", [{}, {"stats": {"timings": {}}}, {"isPartial": False}], ids=str)
def test_nobody_else_is_sent_what_it_may_not_know(canned: Canned, queries: Queries, beside: dict[str, Any]) -> None:
    canned.json(vector(({}, "7"), at=time.time(), **beside))
    queries.ask("rate(q[1m])", of_rates=True)
    queries.ask("rate(q[1m])", of_rates=True)
    assert further(canned) == [{}, {}]
    assert [form.get("step") for form in canned.forms] == [None, None]
