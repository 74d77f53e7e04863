"""The whole controller: an API server, a real nginx, and requests through it while the cluster changes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingress_controller.__main__ import Controller
from ingress_controller.nginx import NginxError
from tests.unit.ingress.fake_api import FakeServer
from tests.unit.ingress.real_nginx import NEEDS_NGINX, WAIT_SECONDS, Pod, Proxy, wait_until

pytestmark = NEEDS_NGINX

INGRESSES, SERVICES, ENDPOINTS = "/apis/networking.k8s.io/v1/ingresses", "/api/v1/services", "/api/v1/endpoints"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS = {
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "ingressClassName": "nginx",
        "rules": [{"host": "a.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}],
    },
}
SERVICE = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}


def endpoints(*pods: Pod) -> dict[str, Any]:
    subsets = [{"addresses": [{"ip": pod.address[0]}], "ports": [{"port": pod.address[1]}]} for pod in pods]
    return {"metadata": {"name": "web", "namespace": "shop"}, "subsets": subsets}


class Running:
    """A controller in a thread of its own."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.server = server
        self.proxy = Proxy(folder)
        self.controller = Controller(server.api, self.proxy.nginx)
        self.ended_by: NginxError | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.controller.run()
        except NginxError as error:
            self.ended_by = error

    def stop(self) -> None:
        self.controller.stop()
        self.join()

    def join(self) -> None:
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()

    def status(self) -> int:
        try:
            return self.proxy.ask()[0]
        except OSError:
            return 0


@pytest.fixture
def running(server: FakeServer, folder: Path, pods: list[Pod]) -> Iterator[Running]:
    server.items.update({INGRESSES: [INGRESS], SERVICES: [SERVICE], ENDPOINTS: [endpoints(pods[0])]})
    started = Running(server, folder)
    yield started
    started.stop()


def test_requests_follow_the_cluster(running: Running, pods: list[Pod]) -> None:
    wait_until(lambda: running.status() == 200, "the listed Ingress is served")
    assert running.proxy.ask()[1]["pod"] == "one"
    running.server.events[ENDPOINTS].put({"type": "MODIFIED", "object": endpoints(pods[1])})
    wait_until(lambda: running.proxy.ask()[1]["pod"] == "two", "a new pod takes the place of the old")
    running.server.events[ENDPOINTS].put({"type": "MODIFIED", "object": endpoints()})
    wait_until(lambda: running.status() == 503, "no pod is left")
    running.server.events[INGRESSES].put({"type": "DELETED", "object": INGRESS})
    wait_until(lambda: running.status() == 404, "the Ingress is gone")


def test_no_table_is_made_of_half_a_cluster(server: FakeServer, folder: Path, pods: list[Pod]) -> None:
    server.items.update({INGRESSES: [INGRESS], SERVICES: [SERVICE], ENDPOINTS: [endpoints(*pods)]})
    server.refused = {ENDPOINTS}
    running = Running(server, folder)
    try:
        wait_until(lambda: running.status() == 503, "nginx answers")
        assert (running.proxy.health("/readyz"), running.proxy.health("/healthz")) == (503, 200)
        server.refused = set()
        wait_until(lambda: running.status() == 200, "the list is tried again")
    finally:
        running.stop()


def test_without_nginx_the_controller_ends_so_that_its_pod_restarts(running: Running) -> None:
    wait_until(lambda: running.status() == 200, "the listed Ingress is served")
    running.proxy.nginx.stop(WAIT_SECONDS)
    running.server.events[INGRESSES].put({"type": "DELETED", "object": INGRESS})
    running.join()
    assert "nginx ended" in str(running.ended_by)
