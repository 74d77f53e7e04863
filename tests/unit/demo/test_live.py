import dataclasses
import io

import pytest
from rich.console import Console

from demo.live import line, showing, sparkline, view
from demo.plan import Plan
from demo.recording import Recording


def until(run: Recording, at: float) -> Recording:
    return dataclasses.replace(
        run,
        load=[sample for sample in run.load if sample.at <= at],
        states=[state for state in run.states if state.at <= at],
        decisions=[decision for decision in run.decisions if decision.at <= at],
    )


def shown(run: Recording, plan: Plan, at: float, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(view(until(run, at), plan, at, "default/sample-app", width))
    return console.export_text()


def test_the_view_shows_replicas_load_per_pod_and_the_last_decision(good_run: Recording, plan: Plan) -> None:
    text = shown(good_run, plan, 60)

    for part in ("default/sample-app", "15.0 / 16", "hold, 1:00 of at most 2:20", "AboveTarget", "last change 3 → 5"):
        assert part in text
    assert "█" in text or "▇" in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_view_fits_the_terminal(good_run: Recording, plan: Plan, width: int) -> None:
    assert max(len(row) for row in shown(good_run, plan, 60, width).splitlines()) <= width


def test_the_view_works_before_anything_was_seen(plan: Plan) -> None:
    assert "no decision yet" in shown(Recording(), plan, 0)


def test_a_line_says_what_changed_since_the_line_before(good_run: Recording, plan: Plan) -> None:
    text = line(until(good_run, 30), plan, 30)

    assert "[0:30] hold: 75 requests/s, replicas 3 (1 ready), 75.0 / 16 per ready pod" in text
    assert "1 → 3 AboveTarget" in text
    assert "AboveTarget" not in line(until(good_run, 50), plan, 50)


def test_where_there_is_no_terminal_a_line_comes_every_five_seconds(good_run: Recording, plan: Plan) -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=80, record=True)

    with showing(console, plan, "app") as show:
        for second in range(1, 21):
            show(good_run, float(second))

    assert [row[:6] for row in console.export_text().splitlines() if row.startswith("[")] == [
        "[0:05]",
        "[0:10]",
        "[0:15]",
        "[0:20]",
    ]


def test_on_a_terminal_the_view_changes_in_place(good_run: Recording, plan: Plan) -> None:
    output = io.StringIO()

    with showing(Console(file=output, force_terminal=True, width=80), plan, "app") as show:
        show(until(good_run, 10), 10.0)
        show(until(good_run, 40), 40.0)

    assert "calm, 0:10" in output.getvalue()
    assert "hold, 0:40" in output.getvalue()


@pytest.mark.parametrize(
    ("values", "highest", "text"),
    [
        pytest.param([0, 4, 8], 8, " ▄█", id="shares of the highest"),
        pytest.param([9, -1], 8, "█ ", id="cut at the ends"),
        pytest.param([1, 2], 0, "  ", id="no scale"),
        pytest.param([], 8, "", id="nothing"),
    ],
)
def test_a_sparkline_has_a_character_per_value(values: list[float], highest: float, text: str) -> None:
    assert sparkline(values, highest) == text
