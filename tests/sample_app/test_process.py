"""The application under real gunicorn: several workers, their death, and the way out."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.sample_app.serving import TIMEOUT_SECONDS, Answer, Client, Server, eventually

pytestmark = pytest.mark.process

WORK = {"method": "GET", "route": "/work"}


def test_metrics_add_up_over_the_workers_whichever_is_asked(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="3")
    server.workers(3)
    served = [server.get("/work?ms=1") for _ in range(60)]
    assert len({answer.worker for answer in served}) > 1
    counts = [server.metric("http_requests_total", code="200", **WORK) for _ in range(20)]
    assert counts == [60] * 20
    assert server.metric("http_request_duration_seconds_count", **WORK) == 60


def test_a_dead_worker_is_replaced_and_what_it_counted_stays(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="2")
    before = server.workers(2)
    for _ in range(20):
        server.get("/work?ms=1")
    _kill_a_worker_at_work(server)
    eventually(lambda: bool(server.workers(2) - before), "a new worker answers")
    for _ in range(20):
        server.get("/work?ms=1")
    assert server.metric("http_requests_total", code="200", **WORK) == 40
    assert server.metric("http_requests_in_progress") == 0
    assert (server.metric("worker_processes"), server.metric("worker_restarts_total")) == (2, 1)


def test_the_files_of_workers_that_die_are_added_up(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(WEB_CONCURRENCY="2")
    for _ in range(4):
        server.get("/work?ms=1")
        os.kill(server.workers(2).pop(), signal.SIGKILL)
        eventually(lambda: server.metric("worker_processes") == 2, "a new worker is there")
    assert server.metric("http_requests_total", code="200", **WORK) == 4
    files = {path.name.rpartition("_")[2] for path in (tmp_path / "metrics").glob("counter_*.db")}
    assert len(files) <= 4  # the server, two workers, and those that are gone


def test_values_of_an_earlier_run_are_forgotten(serve: Callable[..., Server], tmp_path: Path) -> None:
    stale = tmp_path / "metrics" / "counter_1.db"
    stale.parent.mkdir()
    stale.write_bytes(b"left by a container that was killed")
    server = serve()
    assert server.metric("http_requests_total", code="200", **WORK) == 0
    assert not stale.exists()


def test_the_cached_route_costs_each_worker_once(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="2", CACHE_TIMEOUT_SECONDS="600")
    answers = [server.get("/cached") for _ in range(40)]
    computed = {answer.json["computed_by"]["worker"] for answer in answers}
    misses = server.metric("cache_requests_total", cache="site.cached", result="miss")
    assert misses == len(computed) == len({answer.worker for answer in answers})
    assert server.metric("cache_requests_total", cache="site.cached", result="hit") == 40 - misses


def test_the_latency_tells_the_wait_for_a_busy_thread(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="1", WEB_THREADS="1")
    with _sent(server.port, "/work?ms=1000") as first, _sent(server.port, "/?queued") as second:
        for connection in (first, second):
            assert b" 200 OK" in connection.recv(4096)
    index = {"method": "GET", "route": "/"}
    assert server.metric("http_request_duration_seconds_bucket", le="0.25", **index) == 0
    assert server.metric("http_request_duration_seconds_count", **index) == 1


def test_probes_and_scrapes_are_answered_while_every_thread_is_busy(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="1", WEB_THREADS="1")
    with _sent(server.port, "/work?ms=3000") as busy:
        eventually(lambda: server.metric("http_requests_in_progress") == 1, "the thread is busy")
        assert server.get("/healthz").status == 200
        assert server.get("/readyz").status == 200
        assert server.metric("http_requests_in_progress") == 1
        assert b" 200 OK" in busy.recv(4096)


def test_sigterm_turns_readiness_off_first_and_goes_on_serving(serve: Callable[..., Server]) -> None:
    server = serve(DRAIN_SECONDS="20")
    kept_alive = Client(server.port)
    assert kept_alive.get("/").headers["Connection"] == "keep-alive"
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: server.get("/readyz").status == 503, "not ready")
    for answer in (kept_alive.get("/"), server.get("/work?ms=1"), server.get("/healthz")):
        assert answer.status == 200
        assert answer.headers["Connection"] == "close"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(TIMEOUT_SECONDS) == 0


def test_without_a_drain_time_sigterm_stops_at_once(serve: Callable[..., Server]) -> None:
    server = serve(DRAIN_SECONDS="0")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(TIMEOUT_SECONDS) == 0


def test_sigterm_under_load_loses_no_request(serve: Callable[..., Server]) -> None:
    """The clients are a load balancer's: they go away when readiness is off, as endpoints do."""
    server = serve(WEB_CONCURRENCY="2", WEB_THREADS="8", DRAIN_SECONDS="20")
    looked_away = threading.Event()
    with ThreadPoolExecutor(max_workers=14) as pool:
        clients = [pool.submit(_requests_until, server.port, looked_away) for _ in range(8)]
        eventually(lambda: server.metric("http_requests_total", code="200", **WORK) > 100, "load runs")
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.get("/readyz").status == 503, "not ready")
        slow = [pool.submit(server.get, "/work?ms=3000") for _ in range(3)]
        looked_away.set()
        answers = [answer for client in clients for answer in client.result(TIMEOUT_SECONDS)]
        eventually(lambda: server.metric("http_requests_in_progress") == 3, "only the slow ones are left")
        server.process.send_signal(signal.SIGTERM)  # the draining is over
        eventually(lambda: _refuses(server.port), "the port is closed")
        in_flight_after_close = [not future.done() for future in slow]
        answers += [future.result(TIMEOUT_SECONDS) for future in slow]
    assert in_flight_after_close == [True] * 3
    assert {answer.status for answer in answers} == {200}
    assert server.process.wait(TIMEOUT_SECONDS) == 0


