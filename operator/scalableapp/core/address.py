"""The address of a Prometheus: each part is kept or rejected, and no password is ever printed."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from scalableapp.errors import WrongAddress

_EXAMPLE = "write it as http://HOST:PORT/PATH"
_CREDENTIALS = (
    "contains a user name or a password, which every tenant could read in status and Events; remove it and state "
    "basic_auth: {username: USER, password_file: FILE} in the file of SCALABLEAPP_PROMETHEUS_CONFIG or "
    "--prometheus-config"
)
# What the operator sends itself.
_OWN = {"query", "time", "timeout", "start", "end", "step"}
_USER_INFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)\S*@", re.IGNORECASE)
_ANY_USER_INFO = re.compile(r"^([a-z][a-z0-9+.-]*:/*)?.*@", re.IGNORECASE | re.DOTALL)
_QUERY_STRING = re.compile(r"((?:\b[a-z][a-z0-9+.-]*://|/api/v1/)[^\s?'\"]*)\?[^\s'\"]*", re.IGNORECASE)


class Address(NamedTuple):
    """Where a Prometheus is: URL without a slash at its end, and the parameters that go with every request."""

    url: str
    parameters: tuple[tuple[str, str], ...] = ()


def address(text: str) -> Address:
    """The address as it is written. Raises WrongAddress, which says what is wrong without the password."""
    text = text.strip()
    if "@" in text.partition("?")[0].partition("#")[0]:
        raise WrongAddress(_CREDENTIALS)
    if "://" not in text:
        raise WrongAddress(f"has no scheme; {_EXAMPLE}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise WrongAddress(
            f"has a host or port that cannot be read ({error}); {_EXAMPLE}, an IPv6 address in brackets"
        ) from error
    for wrong, message in _problems(text, parts, port):
        if wrong:
            raise WrongAddress(message)
    return Address(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", tuple(_parameters(parts)))


def _problems(text: str, parts: SplitResult, port: int | None) -> tuple[tuple[bool, str], ...]:
    path = parts.path.rstrip("/")
    return (
        (parts.scheme not in ("http", "https"), f"has a scheme other than http and https; {_EXAMPLE}"),
        (not parts.hostname, f"has no host; {_EXAMPLE}"),
        (port == 0 or parts.netloc.endswith(":"), f"has a colon, but no port after it; {_EXAMPLE}"),
        (bool(re.search(r"[\s\x00-\x1f]", text)), "contains white space; remove it"),
        ("#" in text, "has a part after #, which is never sent to a server; remove it"),
        ("/api/v1" in path, "contains /api/v1, which the operator adds itself; remove it and what follows"),
        (path.endswith(("/graph", "/vmui")), "is the address of a web page; remove its last part"),
    )


def _parameters(parts: SplitResult) -> list[tuple[str, str]]:
    try:
        found = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise WrongAddress("has a part after ? that is not NAME=VALUE; correct or remove it") from error
    own = sorted(_OWN & {name for name, _ in found})
    if own:
        raise WrongAddress(f"sets {', '.join(own)}, which the operator sends itself; remove that")
    return found


def printable(text: str) -> str:
    """A text with addresses in it, without user names, passwords and query strings."""
    return _QUERY_STRING.sub(r"\1", _USER_INFO.sub(r"\1", text))


def printable_address(text: str) -> str:
    """The text given as an address, even an invalid one, without user name, password and query string."""
    return printable(_ANY_USER_INFO.sub(lambda match: match[1] or "", text))
