"""What `explain` prints of an app whose status the operator's own core has written."""

import re
from datetime import timedelta
from typing import Any

from scalableapp.commands.console.output import COLOURS
from scalableapp.commands.explain.explanation import explanation
from scalableapp.commands.explain.reader import Found
from scalableapp.commands.explain.text import as_text
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import Decision
from scalableapp.core.status.conditions import AppState
from scalableapp.core.status.status import build_status
from tests.unit.core.build import NOW, app, observe, past

METADATA = {"namespace": "shop", "name": "web", "uid": "uid-web", "generation": 3}
SPEC = {"scaling": {"mode": "Horizontal", "horizontal": {"minReplicas": 2, "maxReplicas": 20}}}


def decision() -> Decision:
    """Nine replicas with load for four, and a recommendation that holds them."""
    return decide(app(), observe(current=9, RequestsPerSecond=200 / 9), past({200: 9}))


def found(made: Decision | None = None, **changes: Any) -> Found:
    made = made or decision()
    state = AppState(generation=3, replicas=9, ready_replicas=8, desired_replicas=9, decision=made)
    event = {
        "type": "Normal",
        "reason": "SuccessfulRescale",
        "message": f"8 -> 9 replicas ({made.reason}): {made.message}",
        "count": 2,
        "lastTimestamp": "2026-11-23T12:01:00Z",
        "metadata": {},
    }
    status = build_status(state, {}, NOW) | changes
    return Found({"metadata": METADATA, "spec": SPEC, "status": status}, (event,))


def test_it_prints_the_words_of_status_and_events_unchanged() -> None:
    seen = found()
    text = as_text(explanation(seen), NOW)
    status = seen.app["status"]
    expected = [
        status["decision"]["message"],
        *(step["message"] for step in status["decision"]["steps"]),
        *(entry["message"] for entry in status["conditions"]),
        seen.events[0]["message"],
    ]
    assert [each for each in expected if each not in text] == []
    assert "until 12:08:15 UTC, because 9 were recommended at 12:03:15 UTC; then 4 unless more are needed" in text


def test_the_parts_are_laid_out_for_reading() -> None:
    text = as_text(explanation(found()), NOW + timedelta(seconds=20))
    assert text.splitlines()[:8] == [
        "shop/web (Horizontal, 2 to 20 replicas)",
        "  9 replicas, 8 ready, 9 desired",
        "",
        "Decision: stays at 9 replicas (ScaleDownStabilized), since 12:06:35 UTC (20 s ago)",
        f"  {decision().message}",
        "",
        "Step by step",
        "  RULE               REPLICAS",
    ]
    assert "  Stabilization      9         the stabilisation window holds 9 until" in text
    assert "  METRIC             CURRENT  TARGET  PROPOSES" in text
    assert "  RequestsPerSecond  22.2     50      4" in text
    assert "  12:01:00 UTC (5 m 55 s ago)  SuccessfulRescale  x2  8 -> 9 replicas" in text


def test_a_change_is_reported_as_one() -> None:
    up = decide(app(), observe(current=3, RequestsPerSecond=100), past())
    assert "Decision: 3 -> 6 replicas (DesiredWithinRange), since" in as_text(explanation(found(up)), NOW)


def test_colours_only_frame_the_words() -> None:
    explained = explanation(found())
    coloured = as_text(explained, NOW, COLOURS)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == as_text(explained, NOW)
    limited = next(line for line in coloured.splitlines() if "ScalingLimited" in line)
    assert COLOURS["bad"] in limited


def test_an_account_keeps_the_forms_of_status() -> None:
    seen = found()
    explained = explanation(seen)
    for name in ("decision", "metrics", "conditions", "replicas", "readyReplicas", "desiredReplicas"):
        assert explained[name] == seen.app["status"][name]
    assert explained["events"] == [
        {
            "time": "2026-11-23T12:01:00Z",
            "type": "Normal",
            "reason": "SuccessfulRescale",
            "message": seen.events[0]["message"],
            "count": 2,
        }
    ]
    assert explained["notes"] == []


def test_an_app_that_nobody_has_evaluated_says_so() -> None:
    explained = explanation(Found({"metadata": METADATA, "spec": SPEC}))
    assert "the operator has not reported on it yet" in as_text(explained, NOW)


def test_a_spec_that_has_not_been_acted_on_says_so() -> None:
    assert "this describes generation 2" in as_text(explanation(found(observedGeneration=2)), NOW)


def test_without_a_decision_the_reason_is_that_of_ready() -> None:
    conditions = [{"type": "Ready", "status": "False", "reason": "InvalidSpec", "message": "spec.port: too large"}]
    seen = Found({"metadata": METADATA, "spec": SPEC, "status": {"conditions": conditions, "observedGeneration": 3}})
    assert "nothing has been decided yet: spec.port: too large" in as_text(explanation(seen), NOW)


def test_measured_values_are_dated_where_prometheus_shows() -> None:
    entries = [{"name": "CPU", "current": "200m", "target": "300m", "measuredAt": "2026-11-23T12:06:00Z"}]
    undated = {"name": "queue", "current": "4", "target": "10", "proposedReplicas": 1}
    text = as_text(explanation(found(metrics=[*entries, undated])), NOW)
    assert "  METRIC  CURRENT  TARGET  PROPOSES  MEASURED" in text
    assert "  CPU     200m     300m    <none>    12:06:00 UTC (35 s ago)" in text
    assert "  queue   4        10      1" in text


def test_the_numbers_of_an_hpa_on_the_same_target_stand_beside_ours() -> None:
    hpa = {
        "metadata": {"name": "web-cpu"},
        "spec": {"minReplicas": 2, "maxReplicas": 12, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
        "status": {"currentReplicas": 9, "desiredReplicas": 7},
    }
    lines = as_text(explanation(found()._replace(hpas=(hpa,))), NOW).splitlines()
    place = lines.index("HorizontalPodAutoscalers of the same target; this app decides on 9")
    assert lines[place + 1 : place + 3] == [
        "  NAME     MIN  MAX  CURRENT  DESIRED",
        "  web-cpu  2    12   9        7",
    ]
