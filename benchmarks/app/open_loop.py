"""Users who come at their own pace and give up after a time: Locust, as wrk waits for each answer before the next.

A process of its own, as Locust replaces parts of the standard library: `python -m benchmarks.app.open_loop SPEC` with
a LoadSpec as JSON; it prints what became of each request, as JSON.
"""

import dataclasses
import json
import logging
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.app.errors import BenchError

# Locust takes a few seconds to load on a busy machine, and to let users finish.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """A visitor asks once a second (`users` requests/s), and gives up after `timeout_seconds` seconds.

    What is asked in the first `warm_up` of the `seconds` is not told: queues take a while to fill.
    """

    url: str
    users: int
    seconds: float
    warm_up: float
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Status (0: the visitor gave up, or the connection broke) and milliseconds from the visitor's view."""

    status: int
    milliseconds: float


def run_load(spec: LoadSpec) -> list[Answer]:
    """Send them. Raises BenchError when the generator does not do as it is told."""
    command = [sys.executable, "-m", __name__, json.dumps(dataclasses.asdict(spec))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=spec.seconds + _PATIENCE_SECONDS, check=False
        )
        return [Answer(*fields) for fields in json.loads(done.stdout)]
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BenchError(f"the load generator did not tell what it saw: {error}") from error


def _send(spec: LoadSpec) -> list[tuple[int, float]]:
    import gevent  # noqa: PLC0415 - gevent patches the standard library, which only this process wants
    from locust import FastHttpUser, constant_throughput, task  # noqa: PLC0415 - as above
    from locust.env import Environment  # noqa: PLC0415 - as above

    class User(FastHttpUser):
        wait_time = constant_throughput(1)
        connection_timeout = spec.timeout_seconds
        network_timeout = spec.timeout_seconds

        def on_start(self) -> None:
            gevent.sleep(random.random())  # noqa: S311 - spread over the second; no secret
            self._cp_last_run = time.perf_counter()

        @task
        def ask(self) -> None:
            self.client.get(spec.url)

    seen: list[tuple[int, float]] = []
    counted_from = time.monotonic() + spec.warm_up

    def note(response_time: float, response: Any, **_: Any) -> None:
        if time.monotonic() - response_time / 1000 >= counted_from:
            seen.append((response.status_code or 0, round(response_time, 1)))

    environment = Environment(user_classes=[User], host=spec.url, stop_timeout=spec.timeout_seconds)
    environment.events.request.add_listener(note)  # type: ignore[no-untyped-call]  # unannotated upstream
    runner = environment.create_local_runner()
    runner.start(spec.users, spawn_rate=spec.users)
    gevent.sleep(spec.seconds)
    runner.quit()
    return seen


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    sys.stdout.write(json.dumps(_send(LoadSpec(**json.loads(sys.argv[1])))))
