"""Answers that are slow, in whichever part, or do not end: no thread waits for them longer than the time-out."""

import asyncio
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from scalableapp.adapters.prometheus import PrometheusMetrics
from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.core.model import DataProblem
from tests.unit.adapters.canned import Canned
from tests.unit.adapters.test_prometheus import per_pod

Send = Callable[[BaseHTTPRequestHandler], None]


def says_nothing(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.settimeout(5)
    handler.connection.recv(1)


def trickles(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(50):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def floods(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    for _ in range(1024):
        handler.wfile.write(b" " * 2**20)


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status": "succ')


def drips(handler: BaseHTTPRequestHandler, text: bytes) -> None:
    """A byte each tenth of a second: for 5 s and more."""
    for letter in text:
        handler.connection.sendall(bytes([letter]))
        time.sleep(0.1)


def drips_its_status(handler: BaseHTTPRequestHandler) -> None:
    drips(handler, b"HTTP/1.1 200 " + b"O" * 40)


def drips_its_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.sendall(b"HTTP/1.1 200 OK\r\n")
    drips(handler, b"X-Slow: " + b"x" * 50)


def drips_the_size_of_a_chunk(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drips(handler, b"1;" + b"x" * 50)


FAULTS = {
    says_nothing: DataProblem.UNREACHABLE,
    drips_its_status: DataProblem.UNREACHABLE,
    drips_its_headers: DataProblem.UNREACHABLE,
    drips_the_size_of_a_chunk: DataProblem.UNREACHABLE,
    trickles: DataProblem.UNREACHABLE,
    floods: DataProblem.TOO_MANY_SERIES,
    breaks_off: DataProblem.UNREACHABLE,
}


@pytest.mark.parametrize(("fault", "problem"), FAULTS.items())
async def test_a_server_that_misbehaves_is_left_in_time(canned: Canned, fault: Send, problem: DataProblem) -> None:
    canned.send = lambda handler: _broken_pipe_is_fine(fault, handler)
    metrics = PrometheusMetrics(canned.url, timeout_seconds=0.3)
    async with asyncio.timeout(10):
        answer = await per_pod(metrics)
    metrics.close()
    assert answer.problem is problem


@pytest.mark.parametrize("fault", FAULTS)
def test_no_thread_waits_longer_than_the_time_out_whichever_part_is_slow(canned: Canned, fault: Send) -> None:
    canned.send = lambda handler: _broken_pipe_is_fine(fault, handler)
    queries, answers = Queries(canned.url, 0.3, 1), list[Answer]()
    thread = threading.Thread(target=lambda: answers.append(queries.ask("up")), daemon=True)
    thread.start()
    thread.join(3)
    queries.close()
    assert answers, "the thread still waits"


def _broken_pipe_is_fine(fault: Send, handler: BaseHTTPRequestHandler) -> None:
    try:
        fault(handler)
    except OSError:
        handler.wfile = open("/dev/null", "wb")  # noqa: SIM115, PTH123 - the pipe is broken
