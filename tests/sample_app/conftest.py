import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import sample_app.app
from sample_app.catalogue import database, seed
from sample_app.serving import Serving
from sample_app.settings import Settings
from tests.sample_app import redis_server
from tests.sample_app.redis_server import RedisServer
from tests.sample_app.serving import APP_FOLDER, Server

STOP_SECONDS = 20
PRODUCTS = 2000


@pytest.fixture(scope="session", autouse=True)
def catalogue_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small catalogue in the place of the one that an image carries."""
    file: Path = tmp_path_factory.mktemp("catalogue") / "small.db"
    seed.make_file(file, PRODUCTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SHIPPED", file)
        yield file


@pytest.fixture
def app() -> Flask:
    return sample_app.app.create_app(Settings(pod="pod-a", serving=Serving(demo=True)), draining=lambda: False)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def cgroup_folder(tmp_path: Path) -> str:
    """A version 2 cgroup with a limit of two cores that has been throttled in 7 periods."""
    folder = tmp_path / "cgroup"
    folder.mkdir()
    (folder / "cpu.max").write_text("200000 100000\n")
    (folder / "cpu.stat").write_text("usage_usec 2500000\nnr_periods 40\nnr_throttled 7\nthrottled_usec 300000\n")
    return str(folder)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = redis_server.new(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def serve(tmp_path: Path, catalogue_file: Path) -> Iterator[Callable[..., Server]]:
    """Starts real gunicorns on free loopback ports and ends them."""
    servers: list[Server] = []

    def start(**environment: str) -> Server:
        server = _start(tmp_path, {"DATABASE_URL": f"sqlite:///{catalogue_file}"} | environment)
        servers.append(server)
        server.wait_until_ready()
        return server

    yield start
    for server in servers:
        _end(server.process)


def _start(folder: Path, environment: dict[str, str]) -> Server:
    values = folder / "metrics"
    values.mkdir(exist_ok=True)
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ours = {"PROMETHEUS_MULTIPROC_DIR": str(values), "PYTHONPATH": str(APP_FOLDER), "POD_NAME": "pod-a", "DEMO": "1"}
    with socket.create_server(("127.0.0.1", 0)) as listener, (folder / "log").open("ab") as log:
        command = [sys.executable, "-m", "gunicorn", "--config", "python:sample_app.gunicorn_conf"]
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{listener.fileno()}", "sample_app.app:create_app()"],
            env=inherited | ours | environment,
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        return Server(process, listener.getsockname()[1], folder / "log")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: the server and its workers
        process.wait(STOP_SECONDS)
