"""An HTTP proxy that passes everything on until it is given a fault.

Faults of HTTP (a 503, a cut line in a watch) need a proxy that knows HTTP; aiohttp can also cut, hold and refuse
connections, so this one proxy makes all faults.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from benchmarks.faults.servers import free_port

Answer = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
Matches = Callable[[web.Request], bool]
_NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length"}
_LARGEST_BODY_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Fault:
    """What the proxy does to requests that match, while it lasts.

    `answer` gives another answer, or None to pass the request on. `holds` keeps back what arrives on streams that are
    open and match; otherwise these are cut when the fault begins, so that none escapes it.
    """

    answer: Answer
    matches: Matches = lambda _request: True
    holds: bool = False


class Proxy:
    """In front of the server at `upstream`; `url` is where its clients ask, by TLS if there is a `certificate`.

    `passes` is told of each request that is passed on.
    """

    def __init__(
        self,
        upstream: str,
        certificate: Path | None = None,
        passes: Callable[[web.Request], None] = lambda _request: None,
    ) -> None:
        self._upstream = upstream
        self._certificate = certificate
        self._passes = passes
        self._port = free_port()
        self._fault: Fault | None = None
        self._open: list[web.Request] = []
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        no_limit = aiohttp.TCPConnector(limit=0, ssl=False)
        timeout = aiohttp.ClientTimeout(total=None)
        self._client = aiohttp.ClientSession(connector=no_limit, timeout=timeout, auto_decompress=False)
        application = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        await self._runner.cleanup()
        await self._client.close()

    @asynccontextmanager
    async def breaking(self, fault: Fault) -> AsyncIterator[None]:
        """The fault, until the block ends."""
        self._fault = fault
        if not fault.holds:
            for request in filter(fault.matches, self._open):
                abort(request)
        try:
            yield
        finally:
            self._fault = None

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Connections are refused until the block ends."""
        await self._site.stop()
        self.cut()
        try:
            yield
        finally:
            await self._listen()

    @asynccontextmanager
    async def presenting(self, certificate: Path) -> AsyncIterator[None]:
        """Another certificate, until the block ends."""
        own = self._certificate
        for shown in (certificate, own):
            await self._site.stop()
            self.cut()
            self._certificate = shown
            await self._listen()
            if shown is certificate:
                yield

    def cut(self) -> None:
        """Reset every connection."""
        server = self._runner.server
        for connection in list(server.connections) if server else ():
            if connection.transport:
                connection.transport.abort()

    async def _listen(self) -> None:
        tls = None
        if self._certificate:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self._certificate)
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True, ssl_context=tls)
        await self._site.start()

    def _broken(self, request: web.Request) -> Fault | None:
        return self._fault if self._fault and self._fault.matches(request) else None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._open.append(request)
        try:
            if (fault := self._broken(request)) and (answer := await fault.answer(request)):
                return answer
            self._passes(request)
            return await self._passed_on(request)
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"the server behind the proxy: {error}")
        finally:
            self._open = [other for other in self._open if other is not request]

    async def _passed_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
        url, body = self._upstream + request.raw_path, await request.read()
        async with self._client.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as found:
            kept = {name: value for name, value in found.headers.items() if name.lower() not in _NOT_PASSED_ON}
            response = web.StreamResponse(status=found.status, headers=kept)
            if found.content_length is not None:
                response.content_length = found.content_length
            await response.prepare(request)
            async for chunk in found.content.iter_any():
                await self._held(request)
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _held(self, request: web.Request) -> None:
        while (fault := self._broken(request)) and fault.holds:  # noqa: ASYNC110 - a fault may also be replaced
            await asyncio.sleep(0.1)


async def passed(_request: web.Request) -> None:
    """Pass it on."""


async def silent(_request: web.Request) -> None:
    """Never answer: what was asked while the fault lasted stays without an answer after it, too."""
    await asyncio.Event().wait()


async def reset(request: web.Request) -> web.StreamResponse:
    """Reset the connection."""
    abort(request)
    return web.Response()


def abort(request: web.Request) -> None:
    """Reset the connection of a request."""
    if request.transport:
        request.transport.abort()


async def cut_short(request: web.Request) -> web.StreamResponse:
    """The beginning of an answer, then a reset."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = 1000
    await response.prepare(request)
    await response.write(b'{"kind": "Scala')
    return await reset(request)


def says(status: int, text: str, content_type: str = "text/plain", **headers: str) -> Answer:
    """This answer to everything. Headers: Retry_After="5"."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=content_type, headers=named)

    return answer


def refuses(code: int, message: str, **headers: str) -> Answer:
    """A Status of the Kubernetes API with that code."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return says(code, json.dumps(status), "application/json", **headers)


def late(seconds: float) -> Answer:
    """Everything is passed on so many seconds late."""

    async def wait(_request: web.Request) -> None:
        await asyncio.sleep(seconds)

    return wait


def dripping(text: str, every_seconds: float) -> Answer:
    """An answer of one byte at a time."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for byte in text.encode():
            await response.write(bytes((byte,)))
            await asyncio.sleep(every_seconds)
        return response

    return drip


def is_watch(request: web.Request) -> bool:
    """Whether it is a watch of the Kubernetes API."""
    return request.query.get("watch", "false") in ("true", "1")
