"""The nginx process: prepared, started, given new tables, stopped without losing a request."""

import functools
import http.client
import logging
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

CONTROL_SECONDS = 10
POLL_SECONDS = 0.02
# Debian's nginx lives outside of an ordinary user's PATH.
SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/sbin"


class NginxError(Exception):
    """Nginx refused its configuration or a routing table, or cannot be reached."""


@dataclass(frozen=True)
class Ports:
    """Where nginx listens, each a port or ADDRESS:PORT."""

    http: str = "8080"
    https: str = "8443"
    health: str = "8081"


class Nginx:
    """One nginx, with all its files in one folder."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self._folder = folder
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_seconds: float = 10) -> None:
        """Write the configuration, check it and serve by it; return when nginx answers.

        Raises:
            NginxError: nginx refuses the configuration or does not answer in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "nginx.conf").write_text(configuration(self._folder, self._ports))
        (self._folder / "control.sock").unlink(missing_ok=True)
        make_default_certificate(self._folder, timeout_seconds)
        run([*self._command(), "-t", "-q"], timeout_seconds)
        self._process = subprocess.Popen(self._command(), env={"PATH": SEARCH_PATH})
        self._wait_for_answer(time.monotonic() + timeout_seconds)

    def _wait_for_answer(self, deadline: float) -> None:
        while True:
            try:
                return self.tell_alive()
            except NginxError:
                if self.exit_status() is not None or time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def exit_status(self) -> int | None:
        """Return nginx's exit status, None while it runs."""
        return self._process.poll() if self._process else None

    def take(self, table: str) -> None:
        """Serve by a new routing table from the next request on.

        Raises:
            NginxError: it was refused or nginx does not answer; the table in use stays.
        """
        candidate = self._folder / "next-table.json"
        candidate.write_text(table)
        self._tell("/table")
        candidate.rename(self._folder / "table.json")  # what a worker starts from

    def tell_alive(self) -> None:
        """Keep nginx's health probe good, which fails when the controller is silent. Raises as `take` does."""
        self._tell("/alive")

    def stop(self, timeout_seconds: float) -> None:
        """Let nginx finish the requests under way, as long as the time allows."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            log.warning("nginx still had requests under way after %s s; they are cut off", timeout_seconds)
            self._process.kill()
            self._process.wait()

    def _command(self) -> list[str]:
        return ["nginx", "-p", f"{self._folder}/", "-c", "nginx.conf", "-e", "stderr"]

    def _tell(self, path: str) -> None:
        connection = _UnixConnection(self._folder / "control.sock")
        try:
            connection.request("POST", path)
            response = connection.getresponse()
            answer = response.read().decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            raise NginxError(f"nginx does not answer on its control socket: {error}") from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise NginxError(f"nginx refused {path}: {answer}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("nginx", timeout=CONTROL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def configuration(folder: Path, ports: Ports) -> str:
    """Return nginx.conf for a folder and ports."""
    here = Path(__file__).parent
    text = (here / "nginx.conf").read_text()
    values = {
        "@PREFIX@": str(folder),
        "@LUA_FOLDER@": str(here),
        "@HTTP_PORT@": ports.http,
        "@HTTPS_PORT@": ports.https,
        "@HEALTH_PORT@": ports.health,
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def make_default_certificate(folder: Path, timeout_seconds: float) -> None:
    """Make a self-signed certificate for hosts that have none of their own."""
    names = ["-keyout", f"{folder}/default.key", "-out", f"{folder}/default.crt", "-subj", "/CN=ingress.invalid"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    run(["openssl", "req", "-x509", *curve, *names], timeout_seconds)


def run(command: list[str], timeout_seconds: float) -> None:
    """Run a command to its end.

    Raises:
        NginxError: it failed; the message holds what it said.
    """
    environment = {"PATH": SEARCH_PATH}
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=timeout_seconds)
    except subprocess.CalledProcessError as error:
        raise NginxError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NginxError(f"{' '.join(command)} cannot be run: {error}") from error


@functools.lru_cache(maxsize=1000)
def certificate_problem(certificate: str, key: str) -> str | None:
    """Say what is wrong with a certificate chain and its key, both PEM; None when nothing is.

    Remembers its last answers, because it is asked for every certificate at every change of the cluster.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(file.name)
        except (ssl.SSLError, ValueError) as error:
            reason = getattr(error, "reason", None) or "not PEM"
            return f"tls.crt and tls.key are no certificate and its key ({reason.lower().replace('_', ' ')})"
    return None
