"""The load generator's other end: start it, read what it tells, stop it."""

import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from typing import IO, Any

from demo.errors import DemoError
from demo.plan import Plan
from demo.recording import LoadSample

REPOSITORY = Path(__file__).resolve().parent.parent
# Locust takes a few seconds to load on a busy machine.
START_SECONDS = 60.0
# The generator lets requests finish for up to 10 s.
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Load:
    """The running generator. `began` is when its plan began, in seconds on the monotonic clock."""

    process: subprocess.Popen[str]
    errors: IO[str]
    began: float

    @property
    def running(self) -> bool:
        """Whether the generator still sends. Raises DemoError when it broke down."""
        status = self.process.poll()
        if status:
            raise DemoError(f"the load generator exited with status {status}:\n{said(self.errors)}")
        return status is None


@contextmanager
def load(url: str, host: str | None, plan: Plan, seen: Queue[Any]) -> Iterator[Load]:
    """Send the plan's load to `url` (as `host`, if given) and put a LoadSample a second into `seen`.

    On leaving, the generator is stopped and all that it told is in `seen`. Raises DemoError when it does not start.
    """
    command = [sys.executable, "-m", "demo.generator", order(url, host, plan)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=REPOSITORY,
            # Ctrl-C is for us alone: we stop the generator in order.
            start_new_session=True,
        ) as process,
    ):
        reader = threading.Thread(target=_read, args=(process.stdout, seen), daemon=True)
        try:
            began = _begin(process, errors)
            reader.start()
            yield Load(process, errors, began)
        finally:
            _stop(process)
            if reader.ident:
                reader.join()


def order(url: str, host: str | None, plan: Plan) -> str:
    """What the generator's command line says: where to, as which host, how much."""
    return json.dumps({"url": url, "host": host, "stages": [dataclasses.asdict(stage) for stage in plan.stages]})


def read_sample(line: str) -> LoadSample:
    """A sample as the generator prints it."""
    fields = json.loads(line)
    return LoadSample(**{**fields, "latencies_ms": tuple(fields["latencies_ms"])})


def said(errors: IO[str]) -> str:
    """The end of what the generator wrote to its standard error."""
    errors.seek(0)
    return "".join(errors.readlines()[-10:]) or "(no output)"


def _begin(process: subprocess.Popen[str], errors: IO[str]) -> float:
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        watchdog.cancel()
    if not line:
        raise DemoError(f"the load generator did not start within {START_SECONDS:.0f} s:\n{said(errors)}")
    return float(json.loads(line)["began"])


def _read(output: IO[str], seen: Queue[Any]) -> None:
    for line in output:
        try:
            seen.put(read_sample(line), timeout=STOP_SECONDS)
        except Full:  # nobody listens any more
            return


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
