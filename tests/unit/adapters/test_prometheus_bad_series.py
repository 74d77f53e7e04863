"""What one tenant's exporter makes of an answer costs that tenant's series, never those of others, and never raises."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalableapp.adapters import pod_series
from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_answers import Body, read, read_range
from scalableapp.core.model import DataProblem
from scalableapp.ports import LatencyAnswer, MetricsRequest, Snapshot
from tests.unit.adapters.canned import Canned, vector
from tests.unit.adapters.test_prometheus import RPS, error, one

GOOD, BAD = {"namespace": "shop", "pod": "web-1"}, {"namespace": "shop", "pod": "bad-1"}
ALL = MetricsRequest(
    frozenset({RPS}), frozenset({"shop"}), bursts=frozenset({20}), latencies=True, failures=True, usage=True
)


def among_good(entry: Any, **more: Any) -> dict[str, Any]:
    """An answer with one series that is fine, and another."""
    answer = vector((GOOD | {"le": "+Inf"}, "4"), (GOOD | {"le": "0.25"}, "3"), at=time.time(), **more)
    answer["data"]["result"].insert(1, entry)
    return answer


async def collect(canned: Canned, metrics: PrometheusMetrics, answer: Any) -> Snapshot:
    canned.json(answer)
    return await metrics.collect(ALL)


def latencies(snapshot: Snapshot) -> LatencyAnswer:
    assert snapshot.latencies is not None
    return snapshot.latencies


BOUNDS = ["abc", "", "NaN", "-1", "-Inf", "1_0", "1e999", " 1", "0x10", "\u0661", "9" * 400, "\ud800", "inf", "1,5"]


@pytest.mark.parametrize("le", BOUNDS, ids=ascii)
async def test_a_bucket_whose_bound_is_no_number_costs_its_pod(
    canned: Canned, metrics: PrometheusMetrics, le: str
) -> None:
    entry = {"metric": BAD | {"le": le}, "value": [time.time(), "5"]}
    answer = latencies(await collect(canned, metrics, among_good(entry)))
    assert answer.histograms == {("shop", "web-1"): {0.25: 3.0, math.inf: 4.0}}
    assert ("shop", "bad-1") not in answer.histograms
    if le:
        problem, message = answer.refused["shop", "bad-1"]
        assert problem is DataProblem.BROKEN
        assert f"a bucket le={le[:40]!r}" in message
        message.encode()


NOW = 1_764_521_272.5
VALUES: dict[str, Any] = {
    "no number": [NOW, "abc"],
    "not a text": [NOW, 5],
    "NaN": [NOW, "NaN"],
    "a number for Python": [NOW, "1_0"],
    "null": [NOW, None],
    "nothing": None,
    "one": [NOW],
    "three": [NOW, "1", "2"],
    "a time that is no number": ["x", "1"],
    "a time beyond all": [10**400, "1"],
    "before all": [-(10**30), "1"],
    "true": [True, "1"],
    "nested": [[[[]]], {"metric": {}, "value": []}],
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
async def test_a_value_that_is_no_number_is_never_one_and_costs_its_pod(
    canned: Canned, metrics: PrometheusMetrics, value: Any
) -> None:
    snapshot = await collect(canned, metrics, among_good({"metric": BAD | {"le": "+Inf"}, "value": value}))
    assert snapshot.kinds[RPS].values["shop", "web-1"] == 3.0
    assert math.isnan(snapshot.kinds[RPS].values["shop", "bad-1"])
    assert latencies(snapshot).histograms == {("shop", "web-1"): {0.25: 3.0, math.inf: 4.0}}
    assert latencies(snapshot).refused["shop", "bad-1"][0] is DataProblem.BROKEN


LABELS: dict[str, Any] = {
    "null": {"metric": None, "value": [NOW, "1"]},
    "a list": {"metric": ["pod"], "value": [NOW, "1"]},
    "numbers": {"metric": {"namespace": "shop", "pod": 1}, "value": [NOW, "1"]},
    "objects": {"metric": {"namespace": {}, "pod": {"metric": {}, "value": []}}, "value": [NOW, "1"]},
    "none": {"value": [NOW, "1"]},
    "no series": 5,
    "null as a series": None,
    "a list as a series": [[]],
    "a native histogram": {"metric": BAD, "histogram": [NOW, {"count": "1"}]},
    "a bare name": "web",
}


@pytest.mark.parametrize("entry", LABELS.values(), ids=LABELS.keys())
async def test_a_series_that_cannot_be_told_from_others_is_nobody_s(
    canned: Canned, metrics: PrometheusMetrics, entry: Any
) -> None:
    snapshot = await collect(canned, metrics, among_good(entry))
    assert snapshot.kinds[RPS].values == snapshot.bursts[20].values == {("shop", "web-1"): 3.0}
    assert latencies(snapshot).histograms.keys() == {("shop", "web-1")}


@pytest.mark.parametrize(
    "entry", [*LABELS.values(), *({"metric": {}, "value": value} for value in VALUES.values() if value != [NOW, "NaN"])]
)
async def test_a_query_with_a_series_that_cannot_be_read_has_no_value(
    canned: Canned, metrics: PrometheusMetrics, entry: Any
) -> None:
    answer = vector(at=time.time())
    answer["data"]["result"] = [entry]
    canned.json(answer)
    found = await one(metrics)
    assert (found.value, found.problem) == (None, DataProblem.WRONG_TYPE)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nested without end"),
        pytest.param(b'{"status":"success","data":' + b'{"a":' * 9000 + b"1" + b"}" * 9001, id="objects, too"),
        pytest.param(b'{"status":' + b"9" * 10_000 + b"}", id="an endless number"),
        pytest.param(b'{"status":"success","warnings":5}', id="warnings that are a number"),
        pytest.param(b'{"status":"success","warnings":{"a":1}}', id="warnings that are an object"),
        pytest.param(b'{"status":"success","data":[]}', id="data that are a list"),
        pytest.param(b'{"status":"success","data":{"resultType":[],"result":{}}}', id="a kind that is a list"),
        pytest.param(b'{"status":"success","data":{"resultType":"vector","result":5}}', id="a result that is a number"),
        pytest.param(b'{"status":"success","data":{"resultType":"scalar","result":[1]}}', id="half a scalar"),
        pytest.param(b"\xff\xfe{", id="another encoding"),
        pytest.param(b"\x00", id="nothing readable"),
    ],
)
async def test_an_answer_that_cannot_be_read_at_all_is_a_problem_of_what_was_asked(
    canned: Canned, metrics: PrometheusMetrics, body: bytes
) -> None:
    canned.body = body
    snapshot = await metrics.collect(ALL)
    answers = [*snapshot.kinds.values(), *snapshot.bursts.values(), *snapshot.usage.values(), snapshot.failures]
    assert all(answer and answer.problem and not answer.values for answer in answers)
    assert latencies(snapshot).problem


async def test_an_error_without_end_is_cut(canned: Canned, metrics: PrometheusMetrics) -> None:
    canned.status = 400
    canned.json(error("x" * 5000, "y" * 5000))
    assert len((await one(metrics)).message) < 500


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["1", NOW, "+Inf"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metric", "value", "values", "le", "pod", "namespace"]), inner, max_size=4)
    ),
    max_leaves=12,
)
answers = st.fixed_dictionaries(
    {"status": st.just("success")},
    optional={
        "warnings": junk,
        "isPartial": junk,
        "stats": junk,
        "data": junk
        | st.fixed_dictionaries(
            {"resultType": st.sampled_from(["vector", "matrix", "scalar"]) | junk, "result": junk | st.lists(junk)}
        ),
    },
)


@given(answers)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_junk_raises_or_becomes_anything_but_samples(answer: Any) -> None:
    body = Body(json.dumps(answer).encode(), 1000)
    for sample in read(body).samples:
        assert isinstance(sample.value, float)
        assert all(isinstance(text, str) for text in (*sample.labels, *sample.labels.values()))
    for series in read_range(body).series:
        assert all(0 <= at < 1e11 and isinstance(value, float) for at, value in series.points)


async def test_an_internal_error_in_one_answer_leaves_the_others_alone(
    canned: Canned, metrics: PrometheusMetrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("pod")

    monkeypatch.setattr(pod_series, "latency_answer", fails)
    snapshot = await collect(canned, metrics, among_good({}))
    assert latencies(snapshot).problem is DataProblem.WRONG_TYPE
    assert snapshot.kinds[RPS].values == {("shop", "web-1"): 3.0}
    assert "KeyError" in caplog.text
