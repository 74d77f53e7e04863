"""The real servers that tests start on loopback: the cluster's Prometheus, Debian's older one, and VictoriaMetrics."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
VICTORIAMETRICS = "victoriametrics"
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
        """The URL of a server with `folder`/prometheus.yml and the past that was written, as soon as it is ready."""
        samples, data = folder / "samples", folder / "data"
        if samples.exists():
            # The older one's blocks are read by both.
            promtool("tsdb", "create-blocks-from", "openmetrics", str(samples), str(data), name=NAMES[1])
        url, address = _free_address()
        files = f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={data}"
        command = [str(self.path), *files, *flags, f"--web.listen-address={address}"]
        with _running(command, folder / "log", lambda: (is_ready or answers)(url)):
            yield url


@dataclass(frozen=True)
class VictoriaMetrics:
    """The single server, with the settings that it has by itself: queries look at the state of 30 s ago."""

    path: Path
    name: str = VICTORIAMETRICS

    @contextmanager
    def running(self, folder: Path, is_ready: Callable[[str], bool] | None = None) -> Iterator[str]:
        """The URL of a server with `folder`/prometheus.yml and the past that was written, as soon as it is ready."""
        url, address = _free_address()
        files = f"-promscrape.config={folder}/prometheus.yml", f"-storageDataPath={folder}/data"
        command = [str(self.path), *files, f"-httpListenAddr={address}", "-retentionPeriod=100d"]
        with _running(command, folder / "log", lambda: answers(url)) as process:
            if (folder / "samples").exists():
                _import(url, folder / "samples")
            if is_ready:
                _wait(lambda: is_ready(url), process, folder / "log")
            yield url


Server = Program | VictoriaMetrics


def program(name: str) -> Program:
    """The Prometheus of that name; where there is none the test is skipped, and fails in CI."""
    return Program(name, _program("prometheus", name))


def server(name: str) -> Server:
    """The Prometheus of that name, or VictoriaMetrics; where it is missing the test is skipped, and fails in CI."""
    if name != VICTORIAMETRICS:
        return program(name)
    return VictoriaMetrics(_compiled("victoriametrics", "victoria-metrics"))


def promtool(*arguments: str, name: str = NAMES[0]) -> str:
    """Output of promtool of one version; raises AssertionError with its complaint."""
    command = [str(_program("promtool", name)), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def write_past(samples: Iterable[str], folder: Path) -> None:
    """Writes OpenMetrics text as a server's past into `folder`, and a configuration that scrapes nothing."""
    (folder / "samples").write_text("\n".join(samples) + "\n")
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")


def answers(url: str) -> bool:
    """Whether a server is ready at `url`."""
    return requests.get(f"{url}/-/ready", timeout=2).ok


def _import(url: str, samples: Path) -> None:
    """Writes a past into VictoriaMetrics, which takes times in seconds as OpenMetrics has them."""
    with samples.open("rb") as lines:
        requests.post(f"{url}/api/v1/import/prometheus", data=lines, timeout=_PATIENCE_SECONDS).raise_for_status()
    requests.get(f"{url}/internal/force_flush", timeout=_PATIENCE_SECONDS).raise_for_status()


def _program(program: str, name: str) -> Path:
    return _compiled("prometheus", program) if name == NAMES[0] else _debian(program)


def _compiled(group: str, program: str) -> Path:
    try:
        return gobuild.ensure(group) / program
    except ClusterError as error:
        _do_without(f"needs {program}, which is compiled with Go: {error}")


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


@contextmanager
def _running(command: list[str], log: Path, is_ready: Callable[[], bool]) -> Iterator["subprocess.Popen[bytes]"]:
    """The process of a server, once it is ready, and until it is no longer needed."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _wait(is_ready, process, log)
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _wait(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if is_ready():
                return
        except (requests.RequestException, ValueError):
            pass  # it starts
        time.sleep(0.2)
    pytest.fail(f"the server did not become ready: {log.read_text()[-2000:]}")
