"""What stands in front of a Prometheus elsewhere: TLS of a private CA, credentials, a tenant, a path, redirects."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

PREFIX = "/api/prom"
_PATIENCE_SECONDS = 30.0


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=_PATIENCE_SECONDS)


@dataclass(frozen=True)
class Authority:
    """A CA in a folder, and what it signs."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    @classmethod
    def made(cls, folder: Path) -> "Authority":
        folder.mkdir(parents=True, exist_ok=True)
        of_ca = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        files = ("-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt"))
        _openssl("req", *of_ca, *usage, "-subj", f"/CN={folder.name}", *files)
        return cls(folder)

    def signed(self, name: str, alternative: str) -> tuple[Path, Path]:
        """Certificate and key for a name, such as DNS:metrics.example or IP:127.0.0.1."""
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        request = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}")
        ca = ("-CA", str(self.certificate), "-CAkey", str(self.folder / "ca.key"), "-days", "2")
        more = ("-addext", f"subjectAltName={alternative}", "-addext", "basicConstraints=critical,CA:FALSE")
        _openssl("req", "-x509", *ca, *request, *more, "-keyout", str(key), "-out", str(certificate))
        return certificate, key


@dataclass
class Proxy:
    """Passes on what has all that it asks for. It can be told to ask for something else at any time."""

    upstream: str
    authorization: str = ""
    tenant: str = ""
    redirect: tuple[int, str] | None = None
    answer: tuple[int, str] | None = None
    asked: list[web.Request] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    _transports: set[asyncio.Transport] = field(default_factory=set)

    @contextmanager
    def running(
        self, certificate: tuple[Path, Path] | None = None, clients_of: Authority | None = None
    ) -> Iterator[str]:
        """The URL of Prometheus behind it."""
        context = None
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
            if clients_of:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(clients_of.certificate)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        runner = asyncio.run_coroutine_threadsafe(self._start(context), loop).result(_PATIENCE_SECONDS)
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}{PREFIX}"
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(runner), loop).result(_PATIENCE_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _start(self, context: ssl.SSLContext | None) -> web.AppRunner:
        self._client = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        return runner

    async def _stop(self, runner: web.AppRunner) -> None:
        for transport in self._transports:
            transport.abort()
        await runner.cleanup()
        await self._client.close()
        for _ in range(3):  # what was aborted is closed in the next turns of the loop
            await asyncio.sleep(0)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if request.transport:
            self._transports.add(request.transport)
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if self.redirect and request.path.startswith(PREFIX):
            return web.Response(status=self.redirect[0], headers={"Location": self.redirect[1]})
        if self.answer:
            return web.Response(status=self.answer[0], text=self.answer[1])
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            shown = request.headers.get("Authorization", "nothing")
            return web.Response(status=401, text=f"not {shown}", headers={"WWW-Authenticate": f"Bearer {shown}"})
        if self.tenant and request.headers.get("X-Scope-OrgID") != self.tenant:
            return web.Response(status=401, text="no org id")
        if not request.path.startswith((PREFIX, "/moved")):
            return web.Response(status=404, text="no such page")
        path = request.path.removeprefix(PREFIX).removeprefix("/moved")
        async with self._client.request(
            request.method, self.upstream + path, params=request.query, data=form or None
        ) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
