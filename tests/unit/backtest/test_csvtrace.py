"""Load curves from files."""

from pathlib import Path

import pytest

from scalableapp.backtest.csvtrace import read_csv
from scalableapp.backtest.errors import TraceError


def written(folder: Path, text: str) -> Path:
    path = folder / "load.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:01:00Z,2\n",
        "2026-01-01T00:00:00,1\n2026-01-01T00:01:00,2\n",
        "timestamp,value\n2026-01-01T01:00:00+01:00,1\n\n2026-01-01T00:01:00+00:00,2\n",
        "1767225600,1\n1767225660,2\n",
    ],
    ids=["UTC", "no zone is UTC", "zones and an empty line", "seconds"],
)
def test_times_are_read_in_every_usual_form(tmp_path: Path, text: str) -> None:
    trace = read_csv(written(tmp_path, text))
    assert (trace.name, trace.started_at) == ("load", 1767225600)
    assert (list(trace.seconds), list(trace.rates)) == ([0, 60], [1, 2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timestamp,value\n0,1\nsoon,2\n", "load.csv:3: 'soon,2' is not timestamp,value"),
        ("0,1\n60,many\n", "load.csv:2: '60,many'"),
        ("0,1\n60,-1\n", "0 or more"),
        ("0,1\n60,nan\n", "0 or more"),
        ("0,1\ninf,1\n", "is not a time"),
        ("0,1\n60,1,2\n", "load.csv:2"),
        ("0,1\n60,1\n60,2\n", "load.csv:3: the time is not later than on the line before"),
        ("timestamp,value\n0,1\n", "needs at least 2"),
        ("", "0 rows"),
    ],
    ids=["time", "number", "negative", "NaN", "infinite time", "columns", "order", "one row", "empty"],
)
def test_what_is_wrong_is_reported_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(TraceError) as error:
        read_csv(written(tmp_path, text))
    assert expected in str(error.value)


def test_a_file_that_is_not_there_is_reported_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.csv: cannot be read"):
        read_csv(tmp_path / "nowhere.csv")
