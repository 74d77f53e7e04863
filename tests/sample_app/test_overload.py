"""Real gunicorn with more to do than it can: it answers fast, stays visible, and is not held up by idle clients."""

import http.client
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.sample_app.serving import TIMEOUT_SECONDS, Server, eventually

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


def test_a_client_that_never_finishes_its_head_holds_no_thread_and_is_cut_off(serve: Callable[..., Server]) -> None:
    server = serve(**ONE_THREAD)
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        eventually(lambda: server.get("/").status == 200, "others are served")
        assert server.metric("worker_threads_busy") == 0
        assert _ended(slow)


def test_a_head_that_comes_in_pieces_is_answered_when_it_is_complete(serve: Callable[..., Server]) -> None:
    server = serve(**ONE_THREAD)
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as client:
        for _ in range(2):  # the second one on the connection that was kept
            for piece in (b"GET /delay?ms=0 HT", b"TP/1.1\r\nHo", b"st: x\r\n\r", b"\n"):
                client.sendall(piece)
                server.get("/healthz")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.read()[:1]) == (200, b"{")
    assert server.metric("http_requests_total", method="GET", route="/delay", code="200") == 2


def test_a_client_that_ends_within_its_head_is_let_go(serve: Callable[..., Server]) -> None:
    server = serve(**ONE_THREAD)
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        server.get("/healthz")
        client.shutdown(socket.SHUT_WR)
        assert _ended(client)
    assert server.get("/").status == 200


CROWDS = {
    "say nothing": b"",
    "send a head line by line": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "send a probe line by line": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "stay on after their last answer": b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "keep their connections and ask no more": b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
    "send no body, are refused and stay": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
}


@pytest.mark.parametrize("sent", CROWDS.values(), ids=CROWDS.keys())
def test_a_crowd_of_more_clients_than_a_worker_takes_keeps_no_probe_out(
    serve: Callable[..., Server], sent: bytes
) -> None:
    server = serve(WEB_CONCURRENCY="1", QUEUE_LIMIT="20", GUNICORN_CMD_ARGS="--worker-connections 60")
    with ExitStack() as crowd:
        clients = [crowd.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(120)]
        for client in clients:
            client.sendall(sent)
        for client in clients[:20]:
            with suppress(OSError):
                client.sendall(b"X-More: line\r\n")
            for path in ("/healthz", "/readyz", "/metrics"):
                assert probed(server, path) == 200
    assert server.metric("worker_restarts_total") == 0


def _ended(client: socket.socket) -> bool:
    """Whether the server closes the connection without an answer; what it had not read makes that a reset."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def probed(server: Server, path: str) -> int:
    """As the kubelet does: a connection of its own, and an end to patience, here a long one. May raise TimeoutError."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=8)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


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
