"""Completion: what the program answers, and that real shells make use of it."""

import asyncio
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scalableapp.commands import cli
from tests.unit.adapters.canned import Refusal
from tests.unit.commands.plugin.conftest import SHOP, Terminal

NAMESPACES = "/api/v1/namespaces"
BLOG = "/apis/scalableapp.io/v1alpha1/namespaces/blog/scalableapps"


def named(*names: str) -> dict[str, object]:
    return {"items": [{"metadata": {"name": name}} for name in names]}


@pytest.fixture
def cluster(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("KUBECONFIG", str(terminal.file))
    monkeypatch.setattr("scalableapp.commands.plugin.completion_command._TIMEOUT_SECONDS", 30.0)  # for busy machines
    terminal.known |= {
        NAMESPACES: named("blog", "shop", "shop-test"),
        SHOP: named("web", "web-admin", "api"),
        BLOG: named("pages"),
        "/apis/apps/v1/namespaces/shop/deployments": named("old"),
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers": named("old-cpu"),
    }
    return terminal


async def answer(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert await asyncio.to_thread(cli.main, ["__complete", *words]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pa"], ["pause"]),
        (["list", "-n", "sh"], ["shop", "shop-test"]),
        (["list", "--namespace=shop-"], ["--namespace=shop-test"]),
        (["list", "--context", ""], ["here"]),
        (["list", "-o", ""], ["json", "table", "wide", "yaml"]),
        (["list", "--all"], ["--all-namespaces"]),
        (["explain", "we"], ["web", "web-admin"]),
        (["explain", "-n", "blog", ""], ["pages"]),
        (["explain", "-n=blog", ""], ["pages"]),
        (["explain", "blog/"], ["blog/pages"]),
        (["explain", "web", ""], []),
        (["pause", "web", "a"], ["api"]),
        (["recommend", ""], ["deployment/old"]),
        (["adopt", ""], ["deployment/old"]),
        (["adopt", "deployment/old", "hpa/"], ["hpa/old-cpu"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
    ],
    ids=" ".join,
)
async def test_commands_options_and_names_are_completed(
    cluster: Terminal, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[str]
) -> None:
    assert await answer(capsys, *words) == [*expected, ":4"]


@pytest.mark.parametrize("words", [["backtest", "app"], ["list", "--kubeconfig", "x"], ["top", "--svg", ""]])
async def test_where_a_file_stands_the_shell_completes_files(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert await answer(capsys, *words) == [":0"]


async def test_a_cluster_that_refuses_or_is_away_completes_nothing_and_says_nothing(
    cluster: Terminal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.known[SHOP] = Refusal(403, "no")
    assert await answer(capsys, "explain", "") == [":4"]
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    assert await answer(capsys, "list", "--context", "") == [":4"]
    assert await answer(capsys, "explain", "") == [":4"]
    assert capsys.readouterr().err == ""


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which `scalableapp` is this checkout's."""
    program = tmp_path / "bin" / "scalableapp"
    program.parent.mkdir()
    source = Path(__file__).parents[4] / "operator"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={source} exec {sys.executable} -m scalableapp.commands.cli "$@"\n')
    program.chmod(0o755)
    for name in ("kubectl-scalableapp", "kubectl_complete-scalableapp"):
        (program.parent / name).write_text(f'#!/bin/sh\nexec {program} {"__complete " if "_" in name else ""}"$@"\n')
        (program.parent / name).chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def pressed(env: dict[str, str], line: str, until: str) -> str:
    """What a bash shows that is given the script, the line and a Tab."""
    number, other = pty.openpty()
    process = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        env={**env, "TERM": "dumb", "PS1": "> "},
        preexec_fn=lambda: os.login_tty(os.dup(other)),  # noqa: PLW1509 - a shell edits lines on its own terminal only
    )
    try:
        os.write(number, b"source <(scalableapp completion bash); echo re''ady\n")
        _read(number, "ready")
        os.write(number, line.encode())
        # On a busy machine the cluster's answer may come too late for the first Tab.
        shown = _read(number, until, again=b"\t")
    finally:
        process.kill()
        process.wait(10)
        os.close(number)
        os.close(other)
    return shown


def _read(number: int, until: str, again: bytes = b"") -> str:
    """What is shown until then; `again` is typed at once, and anew while nothing comes."""
    shown, now = "", time.monotonic()
    end, press_at = now + 120, now
    while until not in shown:
        now = time.monotonic()
        assert now < end, shown
        if again and now >= press_at:
            os.write(number, again)
            press_at = now + 10
        if select.select([number], [], [], 1)[0]:
            shown += os.read(number, 65_536).decode(errors="replace")
    return shown


@pytest.mark.parametrize(
    ("line", "until"),
    [
        ("scalableapp hist", "scalableapp history "),
        ("scalableapp explain web-", "scalableapp explain web-admin "),
        ("scalableapp explain -n blog ", "scalableapp explain -n blog pages "),
    ],
)
async def test_tab_completes_in_a_real_bash(cluster: Terminal, programs: dict[str, str], line: str, until: str) -> None:
    assert until in await asyncio.to_thread(pressed, programs, line, until)


async def test_kubectl_asks_the_plugin(cluster: Terminal, programs: dict[str, str]) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl on PATH")
    command = ["kubectl", "__complete", "scalableapp", "explain", "web-"]

    def ask() -> list[str]:
        done = subprocess.run(command, env=programs, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.splitlines()

    tries = [await asyncio.to_thread(ask)]
    while tries[-1] == [":4"] and len(tries) < 10:  # too late for a finger on the Tab key
        tries.append(await asyncio.to_thread(ask))
    assert tries[-1] == ["web-admin", ":4"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_its_shell_reads(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell} on PATH")
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
