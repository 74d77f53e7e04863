"""An operator that waits for the Lease lives: the kubelet must not restart it."""

import socket

import aiohttp
import pytest

from scalableapp.adapters.standby import waiting


@pytest.fixture
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def test_who_waits_says_that_it_lives_and_for_what(port: int) -> None:
    address = f"http://127.0.0.1:{port}/healthz"
    async with waiting(port), aiohttp.ClientSession() as client, client.get(address) as answer:
        assert answer.status == 200
        assert await answer.json() == {"lease": "waiting for another operator to release it"}


async def test_after_the_wait_the_port_is_free_for_kopf(port: int) -> None:
    async with waiting(port):
        pass
    async with waiting(port):
        pass


async def test_a_port_that_is_taken_is_an_error(port: int) -> None:
    async with waiting(port):
        with pytest.raises(OSError, match=str(port)):
            async with waiting(port):
                pytest.fail("two at one port")
