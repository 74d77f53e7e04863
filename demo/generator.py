"""The load generator: a process of its own, which loads Locust and tells on standard output what it sees.

Its only argument is the order as JSON (see load.py). It prints {"began": SECONDS} on the monotonic clock that all
processes of a machine share, then one load sample a second as JSON, and ends with the plan, on SIGTERM, or when
nobody reads any more.
"""

import itertools
import json
import logging
import random
import signal
import sys
import time
from collections import Counter
from typing import Any

import gevent
import geventhttpclient.client
from geventhttpclient.connectionpool import ConnectionPool
from locust import FastHttpUser, LoadTestShape, constant_throughput, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment
from locust.runners import LocalRunner

from demo.plan import Plan, Stage

# A second user's request per second is the first one's too: N users send N requests per second.
REQUESTS_PER_USER_AND_SECOND = 1
DRAIN_SECONDS = 10.0


class Tally:
    """What happened since it was last read."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []
        self.failures: Counter[str] = Counter()
        self.retries = 0

    def note(
        self, name: str, response_time: float, response: FastResponse, exception: BaseException | None, **_: object
    ) -> None:
        """Locust's listener for a finished request; `response_time` is in milliseconds."""
        self.latencies_ms.append(round(response_time, 1))
        if exception is not None:
            self.failures[f"{name}: {why(response, exception)}"] += 1

    def take(self, at: float, users: int) -> str:
        """The sample of the time since the last one, as JSON."""
        sample = {
            "at": round(at, 3),
            "users": users,
            "latencies_ms": self.latencies_ms,
            "failures": self.failures,
            "retries": self.retries,
        }
        self.latencies_ms, self.failures, self.retries = [], Counter(), 0
        return json.dumps(sample)


def why(response: FastResponse, exception: BaseException) -> str:
    """Why a request failed, in words that are the same for the same reason."""
    if response.status_code:
        return f"HTTP status {response.status_code}"
    cause = getattr(exception, "original", None) or exception
    return f"{type(cause).__name__} {cause}".strip()


tally = Tally()


class CountingPool(ConnectionPool):
    """Counts what geventhttpclient hides: a request retried because the kept-alive connection was closed."""

    def get_socket(self) -> Any:
        """A socket for one attempt at a request; every attempt but the first is a retry."""
        tally.retries += 1
        return super().get_socket()


geventhttpclient.client.ConnectionPool = CountingPool  # type: ignore[attr-defined]  # no setting leads there


class Visitor(FastHttpUser):
    """Someone who asks for one page a second over a connection that is kept alive."""

    wait_time = constant_throughput(REQUESTS_PER_USER_AND_SECOND)
    connection_timeout = 5.0
    network_timeout = 10.0
    concurrency = 1

    def on_start(self) -> None:
        """Spread visitors over the second, or all of them would ask at the same moment."""
        gevent.sleep(random.random())  # noqa: S311 - no secret
        # constant_throughput counts from the visitor's making and would take the sleep back.
        self._cp_last_run = time.perf_counter()

    def fetch(self, path: str, query: str = "") -> None:
        """Ask for a page; its first attempt is no retry."""
        tally.retries -= 1
        self.client.get(path + query, name=path)

    @task(8)
    def work(self) -> None:
        """A page that costs CPU."""
        self.fetch("/work", f"?ms={random.randint(5, 10)}")  # noqa: S311 - no secret

    @task(1)
    def cached(self) -> None:
        """A page from the app's cache."""
        self.fetch("/cached")

    @task(1)
    def index(self) -> None:
        """The home page."""
        self.fetch("/")


class Shape(LoadTestShape):
    """As many visitors as the plan wants requests per second."""

    def __init__(self, plan: Plan, began: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # unannotated upstream
        self.plan = plan
        self.began = began

    def tick(self) -> tuple[int, float] | None:
        """Locust's question, once a second: how many users now, and how fast to get there."""
        wanted = self.plan.rate_at(time.monotonic() - self.began)
        if wanted is None:
            return None
        users = round(wanted / REQUESTS_PER_USER_AND_SECOND)
        return users, max(users, 1) * 10.0


def report(runner: LocalRunner, began: float) -> None:
    """Tell a sample every second, without drift; end the load when the reader is gone."""
    try:
        for second in itertools.count(1):
            gevent.sleep(max(0.0, began + second - time.monotonic()))
            write_line(tally.take(time.monotonic() - began, runner.user_count))
    except BrokenPipeError:
        runner.quit()


def write_line(line: str) -> None:
    """A line for the reader, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(order: dict[str, Any]) -> None:
    """Send the load that `order` asks for."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    plan = Plan(*(Stage(**stage) for stage in order["stages"]))
    began = time.monotonic()
    write_line(json.dumps({"began": began}))
    Visitor.default_headers = {"Host": order["host"]} if order["host"] else None
    environment = Environment(
        user_classes=[Visitor], shape_class=Shape(plan, began), host=order["url"], stop_timeout=DRAIN_SECONDS
    )
    environment.events.request.add_listener(tally.note)  # type: ignore[no-untyped-call]  # unannotated upstream
    runner = environment.create_local_runner()
    gevent.signal_handler(signal.SIGTERM, runner.quit)
    reporter = gevent.spawn(report, runner, began)
    runner.start_shape()
    shape: gevent.Greenlet = runner.shape_greenlet
    shape.join()
    runner.quit()
    write_line(tally.take(time.monotonic() - began, 0))
    reporter.kill()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
