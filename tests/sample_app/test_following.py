"""Real gunicorn whose CPU limit changes while it serves."""

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.sample_app.serving import APP_FOLDER, TIMEOUT_SECONDS, Answer, Client, Server, eventually

pytestmark = pytest.mark.process


def test_workers_follow_the_cpu_limit_up_and_down_and_no_request_is_lost(
    serve: Callable[..., Server], cgroup_folder: str, tmp_path: Path
) -> None:
    # More workers than cores make no sense, so the machine has to look larger than it may be.
    (tmp_path / "sitecustomize.py").write_text("import os\nos.sched_getaffinity = lambda _pid: set(range(8))\n")
    server = serve(CGROUP_FOLDER=cgroup_folder, PYTHONPATH=f"{tmp_path}:{APP_FOLDER}")
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=6) as pool:
        clients = [pool.submit(_ask_until, server.port, stop, keep=number < 3) for number in range(6)]
        eventually(lambda: server.metric("worker_processes") == 2, "two workers for a limit of two cores")
        _limit(cgroup_folder, cores=4)
        eventually(lambda: server.metric("worker_processes") == 4, "four workers for four cores")
        eventually(lambda: len(server.workers(4)) == 4, "all four answer")
        _limit(cgroup_folder, cores=2)
        eventually(lambda: server.metric("worker_processes") == 2, "two workers again")
        stop.set()
        answers = [answer for client in clients for answer in client.result(TIMEOUT_SECONDS)]
    assert Counter(answer.status for answer in answers) == {200: len(answers)}
    assert len({answer.worker for answer in answers}) >= 4
    assert server.metric("worker_restarts_total") == 0
    assert "workers: 2 -> 4, to match the container's CPU limit" in server.log.read_text()


def _limit(folder: str, cores: int) -> None:
    (Path(folder) / "cpu.max").write_text(f"{cores * 100_000} 100000\n")


def _ask_until(port: int, stop: threading.Event, *, keep: bool) -> list[Answer]:
    """Over one connection as long as the server keeps it, or over a new one each time."""
    client, answers = Client(port), []
    with contextlib.closing(client):
        while not stop.is_set():
            answers.append(client.get("/work?ms=2"))
            if not keep:
                client.close()
    return answers


def test_a_pod_that_stops_while_workers_are_leaving_finishes_what_it_has(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY="4", WEB_THREADS="16", DRAIN_SECONDS="2")
    server.workers(4)
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=12) as pool:
        slow = [pool.submit(server.get, "/delay?ms=4000") for _ in range(8)]
        eventually(lambda: server.metric("http_requests_in_progress") == 8, "eight requests are in flight")
        clients = [pool.submit(_ask_until, server.port, stop, keep=True) for _ in range(3)]
        for _ in range(2):
            server.process.send_signal(signal.SIGTTOU)
        eventually(lambda: "Handling signal: ttou" in server.log.read_text(), "two workers are leaving")
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.get("/readyz").status == 503, "not ready")
        stop.set()  # the load balancer looks away
        answers = [answer for client in clients for answer in client.result(TIMEOUT_SECONDS)]
        answers += [future.result(TIMEOUT_SECONDS) for future in slow]
    assert Counter(answer.status for answer in answers) == {200: len(answers)}
    assert server.process.wait(TIMEOUT_SECONDS) == 0  # 2 s of draining and what was left of 4 s: within 3 + 25 s
