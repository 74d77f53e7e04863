"""Servers on loopback that answer as they are told."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
import pytest_asyncio
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from scalableapp.adapters.kube_api import KubeApi
from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.adapters.prometheus import PrometheusMetrics
from tests.unit.adapters.canned import ApiServer, Asked, Canned, Refusal


@pytest.fixture
def canned() -> Iterator[Canned]:
    prometheus = Canned()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            prometheus.queries.append(form["query"][0])
            prometheus.clients.append(self.client_address[1])
            prometheus.forms.append({name: values[0] for name, values in form.items()})
            if prometheus.send:
                self.close_connection = True
                prometheus.send(self)
                return
            body = json.dumps(prometheus.answer(form["query"][0])).encode() if prometheus.answer else prometheus.body
            self.send_response(prometheus.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # nobody waits any more
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    server.daemon_threads = True
    prometheus.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield prometheus
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest_asyncio.fixture
async def metrics(canned: Canned) -> AsyncIterator[PrometheusMetrics]:
    adapter = PrometheusMetrics(canned.url, timeout_seconds=1.0)
    yield adapter
    adapter.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    scripted = ApiServer()

    async def handle(request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        scripted.asked.append(Asked(request.method, request.path, dict(request.query), dict(request.headers), body))
        answer = scripted.respond(scripted.asked[-1])
        if callable(answer):
            response: web.StreamResponse = await answer(request)
            return response
        return answer.response() if isinstance(answer, Refusal) else web.json_response(answer)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield scripted
    await runner.cleanup()


@pytest_asyncio.fixture
async def api(server: ApiServer) -> AsyncIterator[KubeApi]:
    adapter = KubeApi(Configuration(host=server.url), rate=10_000, timeout_seconds=2)
    yield adapter
    await adapter.close()


@pytest.fixture
def cluster(api: KubeApi) -> KubeClient:
    """The client, talking to `server`."""
    return KubeClient(api)
