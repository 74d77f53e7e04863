"""Small steady load through the ingress."""

import os
import threading
import time
import urllib.request
from typing import Self

from cluster.ingress import URL
from tests.cluster.shop import Shop, eventually

INGRESS = os.environ.get("SCALABLEAPP_TEST_INGRESS", URL)


class SteadyLoad:
    """Ten requests a second through the ingress, and what became of them."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answered = 0
        self.failed: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            try:
                request_once(self._host)
                self.answered += 1
            except OSError as error:
                self.failed.append(f"{time.strftime('%X')} {error}")


def request_once(host: str) -> str:
    """The pod that answers, by its name. Raises OSError when there is no good answer within 10 s."""
    request = urllib.request.Request(INGRESS, headers={"Host": host})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
        return str(answer.headers["X-Served-By"]).partition("/")[0]


def steady_load_on(shop: Shop) -> SteadyLoad:
    """Visitors of the app `web`, which answers."""
    host = f"web.{shop.namespace}.test"

    def check() -> None:
        try:
            request_once(host)
        except OSError as error:
            raise AssertionError(str(error)) from error

    eventually(check)
    return SteadyLoad(host)
