"""The file that states the connection to Prometheus, and what it says now: it is read again when it changes."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from scalableapp.adapters.prometheus_config import Connection, PlainAddress
from scalableapp.core.address import address
from scalableapp.errors import WrongConnection

log = logging.getLogger(__name__)

# A connection as it is stated now.
Source = Callable[[], Connection]
_LARGEST_BYTES = 2**20
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


def source_of(where: str | Path | Source) -> Source:
    """The connection to an address, or as a file states it. Raises WrongAddress, WrongConnection."""
    if isinstance(where, Path):
        return ConnectionFile(where).now
    if not isinstance(where, str):
        return where
    address(where)
    plain = PlainAddress(url=where)
    return lambda: plain


class ConnectionFile:
    """A connection in a file. Raises WrongConnection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = _identity(path)
        self._connection = _load(path)

    def now(self) -> Connection:
        """The connection as the file states it now; as it did before, as long as what it says is wrong."""
        with self._lock:
            if (identity := _identity(self._path)) != self._seen:
                self._seen = identity
                try:
                    self._connection = _load(self._path)
                    log.info("%s has changed and was read again", self._path)
                except WrongConnection as error:
                    log.error("%s; the connection stays as it was", error)  # noqa: TRY400 - the message says it all
            return self._connection


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Differs whenever the file does; Kubernetes replaces mounted files by links to others."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _load(path: Path) -> Connection:
    try:
        with path.open("rb") as file:
            content: Any = yaml.safe_load(file.read(_LARGEST_BYTES))
    except OSError as error:
        raise WrongConnection(f"{path} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise WrongConnection(f"{path} is not YAML{line}") from None
    if not isinstance(content, dict):
        raise WrongConnection(f"{path} has no connection; write url: http://HOST:PORT/PATH")
    try:
        return Connection.model_validate(content, context={"folder": path.parent})
    except ValidationError as error:
        problems = [_problem(entry["loc"], entry["type"], entry["msg"]) for entry in error.errors()]
    # Outside of the block, as pydantic's error holds what the file says.
    raise WrongConnection(f"{path}: {'; '.join(problems)}")


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if kind == "extra_forbidden":
        return f"{where}: unknown; {_INSTEAD.get(str(location[-1]), 'correct or remove it')}"
    if kind == "missing":
        return f"{where}: missing"
    return f"{where or 'the connection'}: {message.removeprefix('Value error, ')}"
