"""A real PostgreSQL on a loopback port, for the tests that need one. It refuses to run as root, so it does not."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

START_SECONDS = 60
_BINARIES = Path("/usr/lib/postgresql")


@dataclass
class PostgresServer:
    """One cluster of databases in a folder of its own. Can be stopped and started again; what it holds survives."""

    binaries: Path
    folder: Path
    port: int
    user: str | None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        """Its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def start(self) -> None:
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-h", "127.0.0.1"]
        options = ["-k", str(self.folder), "-c", "fsync=off", "-c", "max_connections=40"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, command), *options], user=self.user, cwd="/", stdout=log, stderr=log
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"no PostgreSQL answers within {START_SECONDS} s; its log: {self.folder / 'log'}")

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(3)  # SIGQUIT: its immediate shutdown
            self._process.wait(START_SECONDS)
        self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


def new() -> PostgresServer:
    """Started, on a free port."""
    binaries = max(_BINARIES.glob("*/bin"), default=None)
    if binaries is None:
        pytest.skip("no PostgreSQL; apt-get install postgresql")
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="sample-app-postgres-"))
    if user:
        shutil.chown(folder, user)
    command = [binaries / "initdb", "-D", folder / "data", "-U", "tester", "-A", "trust", "-N", "--locale", "C.UTF-8"]
    subprocess.run([*map(str, command)], user=user, cwd="/", check=True, capture_output=True, timeout=START_SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = PostgresServer(binaries, folder, port, user)
    server.start()
    return server
