from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide, remember
from scalableapp.core.model import DataProblem, Decision, History, Outage, Reading
from tests.unit.core.build import QUEUE, RPS, ago, app, free, observe

DOWN = Reading(problem=DataProblem.UNREACHABLE, message="Prometheus does not answer")


def blind(
    seconds: float, fallback: dict[str, Any] | None = None, current: int = 5, then: int = 5, **horizontal: Any
) -> Decision:
    """The decision `seconds` after all data was lost, when there were `then` replicas."""
    spec = app(**{"behavior": free(), "fallback": fallback or {}, **horizontal})
    return decide(spec, observe(current=current, RequestsPerSecond=DOWN), History(outage=Outage(ago(seconds), then)))


@pytest.mark.parametrize(
    ("fallback", "seconds", "current", "to"),
    [
        pytest.param({}, 9999, 5, 5, id="hold"),
        pytest.param({}, 9999, 3, 5, id="hold: never below the last good number"),
        pytest.param({}, 10, 3, 5, id="nor before the time has come"),
        pytest.param({}, 9999, 8, 8, id="hold: not down to the last good number"),
        pytest.param({"behavior": "Static", "replicas": 2}, 299, 5, 5, id="static, not yet"),
        pytest.param({"behavior": "Static", "replicas": 2}, 299, 4, 5, id="static, not yet: the last good number"),
        pytest.param({"behavior": "Static", "replicas": 2}, 300, 5, 2, id="static, lower"),
        pytest.param({"behavior": "Static", "replicas": 9}, 300, 5, 9, id="static, higher"),
        pytest.param({"behavior": "Static", "replicas": 2, "afterSeconds": 0}, 0, 5, 2, id="static, at once"),
        pytest.param({"behavior": "CurrentIfHigher", "replicas": 2}, 300, 5, 5, id="current is higher"),
        pytest.param({"behavior": "CurrentIfHigher", "replicas": 7}, 300, 5, 7, id="current is lower"),
        pytest.param({"behavior": "CurrentIfHigher", "replicas": 2}, 300, 3, 5, id="the last good number is higher"),
        pytest.param({"behavior": "Static", "replicas": 500}, 300, 5, 100, id="within the bounds"),
    ],
)
def test_what_becomes_of_an_app_whose_metrics_are_lost(
    fallback: dict[str, Any], seconds: float, current: int, to: int
) -> None:
    decision = blind(seconds, fallback, current)
    assert decision.replicas_to == to
    assert not decision.active
    assert decision.data_problem is DataProblem.UNREACHABLE
    assert decision.recommendation is None


def test_the_fallback_says_what_happened() -> None:
    decision = blind(400, {"behavior": "Static", "replicas": 2})
    assert decision.reason == Reason.FALLBACK
    assert decision.message == (
        "held at 5 replicas: RequestsPerSecond cannot be used: Prometheus does not answer; "
        "no metric has been usable since 11:59:55 UTC (6 m 40 s): fallback Static to 2 replicas until a metric recovers"
    )


@pytest.mark.parametrize(
    ("fallback", "current", "expected"),
    [
        pytest.param({}, 5, "keeps at least 5 replicas", id="hold"),
        pytest.param({}, 3, "raised to 5 replicas, as when the outage began", id="hold, raised"),
        pytest.param(
            {"behavior": "Static", "replicas": 2},
            5,
            "keeps at least 5 replicas; fallback Static to 2 replicas from 12:08:15 UTC unless a metric recovers",
            id="static, later",
        ),
        pytest.param(
            {"behavior": "CurrentIfHigher", "replicas": 7},
            3,
            "raised to 5 replicas, as when the outage began; fallback CurrentIfHigher to 7 replicas from 12:08:15 UTC "
            "unless a metric recovers",
            id="at least, later",
        ),
    ],
)
def test_what_comes_next_in_an_outage_is_reported_before_it_comes(
    fallback: dict[str, Any], current: int, expected: str
) -> None:
    decision = blind(200, fallback, current)
    assert decision.message.endswith(f"; no metric has been usable since 12:03:15 UTC: {expected}")
    assert decision.steps[-1].message.endswith(expected)


def test_a_fallback_is_announced_within_the_bounds() -> None:
    decision = blind(200, {"behavior": "Static", "replicas": 2}, minReplicas=4)
    assert "fallback Static to 4 replicas from 12:08:15 UTC" in decision.message


def test_a_fallback_keeps_to_the_policies() -> None:
    slow = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    decision = blind(400, {"behavior": "Static", "replicas": 2}, behavior=free(down=slow))
    assert (decision.replicas_to, decision.reason) == (4, Reason.SCALE_DOWN_LIMIT)


def test_one_metric_that_works_is_no_outage() -> None:
    spec = app(RPS, QUEUE, behavior=free(), fallback={"behavior": "Static", "replicas": 9})
    seen = observe(RequestsPerSecond=DOWN, queue=Reading(total=40))
    decision = decide(spec, seen, History(outage=Outage(ago(999), 3)))
    assert (decision.replicas_to, decision.outage) == (4, None)


STARTING = observe(pods=(), RequestsPerSecond=Reading())


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        pytest.param(None, observe(RequestsPerSecond=50), None, id="no outage"),
        pytest.param(None, observe(current=4, RequestsPerSecond=DOWN), Outage(ago(0), 4), id="begins"),
        pytest.param(Outage(ago(60), 7), observe(current=4, RequestsPerSecond=DOWN), Outage(ago(60), 7), id="lasts"),
        pytest.param(Outage(ago(60), 7), observe(RequestsPerSecond=50), None, id="ends"),
        pytest.param(None, STARTING, None, id="an app that starts has none"),
        pytest.param(Outage(ago(60), 7), STARTING, Outage(ago(60), 7), id="no pod is ready meanwhile"),
    ],
)
def test_an_outage_begins_lasts_and_ends(before: Outage | None, seen: Any, after: Outage | None) -> None:
    spec = app()
    history = History(outage=before)
    assert remember(history, decide(spec, seen, history), spec).outage == after


@pytest.mark.parametrize("guard", [{"paused": True}, {"replicas": 3}], ids=str)
def test_an_outage_is_noticed_while_a_guard_holds(guard: dict[str, Any]) -> None:
    decision = decide(app(**guard), observe(RequestsPerSecond=DOWN), History())
    assert decision.outage == Outage(ago(0), 3)


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 9999), st.sampled_from(["Hold", "CurrentIfHigher"]))
def test_no_outage_costs_replicas_unless_the_fallback_is_static(
    current: int, then: int, seconds: float, behavior: str
) -> None:
    fallback = {"behavior": behavior} | ({} if behavior == "Hold" else {"replicas": 2})
    assert blind(seconds, fallback, current, then).replicas_to >= max(current, then)


def test_a_walk_through_an_outage() -> None:
    spec = app(behavior=free(), fallback={"behavior": "CurrentIfHigher", "replicas": 8, "afterSeconds": 60})
    busy, idle = Reading(total=300), Reading(total=100)
    history, current, walk = History(), 3, []
    for second, reading in enumerate([busy, DOWN, DOWN, DOWN, DOWN, DOWN, idle]):
        seen = replace(observe(current=current, RequestsPerSecond=reading), now=ago(-20 * second))
        decision = decide(spec, seen, history)
        history, current = remember(history, decision, spec), decision.replicas_to
        walk.append(current)
    assert walk == [6, 6, 6, 6, 8, 8, 2]
