"""The file that states the connections to Prometheus, and what it says now: it is read again when it changes."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from scalableapp.adapters.prometheus_config import Connection, PlainAddress
from scalableapp.core.address import address
from scalableapp.errors import WrongConnection

log = logging.getLogger(__name__)

# A connection as it is stated now.
Source = Callable[[], Connection]
_LARGEST_BYTES = 2**20
_CONNECTIONS = TypeAdapter(tuple[Connection, ...])
# What Prometheus has, or had, and the operator has not: what to do about it.
_INSTEAD = {
    "bearer_token": "write authorization: {credentials: ...}",
    "bearer_token_file": "write authorization: {credentials_file: ...}",
    "oauth2": "ask through a proxy that authenticates (docs/prometheus.md)",
    "sigv4": "ask through aws-sigv4-proxy (docs/prometheus.md)",
    "azuread": "ask through a proxy that authenticates (docs/prometheus.md)",
    "google_iam": "ask through Google's frontend (docs/prometheus.md)",
    "follow_redirects": "remove it: redirects to the same server are followed",
    "headers": "write http_headers: {NAME: {values: [...]}}",
    "ca": "write ca_file",
    "cert": "write cert_file",
    "key": "write key_file",
}


def source_of(where: str | Path | Source, namespace: str = "") -> Source:
    """Connections for the apps of a namespace, to an address or as a file states. Raises WrongAddress, WrongConnection.

    Without a namespace it is the file's first.
    """
    if isinstance(where, Path):
        file = ConnectionFile(where)
        return file.source_for(namespace) if namespace else file.source()
    if not isinstance(where, str):
        return where
    address(where)
    plain = PlainAddress(url=where)
    return lambda: plain


class ConnectionFile:
    """One connection, or a list whose first that has an app's namespace is the app's. Raises WrongConnection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = _identity(path)
        self._connections = _load(path)

    @property
    def namespaces(self) -> tuple[tuple[str, ...], ...]:
        """The namespaces of each connection, in the file's order."""
        return tuple(connection.namespaces for connection in self._connections)

    def source(self, index: int = 0) -> Source:
        """One connection, as the file states it whenever it is called."""
        return lambda: self._now()[index]

    def source_for(self, namespace: str) -> Source:
        """The connection for the apps of a namespace. Raises WrongConnection where there is none."""
        for index, namespaces in enumerate(self.namespaces):
            if not namespaces or namespace in namespaces:
                return self.source(index)
        raise WrongConnection(f"{self._path}: no connection has the namespace {namespace}; add it to one's namespaces")

    def _now(self) -> tuple[Connection, ...]:
        with self._lock:
            if (identity := _identity(self._path)) != self._seen:
                self._seen = identity
                self._connections = self._reloaded()
            return self._connections

    def _reloaded(self) -> tuple[Connection, ...]:
        """What the file says now; what it said before, as long as that is wrong."""
        try:
            found = _load(self._path)
        except WrongConnection as error:
            log.error("%s; the connection stays as it was", error)  # noqa: TRY400 - the message says it all
            return self._connections
        if [each.namespaces for each in found] != list(map(tuple, self.namespaces)):
            log.error("%s has other connections or namespaces; restart the operator to use them", self._path)
            return self._connections
        log.info("%s has changed and was read again", self._path)
        return found


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Differs whenever the file does; Kubernetes replaces mounted files by links to others."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _load(path: Path) -> tuple[Connection, ...]:
    try:
        with path.open("rb") as file:
            content: Any = yaml.safe_load(file.read(_LARGEST_BYTES))
    except OSError as error:
        raise WrongConnection(f"{path} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise WrongConnection(f"{path} is not YAML{line}") from None
    entries = content if isinstance(content, list) else [content]
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise WrongConnection(f"{path} has no connection; write url: http://HOST:PORT/PATH, or a list of such")
    try:
        return _checked(path, _CONNECTIONS.validate_python(entries, context={"folder": path.parent}))
    except ValidationError as error:
        alone = not isinstance(content, list)
        problems = [_problem(entry["loc"][alone:], entry["type"], entry["msg"]) for entry in error.errors()]
    # Outside of the block, as pydantic's error holds what the file says.
    raise WrongConnection(f"{path}: {'; '.join(problems)}")


def _checked(path: Path, connections: tuple[Connection, ...]) -> tuple[Connection, ...]:
    for connection in connections[:-1]:
        if not connection.namespaces:
            raise WrongConnection(f"{path}: a connection without namespaces is for all; move it to the end of the list")
    return connections


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if kind == "extra_forbidden":
        return f"{where}: unknown; {_INSTEAD.get(str(location[-1]), 'correct or remove it')}"
    if kind == "missing":
        return f"{where}: missing"
    return f"{where or 'the connection'}: {message.removeprefix('Value error, ')}"
