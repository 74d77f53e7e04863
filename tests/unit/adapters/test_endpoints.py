"""The operator's endpoints: any pod may connect to them, and the kubelet must always get an answer."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import scalableapp
from scalableapp.adapters import endpoints as module
from scalableapp.adapters.endpoints import Endpoints, metrics, verdict
from scalableapp.adapters.telemetry import Telemetry
from scalableapp.errors import ScalableAppError

SECONDS = 0.5
Open = Callable[[CollectorRegistry], int]


@pytest.fixture
def serve() -> Iterator[Open]:
    """Serves a registry at a port; a connection lives half a second."""
    with ExitStack() as stack:

        def serve(registry: CollectorRegistry) -> int:
            routes = {"/metrics": metrics(registry), "/readyz": verdict(lambda: (True, "ready"))}
            served = Endpoints([(0, routes)], seconds=SECONDS)
            stack.callback(served.close)
            return served.ports[0]

        yield serve


@pytest.fixture
def port(serve: Open) -> int:
    return serve(Telemetry().registry)


def get(port: int, path: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5)


def test_it_serves_what_the_operator_says_of_itself(port: int) -> None:
    answer = get(port, "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert f'scalableapp_build_info{{version="{scalableapp.__version__}"}} 1.0' in answer.text
    assert "process_resident_memory_bytes" in answer.text


def test_a_client_that_asks_again_and_again_meets_no_end_of_a_connection(port: int) -> None:
    """As Prometheus does, which keeps connections where it may."""
    until, session = time.monotonic() + 3 * SECONDS, requests.Session()
    while time.monotonic() < until:
        assert session.get(f"http://127.0.0.1:{port}/metrics", timeout=5).headers["Connection"] == "close"
    session.close()


def test_a_client_that_leaves_before_its_answer_is_no_error(port: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset
    assert get(port, "/readyz").ok
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("well", [True, False], ids=["well", "not well"])
def test_a_probe_has_the_reason(well: bool) -> None:
    served = Endpoints([(0, {"/healthz": verdict(lambda: (well, "why"))})])
    answer = get(served.ports[0], "/healthz")
    assert (answer.status_code, answer.text) == (200 if well else 503, "why")
    served.close()


def test_each_port_has_its_own_paths() -> None:
    served = Endpoints([(0, {"/one": verdict(lambda: (True, "1"))}), (0, {"/two": verdict(lambda: (True, "2"))})])
    one, two = served.ports
    assert (get(one, "/one").status_code, get(two, "/two").status_code) == (200, 200)
    assert (get(one, "/two").status_code, get(two, "/one").status_code) == (404, 404)
    assert requests.post(f"http://127.0.0.1:{one}/one", timeout=5).status_code == 404
    served.close()


def test_closed_it_leaves_nothing_behind() -> None:
    threads = threading.active_count()
    served = Endpoints([(0, {})])
    served.close()
    assert threading.active_count() == threads
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.ports[0])) != 0


def test_a_port_that_is_taken_is_an_error_that_names_the_setting(port: int) -> None:
    with pytest.raises(ScalableAppError, match=rf"Port {port} .*set SCALABLEAPP_METRICS_PORT"):
        Endpoints([(port, {})])


def test_500_half_sent_requests_neither_make_threads_nor_hold_up_a_probe(port: int) -> None:
    threads = threading.active_count()
    with ExitStack() as stack:
        for _ in range(500):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert get(port, "/readyz").status_code == 200
        assert threading.active_count() == threads


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /readyz HTTP/1.1\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"],
    ids=["nothing", "half a header", "a body that does not come"],
)
def test_a_connection_is_closed_after_a_while(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20 * SECONDS) as client:
        client.sendall(sent)
        received = b""
        with suppress(ConnectionResetError):
            while piece := client.recv(4096):
                received += piece
        assert b" 200 " not in received


def test_the_oldest_connection_gives_way(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTIONS", 2)
    with ExitStack() as stack:
        first, *_ = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5)) for _ in range(3)]
        begun = time.monotonic()
        with suppress(ConnectionResetError):
            assert first.recv(1) == b""
        assert time.monotonic() - begun < SECONDS


class Costly(Collector):
    def __init__(self, seconds: float = 0.0, series: int = 1) -> None:
        self.seconds, self.series, self.collected = seconds, series, 0

    def collect(self) -> Iterator[Metric]:
        self.collected += 1
        time.sleep(self.seconds)
        family = GaugeMetricFamily("thing", "x" * 100, labels=["name"])
        for number in range(self.series):
            family.add_metric([f"{number:0100}"], 1)
        yield family


def test_metrics_that_are_asked_for_again_and_again_are_made_once(serve: Open) -> None:
    registry, costly = CollectorRegistry(), Costly(0.1)
    registry.register(costly)
    port, before = serve(registry), costly.collected
    for _ in range(20):
        get(port, "/metrics")
    assert costly.collected - before < 10


def test_they_are_made_anew_after_a_short_while(serve: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE_SECONDS", 0.0)
    registry = CollectorRegistry()
    counter = Counter("things", "x", registry=registry)
    port = serve(registry)
    assert "things_total 0.0" in get(port, "/metrics").text
    counter.inc()
    deadline = time.monotonic() + 5
    while "things_total 1.0" not in get(port, "/metrics").text:
        assert time.monotonic() < deadline


def test_a_page_of_megabytes_arrives_whole(serve: Open) -> None:
    registry = CollectorRegistry()
    registry.register(Costly(series=20_000))
    port = serve(registry)
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "identity"}, timeout=5)
    assert len(answer.content) > 2_000_000
    assert answer.text.count("thing{") == 20_000
