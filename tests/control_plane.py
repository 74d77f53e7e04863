"""For tests without an event loop: API server and proxy of the bench of faults, and the operator behind them."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
import requests
import yaml
from aiohttp import web

from benchmarks.faults import proxy, servers
from benchmarks.faults.proxy import Fault, Proxy
from benchmarks.faults.servers import free_port, write_kubeconfig
from cluster import gobuild
from cluster.console import ClusterError

REPOSITORY = Path(__file__).parents[1]
TOKEN = servers.ADMIN
PATIENCE_SECONDS = 150.0

# As the operator's own, but with a Lease that is lost within 2 s instead of 10 s, so that tests take seconds.
_WITH_SHORT_LEASE = """
from functools import partial
from scalableapp import process
from scalableapp.adapters.lease import Lease, LeaseTimes
process.Lease = partial(Lease, times=LeaseTimes({duration}, {deadline}, 0.4))
process.run()
"""

_T = TypeVar("_T")
_R = TypeVar("_R")


def eventually(holds: Callable[[], Any], within: float = PATIENCE_SECONDS, what: str = "it") -> float:
    """Wait until it holds; the seconds that took. Errors of requests, and what is not there, count as not yet."""
    begun = time.monotonic()
    while time.monotonic() - begun < within:
        with suppress(requests.RequestException, KeyError, TypeError):
            if holds():
                return time.monotonic() - begun
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {within:.0f} s")


class Background:
    """An event loop in a thread of its own."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def within(self, context: AbstractAsyncContextManager[_T]) -> Iterator[_T]:
        """A block of what runs there."""
        value = self._run(context.__aenter__())
        try:
            yield value
        finally:
            self._run(context.__aexit__(None, None, None))

    def _run(self, work: Coroutine[Any, Any, _R]) -> _R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)


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
        gobuild.ensure("node"), gobuild.ensure("kubernetes")
    except ClusterError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs etcd and kube-apiserver: {error}")
    with Background() as background, background.within(servers.control_plane(folder, controllers=())) as started:
        plane = ControlPlane(started.url, str(started.certificate))
        eventually(lambda: plane.ask("GET", "/api/v1/namespaces/default"))
        yield plane


def refuses(code: int, path: str = "", **headers: str) -> Fault:
    """Answers with a Status of that code, where the path contains `path`."""
    return Fault(proxy.refuses(code, "a fault", **headers), lambda request: path in request.path)


def answers(text: str, content_type: str = "text/html") -> Fault:
    """Answers 200 with something else than Kubernetes would."""
    return Fault(proxy.says(200, text, content_type))


def watch_says(line: str) -> Fault:
    """A watch says that line, and ends; everything else works."""
    return Fault(proxy.says(200, line, "application/json"), proxy.is_watch)


resets = Fault(proxy.reset)
cuts = Fault(proxy.cut_short)
is_silent = Fault(proxy.silent, holds=True)
leases_are_silent = Fault(proxy.silent, lambda request: "/leases" in request.path, holds=True)


class FaultProxy:
    """The bench's proxy before a control plane.

    `written` has the monotonic time and path of each write that was passed on, but for those of Leases.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.written: list[tuple[float, str]] = []
        self._proxy = Proxy(plane.url, passes=self._note)
        self._background = Background()
        self.url = self._proxy.url

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._background)
            stack.enter_context(self._background.within(self._proxy))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """All requests meet the fault meanwhile, and so do the watches that are open."""
        with self._background.within(self._proxy.breaking(fault)):
            yield

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens meanwhile."""
        with self._background.within(self._proxy.down()):
            yield

    def _note(self, request: web.Request) -> None:
        if request.method != "GET" and "/leases" not in request.path:
            self.written.append((time.monotonic(), request.path))


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
        authority = Path(self.certificate) if self.certificate else None
        kubeconfig = write_kubeconfig(self.folder / "kubeconfig", self.url, TOKEN, authority)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY / "operator"),
            "KUBECONFIG": str(kubeconfig),
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
