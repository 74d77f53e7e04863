"""Debian's nginx with a configuration of this repository, on ports of its own."""

import getpass
import re
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sample_app.serving import TIMEOUT_SECONDS, Answer, eventually, get_once

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Nginx:
    process: subprocess.Popen[bytes]
    port: int

    def get(self, path: str, **headers: str) -> Answer:
        return get_once(self.port, path, **headers)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(TIMEOUT_SECONDS)


def start(configuration: Path, folder: Path, ports: dict[int, int]) -> Nginx:
    """Run `configuration` with the ports it names replaced; port 8000, which it listens on, by a free one."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    replaced = {8000: port} | ports
    text = re.sub(r"127\.0\.0\.1:(\d+)", lambda m: f"127.0.0.1:{replaced[int(m[1])]}", configuration.read_text())
    folder.mkdir()
    (folder / "nginx.conf").write_text(f"user {_me()};\n{text}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"], stderr=log, stdout=log)
    eventually(lambda: _listens(port), f"nginx listens; its log: {folder / 'log'}")
    return Nginx(process, port)


def _me() -> str:
    """The folders belong to whoever runs the tests; nginx as root would read them as nobody."""

    return getpass.getuser()


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True
