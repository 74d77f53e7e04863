"""`kubectl scalableapp list` and `top` as their users see them."""

import asyncio
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.adapters.canned import Refusal
from tests.unit.commands.plugin.conftest import APPS, SHOP, Terminal, app

NOT_READY = {"type": "Ready", "status": "False", "reason": "PodsNotReady", "message": "0 of 4 pods are ready"}


async def test_the_apps_of_a_namespace_are_listed_as_kubectl_does(terminal: Terminal) -> None:
    terminal.known[SHOP] = {"items": [app("web"), app("api", current="10")]}
    status, out, err = await terminal.run("list")
    assert (status, err) == (0, "")
    head, api, web = out.splitlines()
    assert head.split() == ["NAME", "MODE", "REPLICAS", "DESIRED", "MIN", "MAX", "METRIC", "READY", "REASON", "AGE"]
    cells = ["web", "Horizontal", "4", "5", "2", "20", "RequestsPerSecond", "40/50", "True", "DesiredWithinRange"]
    assert web.split()[:-1] == cells
    assert api.split()[6:8] == ["CPU", "100m/300m"]  # the metric that is nearest to its target
    assert "\x1b" not in out


async def test_all_namespaces_are_distinguished_and_a_selector_is_passed_on(terminal: Terminal) -> None:
    terminal.known[APPS] = {"items": [app("web", "shop"), app("web", "blog")]}
    status, out, _ = await terminal.run("list", "-A", "-l", "team=web")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["NAMESPACE", "blog", "shop"]
    assert [asked.query["labelSelector"] for asked in terminal.asked("GET")] == ["team=web"]


async def test_wide_adds_size_since_and_url(terminal: Terminal) -> None:
    terminal.known[SHOP] = {"items": [app()]}
    _, out, _ = await terminal.run("list", "-o", "wide")
    assert "cpu 250m, memory 128Mi" in out
    assert out.splitlines()[1].endswith("http://web.test/")


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
async def test_programs_get_stable_keys(terminal: Terminal, form: str, load: Any) -> None:
    bare = {"metadata": {"name": "new", "namespace": "shop"}, "spec": {"image": "web:1"}}
    terminal.known[SHOP] = {"items": [app(), bare]}
    _, out, _ = await terminal.run("list", "-o", form)
    new, web = load(out)["items"]
    assert web == {
        "namespace": "shop",
        "name": "web",
        "mode": "Horizontal",
        "paused": False,
        "replicas": 4,
        "readyReplicas": 4,
        "desiredReplicas": 5,
        "minReplicas": 2,
        "maxReplicas": 20,
        "metric": {"name": "RequestsPerSecond", "current": "40", "target": "50", "ratio": 0.8},
        "reason": "DesiredWithinRange",
        "message": "RequestsPerSecond is 40 requests/s per pod",
        "decidedAt": "2026-11-23T12:00:00Z",
        "ready": "True",
        "readyReason": "InSync",
        "resources": {"cpu": {"request": "250m"}, "memory": {"request": "128Mi"}},
        "url": "http://web.test/",
        "createdAt": "2026-11-20T12:00:00Z",
    }
    assert set(new) == {"namespace", "name", "mode", "paused", "minReplicas", "maxReplicas"}


async def test_no_apps_are_no_error_and_json_of_none_is_an_empty_list(terminal: Terminal) -> None:
    terminal.known[SHOP] = {"items": []}
    status, out, err = await terminal.run("list")
    assert (status, out, err) == (0, "", "No ScalableApps in namespace shop; -A lists all namespaces.\n")
    _, out, _ = await terminal.run("list", "-o", "json")
    assert json.loads(out) == {"items": []}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(None, "install it first: kubectl apply -f crds/", id="no CRD"),
        pytest.param(
            Refusal(403, 'User "u" cannot list resource "scalableapps"'),
            "kubectl auth can-i list scalableapps -n shop; the role scalableapp-view (or view)",
            id="forbidden",
        ),
        pytest.param(Refusal(503, "apiserver is busy"), "check whether kubectl reaches the cluster", id="busy"),
    ],
)
async def test_what_is_wrong_is_reported_with_the_fix(terminal: Terminal, answer: Any, expected: str) -> None:
    if answer:
        terminal.known[SHOP] = answer
    status, out, err = await terminal.run("list")
    assert (status, out) == (1, "")
    assert expected in err


async def test_top_without_a_terminal_prints_once_the_fullest_app_first(terminal: Terminal) -> None:
    broken = app("broken", current="5")
    broken["status"]["conditions"] = [NOT_READY]
    terminal.known[APPS] = {"items": [broken, app("calm", current="20"), app("full", current="70")]}
    status, out, _ = await terminal.run("top", "-A")
    assert status == 0
    assert out.startswith("all namespaces: 3 apps, 12 replicas, ")
    rows = out.splitlines()[3:]
    assert [row.split()[0] for row in rows] == ["shop/full", "shop/calm", "shop/broken"]
    assert "4 -> 5" in rows[0]
    assert f"{'█' * 12} 140%  DesiredWithinRange" in rows[0]
    assert f"{'█' * 5}{'░' * 7}  40%" in rows[1]
    assert "PodsNotReady" in rows[2]


