"""What wrk tells, read."""

import pytest

from benchmarks.app.errors import BenchError
from benchmarks.app.wrk import Measured, parse

TOLD = """Running 2s test @ http://127.0.0.1:40001/cached
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.89ms    4.31ms  58.99ms   91.21%
  4812 requests in 2.00s, 3.01MB read
  Non-2xx or 3xx responses: 2

WRK {"requests": 4812, "microseconds": 2003100, "bytes": 3156190, "p50_us": 6100, "p99_us": 21450, \
"status": 2, "connect": 0, "read": 1, "write": 0, "timeout": 0}
"""


def test_figures_are_read_from_the_line_that_is_for_us() -> None:
    measured = parse(TOLD)
    assert measured == Measured(requests=4812, seconds=2.0031, bytes=3156190, p50_ms=6.1, p99_ms=21.45, failed=3)
    assert measured.rate == pytest.approx(2402.3, abs=0.1)


def test_the_rate_of_nothing_is_nothing() -> None:
    assert Measured(0, 0.0, 0, 0.0, 0.0, 0).rate == 0.0


@pytest.mark.parametrize(
    "output",
    ["", "unable to connect to 127.0.0.1:1 Connection refused", 'WRK {"requests": 1}', "WRK {requests"],
    ids=["nothing", "only words", "too little", "no JSON"],
)
def test_what_cannot_be_read_is_an_error_and_no_zero(output: str) -> None:
    with pytest.raises(BenchError, match="wrk told"):
        parse(output)
