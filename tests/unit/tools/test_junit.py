"""The summary of several runs of pytest, from reports that a real pytest writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.junit import summary

TESTS = """
import time, pytest

@pytest.fixture
def broken():
    yield
    raise OSError("at the end")

def test_slow():
    time.sleep(0.3)

def test_wrong():
    assert False

def test_wrong_in_the_end(broken):
    pass

@pytest.mark.skip(reason="not here")
def test_not_here():
    pass
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "test_it.py").write_text(TESTS)
    found = [folder / "0.xml", folder / "1.xml"]
    for report, selection in zip(found, ("slow or wrong", "here"), strict=True):
        command = (sys.executable, "-m", "pytest", "-q", "-k", selection, f"--junit-xml={report}", "test_it.py")
        subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    return found


def test_the_last_line_counts_the_tests_of_all_runs(reports: list[Path]) -> None:
    lines = summary(reports, 90.0).splitlines()
    assert lines[-2:] == ["All tests took 1.5 min.", "1 passed, 2 failed, 1 skipped"]


def test_the_slowest_come_first_and_failed_ones_are_named(reports: list[Path]) -> None:
    lines = summary(reports, 90.0).splitlines()
    assert lines[0] == "The 4 slowest tests:"
    assert lines[1].endswith(" s  test_it::test_slow")
    assert [line for line in lines if line.startswith("FAILED")] == [
        "FAILED  test_it::test_wrong",
        "FAILED  test_it::test_wrong_in_the_end",
    ]


def test_runs_that_did_not_come_about_are_nothing(tmp_path: Path) -> None:
    assert summary([], 0.0).splitlines()[-1] == "0 passed, 0 failed, 0 skipped"