async def test_top_draws_a_picture(terminal: Terminal, tmp_path: Path) -> None:
    terminal.known[APPS] = {"items": [app()]}
    status, _, err = await terminal.run("top", "-A", "--svg", str(tmp_path / "top.svg"))
    assert (status, err) == (0, "")
    picture = (tmp_path / "top.svg").read_text()
    assert picture.startswith("<svg")
    assert "shop/web" in picture
    assert 'url("http' not in picture  # nothing is fetched by who looks at it
    status, _, err = await terminal.run("top", "-A", "--svg", str(tmp_path / "none" / "top.svg"))
    assert (status, "pass another path as --svg" in err) == (1, True)


async def test_without_rich_the_extra_is_named(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.known[APPS] = {"items": [app()]}
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert (await terminal.run("top", "-A"))[0] == 0
    status, _, err = await terminal.run("top", "-A", "--svg", str(tmp_path / "top.svg"))
    assert (status, "pip install 'scalableapp[cli]', or use --once" in err) == (1, True)


class Screen:
    """`top` on a terminal of its own."""

    def __init__(self, file: Path, **env: str) -> None:
        self.number, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 160, 0, 0))
        self.before = termios.tcgetattr(other)
        command = [
            sys.executable,
            "-m",
            "scalableapp.commands.cli",
            "top",
            "--kubeconfig",
            str(file),
            "--interval",
            "0.5",
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4] / "operator"), "TERM": "xterm"}
        self.process = subprocess.Popen(
            command,
            env=environment | env,
            preexec_fn=lambda: os.login_tty(os.dup(other)),  # noqa: PLW1509 - Ctrl-C needs a controlling terminal
        )
        self.other = other
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Until `text` has been drawn since the last call."""
        end = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < end, self.shown[-2000:]
            if select.select([self.number], [], [], 1)[0]:
                self.shown += os.read(self.number, 65_536).decode(errors="replace")
        self.shown = self.shown.partition(text)[2]

    def ended(self) -> int:
        """Exit status, with all that is drawn until then read."""
        end = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < end
            if select.select([self.number], [], [], 0.1)[0]:
                self.shown += os.read(self.number, 65_536).decode(errors="replace")
        while select.select([self.number], [], [], 0.1)[0]:
            self.shown += os.read(self.number, 65_536).decode(errors="replace")
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.number)
        os.close(self.other)


@pytest.fixture
def screen(terminal: Terminal) -> Iterator[Screen]:
    terminal.known[SHOP] = {"items": [app()]}
    made = Screen(terminal.file)
    yield made
    made.close()


ALTERNATE, BACK, CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


async def in_thread(*steps: Any) -> None:
    for step in steps:
        await asyncio.to_thread(step)


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda screen: os.write(screen.number, b"q"), id="q"),
        pytest.param(lambda screen: os.write(screen.number, b"\x03"), id="Ctrl-C"),
        pytest.param(lambda screen: screen.process.send_signal(signal.SIGTERM), id="SIGTERM"),
    ],
)
async def test_top_draws_anew_and_leaves_the_terminal_as_it_was(terminal: Terminal, screen: Screen, leave: Any) -> None:
    def watch() -> None:
        screen.wait_for(ALTERNATE)
        screen.wait_for("40/50")
        terminal.known[SHOP] = {"items": [app(current="49")]}
        screen.wait_for("49/50")
        terminal.known[SHOP] = Refusal(403, 'User "u" cannot list resource "scalableapps"')
        screen.wait_for("showing the data of")
        terminal.known[SHOP] = {"items": [app(current="31")]}
        screen.wait_for("31/50")
        os.write(screen.number, b"\x1b[A")  # an arrow is no Escape
        screen.wait_for("31/50")
        leave(screen)
        assert screen.ended() == 0

    await in_thread(watch)
    assert BACK in screen.shown
    assert CURSOR in screen.shown
    assert termios.tcgetattr(screen.other) == screen.before


async def test_no_color_is_honoured_on_a_terminal(terminal: Terminal) -> None:
    terminal.known[SHOP] = {"items": [app(current="70")]}
    for env, coloured in (({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        screen = Screen(terminal.file, **env)
        try:
            await in_thread(lambda screen=screen: screen.wait_for("70/50"))
            os.write(screen.number, b"q")
            await in_thread(screen.ended)
        finally:
            screen.close()
        assert ("\x1b[31m" in screen.shown) is coloured
