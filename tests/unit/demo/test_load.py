"""The load generator against real servers on loopback."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import pytest

from demo import load as load_module
from demo.errors import DemoError
from demo.load import load
from demo.plan import Plan, five_stages
from demo.recording import LoadSample

pytestmark = pytest.mark.process

SHORT = five_stages(calm=10, high=20, seconds=(0.5, 0.5, 1, 0.5, 0.5))
LONG = five_stages(calm=10, high=20, seconds=(60, 1, 1, 1, 1))


class Answer(BaseHTTPRequestHandler):
    """Keeps connections alive, as HTTP/1.1 does, and remembers whom it was asked for."""

    protocol_version = "HTTP/1.1"
    # Without it the last bytes of an answer wait for an acknowledgement.
    disable_nagle_algorithm = True
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Host"]))
        self.send_response(self.status())
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def status(self) -> int:
        return 200

    def log_message(self, *_arguments: object) -> None:
        pass


class Broken(Answer):
    def status(self) -> int:
        return 503 if len(self.asked) % 5 == 0 else 200


class Hasty(Answer):
    """Closes an idle connection without a word when the second request on it arrives."""

    def handle(self) -> None:
        self.handle_one_request()
        self.rfile.readline()


@contextmanager
def server(kind: type[Answer]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server's address and what it was asked for."""
    asked: list[tuple[str, str]] = []
    serving = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (kind,), {"asked": asked}))
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_address[1]}", asked
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


def send(url: str, plan: Plan = SHORT, host: str | None = None) -> list[LoadSample]:
    seen: Queue[Any] = Queue()
    with load(url, host, plan, seen) as sending:
        deadline = time.monotonic() + 60
        while sending.running:
            assert time.monotonic() < deadline, "the generator does not end"
            time.sleep(0.05)
    return [seen.get_nowait() for _ in range(seen.qsize())]


def test_the_load_follows_the_plan_and_every_request_is_reported() -> None:
    with server(Answer) as (url, asked):
        samples = send(url)

    answered = sum(len(sample.latencies_ms) for sample in samples)
    assert answered == len(asked)
    assert max(sample.users for sample in samples) == 20
    assert sum(sample.failed + sample.retries for sample in samples) == 0
    assert {path.partition("?")[0] for path, _host in asked} >= {"/work"}


def test_an_error_answer_is_a_failed_request_with_its_reason() -> None:
    with server(Broken) as (url, asked):
        samples = send(url)

    assert sum(sample.failed for sample in samples) == len(asked) // 5
    reasons = {reason for sample in samples for reason in sample.failures}
    assert reasons <= {f"{path}: HTTP status 503" for path in ("/work", "/cached", "/")}


def test_a_server_that_is_not_there_makes_every_request_fail() -> None:
    with server(Answer) as (url, _asked):
        pass

    samples = send(url)

    answered = sum(len(sample.latencies_ms) for sample in samples)
    assert answered > 0
    assert sum(sample.failed for sample in samples) == answered
    assert all("ConnectionRefusedError" in reason for sample in samples for reason in sample.failures)


def test_a_request_sent_anew_on_a_closed_connection_is_counted_apart() -> None:
    with server(Hasty) as (url, asked):
        samples = send(url)

    answered = sum(len(sample.latencies_ms) for sample in samples)
    assert sum(sample.failed for sample in samples) == 0
    assert sum(sample.retries for sample in samples) > 0
    assert answered == len(asked)


def test_the_app_is_asked_for_by_its_host_name() -> None:
    with server(Answer) as (url, asked):
        send(url, host="shop.local")

    assert {host for _path, host in asked} == {"shop.local"}


def test_leaving_early_stops_the_generator_and_keeps_what_it_told() -> None:
    seen: Queue[Any] = Queue()

    with server(Answer) as (url, asked), load(url, None, LONG, seen) as sending:
        seen.get(timeout=30)

    assert sending.process.poll() is not None
    assert asked
    assert not sending.running


def test_a_generator_that_breaks_down_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "order", lambda *_arguments: "no JSON")

    with pytest.raises(DemoError, match=r"did not start(?s:.*)JSONDecodeError"), load("", None, LONG, Queue()):
        pass
