"""The load generator wrk: started, bounded in time, read."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.app.errors import BenchError

SCRIPT = Path(__file__).with_name("wrk.lua")
_MARK = "WRK "
# Beyond the time asked for: connecting, the answers in flight, a busy machine.
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What wrk saw. Latencies in milliseconds; `failed` are answers of status 400 and above and broken connections."""

    requests: int
    seconds: float
    bytes: int
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds if self.seconds else 0.0


def wrk(url: str, seconds: float, *, connections: int = 16, answers: int = 0, pages: int = 0) -> Measured:
    """Ask for `url` over so many connections, each time as soon as the answer is there.

    Args:
        url: of a server on this machine.
        seconds: when to end.
        connections: requests in flight.
        answers: end after so many; 0 for no such bound. What is in flight then reaches the server, too.
        pages: ask for the pages of so many products at random instead, some more often than others.

    Raises:
        BenchError: wrk is missing, did not end, or saw a request fail.
    """
    if not shutil.which("wrk"):
        raise BenchError("wrk is not installed: apt-get install wrk (make test-tools does it on Debian)")
    options = ["--threads=1", f"--connections={connections}", f"--duration={max(round(seconds), 1)}s", "--timeout=20s"]
    command = ["wrk", *options, f"--script={SCRIPT}", url, "--", str(answers), str(pages)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"wrk did not end within {error.timeout:.0f} s on {url}") from error
    if done.returncode:
        raise BenchError(f"wrk ended with status {done.returncode} on {url}: {done.stdout}{done.stderr}".strip())
    measured = parse(done.stdout)
    if measured.failed:
        raise BenchError(f"{measured.failed} of {measured.requests} requests for {url} failed; nothing is measured")
    return measured


def parse(output: str) -> Measured:
    """What wrk.lua wrote at the end of wrk's output. Raises BenchError when it is not there."""
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise BenchError(f"wrk told nothing that can be read: {output.strip()[-500:]!r}")
    try:
        fields: dict[str, Any] = json.loads(lines[-1].removeprefix(_MARK))
        return Measured(
            requests=fields["requests"],
            seconds=fields["microseconds"] / 1e6,
            bytes=fields["bytes"],
            p50_ms=fields["p50_us"] / 1e3,
            p99_ms=fields["p99_us"] / 1e3,
            failed=sum(fields[name] for name in ("status", "connect", "read", "write", "timeout")),
        )
    except (ValueError, KeyError) as error:
        raise BenchError(f"wrk told something else than expected: {lines[-1]!r}") from error
