"""docs/nginx-one-machine.conf, run as it is: two real gunicorns behind Debian's nginx."""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.sample_app import nginx
from tests.sample_app.nginx import REPOSITORY, Nginx
from tests.sample_app.serving import TIMEOUT_SECONDS, Answer, Client, Server, eventually

pytestmark = pytest.mark.process


@pytest.fixture
def pods(serve: Callable[..., Server], tmp_path: Path) -> list[Server]:
    names = ("pod-a", "pod-b")
    return [serve(POD_NAME=name, PROMETHEUS_MULTIPROC_DIR=_folder(tmp_path / name)) for name in names]


@pytest.fixture
def balancer(pods: list[Server], tmp_path: Path) -> Iterator[Nginx]:
    configuration = REPOSITORY / "docs" / "nginx-one-machine.conf"
    server = nginx.start(configuration, tmp_path / "nginx", {8001: pods[0].port, 8002: pods[1].port})
    yield server
    server.stop()


def test_requests_spread_over_pods_and_workers(balancer: Nginx) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(lambda _: balancer.get("/work?ms=5"), range(200)))
    assert {answer.status for answer in answers} == {200}
    by_pod = Counter(answer.json["pod"] for answer in answers)
    assert set(by_pod) == {"pod-a", "pod-b"}
    assert min(by_pod.values()) >= 20  # least connections gives the quicker one more, but leaves none idle
    assert len({answer.headers["X-Served-By"] for answer in answers}) >= 3  # of four workers; free ones take turns


def test_connections_to_the_pods_are_kept(balancer: Nginx, pods: list[Server]) -> None:
    client = Client(balancer.port)
    answers = [client.get("/") for _ in range(40)]
    client.close()
    # One visitor after the other: were connections opened anew, every worker would get some of them.
    assert len({answer.headers["X-Served-By"] for answer in answers}) <= 2 * len(pods)
    assert {answer.headers["Connection"] for answer in answers} == {"keep-alive"}


def test_a_killed_gunicorn_costs_no_visitor_a_page(balancer: Nginx, pods: list[Server]) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=6) as pool:
        visitors = [pool.submit(_visit, balancer.port, stop) for _ in range(6)]
        eventually(lambda: min(_pages(pod) for pod in pods) > 50, "both are under load")
        pods[1].process.send_signal(signal.SIGQUIT)  # no drain, no farewell
        pods[1].process.wait(TIMEOUT_SECONDS)
        before = _pages(pods[0])
        eventually(lambda: _pages(pods[0]) > before + 200, "the other one goes on")
        stop.set()
        answers = [answer for visitor in visitors for answer in visitor.result(TIMEOUT_SECONDS)]
    assert Counter(answer.status for answer in answers) == {200: len(answers)}
    assert {answer.json["pod"] for answer in answers} == {"pod-a", "pod-b"}
    assert {answer.json["pod"] for answer in answers[-20:]} == {"pod-a"}


@pytest.mark.parametrize("path", ["/metrics", "/metrics?x", "/debug/profile/"])
def test_what_is_for_the_inside_is_not_served_to_the_outside(balancer: Nginx, pods: list[Server], path: str) -> None:
    assert balancer.get(path).status == 404
    assert pods[0].get("/metrics").status == 200


def test_a_request_keeps_one_id_through_nginx_and_the_log(balancer: Nginx, pods: list[Server]) -> None:
    answer = balancer.get("/work?ms=0", **{"X-Request-ID": "from-a-visitor"})
    assert answer.headers["X-Request-ID"] == "from-a-visitor"
    assert "from-a-visitor" in pods[0].log.read_text()


def _visit(port: int, stop: threading.Event) -> list[Answer]:
    client, answers = Client(port), []
    while not stop.is_set():
        answers.append(client.get("/", Accept="application/json"))
    client.close()
    return answers


def _pages(pod: Server) -> float:
    return pod.metric("http_requests_total", method="GET", route="/", code="200")


def _folder(path: Path) -> str:
    path.mkdir()
    return str(path)
