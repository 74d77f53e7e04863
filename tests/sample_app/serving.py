"""A gunicorn under test, as a client sees it."""

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

import sample_app

APP_FOLDER = Path(sample_app.__file__).parents[1]
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def worker(self) -> int:
        return int(self.headers["X-Served-By"].rpartition("/")[2])


@dataclass
class Client:
    """One keep-alive connection, opened anew when the server has said that it closes."""

    port: int
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def get(self, path: str, **headers: str) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        answer = Answer(response.status, dict(response.headers), response.read())
        if response.will_close:
            self.close()
        return answer

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str, **headers: str) -> Answer:
        """A request on a connection of its own, which any worker may take."""
        return get_once(self.port, path, **headers)

    def wait_until_ready(self) -> None:
        eventually(lambda: self.get("/readyz").status == 200, f"the server is ready; its log: {self.log}")

    def workers(self, count: int) -> set[int]:
        """The process ids of `count` workers, all of which have answered; `/readyz` counts as no request."""
        seen: set[int] = set()

        def check() -> bool:
            seen.add(self.get("/readyz").worker)
            return len(seen) == count

        eventually(check, f"{count} workers answer")
        return seen

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        families = text_string_to_metric_families(self.get("/metrics").body.decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics().get((name, frozenset(labels.items())), 0.0)


def get_once(port: int, path: str, **headers: str) -> Answer:
    """A request on a connection of its own."""
    client = Client(port)
    try:
        return client.get(path, **headers)
    finally:
        client.close()


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait for `condition`, a server that does not answer yet counting as no."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    raise AssertionError(f"not within {TIMEOUT_SECONDS} s: {what}")
