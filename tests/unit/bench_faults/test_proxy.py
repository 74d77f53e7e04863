"""The proxy's faults, each against a server behind it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from benchmarks.faults import certificates, proxy
from benchmarks.faults.proxy import Answer, Fault, Proxy

LINES = 3


@pytest.fixture
async def broken() -> AsyncIterator[Proxy]:
    """The proxy, in front of a server that answers at once, or in three lines of a watch."""
    application = web.Application()
    application.router.add_get("/", _plain)
    application.router.add_get("/watch", _watch)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Proxy(f"http://127.0.0.1:{runner.addresses[0][1]}") as found:
        yield found
    await runner.cleanup()


async def _plain(request: web.Request) -> web.Response:
    return web.Response(text=f"well, {request.headers.get('Authorization', 'nobody')}", headers={"X-Kept": "yes"})


async def _watch(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(LINES):
        await response.write(f"line {number}\n".encode())
        await asyncio.sleep(0.05)
    return response


async def _ask(found: Proxy, path: str = "/", seconds: float = 5.0) -> tuple[int, str]:
    headers = {"Authorization": "me"}
    timeout = aiohttp.ClientTimeout(seconds)
    async with aiohttp.request("GET", found.url + path, headers=headers, timeout=timeout) as answer:
        return answer.status, await answer.text()


async def test_without_a_fault_everything_is_passed_on(broken: Proxy) -> None:
    assert await _ask(broken) == (200, "well, me")
    assert (await _ask(broken, "/watch"))[1].count("line") == LINES


async def test_a_fault_ends_with_its_block(broken: Proxy) -> None:
    async with broken.breaking(Fault(proxy.says(503, "no"))):
        assert await _ask(broken) == (503, "no")
    assert (await _ask(broken))[0] == 200


async def test_only_what_matches_is_broken(broken: Proxy) -> None:
    async with broken.breaking(Fault(proxy.says(503, "no"), lambda request: request.path == "/watch")):
        assert (await _ask(broken))[0] == 200
        assert (await _ask(broken, "/watch"))[0] == 503


@pytest.mark.parametrize("answer", [proxy.reset, proxy.cut_short], ids=["reset", "cut short"])
async def test_an_answer_is_cut(broken: Proxy, answer: Answer) -> None:
    async with broken.breaking(Fault(answer)):
        with pytest.raises(aiohttp.ClientError):
            await _ask(broken)


async def test_silence_lasts_for_what_was_asked_meanwhile(broken: Proxy) -> None:
    async with broken.breaking(Fault(proxy.silent, holds=True)):
        asked = asyncio.create_task(_ask(broken, seconds=0.5))
        await asyncio.sleep(0.1)
    assert (await _ask(broken))[0] == 200
    with pytest.raises(TimeoutError):
        await asked


async def test_what_does_not_match_is_not_cut(broken: Proxy) -> None:
    asked = asyncio.create_task(_ask(broken, "/watch"))
    await asyncio.sleep(0.05)
    async with broken.breaking(Fault(proxy.says(503, "no"), lambda request: request.path == "/")):
        assert (await asked)[1].count("line") == LINES


@pytest.mark.parametrize("which", ["expired", "unknown"])
async def test_a_certificate_that_a_client_must_refuse_is_shown_for_a_while(tmp_path: Path, which: str) -> None:
    made = certificates.make(tmp_path / "tls")
    trust = ssl.create_default_context(cafile=made.authority)
    async with Proxy("http://127.0.0.1:1", made.good) as found:

        async def ask() -> int:
            async with aiohttp.request("GET", found.url, ssl=trust) as answer:
                return answer.status

        assert await ask() == 502
        async with found.presenting(getattr(made, which)):
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await ask()
        assert await ask() == 502


async def test_connections_are_refused_and_accepted_again(broken: Proxy) -> None:
    async with broken.down():
        with pytest.raises(aiohttp.ClientConnectorError):
            await _ask(broken)
    assert (await _ask(broken))[0] == 200


async def test_a_stream_that_is_held_goes_on_after_the_fault(broken: Proxy) -> None:
    async with broken.breaking(Fault(proxy.passed, holds=True)):
        asked = asyncio.create_task(_ask(broken, "/watch"))
        done, _ = await asyncio.wait([asked], timeout=0.3)
        assert not done
    assert (await asked)[1].count("line") == LINES


async def test_a_stream_is_cut_by_a_fault_that_does_not_hold(broken: Proxy) -> None:
    async with broken.breaking(Fault(proxy.passed, holds=True)):
        asked = asyncio.create_task(_ask(broken, "/watch"))
        await asyncio.sleep(0.1)
        async with broken.breaking(Fault(proxy.says(503, "no"))):
            with pytest.raises(aiohttp.ClientError):
                await asked
