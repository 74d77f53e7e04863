"""The operator's HTTP endpoints, in a thread of their own: /metrics and /readyz at one port, /healthz at another.

In their own thread they answer while the event loop is busy, and tell when it hangs. Any pod may connect: each
connection lives a few seconds at most, and the oldest gives way when there are many.
"""

import asyncio
import gzip
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from scalableapp.errors import ScalableAppError

# A scrape of the metrics of thousands of apps takes a second or two.
CONNECTION_SECONDS = 10.0
CONNECTIONS = 64
# So long the same page is good for everybody.
_PAGE_SECONDS = 0.5
_PIECE_BYTES = 1 << 16

Route = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Routes = Mapping[str, Route]
Verdict = Callable[[], tuple[bool, str]]
_Response = TypeVar("_Response", bound=web.StreamResponse)


class Endpoints:
    """Serves routes by path at each port (0: any free one) until closed; `ports` are those it got.

    A connection is closed after `seconds`. Raises ScalableAppError where a port cannot be had.
    """

    def __init__(self, served: Sequence[tuple[int, Routes]], *, seconds: float = CONNECTION_SECONDS) -> None:
        self.ports: list[int] = []
        self._seconds = seconds
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(served,), daemon=True, name="endpoints")
        self._thread.start()
        self._started.result()

    def close(self) -> None:
        """Stop serving."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=2)

    def _run(self, served: Sequence[tuple[int, Routes]]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve(served))
            except BaseException as error:  # noqa: BLE001 - raised where the endpoints are opened
                self._started.set_exception(error)

    async def _serve(self, served: Sequence[tuple[int, Routes]]) -> None:
        runners = [web.ServerRunner(_Bounded(routes, self._seconds), shutdown_timeout=0.1) for _, routes in served]
        try:
            for (port, _), runner in zip(served, runners, strict=True):
                await self._open(port, runner)
            self._started.set_result(None)
            await self._stop.wait()
        finally:
            for runner in runners:
                await runner.cleanup()

    async def _open(self, port: int, runner: web.ServerRunner) -> None:
        await runner.setup()
        try:
            await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - kubelet and Prometheus ask here
        except OSError as error:
            raise ScalableAppError(
                f"Port {port} cannot be served: {error}; set SCALABLEAPP_METRICS_PORT or SCALABLEAPP_LIVENESS_PORT"
            ) from error
        self.ports.append(runner.addresses[0][1])


class _Bounded(web.Server):
    """A server whose connections are bounded in number and time, whatever is sent or not sent over them."""

    def __init__(self, routes: Routes, seconds: float) -> None:
        super().__init__(self._answer, access_log=None)
        self._routes = routes
        self._seconds = seconds
        self._timers: dict[RequestHandler, asyncio.TimerHandle] = {}
        self._open: dict[RequestHandler, asyncio.Transport] = {}

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """A new connection: the oldest gives way to it where there are too many."""
        super().connection_made(handler, transport)
        self._open[handler] = transport
        self._timers[handler] = asyncio.get_running_loop().call_later(self._seconds, transport.abort)
        if len(self._open) > CONNECTIONS:
            oldest = next(iter(self._open))
            self._open.pop(oldest).abort()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """A connection that has ended."""
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._timers.pop(handler).cancel()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self._routes.get(request.path)
        if request.method not in ("GET", "HEAD") or route is None:
            return _closing(web.Response(status=HTTPStatus.NOT_FOUND, text=f"try {', '.join(self._routes)}"))
        return await route(request)


def verdict(judge: Verdict) -> Route:
    """200 or 503, with the reason."""

    async def answer(_request: web.BaseRequest) -> web.Response:
        well, why = judge()
        return _closing(web.Response(status=HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, text=why))

    return answer


def metrics(registry: CollectorRegistry) -> Route:
    """All metrics as text. At most a fifth of the time is spent on them, however often they are asked for."""
    pages: dict[bool, bytes] = {}
    good_until = 0.0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal good_until
        begun = time.monotonic()
        if begun >= good_until:
            pages[False] = generate_latest(registry)
            pages[True] = gzip.compress(pages[False], compresslevel=1)
            good_until = begun + max(_PAGE_SECONDS, 5 * (time.monotonic() - begun))
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        return await _sent(request, pages[zipped], {"Content-Encoding": "gzip"} if zipped else {})

    return answer


async def _sent(request: web.BaseRequest, page: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Piece by piece, so that clients that do not read take little memory."""
    response = _closing(web.StreamResponse(headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, **headers}))
    response.content_length = len(page)
    with suppress(ConnectionResetError):  # the client has left
        await response.prepare(request)
        for start in range(0, len(page), _PIECE_BYTES):
            await response.write(page[start : start + _PIECE_BYTES])
    return response


def _closing(response: _Response) -> _Response:
    """The connection ends with this answer: a second request over it would run into the connection's end."""
    response.force_close()
    return response
