"""The real Prometheis that tests start on loopback: the version that the cluster runs, and Debian's older one."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from cluster import gobuild
from cluster.console import ClusterError
from cluster.settings import cache_dir

NAMES = ("prometheus-3", "prometheus-2.53")
DEBIAN = cache_dir() / "prometheus-debian-13"
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Program:
    """One Prometheus: its name in NAMES and its program."""

    name: str
    path: Path

    @property
    def major(self) -> int:
        """2 or 3."""
        return int(self.name.removeprefix("prometheus-").partition(".")[0])

    @contextmanager
    def running(
        self, folder: Path, is_ready: Callable[[str], bool] | None = None, flags: Sequence[str] = ()
    ) -> Iterator[str]:
        """The URL of a server with `folder`/prometheus.yml and the data in `folder`/data, as soon as it is ready."""
        url, address = _free_address()
        files = f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"
        with (folder / "log").open("wb") as log:
            command = [str(self.path), *files, *flags, f"--web.listen-address={address}"]
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                _wait(lambda: (is_ready or answers)(url), process, folder / "log")
                yield url
            finally:
                process.terminate()
                process.wait(20)


def program(name: str) -> Program:
    """The Prometheus of that name; where there is none the test is skipped, and fails in CI."""
    return Program(name, _program("prometheus", name))


def promtool(*arguments: str, name: str = NAMES[0]) -> str:
    """Output of promtool of one version; raises AssertionError with its complaint."""
    command = [str(_program("promtool", name)), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def write_past(samples: Iterator[str], folder: Path) -> None:
    """Writes OpenMetrics text as a Prometheus' past into `folder`/data, and a configuration that scrapes nothing."""
    (folder / "samples").write_text("\n".join(samples) + "\n")
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    # The older one's blocks are read by both.
    promtool("tsdb", "create-blocks-from", "openmetrics", f"{folder}/samples", f"{folder}/data", name=NAMES[1])


def answers(url: str) -> bool:
    """Whether a Prometheus is ready at `url`."""
    return requests.get(f"{url}/-/ready", timeout=2).ok


def _program(program: str, name: str) -> Path:
    return _compiled(program) if name == NAMES[0] else _debian(program)


def _compiled(program: str) -> Path:
    try:
        return gobuild.ensure("prometheus") / program
    except ClusterError as error:
        _do_without(f"needs Prometheus 3, which is compiled with Go: {error}")


def _debian(name: str) -> Path:
    if not os.access(DEBIAN / name, os.X_OK):
        _do_without(f"needs Debian 13's {name} in {DEBIAN} (make test-tools)")
    return DEBIAN / name


def _do_without(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _free_address() -> tuple[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return f"http://{address}", address


def _wait(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if is_ready():
                return
        except (requests.RequestException, ValueError):
            pass  # it starts
        time.sleep(0.2)
    pytest.fail(f"Prometheus did not become ready: {log.read_text()[-2000:]}")
