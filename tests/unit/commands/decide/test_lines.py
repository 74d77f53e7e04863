"""`scalableapp decide` as its users see it: arguments and input in, lines and exit status out."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scalableapp.commands.cli import main

SPEC: dict[str, Any] = {
    "image": "app:1",
    "scaling": {"horizontal": {"maxReplicas": 20, "metrics": [{"type": "RequestsPerSecond", "target": "50"}]}},
}


def pod(number: int = 0, **changes: Any) -> dict[str, Any]:
    usual = {"name": f"pod-{number}", "phase": "Running", "ready": True, "deleting": False}
    return {**usual, "startedSecondsAgo": 900, "readySecondsAgo": 890, "usage": {}, **changes}


def situation(load: float = 150, replicas: int = 3, **changes: Any) -> dict[str, Any]:
    observed = {
        "replicas": replicas,
        "rollout": False,
        "pods": [pod(number) for number in range(replicas)],
        "totals": {"RequestsPerSecond": load},
    }
    return {"spec": SPEC, "now": "2026-11-23T12:06:35Z", "observed": observed | changes.pop("observed", {}), **changes}


def test_a_line_is_answered_with_the_decision_and_its_chain(ask: Any) -> None:
    status, (answer,) = ask(situation(400))
    message = "RequestsPerSecond is 133 requests/s per pod over 3 replicas, 266.7 % of the target 50: needs 8 replicas"
    limited = "behavior.scaleUp limits it to 7 until 12:06:50 UTC (4 pods per 15 s)"
    assert status == 0
    assert answer == {
        "replicas": 7,
        "reason": "ScaleUpLimit",
        "message": f"{message}; {limited}",
        "steps": [
            {"rule": "RequestsPerSecond", "value": 8, "message": message},
            {"rule": "Rate", "value": 7, "message": limited},
        ],
    }


def test_the_history_of_a_line_counts(ask: Any) -> None:
    recommended = {"recommendations": [{"secondsAgo": 10, "replicas": 2}, {"secondsAgo": 200, "replicas": 3}]}
    scaled = {"scaleEvents": [{"secondsAgo": 5, "change": 4}], "load": [[10, 150.0]]}
    _, answers = ask(situation(50, history=recommended), situation(1000, replicas=5, history=scaled), situation(50))
    assert [(answer["replicas"], answer["reason"]) for answer in answers] == [
        (3, "ScaleDownStabilized"),
        (5, "ScaleUpLimit"),
        (1, "DesiredWithinRange"),
    ]


def test_usage_per_pod_is_a_quantity_under_the_type_or_the_name(ask: Any) -> None:
    metrics = [{"type": "CPU", "target": "300m"}, {"type": "CPU", "name": "cores", "target": "600m"}]
    spec = {"image": "app:1", "scaling": {"horizontal": {"metrics": metrics}}}
    pods = [pod(0, usage={"CPU": "600m", "Memory": "90Mi"}), pod(1, usage={"CPU": 0.6})]
    _, (answer,) = ask(situation(replicas=2, spec=spec, observed={"pods": pods, "totals": {}}))
    assert answer["replicas"] == 4
    assert [step["rule"] for step in answer["steps"]] == ["cores", "CPU"]


OBJECTIVE = {"latency": {"quantile": 0.95, "seconds": 0.25}, "badMinutesPercent": 0.5}
WITH_OBJECTIVE = {"image": "app:1", "scaling": {"horizontal": {"maxReplicas": 20, "objective": OBJECTIVE}}}


def test_an_objective_is_decided_by_load_and_slow_share(ask: Any) -> None:
    totals = {"RequestsPerSecond": 80, "SlowShare": 0.045}
    calm = {"load": [[age, 80] for age in range(5, 3600, 5)]}
    _, answers = ask(
        situation(replicas=4, spec=WITH_OBJECTIVE, observed={"totals": totals}),
        situation(replicas=4, spec=WITH_OBJECTIVE, observed={"totals": totals}, history=calm),
    )
    assert [answer["steps"][0]["rule"] for answer in answers] == ["Objective"] * 2
    assert answers[0]["replicas"] > answers[1]["replicas"] == 4  # an hour of calm needs less head-room


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        pytest.param({"RequestsPerSecond": 80}, "SlowShare is missing in totals", id="no share"),
        pytest.param(
            {"RequestsPerSecond": 80, "SlowShare": 1.2}, "SlowShare is 1.2, not between 0 and 1", id="none that is one"
        ),
        pytest.param({"SlowShare": 0.0}, "RequestsPerSecond cannot be used", id="no requests"),
    ],
)
def test_an_objective_with_nothing_to_go_by_leaves_it_to_the_metrics(ask: Any, totals: Any, expected: str) -> None:
    pods = [pod(number, usage={"CPU": "160m"}) for number in range(2)]
    _, (answer,) = ask(situation(replicas=2, spec=WITH_OBJECTIVE, observed={"totals": totals, "pods": pods}))
    assert answer["replicas"] == 4
    assert "the metrics decide" in answer["message"]
    assert expected in answer["message"]


def test_followed_an_objective_learns_what_its_pods_carry(ask: Any) -> None:
    lines = [
        situation(100, 4, spec=WITH_OBJECTIVE, observed={"totals": {"RequestsPerSecond": 100, "SlowShare": 0.01}})
        | {"now": f"2026-11-23T{12 + second // 3600}:{second // 60 % 60:02}:{second % 60:02}Z"}
        for second in range(0, 7200, 5)
    ]
    _, answers = ask(*lines, options=("--follow",))
    assert answers[0]["replicas"] > answers[-1]["replicas"]
    assert "a pod handles" in answers[-1]["message"]


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        pytest.param({"totals": {}}, "NoData", id="nothing measured"),
        pytest.param({"totals": {"RequestsPerSecond": None}}, "NoData", id="null"),
        pytest.param({"totals": {"RequestsPerSecond": float("nan")}}, "NotANumber", id="NaN"),
        pytest.param({"totals": {"RequestsPerSecond": float("inf")}}, "Infinite", id="Infinity"),
        pytest.param({"sampleAgeSeconds": 61}, "StaleData", id="stale"),
        pytest.param({"sampleAgeSeconds": -31}, "ClockSkew", id="from the future"),
        pytest.param({"rollout": True, "totals": {"RequestsPerSecond": 0}}, "RolloutInProgress", id="rollout"),
        pytest.param(
            {"pods": [pod(ready=False)], "totals": {"RequestsPerSecond": 0}}, "NoReadyPods", id="nothing ready"
        ),
    ],
)
def test_bad_data_is_held_and_named(ask: Any, observed: dict[str, Any], reason: str) -> None:
    status, (answer,) = ask(situation(900, observed={"totals": {"RequestsPerSecond": 900}} | observed))
    assert (status, answer["replicas"], answer["reason"]) == (0, 3, reason)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("{", "not JSON", id="broken JSON"),
        pytest.param("[" * 100_000, "nested too deeply", id="deep"),
        pytest.param("7", "line: Input should be", id="no object"),
        pytest.param(
            {"spec": SPEC}, "now: Field required; add it | observed: Field required; add it", id="fields missing"
        ),
        pytest.param(
            situation(extra=1), "extra: Extra inputs are not permitted; remove it or correct its name", id="unknown"
        ),
        pytest.param(
            situation(observed={"pods": [pod(usage={"CPU": "3 m"})]}), "observed.pods[0].usage.CPU", id="bad quantity"
        ),
        pytest.param(
            situation() | {"now": "2026-11-23T12:06:35"}, "now: Input should have timezone info", id="no time zone"
        ),
        pytest.param(situation() | {"now": "0001-01-01T00:00:00Z"}, "now: Input should be greater", id="year 1"),
        pytest.param(situation(spec={"image": "a", "port": -1}), "spec.port", id="bad spec"),
    ],
)
def test_a_line_that_is_not_valid_gets_an_error_and_the_others_their_answers(
    ask: Any, line: Any, expected: str
) -> None:
    status, answers = ask(situation(), line, "", situation())
    assert status == 2
    assert [set(answer) == {"error"} for answer in answers] == [False, True, False]
    assert answers[1]["error"].startswith("line 2: ")
    assert expected in answers[1]["error"]


def test_a_spec_that_is_fixed_is_used_again(ask: Any) -> None:
    _, answers = ask(situation(spec={"image": ""}), situation(spec={"image": ""}), situation())
    assert ["error" in answer for answer in answers] == [True, True, False]


def at(seconds: int, load: float, replicas: int) -> dict[str, Any]:
    return situation(load, replicas) | {"now": f"2026-11-23T12:{seconds // 60:02d}:{seconds % 60:02d}Z"}


def test_following_keeps_the_history_as_the_operator_does(ask: Any) -> None:
    ticks = [at(0, 50, 6), at(5, 900, 6), at(10, 900, 12), at(21, 900, 12), at(320, 50, 18), at(322, 50, 18)]
    _, answers = ask(*ticks, options=("--follow",))
    assert [(answer["replicas"], answer["reason"]) for answer in answers] == [
        (6, "ScaleDownStabilized"),  # never seen before: what runs counts as recommended
        (12, "ScaleUpLimit"),  # 100 % in 15 s
        (12, "ScaleUpLimit"),  # used up
        (18, "DesiredWithinRange"),
        (18, "ScaleDownStabilized"),  # 299 s after 18 was recommended
        (1, "DesiredWithinRange"),
    ]


def test_the_short_window_and_an_outage_are_part_of_a_line(ask: Any) -> None:
    def spec(**horizontal: Any) -> dict[str, Any]:
        metrics = [{"type": "RequestsPerSecond", "target": "50"}]
        return {"image": "app:1", "scaling": {"horizontal": {"metrics": metrics, **horizontal}}}

    sudden = situation(spec=spec(burst={}), observed={"burstTotals": {"RequestsPerSecond": 300}})
    history = {"outage": {"secondsAgo": 301, "replicas": 3}}
    fallback = spec(fallback={"behavior": "Static", "replicas": 5})
    _, answers = ask(sudden, situation(spec=fallback, observed={"totals": {}}, history=history))
    assert [(answer["replicas"], answer["reason"]) for answer in answers] == [(6, "Burst"), (5, "Fallback")]


def test_the_loads_of_the_past_let_a_forecast_be_made(ask: Any) -> None:
    horizontal = SPEC["scaling"]["horizontal"] | {"prediction": {"enabled": True}, "maxReplicas": 100}
    spec = SPEC | {"scaling": {"horizontal": horizontal}}
    ramp = [[age, 750 - age / 2] for age in range(1200, 0, -15)]
    rising = situation(750, 15, spec=spec, history={"load": ramp})
    _, (ahead, plain) = ask(rising, situation(750, 15, spec=spec, history={"load": ramp[:20]}))
    assert (ahead["replicas"], ahead["reason"]) == (16, "Predicted")
    assert (plain["replicas"], plain["reason"]) == (15, "DesiredWithinRange")
    assert plain["message"].endswith("18 of the 40 forecasts needed to judge a model are complete, 5 m 30 s left")


def test_following_remembers_since_when_there_is_no_data(ask: Any) -> None:
    horizontal = SPEC["scaling"]["horizontal"] | {"fallback": {"behavior": "Static", "replicas": 5, "afterSeconds": 10}}
    ticks = [at(second, 150, 3) for second in (0, 5, 10, 15)]
    for tick in ticks:
        tick["spec"] = {"image": "app:1", "scaling": {"horizontal": horizontal}}
    for tick in ticks[1:]:
        tick["observed"]["totals"] = {}
    _, answers = ask(*ticks, options=("--follow",))
    assert [answer["replicas"] for answer in answers] == [3, 3, 3, 5]


def test_following_decides_at_the_apps_interval_and_at_once_on_a_new_spec(ask: Any) -> None:
    ticks = [at(second, 300, 3) for second in (0, 5, 9, 10, 15)]
    for tick, image in zip(ticks, "aaaab", strict=True):
        tick["spec"] = {"image": image, "scaling": SPEC["scaling"] | {"intervalSeconds": 10}}
    _, answers = ask(*ticks, options=("--follow",))
    decided = [answer["reason"] != "NotDue" for answer in answers]
    assert decided == [True, False, False, True, True]
    assert answers[1]["replicas"] == answers[1]["steps"][-1]["value"] == 3


def test_following_starts_with_the_history_of_its_first_line(ask: Any) -> None:
    _, (answer,) = ask(situation(50, history={}), options=("--follow",))
    assert answer["replicas"] == 1


def test_standard_input_is_answered_line_by_line() -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from scalableapp.commands.cli import main; sys.exit(main())",
        "decide",
        "-",
    ]
    with subprocess.Popen(
        [*command, "--follow"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[4] / "operator")},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for load, replicas in ((200, 4), (300, 6)):
            process.stdin.write(json.dumps(situation(load)) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["replicas"] == replicas
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_standard_input_is_named_by_a_dash(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(situation())))
    assert main(["decide", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["replicas"] == 3


def test_a_file_that_cannot_be_read_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decide", str(tmp_path / "none.jsonl")]) == 2
    assert "cannot read" in capsys.readouterr().err
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    assert main(["decide", str(tmp_path / "binary")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_help_shows_the_form_of_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["decide", "--help"])
    assert stopped.value.code == 0
    output = capsys.readouterr().out
    assert '"readySecondsAgo": number|null' in output
    assert "--follow" in output


def test_no_command_is_an_error_that_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
