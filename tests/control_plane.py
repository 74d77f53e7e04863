"""A real API server on loopback, an HTTP proxy with faults before it, and the operator's process behind that."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
import requests
import yaml
from aiohttp import web

from cluster import gobuild
from cluster.console import ClusterError

REPOSITORY = Path(__file__).parents[1]
TOKEN = "everything"  # noqa: S105 - of a server on loopback
PATIENCE_SECONDS = 150.0

# As the operator's own, but with a Lease that is lost within 2 s instead of 10 s, so that tests take seconds.
_WITH_SHORT_LEASE = """
from functools import partial
from scalableapp import process
from scalableapp.adapters.lease import Lease, LeaseTimes
process.Lease = partial(Lease, times=LeaseTimes({duration}, {deadline}, 0.4))
process.run()
"""

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def eventually(holds: Callable[[], Any], within: float = PATIENCE_SECONDS, what: str = "it") -> float:
    """Wait until it holds; the seconds that took. Errors of requests, and what is not there, count as not yet."""
    begun = time.monotonic()
    while time.monotonic() - begun < within:
        with suppress(requests.RequestException, KeyError, TypeError):
            if holds():
                return time.monotonic() - begun
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {within:.0f} s")


@dataclass(frozen=True)
class ControlPlane:
    """etcd and kube-apiserver; everybody with the token may do everything."""

    url: str
    certificate: str

    def ask(self, verb: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The answer as JSON, None for 404. Raises requests.HTTPError for anything else that is refused."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
        answer = requests.request(
            verb, self.url + path, json=body, headers=headers, verify=self.certificate, timeout=PATIENCE_SECONDS
        )
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json()

    def install_crd(self) -> None:
        """Install the ScalableApp CRD, and wait until it is served."""
        crd = yaml.safe_load((REPOSITORY / "crds/scalableapps.scalableapp.io.yaml").read_text())
        self.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        eventually(lambda: self.ask("GET", "/apis/scalableapp.io/v1alpha1/scalableapps") is not None)

    def delete_crd(self) -> None:
        """Delete it, and wait until it is gone."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scalableapps.scalableapp.io"
        self.ask("DELETE", path)
        eventually(lambda: self.ask("GET", path) is None)


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """Started in `folder`; the test is skipped where the programs are missing, and fails in CI."""
    try:
        etcd, apiserver = gobuild.ensure("node") / "etcd", gobuild.ensure("kubernetes") / "kube-apiserver"
    except ClusterError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs etcd and kube-apiserver: {error}")
    key, tokens = folder / "key.pem", folder / "tokens.csv"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens.write_text(f"{TOKEN},operator,operator\n")
    client, peer, port = (free_port() for _ in range(3))
    store = f"http://127.0.0.1:{client}"
    commands: tuple[tuple[str, ...], ...] = (
        (
            str(etcd),
            "--unsafe-no-fsync",
            f"--data-dir={folder}/etcd",
            f"--listen-client-urls={store}",
            f"--advertise-client-urls={store}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
        ),
        (
            str(apiserver),
            f"--etcd-servers={store}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder}/pki",
            f"--token-auth-file={tokens}",
            "--authorization-mode=AlwaysAllow",
            "--disable-admission-plugins=ServiceAccount",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://test",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--endpoint-reconciler-type=none",
        ),
    )
    with ExitStack() as stack:
        for command in commands:
            log = stack.enter_context((folder / f"{Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(_end, process)
        plane = ControlPlane(f"https://127.0.0.1:{port}", f"{folder}/pki/apiserver.crt")
        eventually(lambda: Path(plane.certificate).exists() and plane.ask("GET", "/api/v1/namespaces/default"))
        yield plane


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def refuses(code: int, path: str = "", **headers: str) -> Fault:
    """Answers with a Status of that code, where the path contains `path`."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if path not in request.path:
            return None
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "a fault", "code": code}
        return web.json_response(status, status=code, headers=headers)

    return fault


def answers(text: str, content_type: str = "text/html") -> Fault:
    """Answers 200 with something else than Kubernetes would."""

    async def fault(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=content_type)

    return fault


async def resets(request: web.Request) -> web.StreamResponse:
    """Closes the connection without an answer."""
    _abort(request)
    return web.Response()


async def is_silent(_request: web.Request) -> web.StreamResponse:
    """Accepts and says nothing, even after the fault."""
    await asyncio.Event().wait()
    raise AssertionError


async def leases_are_silent(request: web.Request) -> web.StreamResponse | None:
    """Everything works but the renewal of the Lease."""
    return await is_silent(request) if "/leases" in request.path else None


async def cuts(request: web.Request) -> web.StreamResponse:
    """Begins an answer and closes the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"kind": "ScalableAppLi')
    _abort(request)
    return response


def watch_says(line: str) -> Fault:
    """A watch says that line, and ends; everything else works."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if request.query.get("watch") != "true":
            return None
        return web.Response(text=line, content_type="application/json")

    return fault


def _abort(request: web.Request) -> None:
    if request.transport:
        request.transport.abort()


@dataclass
class FaultProxy:
    """Passes everything on to the API server, except while there is a fault."""

    plane: ControlPlane
    port: int = field(default_factory=free_port)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _fault: Fault | None = None
    written: list[tuple[float, str]] = field(default_factory=list)
    """Monotonic time and path of each write that was passed on, but for those of Leases."""
    _streams: list[web.Request] = field(default_factory=list)
    _frozen: list[web.Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """All requests meet the fault meanwhile, and so do the watches that are open."""
        self._call(self._begin(fault))
        try:
            yield
        finally:
            self._call(self._begin(None))

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens meanwhile."""
        self._call(self._stop())
        try:
            yield
        finally:
            self._call(self._start())

    async def _begin(self, fault: Fault | None) -> None:
        self._fault = fault
        for request in list(self._streams):
            if fault is is_silent:
                self._frozen.append(request)
            elif fault and await fault(request) is not None:
                _abort(request)

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _start(self) -> None:
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False, limit=0), timeout=aiohttp.ClientTimeout()
        )
        app = web.Application(client_max_size=16 << 20)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(
            app, logger=logging.getLogger("proxy"), shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def _stop(self) -> None:
        for request in list(self._streams):
            _abort(request)
        await self._runner.cleanup()
        await self._client.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if self._fault and (answer := await self._fault(request)) is not None:
            return answer
        if request.method != "GET" and "/leases" not in request.path:
            self.written.append((time.monotonic(), request.path))
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        url, body = self.plane.url + request.raw_path, await request.read()
        async with self._client.request(request.method, url, headers=headers, data=body or None) as upstream:
            response = web.StreamResponse(status=upstream.status)
            response.headers["Content-Type"] = upstream.headers.get("Content-Type", "text/plain")
            await response.prepare(request)
            self._streams.append(request)
            try:
                async for chunk in self._chunks(request, upstream):
                    await response.write(chunk)
                await response.write_eof()
            finally:
                self._streams.remove(request)
            return response

    async def _chunks(self, request: web.Request, upstream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        async for chunk in upstream.content.iter_any():
            if any(request is frozen for frozen in self._frozen):
                await asyncio.Event().wait()
            yield chunk


@dataclass
class OperatorProcess:
    """The operator as it runs in its container, told of the API server at `url`.

    `lease` is in seconds: until others may take it over, and until the holder gives it up.
    """

    url: str
    folder: Path
    namespaces: str = ""
    prometheus: str = "http://127.0.0.1:1"
    certificate: str = ""
    lease: tuple[int, float] = (3, 2.0)
    metrics_port: int = field(default_factory=free_port)
    liveness_port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        user = {"name": "u", "user": {"token": TOKEN}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        authority = {"certificate-authority": self.certificate} if self.certificate else {}
        cluster = {"name": "c", "cluster": {"server": self.url, **authority}}
        kubeconfig = {"apiVersion": "v1", "kind": "Config", "current-context": "c"}
        kubeconfig |= {"clusters": [cluster], "contexts": [context], "users": [user]}  # type: ignore[dict-item]
        (self.folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY / "operator"),
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "SCALABLEAPP_METRICS_PORT": str(self.metrics_port),
            "SCALABLEAPP_LIVENESS_PORT": str(self.liveness_port),
            "SCALABLEAPP_LEASE_NAMESPACE": "default",
            "SCALABLEAPP_NAMESPACES": self.namespaces,
            "SCALABLEAPP_PROMETHEUS_URL": self.prometheus,
            "SCALABLEAPP_INTERVAL_SECONDS": "1",
            "SCALABLEAPP_LOG_FORMAT": "plain",
        }
        program = _WITH_SHORT_LEASE.format(duration=self.lease[0], deadline=self.lease[1])
        with (self.folder / "operator.log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGCONT)
        _end(self.process)

    @property
    def log(self) -> str:
        return (self.folder / "operator.log").read_text()

    def readiness(self) -> tuple[int, str]:
        return self._get(self.metrics_port, "/readyz")

    def health(self) -> tuple[int, str]:
        return self._get(self.liveness_port, "/healthz")

    def acts(self) -> bool:
        return self.readiness() == (200, "ready")

    def metric(self, name: str) -> float:
        lines = self._get(self.metrics_port, "/metrics")[1].splitlines()
        return float(next(line for line in lines if line.startswith(name)).rpartition(" ")[2])

    def end(self) -> int:
        """SIGTERM; its exit status. It has to be gone within 5 s, and on a busy machine within 10 s."""
        self.process.terminate()
        return self.process.wait(10)

    def _get(self, port: int, path: str) -> tuple[int, str]:
        answer = requests.get(f"http://127.0.0.1:{port}{path}", timeout=5)
        return answer.status_code, answer.text
