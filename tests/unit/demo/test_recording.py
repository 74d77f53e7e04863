import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.recording import LoadSample, Recording, from_json, percentile, rate, to_json


def deployment(replicas: int, ready: int | None = None) -> dict[str, Any]:
    status = {} if ready is None else {"readyReplicas": ready}
    return {"kind": "Deployment", "spec": {"replicas": replicas}, "status": status}


def scalable_app(current: str = "15", decision: dict[str, Any] | None = None) -> dict[str, Any]:
    status: dict[str, Any] = {"metrics": [{"name": "RequestsPerSecond", "current": current, "target": "16"}]}
    if decision:
        status["decision"] = decision
    scaling = {"horizontal": {"minReplicas": 2, "maxReplicas": 6}}
    return {"kind": "ScalableApp", "spec": {"scaling": scaling}, "status": status}


DECISION = {"time": "T1", "from": 1, "to": 3, "reason": "AboveTarget", "message": "load rose"}


def test_a_deployment_without_ready_pods_has_none_ready() -> None:
    recording = Recording()

    recording.see(1.0, deployment(replicas=3))

    assert (recording.state.replicas, recording.state.ready) == (3, 0)


def test_a_version_that_changes_nothing_of_interest_adds_no_state() -> None:
    recording = Recording()

    recording.see(1.0, deployment(3, 2))
    recording.see(2.0, deployment(3, 2))

    assert [state.at for state in recording.states] == [1.0]


def test_an_app_that_the_operator_has_not_seen_yet_has_no_metric() -> None:
    recording = Recording()

    recording.see(1.0, {"kind": "ScalableApp", "spec": {"image": "x"}})

    assert recording.state.target is None
    assert recording.bounds == (1, 10)


@pytest.mark.parametrize(
    ("text", "value"),
    [("15", 15.0), ("14500m", 14.5), ("1k", 1000.0), ("unknown", None), ("", None)],
)
def test_a_metric_is_read_as_a_quantity_or_as_none(text: str, value: float | None) -> None:
    recording = Recording()

    recording.see(1.0, scalable_app(current=text))

    assert recording.state.current == value
    assert recording.state.target == 16
    assert recording.bounds == (2, 6)


def test_a_decision_that_is_reported_again_is_kept_once() -> None:
    recording = Recording()

    recording.see(1.0, scalable_app(decision=DECISION))
    recording.see(2.0, scalable_app(decision={**DECISION, "message": "other figures"}))
    recording.see(3.0, scalable_app(decision={**DECISION, "time": "T2", "from": 3, "to": 3}))

    assert [decision.at for decision in recording.decisions] == [1.0, 3.0]
    assert [decision.at for decision in recording.changes()] == [1.0]


def test_replicas_at_a_moment_are_those_of_the_last_state_before_it(good_run: Recording) -> None:
    assert [good_run.replicas_at(at) for at in (-1, 0, 27.9, 28, 36, 130)] == [0, 1, 1, 3, 5, 1]


def test_the_timeline_begins_with_what_the_load_found() -> None:
    recording = Recording()
    for at, replicas in ((-2.0, 0), (-1.0, 2), (5.0, 3)):
        recording.see(at, deployment(replicas))

    assert [(state.at, state.replicas) for state in recording.timeline()] == [(-1.0, 2), (5.0, 3)]


def test_latency_looks_back_over_its_window_only() -> None:
    recording = Recording(load=[LoadSample(1.0, 1, (900.0,)), LoadSample(10.0, 1, (5.0, 7.0))])

    assert recording.latency(0.95, 10.0) == 7.0
    assert recording.latency(0.95, 100.0) is None


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_at_least_that_share_does_not_exceed(values: list[float], quantile: float) -> None:
    found = percentile(values, quantile)

    assert found in values
    assert sum(value <= found for value in values) >= quantile * len(values)
    assert sum(value < found for value in values) < quantile * len(values) or found == min(values)


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.95) is None


def test_the_rate_is_the_mean_over_seconds() -> None:
    assert rate([LoadSample(1.0, 2, (1.0, 1.0)), LoadSample(2.0, 2, ())]) == 1.0
    assert rate([]) == 0.0


def test_a_recording_survives_being_written_and_read(good_run: Recording) -> None:
    good_run.load.append(LoadSample(140.0, 1, (3.0,), {"502": 1}, 2))

    assert from_json(json.loads(json.dumps(to_json(good_run)))) == good_run
