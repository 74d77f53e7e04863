"""Real nginx on loopback before real servers: routing, balancing, failover, certificates, and no lost request."""

import http.client
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingress_controller.nginx import Nginx, NginxError, Ports, certificate_problem
from tests.unit.ingress.real_nginx import NEEDS_NGINX, WAIT_SECONDS, Pod, Proxy, ask, wait_until

pytestmark = NEEDS_NGINX


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    def make(name: str) -> dict[str, str]:
        key, certificate = tmp_path / f"{name}.key", tmp_path / f"{name}.crt"
        form = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        files = ["-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={name}"]
        subprocess.run(["openssl", "req", "-x509", *form, *files], check=True, capture_output=True)
        return {"certificate": certificate.read_text(), "key": key.read_text()}

    return make


def test_before_the_first_table_nginx_is_healthy_but_not_ready(proxy: Proxy, pods: list[Pod]) -> None:
    assert (proxy.health("/healthz"), proxy.health("/readyz"), proxy.ask()[0]) == (200, 503, 503)
    proxy.serve(pods)
    assert (proxy.health("/readyz"), proxy.ask()[0]) == (200, 200)


def test_requests_go_to_the_pods_in_turn(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods)
    answers = Counter(proxy.ask()[1]["pod"] for _ in range(30))
    assert answers == {"one": 10, "two": 10, "three": 10}


def test_a_busy_pod_gets_no_more_by_least_conn(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, "least_conn")
    holder = threading.Thread(target=proxy.ask, args=("/hold",))
    holder.start()
    wait_until(lambda: any(pod.held.acquire(blocking=False) for pod in pods), "a request is held")
    busy = next(pod for pod in pods if pod.served)
    answers = Counter(proxy.ask()[1]["pod"] for _ in range(20))
    busy.hold.set()
    holder.join(WAIT_SECONDS)
    assert busy.name not in answers
    assert sorted(answers.values()) == [10, 10]
    assert {proxy.ask()[1]["pod"] for _ in range(9)} == {"one", "two", "three"}, "a finished request counts no more"


@pytest.mark.parametrize(
    ("host", "path", "owner"),
    [
        pytest.param("a.test", "/", "root", id="root"),
        pytest.param("A.Test:8080", "/", "root", id="any-case-and-port"),
        pytest.param("a.test", "/app", "app", id="prefix"),
        pytest.param("a.test", "/app/x?y=/", "app", id="below-prefix"),
        pytest.param("a.test", "/application", "root", id="prefix-ends-at-a-slash"),
        pytest.param("a.test", "/app/admin", "exact", id="exact-before-prefix"),
        pytest.param("a.test", "/app/admin/", "app", id="exact-is-exact"),
        pytest.param("a.test", "/x/../app/%61dmin", "exact", id="normalised"),
        pytest.param("x.wild.test", "/", "wild", id="wildcard"),
        pytest.param("y.x.wild.test", "/anywhere", "any", id="wildcard-is-one-label"),
        pytest.param("x.wild.test", "/anywhere", "wild", id="host-before-any-host"),
        pytest.param("unknown.test", "/anywhere", "any", id="any-host"),
    ],
)
def test_host_and_path_choose_the_backend(
    proxy: Proxy, make_pod: Callable[[str], Pod], host: str, path: str, owner: str
) -> None:
    names = ("root", "app", "exact", "wild", "any")
    routes = {name: {"ingress": f"shop/{name}", "backend": name, "method": "round_robin"} for name in names}
    hosts = {
        "a.test": {
            "exact": {"/app/admin": routes["exact"]},
            "prefixes": [["/app", routes["app"]], ["", routes["root"]]],
        },
        "*.wild.test": {"exact": {}, "prefixes": [["", routes["wild"]]]},
        "": {"exact": {}, "prefixes": [["/anywhere", routes["any"]]]},
    }
    proxy.serve([], hosts=hosts, backends={name: [make_pod(name).address] for name in names})
    status, answer = proxy.ask(path, host)
    assert (status, answer["pod"], answer["path"]) == (200, owner, path), "the path is passed on as it came"


def test_a_host_or_path_that_nobody_claims_is_not_found(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods)
    assert proxy.ask(host="b.test")[0] == 404


def test_a_backend_without_ready_pods_is_unavailable(proxy: Proxy) -> None:
    proxy.serve([])
    assert proxy.ask()[0] == 503


def test_pods_learn_who_asked_and_a_client_cannot_pretend(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods)
    headers = proxy.ask(X_Forwarded_For="192.0.2.1", X_Real_IP="192.0.2.1", X_Request_ID="abc")[1]["headers"]
    assert headers["X-Forwarded-For"] == headers["X-Real-IP"] == "127.0.0.1"
    assert (headers["X-Forwarded-Proto"], headers["Host"], headers["X-Request-ID"]) == ("http", "a.test", "abc")
    assert len(proxy.ask()[1]["headers"]["X-Request-ID"]) == 32, "one is made where none came"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_pod_that_is_not_there_is_passed_over(proxy: Proxy, pods: list[Pod], method: str) -> None:
    proxy.serve(pods)
    pods[0].stop()
    assert [proxy.ask(method=method)[0] for _ in range(9)] == [200] * 9