@pytest.mark.parametrize(
    ("name", "value"), [("CACHE_BACKEND", "Disk"), ("WEB_THREADS", "many")], ids=["backend", "threads"]
)
def test_a_bad_setting_ends_the_start_with_one_plain_line(tmp_path: Path, name: str, value: str) -> None:
    environment = {"PYTHONPATH": ":".join(sys.path), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), name: value}
    outcome = subprocess.run(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:sample_app.gunicorn_conf",
            "sample_app.app:create_app()",
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert outcome.returncode == 1
    assert outcome.stderr.startswith(f"sample-app does not start: {name}='{value}' is not ")
    assert outcome.stderr.count("\n") == 1


def _kill_a_worker_at_work(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    worker = int(response.headers["X-Served-By"].rpartition("/")[2])
    response.read()
    connection.request("GET", "/work?ms=5000")  # kept alive: the same worker
    eventually(lambda: server.metric("http_requests_in_progress") == 1, "a request is in progress")
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()


def _sent(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def _requests_until(port: int, stop: threading.Event) -> list[Answer]:
    client, answers = Client(port), []
    while not stop.is_set():
        answers.append(client.get("/work?ms=2"))
    client.close()
    return answers


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def test_one_switch_turns_the_profiler_on_in_all_workers(serve: Callable[..., Server], tmp_path: Path) -> None:
    token = "0123456789abcdef"  # noqa: S105 - of this test
    server = serve(WEB_CONCURRENCY="2", PROFILE_TOKEN=token, PROFILE_FOLDER=str(tmp_path / "profiles"))
    headers = {"Authorization": f"Bearer {token}"}
    both = server.workers(2)
    assert server.get("/debug/profile/").status == 401
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", "/debug/profile/on?every=1&seconds=60", headers=headers)
    assert connection.getresponse().status == 200
    connection.close()
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(server.get, ["/work?ms=5"] * 80))
    assert {answer.status for answer in answers} == {200}
    taken = server.get("/debug/profile/", **headers).json["profiles"]
    assert {one["worker"] for one in taken} == both
    assert {one["route"] for one in taken} == {"/work"}
    assert "burn" in server.get(taken[0]["page"], **headers).body.decode()
