"""The table as it is printed and pasted into documents."""

from pathlib import Path

import pytest

from benchmarks.app import charts, tables
from benchmarks.app.results import Comparison, Curve, Results

FOUND = [
    Comparison("cache", "costly view", "requests/s", 36.94, 2312.0, ("no cache", "Memory"), gains=(62.6, 59.1)),
    Comparison("overload", "3x overload", "good answers/s", 0.0, 45.0, ("no bound", "shedding"), gains=(float("inf"),)),
]


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (0.2461, "0.246"), (9.87, "9.87"), (36.94, "36.9"), (509.4, "509"), (13_842.0, "13,800")],
)
def test_amounts_have_three_digits(value: float, said: str) -> None:
    assert tables.amount(value) == said


@pytest.mark.parametrize(("gain", "said"), [(62.6, "63 x"), (1.6603, "1.66 x"), (0.5, "0.500 x"), (float("inf"), "∞")])
def test_gains_are_factors(gain: float, said: str) -> None:
    assert tables.factor(gain) == said


def test_markdown_has_a_line_for_each_comparison() -> None:
    head, rule, *body = tables.markdown(FOUND).splitlines()
    assert head == "| What | Without | With | Gain | Rounds |"
    assert rule == "| --- | ---: | ---: | ---: | ---: |"
    assert body == [
        "| costly view: requests/s | 36.9 (no cache) | 2,310 (Memory) | 61 x | 63 59 |",
        "| 3x overload: good answers/s | 0 (no bound) | 45.0 (shedding) | ∞ | ∞ |",
    ]


def test_columns_line_up_in_the_terminal() -> None:
    lines = tables.text(FOUND).splitlines()
    assert len({line.index("(") > 0 for line in lines[1:]}) == 1
    assert len(set(map(len, lines))) == 1


def test_pictures_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    curves = [Curve("hits", "Memory", ((1.0, 73.0), (10.0, 22.0)))]
    written = charts.draw(Results(FOUND, curves), tmp_path / "new")
    assert [file.name for file in written] == ["bench-app-gains.png", "bench-app-hits.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in written)


def test_of_nothing_nothing_is_drawn(tmp_path: Path) -> None:
    assert charts.draw(Results(), tmp_path) == []
