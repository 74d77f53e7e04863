"""`scalableapp explain` as its users see it, against an API server on loopback."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalableapp.commands import cli
from tests.unit.adapters.canned import ApiServer, Asked, Refusal
from tests.unit.commands.explain.test_text import found

APP_PATH = "/apis/scalableapp.io/v1alpha1/namespaces/shop/scalableapps/web"
EVENTS_PATH = "/api/v1/namespaces/shop/events"
GONE = Refusal(404, 'scalableapps.scalableapp.io "web" not found')


class Terminal:
    """Runs the command with a kubeconfig for the server; what it printed."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "config"
        self._capsys = capsys
        self.context(url)

    def context(self, url: str, **context: str) -> None:
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        self.file.write_text(yaml.safe_dump(config))

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.main, ["explain", "--kubeconfig", str(self.file), *arguments])
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err


@pytest.fixture
def terminal(tmp_path: Path, server: ApiServer, capsys: pytest.CaptureFixture[str]) -> Terminal:
    server.respond = answers({APP_PATH: found().app, EVENTS_PATH: {"items": list(found().events)}})
    return Terminal(tmp_path, server.url, capsys)


def answers(known: dict[str, Any]) -> Any:
    def respond(asked: Asked) -> Any:
        return known.get(asked.path, Refusal(404, "the server could not find the requested resource"))

    return respond


@pytest.mark.parametrize("arguments", ["shop/web", "-n shop web", "shop/web --context here"])
async def test_an_app_is_explained(terminal: Terminal, arguments: str) -> None:
    status, out, err = await terminal.run(*arguments.split())
    assert (status, err) == (0, "")
    assert found().app["status"]["decision"]["message"] in out
    assert "8 -> 9 replicas (ScaleDownStabilized)" in out
    assert "\x1b" not in out


async def test_events_are_those_of_this_very_app(terminal: Terminal, server: ApiServer) -> None:
    await terminal.run("shop/web")
    (asked,) = [asked for asked in server.asked if asked.path == EVENTS_PATH]
    assert asked.query["fieldSelector"] == "involvedObject.uid=uid-web"
    assert asked.headers["Authorization"] == "Bearer t"


async def test_the_namespace_of_the_context_is_taken_unless_one_is_named(terminal: Terminal, server: ApiServer) -> None:
    terminal.context(server.url, namespace="shop")
    assert (await terminal.run("web"))[0] == 0


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
async def test_programs_get_the_same_messages(terminal: Terminal, form: str, load: Any) -> None:
    _, out, _ = await terminal.run("shop/web", "-o", form)
    output = load(out)
    assert output["app"] == "shop/web"
    assert output["decision"] == found().app["status"]["decision"]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({}, "The ScalableApp CRD is not installed; install it first", id="no CRD"),
        pytest.param(
            {"/apis/scalableapp.io/v1alpha1": {}}, "There is no ScalableApp shop/web; kubectl get", id="no app"
        ),
        pytest.param(
            {APP_PATH: Refusal(403, 'User "u" cannot get resource "scalableapps"')},
            'User "u" cannot get resource "scalableapps"; check with kubectl auth can-i get scalableapps -n shop',
            id="forbidden",
        ),
        pytest.param(
            {APP_PATH: Refusal(401, "Unauthorized")}, "401 Unauthorized; check with kubectl auth can-i", id="who is it?"
        ),
        pytest.param({APP_PATH: Refusal(503, "apiserver is busy")}, "503 apiserver is busy", id="busy"),
    ],
)
async def test_what_is_missing_is_named_with_what_to_do(
    terminal: Terminal,
    server: ApiServer,
    known: dict[str, Any],
    expected: str,
) -> None:
    server.respond = answers(known)
    status, out, err = await terminal.run("shop/web")
    assert (status, out) == (1, "")
    assert expected in err
    assert "operator's role" not in err


@pytest.mark.parametrize(
    ("lease", "expected"),
    [
        pytest.param(lambda: {"renewTime": "2026-01-01T00:00:00.000000Z"}, True, id="silent"),
        pytest.param(lambda: {"renewTime": datetime.now(UTC).isoformat()}, False, id="at work"),
        pytest.param(dict, False, id="never held"),
        pytest.param(None, False, id="not to be seen"),
    ],
)
async def test_an_operator_that_is_not_at_work_is_reported(
    terminal: Terminal, server: ApiServer, lease: Callable[[], dict[str, str]] | None, expected: bool
) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/scalableapp-system/leases/scalableapp-operator"
    known = {APP_PATH: found().app, EVENTS_PATH: {}}
    server.respond = answers(known if lease is None else {**known, path: {"spec": lease()}})
    status, out, _ = await terminal.run("shop/web")
    assert status == 0
    assert ("the operator has not been active for" in out) is expected


async def test_a_cluster_that_is_away_is_named(terminal: Terminal) -> None:
    terminal.context("http://127.0.0.1:1")
    status, _, err = await terminal.run("shop/web")
    assert status == 1
    assert "no answer from the Kubernetes API" in err
    assert "check whether kubectl reaches the cluster" in err


async def test_without_a_right_to_events_the_rest_is_reported(terminal: Terminal, server: ApiServer) -> None:
    server.respond = answers({APP_PATH: found().app, EVENTS_PATH: Refusal(403, 'User "u" cannot list "events"')})
    status, out, _ = await terminal.run("shop/web")
    assert status == 0
    assert found().app["status"]["decision"]["message"] in out
    assert 'Events could not be read: GET /api/v1/namespaces/shop/events: 403 User "u" cannot list "events"' in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-n", "other", "shop/web"), "is in namespace shop, but --namespace is other"),
        (("shop/web/1",), "is not an app"),
        (("/web",), "is not an app"),
        (("shop/",), "is not an app"),
        (("--context", "nowhere", "shop/web"), "nowhere"),
    ],
    ids=str,
)
async def test_arguments_that_name_no_app_are_refused(
    terminal: Terminal, arguments: tuple[str, ...], expected: str
) -> None:
    status, _, err = await terminal.run(*arguments)
    assert status == 1
    assert expected in err


async def test_a_kubeconfig_that_is_not_there_is_named(terminal: Terminal) -> None:
    terminal.file.unlink()
    status, _, err = await terminal.run("shop/web")
    assert (status, "There is no kubeconfig at" in err) == (1, True)


async def test_watching_shows_each_change_once(terminal: Terminal, server: ApiServer, monkeypatch: Any) -> None:
    monkeypatch.setattr("scalableapp.commands.explain.command._WATCH_SECONDS", 0.01)
    changed = found(desiredReplicas=4).app
    busy = Refusal(503, "apiserver is busy")
    answers_ = iter([found().app, found().app, busy, busy, changed, changed, GONE])

    def respond(asked: Asked) -> Any:
        return next(answers_, GONE) if asked.path == APP_PATH else {}

    server.respond = respond
    status, out, err = await terminal.run("shop/web", "--watch")
    assert status == 1
    assert [out.count("9 replicas, 8 ready, 9 desired"), out.count("9 replicas, 8 ready, 4 desired")] == [1, 1]
    assert "apiserver is busy" in err
    assert "There is no ScalableApp shop/web" in err


def test_as_a_plugin_it_goes_by_kubectls_name(monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/kubectl-scalableapp"])
    with pytest.raises(SystemExit):
        cli.main(["explain", "--help"])
    assert "usage: kubectl scalableapp explain" in capsys.readouterr().out
