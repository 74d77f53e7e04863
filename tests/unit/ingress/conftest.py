"""Servers that end with their test."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.ingress.fake_api import WAIT_SECONDS, FakeServer
from tests.unit.ingress.real_nginx import Pod, Proxy


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.end()
        thread.join(WAIT_SECONDS)


@pytest.fixture
def folder() -> Iterator[Path]:
    # Run by root, nginx's worker is another user, who may not enter pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def proxy(folder: Path) -> Iterator[Proxy]:
    running = Proxy(folder)
    try:
        running.nginx.start()
        yield running
    finally:
        running.nginx.stop(1)


@pytest.fixture
def make_pod() -> Iterator[Callable[[str], Pod]]:
    pods = []

    def make(name: str) -> Pod:
        pods.append(Pod(name))
        return pods[-1]

    yield make
    for pod in pods:
        pod.stop()


@pytest.fixture
def pods(make_pod: Callable[[str], Pod]) -> list[Pod]:
    return [make_pod(name) for name in ("one", "two", "three")]
