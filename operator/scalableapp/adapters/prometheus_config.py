"""The connection to Prometheus as a file states it, in the words of Prometheus' own `http_config`.

Credentials stay in files, which are read at each request: tokens that Kubernetes projects last an hour. Nothing secret
is part of a message or a repr.
"""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self
from urllib.parse import urlsplit

import requests
import urllib3
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from scalableapp.core.address import Address, address
from scalableapp.core.api.selectors import parse_matchers

_LABEL_NAME = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
_TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # noqa: S105 - what a header may be called (RFC 9110)
_BAD_IN_HEADERS = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_OWN_HEADERS = {"authorization", "host", "content-type", "content-length", "content-encoding", "transfer-encoding"}
_OWN_PARAMETERS = {"query", "time", "timeout", "start", "end", "step"}
_LARGEST_FILE_BYTES = 64 * 2**10


class CredentialProblem(Exception):
    """A credential cannot be read or sent: names the field and the file, never what is in it."""


class Credentials(NamedTuple):
    """Headers of a request, and the parts of them that nobody may see."""

    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        """The text without the secrets, longest first."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return text


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    """A path as seen from the file that names it. Raises ValueError for a file that cannot be read."""
    found: Path = (info.context or {}).get("folder", Path()) / path
    try:
        with found.open("rb"):
            return found
    except OSError as error:
        raise ValueError(f"{found} cannot be read ({error.strerror})") from None


def _as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value


File = Annotated[Path, AfterValidator(_in_folder)]
Value = Annotated[str, BeforeValidator(_as_text)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def _one_of(self, *names: str) -> None:
        stated = [name for name in names if getattr(self, name) is not None]
        if len(stated) != 1:
            raise ValueError(f"needs one of {' and '.join(names)}, and has {' and '.join(stated) or 'neither'}")


def _secret(inline: SecretStr | str | None, file: Path | None, field: str) -> str:
    """What is stated inline or in a file. Raises CredentialProblem."""
    if file is not None:
        try:
            with file.open("rb") as content:
                text = content.read(_LARGEST_FILE_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CredentialProblem(f"{field} {file} cannot be read ({why})") from None
    else:
        text = inline.get_secret_value() if isinstance(inline, SecretStr) else inline or ""
    if not text:
        raise CredentialProblem(f"{field}{f' {file}' if file else ''} is empty")
    return text


def _in_header(text: str, field: str) -> str:
    """A text that a header may have. Raises CredentialProblem."""
    if _BAD_IN_HEADERS.search(text) or text != text.strip():
        raise CredentialProblem(f"{field} has a line break or another character that no HTTP header may have")
    return text


class Authorization(_Part):
    """The header Authorization: a type, by default Bearer, and credentials."""

    type: str = Field("Bearer", pattern=_TOKEN)
    credentials: SecretStr | None = None
    credentials_file: File | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._one_of("credentials", "credentials_file")
        if self.type.lower() == "basic":
            raise ValueError("has the type Basic; use basic_auth")
        return self

    def header(self) -> tuple[str, str]:
        """The header's value, and what is secret in it."""
        field = "authorization.credentials_file" if self.credentials_file else "authorization.credentials"
        secret = _in_header(_secret(self.credentials, self.credentials_file, field), field)
        return f"{self.type} {secret}", secret


class BasicAuth(_Part):
    """User name and password."""

    username: str | None = None
    username_file: File | None = None
    password: SecretStr | None = None
    password_file: File | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._one_of("username", "username_file")
        self._one_of("password", "password_file")
        return self

    def header(self) -> tuple[str, str, str]:
        """The header's value, and what is secret in it."""
        user = _secret(self.username, self.username_file, "basic_auth.username_file")
        password = _secret(self.password, self.password_file, "basic_auth.password_file")
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        return f"Basic {encoded}", encoded, password


