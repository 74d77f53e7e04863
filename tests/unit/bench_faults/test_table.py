from contextlib import nullcontext
from dataclasses import replace

from benchmarks.faults import results
from benchmarks.faults.measure import Result, Row, missed
from benchmarks.faults.rows import ROWS
from benchmarks.faults.scene import Scene

ROW = Row(name="it burns", section="Fires", fault=lambda _: nullcontext(), tells=True)
GOOD = Result(back=4.2, told=["/readyz: it burns"], peak_mib=77.7)
BAD = Result(
    wrong=["5 to 1, the load needs 5"], exits=["exit 1", "killed for its memory"], patience=60.0, untrue="calm"
)


def test_the_page_shows_the_results_on_disk() -> None:
    shown = results.table(ROWS, results.load("before"), results.load("now"))
    assert shown in results.PAGE.read_text(), "make bench-faults ARGS=--table"


def test_every_result_on_disk_is_of_a_row() -> None:
    names = {row.name for row in ROWS}
    assert results.load("before").keys() | results.load("now").keys() <= names


def test_no_two_rows_have_the_same_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_quick_rows_take_ten_minutes_at_most() -> None:
    starts_and_ends = 35.0
    assert sum(row.seconds + starts_and_ends for row in ROWS if row.quick) <= 600


def test_a_cell_that_is_another_than_before_shows_both() -> None:
    shown = results.table((ROW,), {"it burns": BAD.as_json()}, {"it burns": GOOD.as_json()})
    assert "| it burns | 1 → 0 | 2 (1 for memory) → 0 | > 60 → 4.2 | not → /readyz | 0 → 78 |" in shown


def test_of_a_row_with_a_judge_the_table_says_whether_the_report_was_true() -> None:
    async def judge(_scene: Scene) -> str:
        return ""

    judged = replace(ROW, judge=judge)
    shown = results.table((judged,), {"it burns": BAD.as_json()}, {"it burns": GOOD.as_json()})
    assert "| wrongly → rightly |" in shown


def test_a_row_that_was_measured_once_shows_that() -> None:
    assert "| it burns | 0 | 0 | 4.2 | /readyz | 78 |" in results.table((ROW,), {"it burns": GOOD.as_json()}, {})


def test_a_row_that_was_not_measured_is_left_out() -> None:
    assert "it burns" not in results.table((ROW,), {}, {})


def test_a_good_row_misses_nothing() -> None:
    assert missed(ROW, GOOD) == []


def test_whatever_a_row_misses_is_said() -> None:
    assert missed(ROW, BAD) == [
        "reduced from 5 to 1, the load needs 5",
        "the process ended: exit 1",
        "the process ended: killed for its memory",
        "not back after 60 s",
        "nothing was told",
        "told wrongly: calm",
    ]


def test_a_row_may_be_later_on_a_busy_machine() -> None:
    late = Result(back=12.0, told=GOOD.told)
    assert missed(ROW, late) == ["back after 12.0 s, later than 10 s"]
    assert missed(ROW, late, slack=2.0) == []
