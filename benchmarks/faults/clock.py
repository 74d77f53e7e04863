"""The operator with a wall clock that a file puts: BENCH_CLOCK names it, and it holds seconds."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scalableapp import process, term

_FILE = Path(os.environ["BENCH_CLOCK"])
_true_time = time.time


def _ahead() -> float:
    return float(_FILE.read_text() or 0.0)


def _now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=_ahead())


if __name__ == "__main__":
    term._now = _now  # noqa: SLF001 - the one place where the wall clock enters
    time.time = lambda: _true_time() + _ahead()
    process.run()