def test_what_may_have_been_done_is_not_done_twice(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods[:2])
    pods[0].cuts_connections = pods[1].cuts_connections = True
    assert proxy.ask(method="POST")[0] == 502
    assert sum(pod.served for pod in pods) == 1
    assert proxy.ask(method="GET")[0] == 502
    assert sum(pod.served for pod in pods) == 3, "a GET is tried at both"


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("{", id="broken-json"),
        pytest.param("{}", id="empty"),
        pytest.param('{"hosts": {}, "backends": {}}', id="half"),
    ],
)
def test_a_bad_table_never_replaces_a_good_one(proxy: Proxy, pods: list[Pod], table: str) -> None:
    proxy.serve(pods)
    with pytest.raises(NginxError, match="the table in use stays"):
        proxy.nginx.take(table)
    assert proxy.ask()[0] == 200


def test_each_host_shows_its_own_certificate(
    proxy: Proxy, pods: list[Pod], make_certificate: Callable[[str], dict[str, str]]
) -> None:
    broken = {"certificate": "no", "key": "no"}
    certificates = {"a.test": make_certificate("a.test"), "*.b.test": make_certificate("b.test"), "c.test": broken}
    proxy.serve(pods, certificates=certificates)
    shown = {host: proxy.certificate_subject(host) for host in ("a.test", "x.b.test", "c.test", "d.test")}
    own = "subject=CN = ingress.invalid"
    expected = {"a.test": "subject=CN = a.test", "x.b.test": "subject=CN = b.test", "c.test": own, "d.test": own}
    assert {host: subject.replace("CN=", "CN = ") for host, subject in shown.items()} == expected


def test_a_certificate_is_judged_with_its_key(make_certificate: Callable[[str], dict[str, str]]) -> None:
    one, other = make_certificate("one"), make_certificate("other")
    assert certificate_problem(one["certificate"], one["key"]) is None
    assert "key values mismatch" in str(certificate_problem(one["certificate"], other["key"]))
    assert certificate_problem("", "")


def test_a_worker_that_crashes_is_replaced_and_routes_as_before(proxy: Proxy, pods: list[Pod], folder: Path) -> None:
    proxy.serve(pods)
    master = int((folder / "nginx.pid").read_text())
    children = Path(f"/proc/{master}/task/{master}/children")
    worker = int(children.read_text().split()[0])
    subprocess.run(["kill", "-9", str(worker)], check=True)
    wait_until(lambda: children.read_text().split() not in ([], [str(worker)]), "a new worker")
    assert proxy.ask()[0] == 200


def test_a_bad_configuration_is_told_by_nginx_itself(tmp_path: Path) -> None:
    with pytest.raises(NginxError, match="invalid port"):
        Nginx(tmp_path, Ports(http="127.0.0.1:http")).start()


class Clients:
    """Clients that ask again and again on connections they keep, until stopped; they count what they got."""

    def __init__(self, proxy: Proxy, count: int) -> None:
        self.answers: Counter[str] = Counter()
        self._proxy = proxy
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        connection = self._proxy.connect()
        while not self._stopping.is_set():
            try:
                self.answers[str(ask(connection, method="POST")[0])] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[type(error).__name__] += 1
                connection.close()
        connection.close()

    def stop(self) -> Counter[str]:
        self._stopping.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
        return self.answers


def test_no_request_is_lost_while_pods_come_and_go(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods)
    clients = Clients(proxy, 8)
    for turn in range(50):
        before = sum(clients.answers.values())
        proxy.serve(pods[turn % 3 :] if turn % 2 else pods)
        wait_until(lambda before=before: sum(clients.answers.values()) > before + 20, "requests go on")  # type: ignore[misc]  # mypy takes the default for an argument
    assert list(clients.stop()) == ["200"]


def test_stopping_lets_requests_under_way_finish(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods[:1])
    answers: list[tuple[int, Any]] = []
    holder = threading.Thread(target=lambda: answers.append(proxy.ask("/hold")))
    holder.start()
    assert pods[0].held.acquire(timeout=WAIT_SECONDS)
    stopper = threading.Thread(target=proxy.nginx.stop, args=(WAIT_SECONDS,))
    stopper.start()
    wait_until(lambda: refuses(proxy.http_port), "nginx takes no new connections")
    pods[0].hold.set()
    holder.join(WAIT_SECONDS)
    stopper.join(WAIT_SECONDS)
    assert [status for status, _ in answers] == [200]
    assert proxy.nginx.exit_status() == 0


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(WAIT_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) != 0
