"""Real gunicorn with more to do than it can: it answers fast, stays visible, and is not held up by idle clients."""

import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sample_app.serving import Server, eventually

pytestmark = pytest.mark.process

ONE_THREAD = {"WEB_CONCURRENCY": "1", "WEB_THREADS": "1"}


def test_beyond_the_queues_bound_requests_are_refused_at_once_and_the_others_are_served(
    serve: Callable[..., Server],
) -> None:
    server = serve(**ONE_THREAD, QUEUE_LIMIT="2")
    with ThreadPoolExecutor(max_workers=13) as pool:
        busy = pool.submit(server.get, "/delay?ms=3000")
        eventually(lambda: server.metric("http_requests_in_progress") == 1, "the only thread is busy")
        queued = [pool.submit(server.get, "/delay?ms=0") for _ in range(2)]
        eventually(lambda: server.metric("worker_queue_length") == 2, "the queue is full")
        refused = list(pool.map(server.get, ["/delay?ms=0"] * 10))
        refused_while_busy = not busy.done()
        probed = [server.get(path).status for path in ("/healthz", "/readyz", "/metrics")]
        served = [future.result().status for future in (busy, *queued)]
    assert Counter(answer.status for answer in refused) == {503: 10}
    assert {(answer.headers["Retry-After"], answer.headers["Connection"]) for answer in refused} == {("2", "close")}
    assert refused_while_busy
    assert probed == [200] * 3
    assert served == [200] * 3
    assert server.metric("http_requests_refused_total", reason="overload") == 10
    assert server.metric("http_requests_total", method="GET", route="/delay", code="503") == 10
    assert server.metric("worker_queue_length") == 0


def test_a_request_that_has_waited_too_long_is_not_worked_on(serve: Callable[..., Server]) -> None:
    server = serve(**ONE_THREAD, QUEUE_SECONDS="1")
    with ThreadPoolExecutor(max_workers=2) as pool:
        busy = pool.submit(server.get, "/delay?ms=2500")
        eventually(lambda: server.metric("http_requests_in_progress") == 1, "the only thread is busy")
        late = pool.submit(server.get, "/delay?ms=9000")
        assert busy.result().status == 200
        assert late.result().status == 503


def test_what_threads_do_is_seen(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="2", WEB_THREADS="3")
    server.workers(2)
    assert (server.metric("worker_processes"), server.metric("worker_threads")) == (2, 6)
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = [pool.submit(server.get, "/delay?ms=1500") for _ in range(2)]
        eventually(lambda: server.metric("worker_threads_busy") == 2, "two threads are busy")
        assert {future.result().status for future in waiting} == {200}
    eventually(lambda: server.metric("worker_threads_busy") == 0, "they are free again")


def test_the_containers_cgroup_is_told(serve: Callable[..., Server], cgroup_folder: str) -> None:
    server = serve(CGROUP_FOLDER=cgroup_folder)
    assert server.metric("cgroup_cpu_limit_cores") == 2.0
    assert server.metric("cgroup_cpu_throttled_periods_total") == 7


def test_a_client_that_never_finishes_its_request_gives_the_thread_back(serve: Callable[..., Server]) -> None:
    server = serve(**ONE_THREAD, QUEUE_SECONDS="60")
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        eventually(lambda: server.metric("worker_threads_busy") == 1, "it holds the only thread")
        began = time.monotonic()
        assert server.get("/").status == 200  # waits for the thread
        assert time.monotonic() - began < 25
        assert slow.recv(1) == b""


def test_a_body_too_large_is_refused_and_the_server_lives_on(serve: Callable[..., Server]) -> None:
    server = serve(MAX_BODY_BYTES="1000")
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(b"POST /cached HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert b" 413 " in client.recv(4096).split(b"\r\n")[0]
    assert server.get("/").status == 200
    assert server.metric("http_requests_refused_total", reason="size") == 1


def test_half_sent_probes_hold_up_no_probe(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="2", WEB_THREADS="2")
    stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    try:
        for client in stalled:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for _ in range(9):
            began = time.monotonic()
            assert server.get("/healthz").status == 200
            assert time.monotonic() - began < 1
    finally:
        for client in stalled:
            client.close()


def test_who_sends_a_body_late_or_reads_no_answer_holds_up_no_probe_for_long(serve: Callable[..., Server]) -> None:
    server = serve(**ONE_THREAD)
    unread = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50
    late = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nGET /healthz"
    stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    try:
        for number, client in enumerate(stalled):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.sendall(late if number % 2 else unread)
        time.sleep(0.5)
        began = time.monotonic()
        assert server.get("/healthz").status == 200
        assert time.monotonic() - began < 10
    finally:
        for client in stalled:
            client.close()
