import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide, remember
from scalableapp.core.learning.forecast import LoadHistory, Pending, Verdict
from scalableapp.core.model import DataProblem, Decision, History, Reading, Startups
from tests.unit.core.build import NOW, ago, app, free, observe, past

ON = {"enabled": True}


def expecting(load: float | None, *, ago_seconds: float = 5, horizon: float = -25) -> LoadHistory:
    """A history in which the trend is trusted and expects `load`; None is a history in which nothing is."""
    known = learned_at(ago_seconds)
    if load is None:
        return replace(known, verdict=Verdict(None, "no model is clearly better"))
    pending = (Pending(ago(horizon), (0.0, load, None, None, None)),)
    return replace(known, pending=pending, verdict=Verdict("trend", "trend model, which has 60 % of the error"))


def learned_at(seconds_ago: float) -> LoadHistory:
    spec, seen = app(prediction=ON), observe(RequestsPerSecond=50)
    return decide(spec, replace(seen, now=ago(seconds_ago)), History()).loads


def predicted(load: float | None, current: int = 3, now: float = 150, **changes: Any) -> Decision:
    history = replace(changes.pop("history", History()), loads=expecting(load), startups=Startups((10.0,)))
    spec = app(**{"behavior": free(), "prediction": ON, **changes})
    return decide(spec, observe(current=current, RequestsPerSecond=now / current), history)


@pytest.mark.parametrize(
    ("load", "current", "now", "to"),
    [
        pytest.param(400, 3, 150, 8, id="more is expected: adds"),
        pytest.param(5000, 3, 150, 10, id="but at most twice and 4 more"),
        pytest.param(50, 3, 150, 3, id="less is expected: takes nothing away"),
        pytest.param(400, 3, 600, 12, id="the metrics ask for more already"),
        pytest.param(240, 6, 100, 5, id="a scale-down ends at what is expected"),
        pytest.param(400, 6, 100, 8, id="or turns into a scale-up"),
        pytest.param(None, 3, 150, 3, id="no model is trusted"),
    ],
)
def test_a_forecast_only_adds_or_keeps_replicas(load: float | None, current: int, now: float, to: int) -> None:
    assert predicted(load, current, now).replicas_to == to


def test_a_prediction_is_reported_with_its_figures_and_remembered() -> None:
    decision = predicted(400)
    assert decision.reason == Reason.PREDICTED
    assert decision.message.endswith(
        "400 requests/s predicted in 25 s by the trend model, which has 60 % of the error: needs 8 replicas"
    )
    assert decision.recommendation
    assert decision.recommendation.replicas == 8


def test_when_it_is_off_it_says_why_and_leaves_the_reason_to_the_metrics() -> None:
    decision = predicted(None)
    assert decision.reason == Reason.DESIRED_WITHIN_RANGE
    assert decision.message.endswith("prediction is not used: no model is clearly better")


def test_it_is_off_unless_switched_on() -> None:
    decision = predicted(400, prediction={})
    assert (decision.replicas_to, decision.loads) == (3, LoadHistory())
    assert "prediction" not in decision.message


def test_bad_data_is_not_learnt() -> None:
    history = History(loads=learned_at(60))
    for reading in (Reading(problem=DataProblem.STALE), Reading(total=float("nan")), Reading(total=-1.0)):
        decision = decide(app(prediction=ON), observe(RequestsPerSecond=reading), history)
        assert decision.loads is history.loads


def test_a_ramp_is_scaled_ahead_of() -> None:
    """From end to end: 40 minutes at one more request/s each second, 50 a replica, pods that start in 10 s."""
    walks: dict[bool, list[int]] = {True: [], False: []}
    for enabled, walk in walks.items():
        spec = app(behavior=free(), prediction={"enabled": enabled}, maxReplicas=1000)
        history, current = History(), 2
        for second in range(0, 2400, 15):
            seen = replace(observe(current=current, RequestsPerSecond=Reading(total=100 + second)), now=ago(-second))
            decision = decide(spec, seen, history)
            history, current = remember(history, decision, spec), decision.replicas_to
            walk.append(current)
    assert walks[True][:30] == walks[False][:30]  # nothing is trusted yet
    needed_in_25_s = [math.ceil((100 + second + 25) / 50) for second in range(0, 2400, 15)]
    in_time = {on: [have >= need for have, need in zip(walks[on], needed_in_25_s, strict=True)] for on in walks}
    assert all(in_time[True][60:])
    assert sum(in_time[False][60:]) < 50 < len(in_time[False][60:])


@given(st.integers(1, 40), st.floats(0, 5000), st.floats(0, 5000), st.integers(0, 40))
def test_it_never_takes_replicas_away(current: int, now: float, load: float, recommended: int) -> None:
    history = past({30: recommended})
    with_it = predicted(load, current, now, history=history)
    without = predicted(load, current, now, history=history, prediction={})
    assert without.replicas_to <= with_it.replicas_to <= max(without.replicas_to, 2 * current + 4)


def test_the_moment_of_a_decision_is_the_moment_of_its_forecast() -> None:
    assert learned_at(0).recent[-1].at == NOW
