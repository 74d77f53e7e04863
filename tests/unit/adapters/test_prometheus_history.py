"""The past of one app that cannot be read costs that app its history, never the others theirs."""

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from scalableapp.adapters import prometheus_history
from scalableapp.adapters.prometheus_history import PrometheusHistory
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.model import AppKey
from scalableapp.core.size import Resource
from tests.unit.adapters.canned import Canned

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
WEB, BAD = AppKey("shop", "web"), AppKey("greedy", "bad")
AT = NOW.timestamp()
KINDS = {MetricType.REQUESTS_PER_SECOND}


@pytest_asyncio.fixture
async def past(canned: Canned, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrometheusHistory]:
    monkeypatch.setattr(prometheus_history, "_LARGEST_ANSWER_BYTES", 2**18)
    monkeypatch.setattr(prometheus_history, "_pieces", lambda _start, end, *_: [(end - 60, end)])
    adapter = PrometheusHistory(canned.url)
    yield adapter
    adapter.close()


def series(key: AppKey, *values: str, **labels: Any) -> dict[str, Any]:
    """Values in steps of 15 s up to now."""
    metric = {"namespace": key.namespace, "scalableapp": key.name, **labels}
    return {
        "metric": metric,
        "values": [[AT - 15 * (len(values) - 1 - index), value] for index, value in enumerate(values)],
    }


def matrix(*found: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(found)}}


def answering(canned: Canned, *of_bad: Any) -> None:
    """A past of both apps; that of one has more in it."""

    def answer(query: str) -> dict[str, Any]:
        if query.startswith("min("):
            return {"status": "success", "data": {"resultType": "vector", "result": []}}
        own = [series(WEB, "4", "5", le=le, pod="web-1") for le in ("0.1", "+Inf")] if "shop" in query else []
        return matrix(*own, *(of_bad if "greedy" in query else ()))

    canned.answer = answer


JUNK: dict[str, Any] = {
    "a bound that is no number": series(BAD, "1", le="abc"),
    "no bound": series(BAD, "1"),
    "NaN": series(BAD, "NaN", "+Inf", "-Inf", le="+Inf"),
    "no numbers": series(BAD, "x", "1_0", le="1"),
    "no labels": {"metric": None, "values": [[AT, "1"]]},
    "labels that are no texts": {"metric": {"namespace": ["greedy"], "scalableapp": {}}, "values": [[AT, "1"]]},
    "no values": {"metric": {}, "values": None},
    "times beyond all": {"metric": {"namespace": "greedy", "scalableapp": "bad"}, "values": [[10**400, "1"]]},
    "before all": {"metric": {"namespace": "greedy", "scalableapp": "bad"}, "values": [[-(10**30), "1"]]},
    "no series": 5,
    "a native histogram": {"metric": {"namespace": "greedy"}, "histograms": [[AT, {}]]},
    "so many buckets that they are not read": series(BAD, *["1"] * 20_000, le="1"),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
async def test_what_cannot_be_read_costs_no_other_app_its_past(
    canned: Canned, past: PrometheusHistory, junk: Any
) -> None:
    answering(canned, junk)
    loads = await past.loads({WEB: 0.1, BAD: 0.1}, NOW)
    assert (loads.problem, loads.message) == (None, "")
    assert {moment.load for moment in loads.moments[WEB]} == {4.0, 5.0}
    assert all(math.isfinite(moment.load) for moments in loads.moments.values() for moment in moments)
    pods = await past.pods([WEB, BAD], KINDS, 300, NOW)
    assert pods.pods[WEB][-1].values[MetricType.REQUESTS_PER_SECOND] == {"web-1": 5.0}
    usage = await past.usage({key: dict.fromkeys(Resource, 600.0) for key in (WEB, BAD)}, NOW)
    assert {value for _, value in usage.usage[WEB][Resource.CPU]} == {4.0, 5.0}


async def test_buckets_that_can_be_read_tell_the_slow_share_beside_others(
    canned: Canned, past: PrometheusHistory
) -> None:
    answering(
        canned, series(BAD, "1", "2", le="abc"), series(BAD, "4", "4", le="+Inf"), series(BAD, "1", "1", le="0.1")
    )
    loads = await past.loads({WEB: 0.1, BAD: 0.1}, NOW)
    assert {moment.slow_share for moment in loads.moments[BAD] if moment.slow_share is not None} == {1.0}


async def test_an_app_whose_own_past_is_too_large_starts_without_it_and_is_named(
    canned: Canned, past: PrometheusHistory, caplog: pytest.LogCaptureFixture
) -> None:
    answering(canned, JUNK["so many buckets that they are not read"])
    loads = await past.loads({WEB: None, BAD: None}, NOW)
    assert loads.moments.keys() == {WEB}
    assert "greedy/bad starts without history: the answer of Prometheus is larger than 256 KiB" in caplog.text
