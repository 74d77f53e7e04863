"""The status of a ScalableApp: built, compared, read back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.learning.idle import Surplus
from scalableapp.core.model import (
    DataProblem,
    Decision,
    History,
    MetricReport,
    Recommendation,
    ScaleEvent,
    Step,
)
from scalableapp.core.status.conditions import AppProblem, AppState
from scalableapp.core.status.size_status import read_sizes
from scalableapp.core.status.status import (
    LONGEST_LIST,
    Change,
    build_status,
    change_of,
    history_from,
    measures_moved,
    patch_of,
    turned_bad,
)
from scalableapp.core.vertical.change import Phase
from tests.unit.engine.world import merged

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DECISION = Decision(
    at=NOW,
    replicas_from=3,
    replicas_to=3,
    reason="DesiredWithinRange",
    message="RequestsPerSecond is 48 per pod",
    steps=(Step("Metrics", 3, "48 per pod"),),
    metrics=(MetricReport("RequestsPerSecond", "48", "50", 3),),
)
STATE = AppState(
    generation=2, replicas=3, ready_replicas=3, desired_replicas=3, selector="a=b", url="http://x/", decision=DECISION
)


def conditions(state: AppState, previous: dict[str, Any] | None = None) -> dict[str, tuple[str, str]]:
    status = build_status(state, previous or {}, NOW)
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}


def test_a_healthy_app_has_every_field_and_every_condition() -> None:
    status = build_status(STATE, {}, NOW)
    assert {name: status[name] for name in ("observedGeneration", "replicas", "readyReplicas", "desiredReplicas")} == {
        "observedGeneration": 2,
        "replicas": 3,
        "readyReplicas": 3,
        "desiredReplicas": 3,
    }
    assert status["decision"] == {
        "time": "2026-01-05T12:00:00Z",
        "from": 3,
        "to": 3,
        "reason": "DesiredWithinRange",
        "message": "RequestsPerSecond is 48 per pod",
        "steps": [{"rule": "Metrics", "value": 3, "message": "48 per pod"}],
    }
    assert status["metrics"] == [{"name": "RequestsPerSecond", "current": "48", "target": "50", "proposedReplicas": 3}]
    assert conditions(STATE) == {
        "Ready": ("True", "InSync"),
        "Available": ("True", "PodsReady"),
        "MetricsAvailable": ("True", "MetricsRead"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
        "Paused": ("False", "NotPaused"),
        "Conflicted": ("False", "NoConflict"),
    }


@pytest.mark.parametrize(
    ("ready", "desired", "expected"),
    [(1, 1, "1 of 1 pod is ready"), (2, 2, "2 of 2 pods are ready"), (1, 3, "1 of 3 pods are ready; see kubectl")],
)
def test_ready_pods_are_counted_in_words(ready: int, desired: int, expected: str) -> None:
    status = build_status(replace(STATE, ready_replicas=ready, desired_replicas=desired), {}, NOW)
    messages = {entry["type"]: entry["message"] for entry in status["conditions"]}
    assert messages["Available"].startswith(expected)
    assert messages["Ready"].startswith(f"Deployed as specified; {expected}")


HELD = replace(DECISION, active=False, reason="StaleData", data_problem=DataProblem.STALE, data_message="old")


@pytest.mark.parametrize(
    ("state", "type_", "expected"),
    [
        (AppState(1), "Ready", ("False", "Deploying")),
        (replace(STATE, ready_replicas=0), "Ready", ("False", "PodsNotReady")),
        (replace(STATE, ready_replicas=1), "Ready", ("True", "InSync")),
        (replace(STATE, ready_replicas=0, desired_replicas=0), "Available", ("True", "ScaledToZero")),
        (replace(STATE, problem=AppProblem("InvalidSpec", "x")), "Ready", ("False", "InvalidSpec")),
        (replace(STATE, problem=AppProblem("InvalidSpec", "x")), "ScalingActive", ("False", "InvalidSpec")),
        (replace(STATE, problem=AppProblem("InvalidSpec", "x")), "MetricsAvailable", ("Unknown", "NotMeasured")),
        (
            replace(STATE, problem=AppProblem("ApplyFailed", "x", holds=False)),
            "ScalingActive",
            ("True", "ValidMetricFound"),
        ),
        (replace(STATE, decision=HELD), "MetricsAvailable", ("False", "StaleData")),
        (replace(STATE, decision=HELD), "ScalingActive", ("False", "StaleData")),
        (replace(STATE, decision=None), "MetricsAvailable", ("Unknown", "NotMeasured")),
        (
            replace(STATE, decision=replace(DECISION, metrics=(MetricReport("CPU", "<unknown>", "1", None),))),
            "MetricsAvailable",
            ("Unknown", "NotMeasured"),
        ),
        (
            replace(STATE, decision=replace(DECISION, limited=True, reason="ScaleDownStabilized")),
            "ScalingLimited",
            ("True", "ScaleDownStabilized"),
        ),
        (replace(STATE, pause=AppProblem("Pinned", "x")), "Paused", ("True", "Pinned")),
        (replace(STATE, conflict="an HPA"), "Conflicted", ("True", "Conflicted")),
    ],
    ids=[
        "no deployment yet",
        "no pod ready",
        "one pod of three ready",
        "zero wanted",
        "wrong spec is not ready",
        "wrong spec holds the replicas",
        "wrong spec measures nothing",
        "a child that cannot be applied does not hold the replicas",
        "old data is not available",
        "old data holds",
        "nothing decided",
        "nothing measured yet",
        "limited",
        "pinned",
        "conflicted",
    ],
)
def test_conditions(state: AppState, type_: str, expected: tuple[str, str]) -> None:
    assert conditions(state)[type_] == expected


def test_an_idle_apps_status_stays_as_it_is() -> None:
    first = build_status(STATE, {}, NOW)
    again = build_status(replace(STATE, decision=replace(DECISION, at=LATER)), first, LATER)
    assert again == first
    assert change_of(first, again) is Change.NONE


def test_the_time_of_a_decision_moves_only_with_the_decision() -> None:
    first = build_status(STATE, {}, NOW)
    reworded = replace(DECISION, at=LATER, message="RequestsPerSecond is 49 per pod")
    other = replace(DECISION, at=LATER, reason="TooManyReplicas")
    assert build_status(replace(STATE, decision=reworded), first, LATER)["decision"]["time"] == "2026-01-05T12:00:00Z"
    assert build_status(replace(STATE, decision=other), first, LATER)["decision"]["time"] == "2026-01-05T12:01:00Z"


def test_a_transition_time_moves_only_with_the_conditions_status() -> None:
    first = build_status(replace(STATE, ready_replicas=0), {}, NOW)
    same = build_status(replace(STATE, problem=AppProblem("ApplyFailed", "x")), first, LATER)
    other = build_status(STATE, first, LATER)
    assert same["conditions"][0]["lastTransitionTime"] == "2026-01-05T12:00:00Z"
    assert other["conditions"][0]["lastTransitionTime"] == "2026-01-05T12:01:00Z"


@pytest.mark.parametrize(
    ("state", "change"),
    [
        (STATE, Change.NONE),
        (replace(STATE, decision=replace(DECISION, message="49 per pod")), Change.MEASURED),
        (
            replace(STATE, decision=replace(DECISION, metrics=(MetricReport("RequestsPerSecond", "49", "50", 3),))),
            Change.MEASURED,
        ),
        (replace(STATE, history=History((Recommendation(NOW, 3),))), Change.MEASURED),
        (replace(STATE, decision=replace(DECISION, replicas_to=4)), Change.MATERIAL),
        (replace(STATE, ready_replicas=2), Change.MATERIAL),
        (replace(STATE, generation=3), Change.MATERIAL),
        (replace(STATE, conflict="an HPA"), Change.MATERIAL),
        (replace(STATE, url=""), Change.MATERIAL),
        (replace(STATE, history=History((), (ScaleEvent(NOW, 1),))), Change.MATERIAL),
    ],
    ids=["same", "words", "value", "recommendation", "number", "count", "generation", "condition", "url", "scaling"],
)
def test_what_is_worth_a_write_at_once(state: AppState, change: Change) -> None:
    first = build_status(STATE, {}, NOW)
    assert change_of(first, build_status(state, first, NOW)) is change


def test_a_patch_holds_only_what_changed_and_removes_what_is_gone() -> None:
    first = build_status(STATE, {}, NOW)
    second = build_status(replace(STATE, url="", replicas=4), first, NOW)
    assert patch_of(first, second) == {"replicas": 4, "url": None}


def test_what_leaves_an_object_is_removed_in_it() -> None:
    change = {"to": {"cpu": {"request": "1", "limit": "2"}}, "doneAt": "2026-01-05T12:00:00Z"}
    before = {"resources": {"current": {}, "change": change, "failedResize": {"times": 1}}, "outage": {"replicas": 3}}
    opened = {"resources": {"current": {}, "change": {"to": {"cpu": {"request": "1"}}}}}
    statuses: tuple[dict[str, Any], ...] = ({}, {"resources": {"current": {}}}, opened, before)
    for status in statuses:
        assert merged(before, patch_of(before, status)) == status
        assert merged(status, patch_of(status, before)) == before


def test_a_change_is_not_done_before_it_was_opened() -> None:
    size = {"cpu": {"request": "1"}, "memory": {"request": "1Gi"}}
    change = {
        "to": size,
        "good": size,
        "way": "InPlace",
        "phase": "First",
        "openedAt": "2026-01-05T12:00:00Z",
        "since": "2026-01-05T12:00:00Z",
        "doneAt": "2026-01-05T11:00:00Z",
        "why": "it was left by an old version",
    }
    read = read_sizes({"current": size, "change": change})
    assert read
    assert read.change
    assert read.change.done_at is None


def test_a_rollback_that_0_1_0_began_goes_on() -> None:
    size = {"cpu": {"request": "1"}, "memory": {"request": "1Gi"}}
    times = {"openedAt": "2026-01-05T12:00:00Z", "since": "2026-01-05T12:00:00Z"}
    change = {"to": size, "good": size, "way": "InPlace", "phase": "Back", "why": "it crashed", **times}
    read = read_sizes({"current": size, "change": change})
    assert read
    assert read.change
    assert read.change.phase is Phase.ROLLBACK


@given(
    recommendations=st.lists(st.tuples(st.integers(0, 3600), st.integers(0, 50)), max_size=LONGEST_LIST),
    events=st.lists(st.tuples(st.integers(0, 3600), st.integers(-9, 9)), max_size=LONGEST_LIST),
    surplus=st.builds(Surplus, st.integers(1, 600).map(float), st.integers(1, 50)) | st.just(Surplus()),
)
def test_history_survives_a_restart(
    recommendations: list[tuple[int, int]], events: list[tuple[int, int]], surplus: Surplus
) -> None:
    history = History(
        tuple(Recommendation(NOW + timedelta(seconds=at), n) for at, n in sorted(recommendations, key=lambda x: x[0])),
        tuple(ScaleEvent(NOW + timedelta(seconds=at), n) for at, n in sorted(events, key=lambda x: x[0])),
        surplus=surplus,
    )
    status = build_status(replace(STATE, history=history), {}, NOW)
    read = history_from(status, newest(history))
    assert read.recommendations == history.recommendations
    assert [event.change for event in read.scale_events if event.change >= 0] == [
        event.change for event in history.scale_events if event.change >= 0
    ]
    assert read.surplus == history.surplus


def newest(history: History) -> datetime:
    return max((entry.at for entry in history.recommendations), default=NOW)


@pytest.mark.parametrize("passed", [timedelta(minutes=1), timedelta(hours=9), timedelta(hours=-9)], ids=str)
def test_after_a_restart_windows_are_as_long_as_before_whatever_the_clock_shows(passed: timedelta) -> None:
    before = NOW - timedelta(seconds=40)
    recommended = (Recommendation(before, 9), Recommendation(NOW, 4))
    events = (ScaleEvent(before, -3), ScaleEvent(before, 2), ScaleEvent(NOW, -1))
    status = build_status(replace(STATE, history=History(recommended, events)), {}, NOW)
    read = history_from(status, NOW + passed)
    assert read.recommendations == (Recommendation(before + passed, 9), Recommendation(NOW + passed, 4))
    assert sorted(read.scale_events, key=lambda event: event.change) == [
        ScaleEvent(before + passed, -3, reported=before),
        ScaleEvent(NOW + passed, -1, reported=NOW),
        ScaleEvent(before, 2),
    ]
    again = build_status(replace(STATE, history=read), status, NOW + passed)
    assert {name: again[name] for name in ("scaleEvents", "lastScaleTime")} == {
        name: status[name] for name in ("scaleEvents", "lastScaleTime")
    }


@pytest.mark.parametrize(
    "entry",
    [{}, {"time": "yesterday", "replicas": 1}, {"time": None, "replicas": 1}, {"time": "2026-01-05T12:00:00Z"}],
    ids=["empty", "no time", "null", "no number"],
)
def test_an_entry_that_cannot_be_read_is_left_out(entry: dict[str, Any]) -> None:
    good = {"time": "2026-01-05T12:00:00Z", "replicas": 2}
    read = history_from({"recommendations": [entry, good]}, NOW)
    assert read.recommendations == (Recommendation(NOW, 2),)


@pytest.mark.parametrize(
    "entry", [None, 7, {}, {"podSeconds": "x", "replicas": 1}], ids=["none", "number", "empty", "text"]
)
def test_a_surplus_that_cannot_be_read_is_none(entry: Any) -> None:
    assert history_from({"surplus": entry}, NOW).surplus == Surplus()


def test_lists_in_status_are_bounded() -> None:
    long = History(tuple(Recommendation(NOW, n) for n in range(500)), tuple(ScaleEvent(NOW, 1) for _ in range(500)))
    status = build_status(replace(STATE, history=long), {}, NOW)
    assert (len(status["recommendations"]), len(status["scaleEvents"])) == (LONGEST_LIST, LONGEST_LIST)
    assert status["recommendations"][-1]["replicas"] == 499


def test_what_is_not_known_now_is_kept_from_before() -> None:
    first = build_status(replace(STATE, history=History((Recommendation(NOW, 3),), (ScaleEvent(NOW, 1),))), {}, NOW)
    unknown = replace(STATE, decision=None, history=None, problem=AppProblem("InvalidSpec", "x"))
    second = build_status(unknown, first, LATER)
    kept = ("decision", "metrics", "recommendations", "scaleEvents", "lastScaleTime")
    assert {name: second[name] for name in kept} == {name: first[name] for name in kept}


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (STATE, replace(STATE, problem=AppProblem("InvalidSpec", "x")), ["InvalidSpec"]),
        (STATE, replace(STATE, decision=HELD), ["StaleData"]),
        (STATE, replace(STATE, conflict="an HPA"), ["Conflicted"]),
        (STATE, replace(STATE, ready_replicas=0), []),
        (replace(STATE, decision=None), replace(STATE, decision=HELD), []),
        (replace(STATE, problem=AppProblem("InvalidSpec", "x")), STATE, []),
        (
            replace(STATE, problem=AppProblem("ApplyFailed", "x")),
            replace(STATE, problem=AppProblem("InvalidSpec", "y")),
            ["InvalidSpec"],
        ),
        (replace(STATE, problem=AppProblem("A", "x")), replace(STATE, problem=AppProblem("A", "y")), []),
    ],
    ids=[
        "wrong spec",
        "metrics lost",
        "conflict",
        "pods restart",
        "never had metrics",
        "mended",
        "another reason",
        "same reason in other words",
    ],
)
def test_what_is_worth_a_warning(before: AppState, after: AppState, news: list[str]) -> None:
    first = build_status(before, {}, NOW)
    assert [bad.reason for bad in turned_bad(first, build_status(after, first, LATER))] == news


def measured(current: str, proposed: int | None = 3, target: str = "50") -> Decision:
    return replace(DECISION, metrics=(MetricReport("RequestsPerSecond", current, target, proposed),))


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        (measured("48"), measured("48"), False),
        (measured("48"), measured("50"), False),
        (measured("48"), measured("51"), True),
        (measured("1m", target="300m"), measured("5m", target="300m"), False),
        (measured("48"), measured("48", proposed=4), True),
        (measured("48"), measured("<unknown>", None), True),
        (measured("<unknown>", None), measured("<unknown>", None), False),
        (measured("48"), replace(measured("48"), limited=True), True),
        (measured("48"), replace(DECISION, metrics=()), True),
    ],
    ids=[
        "same",
        "within a twentieth of the target",
        "beyond it",
        "idle noise",
        "asks for more",
        "lost",
        "still lost",
        "counting down",
        "another metric",
    ],
)
def test_measures_that_have_moved(old: Decision, new: Decision, moved: bool) -> None:
    assert measures_moved(old, new) is moved