class Header(_Part):
    """A header of each request; several values are joined by commas."""

    values: tuple[Value, ...] = ()
    secrets: tuple[SecretStr, ...] = ()
    files: tuple[File, ...] = ()

    @model_validator(mode="after")
    def _has_a_value(self) -> Self:
        if not (self.values or self.secrets or self.files):
            raise ValueError("has neither values nor secrets nor files")
        return self

    def header(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The header's value, and what is secret in it."""
        field = f"http_headers.{name}"
        hidden = (
            *(_secret(secret, None, f"{field}.secrets") for secret in self.secrets),
            *(_secret(None, file, f"{field}.files") for file in self.files),
        )
        return _in_header(", ".join((*self.values, *hidden)), field), hidden


class TLS(_Part):
    """How the server is verified, and who we are."""

    ca_file: File | None = None
    cert_file: File | None = None
    key_file: File | None = None
    server_name: str | None = Field(None, min_length=1)
    insecure_skip_verify: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("needs both cert_file and key_file, or neither")
        return self


class Connection(_Part):
    """Where Prometheus is, and how it is asked."""

    by_environment: ClassVar[bool] = False
    setting: ClassVar[str] = "url in the file of SCALABLEAPP_PROMETHEUS_CONFIG"

    url: str = Field(max_length=2048)
    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: TLS = TLS()
    http_headers: Mapping[Annotated[str, Field(pattern=_TOKEN)], Header] = Field(default_factory=dict)
    proxy_url: str | None = None
    proxy_from_environment: bool = False
    params: Mapping[str, Value | tuple[Value, ...]] = Field(default_factory=dict)
    method: Literal["POST", "GET"] = "POST"
    matchers: str = ""
    replica_labels: tuple[Annotated[str, Field(pattern=_LABEL_NAME)], ...] = ()

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        address(value)
        return value

    @field_validator("matchers")
    @classmethod
    def _are_matchers(cls, value: str) -> str:
        return parse_matchers(value)

    @field_validator("http_headers")
    @classmethod
    def _are_not_ours(cls, value: Mapping[str, Header]) -> Mapping[str, Header]:
        own = sorted(name for name in value if name.lower() in _OWN_HEADERS)
        if own:
            raise ValueError(f"sets {', '.join(own)}; use authorization or basic_auth, the others are the operator's")
        return value

    @field_validator("params")
    @classmethod
    def _are_no_queries(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if own := sorted(_OWN_PARAMETERS & value.keys()):
            raise ValueError(f"sets {', '.join(own)}, which the operator sends itself; remove that")
        return value

    @field_validator("proxy_url")
    @classmethod
    def _is_a_proxy(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is not an http or https URL; write http://HOST:PORT")
        if "@" in (value or ""):
            raise ValueError(
                "contains a user name or a password; take HTTPS_PROXY from a Secret and set proxy_from_environment"
            )
        return value

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if self.authorization and self.basic_auth:
            raise ValueError("has both authorization and basic_auth; remove one of them")
        if self.proxy_url and self.proxy_from_environment:
            raise ValueError("has both proxy_url and proxy_from_environment; remove one of them")
        return self

    @property
    def address(self) -> Address:
        """Where it is asked, with the parameters of the URL and of `params`."""
        where, more = address(self.url), list[tuple[str, str]]()
        for name, values in self.params.items():
            more += [(name, value) for value in ((values,) if isinstance(values, str) else values)]
        return Address(where.url, (*where.parameters, *more))

    @property
    def credential(self) -> str:
        """What the server is shown, in words, without its content."""
        shown = [f"the header {name}" for name in self.http_headers]
        if found := self.authorization:
            shown.insert(0, f"{found.type} {found.credentials_file or 'authorization.credentials'}")
        if self.basic_auth:
            shown.insert(0, f"basic_auth {self.basic_auth.password_file or 'basic_auth.password'}")
        if self.tls_config.cert_file:
            shown.append(f"the client certificate {self.tls_config.cert_file}")
        return " and ".join(shown)

    def credentials(self) -> Credentials:
        """The headers as the files have them now. Raises CredentialProblem."""
        headers, secrets = dict[str, str](), list[str]()
        for name, header in self.http_headers.items():
            headers[name], hidden = header.header(name)
            secrets += hidden
        if found := self.authorization or self.basic_auth:
            headers["Authorization"], *hidden_parts = found.header()
            secrets += hidden_parts
        return Credentials(headers, tuple(secrets))

    def set_up(self, session: requests.Session) -> None:
        """Give a session what goes with each of its connections. Raises ValueError for a proxy that is none."""
        session.trust_env = self.by_environment
        if self.by_environment:
            return
        tls = self.tls_config
        if tls.insecure_skip_verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it is what the file asks for
        session.verify = False if tls.insecure_skip_verify else str(tls.ca_file) if tls.ca_file else True
        session.cert = (str(tls.cert_file), str(tls.key_file)) if tls.cert_file else None
        if self.proxy_url:
            session.proxies = {"http": self.proxy_url, "https": self.proxy_url}
        elif self.proxy_from_environment:
            session.proxies = requests.utils.get_environ_proxies(self.address.url, no_proxy=None)


class PlainAddress(Connection):
    """An address alone. Proxies, CA bundle and a netrc file come from the environment, as usual with requests."""

    by_environment: ClassVar[bool] = True
    setting: ClassVar[str] = "SCALABLEAPP_PROMETHEUS_URL"
