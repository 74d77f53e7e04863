import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import __main__ as cli
from cluster import commands, docker, images, kind
from cluster.console import ClusterError

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run_with(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["cluster", *arguments])
        return cli.main()

    return run_with


@pytest.mark.parametrize("verb", ["up", "load", "images", "compile", "status", "down"])
def test_the_help_names_every_verb(verb: str) -> None:
    assert f"    {verb} " in cli.parser().format_help()


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (["up"], "up"),
        (["up", "--existing"], "up_existing"),
        (["load"], "load"),
        (["images"], "build_images"),
        (["load", "--existing"], "load_existing"),
        (["compile"], "compile ()"),
        (["compile", "node", "contour"], "compile ('node', 'contour')"),
        (["down"], "down everything=False"),
        (["down", "--all"], "down everything=True"),
    ],
    ids=" ".join,
)
def test_each_verb_runs_its_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], called: str
) -> None:
    calls: list[str] = []
    for name in ("up", "up_existing", "load", "load_existing", "build_images"):
        monkeypatch.setattr(commands, name, lambda name=name: calls.append(name))
    monkeypatch.setattr(commands, "down", lambda *, everything: calls.append(f"down everything={everything}"))
    monkeypatch.setattr(commands, "compile_programs", lambda groups: calls.append(f"compile {groups}"))
    assert run(*arguments) == 0
    assert calls == [called]


def test_a_failure_is_one_sentence_and_exit_code_1(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ClusterError("port 8080 is in use; free it.")

    monkeypatch.setattr(commands, "up", fail)
    assert run("up") == 1
    assert capsys.readouterr().err == "cluster: port 8080 is in use; free it.\n"


def test_ctrl_c_says_that_work_is_kept_and_exits_as_an_interrupted_program_does(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "up", interrupt)
    assert run("up") == 130
    assert "continues from there" in capsys.readouterr().err


def test_loading_without_a_cluster_says_how_to_get_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kind, "nodes", list)
    monkeypatch.setattr(images, "build", lambda: pytest.fail("there is nothing to build images for"))
    assert run("load") == 1
    assert "`up` creates one" in capsys.readouterr().err


def test_the_status_without_an_engine_is_a_failure_that_names_the_fix(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docker, "answers", lambda: False)
    assert run("status") == 1
    assert "no Docker engine answers; `up` starts one" in capsys.readouterr().out
