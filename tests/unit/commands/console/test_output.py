"""Colours where a terminal shows them, and nowhere else."""

import io

import pytest

from scalableapp.commands.console.output import COLOURS, PLAIN, paint_for


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "env", "paint"),
    [
        pytest.param(Tty(), {}, COLOURS, id="terminal"),
        pytest.param(io.StringIO(), {}, PLAIN, id="pipe"),
        pytest.param(Tty(), {"NO_COLOR": "1"}, PLAIN, id="NO_COLOR"),
        pytest.param(Tty(), {"NO_COLOR": ""}, COLOURS, id="empty NO_COLOR"),
        pytest.param(Tty(), {"TERM": "dumb"}, PLAIN, id="dumb terminal"),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, out: io.StringIO, env: dict[str, str], paint: dict[str, str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert paint_for(out) == paint
