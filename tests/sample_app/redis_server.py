"""A real Redis on a loopback port, for the tests that need one."""

import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis, RedisError

START_SECONDS = 20


@dataclass
class RedisServer:
    """Can be stopped and started again, as a pod is; nothing it held survives that."""

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.folder}
        command = ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                self.client.ping()
            except RedisError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"no Redis answers within {START_SECONDS} s")

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(START_SECONDS)
        self._process = None


def new(folder: Path) -> RedisServer:
    """Started, on a free port."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server; apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = RedisServer(folder, port)
    server.start()
    return server
