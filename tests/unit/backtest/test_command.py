"""The command as a person, or a script, meets it."""

import argparse
import json
from pathlib import Path

import pytest

from scalableapp.commands.plugin.backtest_command import add_to

APP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: scalableapp.io/v1alpha1
kind: ScalableApp
metadata: {name: web, namespace: shop}
spec:
  image: app:1
  scaling: {horizontal: {minReplicas: 1, maxReplicas: 9, metrics: [{type: RequestsPerSecond, target: "20"}]}}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.yaml"
    path.write_text(APP, encoding="utf-8")
    return path


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    path = tmp_path / "lunch.csv"
    rates = [20] * 10 + [120] * 10 + [20] * 10
    path.write_text("timestamp,value\n" + "".join(f"{60 * at},{rate}\n" for at, rate in enumerate(rates)), "utf-8")
    return path


def backtest(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="scalableapp")
    add_to(parser.add_subparsers(required=True))
    options = parser.parse_args(["backtest", *map(str, arguments)])
    return int(options.run(options))


def test_json_has_every_policy_with_its_figures(app: Path, curve: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(app, "--trace", curve, "--compare", "hpa,oracle", "--pod-capacity", 30, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["trace"] == "lunch"
    assert list(answer["policies"]) == ["scalableapp", "hpa", "oracle"]
    for figures in answer["policies"].values():
        assert figures.keys() >= {"violation_minutes", "pod_hours", "actions", "flips"}
    ours, oracle = answer["policies"]["scalableapp"], answer["policies"]["oracle"]
    assert ours["actions"] >= 2
    assert ours["pod_hours"] > oracle["pod_hours"]
    assert [stretch["decided_by"] for stretch in ours["stretches"]] == ["RequestsPerSecond"]
    assert "stretches" not in oracle
    assert oracle["times_oracle"] == 1


@pytest.mark.parametrize(
    ("limits", "capacity"),
    [
        pytest.param("quantile: 0.95, seconds: 0.25", 30, id="a usual app"),
        pytest.param("quantile: 0.99, seconds: 0.1", 300, id="a fast one"),
        pytest.param("quantile: 0.9, seconds: 5", 0.5, id="a slow one"),
    ],
)
def test_an_app_with_an_objective_is_simulated_with_its_limits(
    tmp_path: Path, curve: Path, capsys: pytest.CaptureFixture[str], limits: str, capacity: float
) -> None:
    objective = f"objective: {{latency: {{{limits}}}}}"
    file = tmp_path / "objective.yaml"
    file.write_text(APP.replace('metrics: [{type: RequestsPerSecond, target: "20"}]', objective), "utf-8")
    assert backtest(file, "--trace", curve, "--compare", "hpa,oracle", "--pod-capacity", capacity, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pod_capacity"] == pytest.approx(capacity, rel=1e-3)


def test_the_table_shows_all_baselines_and_what_was_assumed(
    app: Path, curve: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(app, "--trace", curve) == 0
    shown = capsys.readouterr()
    names = [line.split()[0] for line in shown.out.splitlines()]
    assert names == ["policy", "scalableapp", "hpa", "hpa-tuned", "keda", "kpa", "static", "oracle", "scalableapp:"]
    assert shown.out.splitlines()[-1] == "scalableapp: decided by: RequestsPerSecond 100%"
    assert "assumed that a pod handles 28.6 requests/s" in shown.err
    assert "100%" in shown.err


def test_the_report_is_one_page_that_needs_nothing_else(app: Path, curve: Path, tmp_path: Path) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    assert backtest(app, "--trace", curve, "--compare", "hpa", "--report", page, "--png", picture) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert all(outside not in text for outside in ("<script", "<link", "src=", "@import"))
    assert "<tr><th>scalableapp</th>" in text
    assert "scalableapp: decided by: RequestsPerSecond 100%" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--compare", "hpa,best"], "unknown policy best; choose from scalableapp, hpa"),
        (["--pod-capacity", "lots"], "--pod-capacity lots: pass requests per second"),
        (["--pod-capacity", "0"], "--pod-capacity 0"),
        (["--pod-capacity", "learned"], "needs --prometheus"),
    ],
    ids=["policy", "capacity", "no capacity", "nothing to learn from"],
)
def test_a_wrong_option_is_reported_with_its_fix(
    app: Path, curve: Path, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(app, "--trace", curve, *arguments) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Deployment\n", "contains no object of kind ScalableApp"),
        ("a: [\n", "cannot be read as YAML"),
        (APP.replace("maxReplicas: 9", "maxReplicas: 0"), "spec.scaling.horizontal.maxReplicas"),
        (APP.replace("RequestsPerSecond", "Prometheus, query: up"), "a load curve has no values for the metric"),
    ],
    ids=["another kind", "no YAML", "bad spec", "a metric that no curve tells"],
)
def test_the_message_says_why_a_file_cannot_be_tried(
    tmp_path: Path, curve: Path, text: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    assert backtest(path, "--trace", curve) == 2
    assert expected in capsys.readouterr().err


def test_a_bad_line_of_the_curve_is_reported_with_its_number(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("timestamp,value\n0,1\n60,x\n", encoding="utf-8")
    assert backtest(app, "--trace", path) == 2
    assert "bad.csv:3" in capsys.readouterr().err


def test_a_start_up_time_must_be_more_than_nothing(app: Path, curve: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        backtest(app, "--trace", curve, "--startup-seconds", "0")
    assert ended.value.code == 2


def usage(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "pod.csv"
    path.write_text("timestamp,cpu,memory\n" + "".join(f"{row}\n" for row in rows), "utf-8")
    return path


def test_a_trace_of_usage_is_replayed_through_sizes(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"{60 * minute},{0.05 if minute < 60 else 0.4},{'80Mi' if minute < 120 else '400Mi'}" for minute in range(300)
    ]
    assert backtest(app, "--trace", usage(tmp_path, *rows), "--json") == 0
    policies = json.loads(capsys.readouterr().out)["policies"]
    assert list(policies) == ["scalableapp", "vpa", "static"]
    ours, theirs, static = policies.values()
    figures = {"cpu_slack", "memory_slack", "throttled_minutes", "oom_minutes", "changes"}
    assert figures <= ours.keys()
    assert 0 < ours["oom_minutes"] < 5
    assert static["oom_minutes"] == 180
    assert ours["throttled_minutes"] <= theirs["throttled_minutes"]
    assert static["changes"] == 0
    assert ours["changes"] > 1


def test_the_table_of_sizes_is_for_people(app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(app, "--trace", usage(tmp_path, "0,100m,64Mi", "600,100m,64Mi")) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert "throttled min" in head
    assert [row.split()[0] for row in rows] == ["scalableapp", "vpa", "static"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("0,1,1",), "at least 2"),
        (("0,1,1", "60,lots,1"), "pod.csv:3"),
        (("60,1,1", "0,1,1"), "not later than on the line before"),
        (("0,1,1", "60,1,-5"), "0 or more"),
        (("0,1,1", "60,1"), "is not timestamp,cpu,memory"),
    ],
    ids=["one row", "no number", "out of order", "negative", "too short"],
)
def test_a_wrong_trace_of_usage_names_its_line(
    app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: tuple[str, ...], expected: str
) -> None:
    assert backtest(app, "--trace", usage(tmp_path, *rows)) == 2
    assert expected in capsys.readouterr().err


def test_a_load_curve_says_nothing_of_sizes(app: Path, curve: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app.write_text(APP.replace("scaling: {horizontal", "scaling: {mode: Vertical, horizontal"), "utf-8")
    assert backtest(app, "--trace", curve) == 2
    assert "timestamp,cpu,memory" in capsys.readouterr().err
