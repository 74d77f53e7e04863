"""`kubectl scalableapp pause` and `resume`: one field, told and idempotent."""

from typing import Any

import pytest

from tests.unit.adapters.canned import Asked, Refusal
from tests.unit.commands.plugin.conftest import SHOP, Terminal, app

WEB = f"{SHOP}/web"


def stored(terminal: Terminal, paused: bool, **spec: Any) -> None:
    """The app `web`, on a server that applies merge patches to its `paused`."""
    held = app(**spec)
    held["spec"]["scaling"]["paused"] = paused

    def respond(asked: Asked) -> Any:
        if asked.verb == "PATCH":
            held["spec"]["scaling"]["paused"] = asked.body["spec"]["scaling"]["paused"]
        return held

    terminal.known[WEB] = respond


async def test_pause_sets_the_field_and_no_other(terminal: Terminal) -> None:
    stored(terminal, paused=False)
    status, out, err = await terminal.run("pause", "shop/web")
    assert (status, err) == (0, "")
    assert out == "shop/web paused: it stays at 4 replicas until kubectl scalableapp resume shop/web\n"
    (patch,) = terminal.asked("PATCH")
    assert patch.body == {"spec": {"scaling": {"paused": True}}}
    assert patch.headers["Content-Type"] == "application/merge-patch+json"
    assert patch.query == {"fieldManager": "kubectl-scalableapp"}


async def test_resume_lets_go(terminal: Terminal) -> None:
    stored(terminal, paused=True)
    _, out, _ = await terminal.run("resume", "web")
    assert out == "shop/web resumed: it is scaled again within seconds\n"
    assert [patch.body for patch in terminal.asked("PATCH")] == [{"spec": {"scaling": {"paused": False}}}]


async def test_a_pin_is_reported_when_an_app_is_resumed(terminal: Terminal) -> None:
    stored(terminal, paused=True)
    terminal.known[WEB] = _pinned(terminal.known[WEB])
    _, out, _ = await terminal.run("resume", "web")
    assert "its replicas stay pinned at 3 by spec.replicas" in out


def _pinned(respond: Any) -> Any:
    def answer(asked: Asked) -> Any:
        held = respond(asked)
        return {**held, "spec": {**held["spec"], "replicas": 3}}

    return answer


@pytest.mark.parametrize(
    ("command", "paused", "expected"),
    [("pause", True, "shop/web is already paused"), ("resume", False, "shop/web is not paused")],
)
async def test_what_is_so_already_is_not_written(terminal: Terminal, command: str, paused: bool, expected: str) -> None:
    stored(terminal, paused=paused)
    status, out, _ = await terminal.run(command, "shop/web")
    assert (status, out) == (0, f"{expected}; nothing was changed\n")
    assert terminal.asked("PATCH") == []


async def test_of_several_apps_those_before_a_missing_one_are_done(terminal: Terminal) -> None:
    stored(terminal, paused=False)
    terminal.known["/apis/scalableapp.io/v1alpha1"] = {}
    status, out, err = await terminal.run("pause", "web", "gone")
    assert status == 1
    assert out.startswith("shop/web paused")
    assert "There is no ScalableApp shop/gone" in err


async def test_without_the_right_to_it_the_role_is_named(terminal: Terminal) -> None:
    refusal = Refusal(403, 'User "u" cannot patch resource "scalableapps"')
    terminal.known[WEB] = lambda asked: refusal if asked.verb == "PATCH" else app()
    status, _, err = await terminal.run("pause", "web")
    assert status == 1
    assert "kubectl auth can-i patch scalableapps -n shop; the role scalableapp-edit" in err
