import dataclasses
import json
import sys
from pathlib import Path

import pytest

from cluster.console import ClusterError
from demo import __main__ as command
from demo import kube, prepare
from demo.errors import DemoError
from demo.plan import Plan
from demo.recording import Recording, from_json
from demo.run import App
from demo.scenarios import SCENARIOS
from demo.verdict import judge

APP = App("default", "sample-app", "http://127.0.0.1:8080")


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch, good_run: Recording, plan: Plan) -> Recording:
    """A demonstration without a cluster: every step succeeds, and the run is the recorded one."""
    monkeypatch.setattr(prepare, "cluster_up", lambda: None)
    monkeypatch.setattr(prepare, "operator_up", lambda: None)
    monkeypatch.setattr(prepare, "app_up", lambda _manifest: APP)
    monkeypatch.setattr(command, "api_client", lambda _context: None)
    monkeypatch.setitem(SCENARIOS, "horizontal", dataclasses.replace(SCENARIOS["horizontal"], plan=plan))
    monkeypatch.setattr(command, "run", lambda *_arguments: good_run)
    return good_run


def test_help_shows_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        command.main(["--help"])

    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert "--report-dir" in said
    assert "Exit code: 0 when the app followed" in said


def test_an_unknown_option_is_refused_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        command.main(["--fast"])

    assert raised.value.code == 2
    assert "usage: python -m demo" in capsys.readouterr().err


def test_a_good_run_leaves_its_report_and_says_how_to_go_on(
    staged: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--report-dir", str(tmp_path / "new" / "folder")]) == 0

    folder = tmp_path / "new" / "folder"
    assert (folder / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert "<h2>Decisions</h2>" in (folder / "report.html").read_text()
    assert from_json(json.loads((folder / "run.json").read_text())) == staged
    said = capsys.readouterr().out
    for part in ("PASSED", "replicas 1 → 5 → 1", "get sapp -w", str(folder / "report.html"), "make cluster-down"):
        assert part in said


def test_a_bad_run_leaves_its_report_too_and_fails(
    staged: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    staged.states[:] = staged.states[:1]

    assert command.main(["--report-dir", str(tmp_path)]) == 1

    assert (tmp_path / "report.html").exists()
    said = capsys.readouterr().out
    assert "FAILED: replicas did not rise with the load" in said
    assert "PASSED" not in said


@pytest.mark.parametrize("error", [DemoError("no pods came"), ClusterError("no pods came")])
@pytest.mark.usefixtures("staged")
def test_what_stops_the_demonstration_is_one_message_without_a_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(prepare, "operator_up", fail)

    assert command.main(["--report-dir", str(tmp_path)]) == 2

    assert capsys.readouterr().err == "demo: no pods came\n"


@pytest.mark.usefixtures("staged")
def test_ctrl_c_ends_it_and_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_arguments: object) -> Recording:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupt)

    assert command.main(["--report-dir", str(tmp_path)]) == 130

    assert "make cluster-down" in capsys.readouterr().out


def test_a_cluster_that_does_not_come_up_stops_the_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")  # in place of the cluster's tool

    with pytest.raises(DemoError, match="the cluster could not be created"):
        prepare.cluster_up()


def test_a_missing_context_is_named_with_the_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))

    with pytest.raises(DemoError, match=r"no usable context kind-nowhere .*make cluster-up"):
        kube.api_client("kind-nowhere")


def test_failed_requests_are_reported_by_reason(good_run: Recording, plan: Plan) -> None:
    good_run.load[3].failures["connection refused"] = 4  # type: ignore[index]  # a dict in the fixture

    lines = list(command.conclusion(judge(good_run, plan), SCENARIOS["horizontal"], APP, Path("demo-report")))

    assert "        4 x connection refused" in lines
