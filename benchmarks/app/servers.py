"""The real parts on loopback: gunicorns with the sample app, Redis, nginx. All end with the block that started them."""

import contextlib
import getpass
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.app.errors import BenchError

REPOSITORY = Path(__file__).resolve().parents[2]
APP_FOLDER = REPOSITORY / "sample-app"
BALANCER = REPOSITORY / "docs" / "nginx-one-machine.conf"
EDGE = APP_FOLDER / "edge" / "nginx.conf"
Place = Callable[[int], None]
START_SECONDS = 60.0
STOP_SECONDS = 20.0
ASK_SECONDS = 30.0
_SERVERS = re.compile(r"( *server) 127\.0\.0\.1:8001([^\n]*)\n(?: *server 127\.0\.0\.1:8002[^\n]*\n)?")


@dataclass(frozen=True, slots=True)
class Server:
    """Something that answers HTTP on a loopback port."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self, path: str = "/") -> str:
        """Where `path` is."""
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response, response.read()

    def json(self, path: str) -> Any:
        """The answer to `path` as data."""
        return json.loads(self.ask(path, Accept="application/json")[1])

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name which have those labels, over the workers of this gunicorn."""
        families = text_string_to_metric_families(self.ask("/metrics")[1].decode())
        samples = (sample for family in families for sample in family.samples)
        wanted = labels.items()
        return sum(sample.value for sample in samples if sample.name == name and wanted <= sample.labels.items())

    def settle(self) -> None:
        """Wait until it has answered what it has been asked, also for clients that have gone."""
        _until(lambda: not self.metric("http_requests_in_progress") + self.metric("worker_queue_length"), self.process)


@dataclass(frozen=True, slots=True)
class Lab:
    """Where servers keep their files: one folder, which goes when the run is over."""

    folder: Path
    database: str

    @contextmanager
    def app(self, env: Mapping[str, str], place: Place = lambda _pid: None) -> Iterator[Server]:
        """A gunicorn with the sample app; `place` is told its process id before it forks workers."""
        with self._starting("app-1", place, env) as server:
            self._ready(server, "app-1")
            yield server

    @contextmanager
    def apps(self, count: int, env: Mapping[str, str]) -> Iterator[Sequence[Server]]:
        """So many gunicorns, as so many pods."""
        names = [f"app-{number}" for number in range(1, count + 1)]
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(self._starting(name, lambda _pid: None, env)) for name in names]
            for server, name in zip(servers, names, strict=True):
                self._ready(server, name)
            yield servers

    @contextmanager
    def nginx(self, configuration: Path, apps: Sequence[Server]) -> Iterator[Server]:
        """Debian's nginx with a configuration of this repository, before those gunicorns."""
        folder, port = self.folder / f"nginx-{apps[0].port}", free_port()
        folder.mkdir(exist_ok=True)
        text = f"user {getpass.getuser()};\n" + behind(configuration.read_text(), port, [app.port for app in apps])
        (folder / "nginx.conf").write_text(text)
        with self._log("nginx") as log:
            process = _start("nginx", ["-p", str(folder), "-c", str(folder / "nginx.conf")], "nginx-light", log)
        with _running(process):
            _until(lambda: _listens(port), process, self.folder / "nginx.log")
            yield Server(port, process)

    @contextmanager
    def redis(self) -> Iterator[str]:
        """A Redis as the operator would run it; yields its address."""
        port = free_port()
        options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.folder}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with self._log("redis") as log:
            process = _start("redis-server", arguments, "redis-server", log)
        with _running(process):
            _until(lambda: _listens(port), process, self.folder / "redis.log")
            yield f"redis://127.0.0.1:{port}/0"

    @contextmanager
    def _starting(self, name: str, place: Place, env: Mapping[str, str]) -> Iterator[Server]:
        with socket.create_server(("127.0.0.1", 0)) as listener, self._log(name) as log:
            bind = f"fd://{listener.fileno()}"
            command = [sys.executable, "-m", "gunicorn", "--config", "python:sample_app.gunicorn_conf", "--bind", bind]
            process = subprocess.Popen(
                [*command, "sample_app.app:create_app()"],
                env=self._environment(name) | dict(env),
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            server = Server(listener.getsockname()[1], process)
        with _running(process):
            place(process.pid)
            yield server

    def _environment(self, name: str) -> dict[str, str]:
        """No more of ours than a gunicorn needs, so that a shell's settings change no figure."""
        values = self.folder / f"metrics-{name}"
        values.mkdir(exist_ok=True)
        inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        ours = {"PROMETHEUS_MULTIPROC_DIR": str(values), "PYTHONPATH": str(APP_FOLDER), "POD_NAME": name}
        return inherited | ours | {"DATABASE_URL": self.database, "DEMO": "1", "DRAIN_SECONDS": "0"}

    def _ready(self, server: Server, name: str) -> None:
        _until(lambda: server.ask("/readyz")[0].status == 200, server.process, self.folder / f"{name}.log")

    def _log(self, name: str) -> Any:
        return (self.folder / f"{name}.log").open("ab")


def behind(configuration: str, port: int, apps: Sequence[int]) -> str:
    """An nginx configuration that listens on `port`, with `apps` in the place of the gunicorns it names."""
    servers = "".join(rf"\1 127.0.0.1:{app}\2" + "\n" for app in apps)
    return _SERVERS.sub(servers, configuration).replace("127.0.0.1:8000", f"127.0.0.1:{port}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _start(program: str, arguments: Sequence[str], package: str, log: Any) -> subprocess.Popen[bytes]:
    if not shutil.which(program):
        raise BenchError(f"{program} is not installed: apt-get install {package} (make test-tools does it on Debian)")
    return subprocess.Popen([program, *arguments], stdout=log, stderr=log, start_new_session=True)


@contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the process and those it has forked, also when Ctrl-C ends the block."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # a session of its own
            process.wait(STOP_SECONDS)


def _until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path | None = None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        time.sleep(0.05)
    said = f"; {log.stem} says: {log.read_text(errors='replace')[-1000:]}" if log else ""
    raise BenchError(f"a server is not ready within {START_SECONDS:.0f} s{said}")


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def cached_by(backend: str, url: str = "", **more: str) -> dict[str, str]:
    """The app's variables for a cache; no entry of it expires while it is looked at."""
    return {"CACHE_BACKEND": backend, "CACHE_REDIS_URL": url, "CACHE_TIMEOUT_SECONDS": "3600", **more}
