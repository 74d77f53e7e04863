"""Visitors who come at their own pace and lose patience: Locust, as wrk waits for every answer before it asks again.

A process of its own, as Locust replaces parts of the standard library: `python -m benchmarks.app.visitors ORDER` with
an Order as JSON; it prints what became of each request, as JSON.
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

# Locust takes a few seconds to load on a busy machine, and to let visitors finish.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """A visitor asks once a second (`visitors` requests/s), and gives up after `patience` seconds.

    What is asked in the first `warm_up` of the `seconds` is not told: queues take a while to fill.
    """

    url: str
    visitors: int
    seconds: float
    warm_up: float
    patience: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Status (0: the visitor gave up, or the connection broke) and milliseconds from the visitor's view."""

    status: int
    milliseconds: float


def visit(order: Order) -> list[Answer]:
    """Send them. Raises BenchError when the generator does not do as it is told."""
    command = [sys.executable, "-m", __name__, json.dumps(dataclasses.asdict(order))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=order.seconds + _PATIENCE_SECONDS, check=False
        )
        return [Answer(*told) for told in json.loads(done.stdout)]
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BenchError(f"the load generator did not tell what it saw: {error}") from error


def _send(order: Order) -> list[tuple[int, float]]:
    import gevent  # noqa: PLC0415 - gevent patches the standard library, which only this process wants
    from locust import FastHttpUser, constant_throughput, task  # noqa: PLC0415 - as above
    from locust.env import Environment  # noqa: PLC0415 - as above

    class Visitor(FastHttpUser):
        wait_time = constant_throughput(1)
        connection_timeout = order.patience
        network_timeout = order.patience

        def on_start(self) -> None:
            gevent.sleep(random.random())  # noqa: S311 - spread over the second; no secret
            self._cp_last_run = time.perf_counter()

        @task
        def ask(self) -> None:
            self.client.get(order.url)

    seen: list[tuple[int, float]] = []
    counted_from = time.monotonic() + order.warm_up

    def note(response_time: float, response: Any, **_: Any) -> None:
        if time.monotonic() - response_time / 1000 >= counted_from:
            seen.append((response.status_code or 0, round(response_time, 1)))

    environment = Environment(user_classes=[Visitor], host=order.url, stop_timeout=order.patience)
    environment.events.request.add_listener(note)  # type: ignore[no-untyped-call]  # unannotated upstream
    runner = environment.create_local_runner()
    runner.start(order.visitors, spawn_rate=order.visitors)
    gevent.sleep(order.seconds)
    runner.quit()
    return seen


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    sys.stdout.write(json.dumps(_send(Order(**json.loads(sys.argv[1])))))
