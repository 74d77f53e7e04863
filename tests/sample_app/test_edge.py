"""sample-app/edge/nginx.conf, run as it is: what reaches the application when it is asked a thousand times at once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sample_app import nginx
from tests.sample_app.nginx import REPOSITORY, Nginx
from tests.sample_app.serving import TIMEOUT_SECONDS, Client, Server, eventually

pytestmark = pytest.mark.process

REQUESTS = 1000
CACHED = {"method": "GET", "route": "/cached", "code": "200"}


@pytest.fixture
def origin(serve: Callable[..., Server]) -> Server:
    return serve(CACHE_BACKEND="None", CACHE_TIMEOUT_SECONDS="1")


@pytest.fixture
def edge(origin: Server, tmp_path: Path) -> Iterator[Nginx]:
    server = nginx.start(REPOSITORY / "sample-app" / "edge" / "nginx.conf", tmp_path / "edge", {8001: origin.port})
    yield server
    server.stop()


async def _burst(port: int, path: str) -> list[bytes]:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await ready.wait()
            writer.write(f"GET {path} HTTP/1.1\r\nHost: edge.test\r\nConnection: close\r\n\r\n".encode())
            return await reader.read()
        finally:
            writer.close()

    ready = asyncio.Event()
    asking = [asyncio.create_task(ask()) for _ in range(REQUESTS)]
    await asyncio.sleep(0.5)  # most of them are connected
    ready.set()
    async with asyncio.timeout(2 * TIMEOUT_SECONDS):
        return await asyncio.gather(*asking)


def test_a_thousand_identical_requests_at_once_reach_the_application_once(origin: Server, edge: Nginx) -> None:
    answers = asyncio.run(_burst(edge.port, "/cached"))
    assert Counter(answer.split(b"\r\n")[0] for answer in answers) == {b"HTTP/1.1 200 OK": REQUESTS}
    assert len({answer.partition(b"\r\n\r\n")[2] for answer in answers}) == 1
    assert origin.metric("http_requests_total", **CACHED) == 1


def test_an_expired_copy_is_given_out_while_one_request_fetches_a_new_one(origin: Server, edge: Nginx) -> None:
    client = Client(edge.port)
    first = client.get("/cached")
    assert first.headers["X-Edge"] == "MISS"
    eventually(lambda: client.get("/cached").headers["X-Edge"] in ("STALE", "UPDATING"), "the copy is a second old")
    eventually(lambda: client.get("/cached").json != first.json, "there is a new one")
    client.close()
    assert origin.metric("http_requests_total", **CACHED) >= 2


def test_the_old_copy_is_served_while_the_application_is_away(origin: Server, edge: Nginx) -> None:
    first = edge.get("/cached")
    origin.process.terminate()
    origin.process.terminate()  # the second one ends the draining
    origin.process.wait(TIMEOUT_SECONDS)
    eventually(lambda: edge.get("/cached").headers["X-Edge"] == "STALE", "the copy is old")
    again = edge.get("/cached")
    assert (again.status, again.json) == (200, first.json)


@pytest.mark.parametrize("path", ["/", "/work?ms=0", "/nowhere"])
def test_what_the_application_does_not_share_is_asked_for_each_time(edge: Nginx, path: str) -> None:
    answers = [edge.get(path).headers["X-Edge"] for _ in range(3)]
    assert answers == ["MISS"] * 3


def test_a_visitor_with_credentials_is_answered_by_the_application(origin: Server, edge: Nginx) -> None:
    answers = [edge.get("/cached", Authorization="Bearer x").headers["X-Edge"] for _ in range(2)]
    assert answers == ["BYPASS"] * 2
    assert origin.metric("http_requests_total", **CACHED) == 2
