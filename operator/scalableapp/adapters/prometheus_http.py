"""The way to Prometheus and back: one query, and what comes of it, without a fault of the network ever raised.

Built on prometheus-api-client's connection; its own custom_query puts queries in the URL whatever the method, and
drops the warnings with which Prometheus says that an answer is partial.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from prometheus_api_client import PrometheusConnect

from scalableapp.adapters.prometheus_answers import (
    Answer,
    Body,
    RangeAnswer,
    TooManySeries,
    is_victoriametrics,
    read,
    read_range,
    refused,
)
from scalableapp.adapters.prometheus_config import Connection, CredentialProblem, Credentials
from scalableapp.adapters.prometheus_file import Source, source_of
from scalableapp.adapters.prometheus_queries import COPY_LABELS
from scalableapp.adapters.prometheus_timeout import BoundedAdapter
from scalableapp.core.address import printable
from scalableapp.core.api.selectors import with_matchers
from scalableapp.core.model import DataProblem

_CHUNK_BYTES = 65_536
# Beyond this one answer at a time is read, so that memory is needed for one.
_SMALL_ANSWER_BYTES = 2**20
LARGEST_ANSWER_BYTES = 8 * 2**20
# Of 256 MiB, 80 are the operator's own; the largest answer takes ten times its size while it is read.
_ANSWERS_IN_MEMORY = 32
# A series of a histogram takes 130 bytes or so; what is read of it takes three times that.
_BYTES_A_SERIES = 128
_CONNECT_SECONDS = 1.5
BUILD_INFO = "status/buildinfo"
_OK = 200
_NO_ACCESS = {401, 403, 407}
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
# What a server that is not the Prometheus we mean may answer.
_NOT_PROMETHEUS = {DataProblem.UNREACHABLE, DataProblem.UNAUTHORIZED, DataProblem.REDIRECTED}
# What VictoriaMetrics is sent to answer as Prometheus does. Nobody else is: some services refuse what they do not know.
# By itself it evaluates a query 30 s in the past and dates the answer as of now, and shifts the points of a range.
_AS_OF_NOW = {"latency_offset": "1ms", "nocache": "1"}
# By itself it begins a rate with the sample before the window, up to 5 minutes older: after a hole in the scrapes, and
# a container's restart in it, that is far too low. Its `step` is how old the samples of a plain selector may be.
_WITHIN_WINDOWS = {"max_lookback": "1ms", "step": "5m"}
_FIX_ACCESS = (
    "state authorization, basic_auth or a tenant's http_headers in the file of SCALABLEAPP_PROMETHEUS_CONFIG "
    "(docs/prometheus.md)"
)
# What is said where TLS fails, and what to set in the file.
_FIXES_OF_TLS = {
    "hostname mismatch": "set tls_config.server_name to a name in its certificate",
    "doesn't match": "set tls_config.server_name to a name in its certificate",
    "not valid for": "set tls_config.server_name to a name in its certificate",
    "CERTIFICATE_VERIFY_FAILED": "set tls_config.ca_file to the certificate of the CA that signed its certificate",
    "CERTIFICATE_REQUIRED": "set tls_config.cert_file and key_file to a certificate that it accepts",
    "WRONG_VERSION_NUMBER": "write http:// if it does not speak TLS there",
}
# Where a query tells copies of series apart, as prometheus_queries.py writes it.
_REPLICAS = ", ".join(COPY_LABELS[1:])

_T = TypeVar("_T")


class _Reply(NamedTuple):
    """A response: HTTP status, body, and the authentication challenge, if any."""

    status: int
    body: bytearray
    challenge: str = ""


class _RedirectError(Exception):
    """A redirect that is not followed."""


class _TooLarge(Exception):
    """An answer is larger than what is read."""


class Question(NamedTuple):
    """What is sent where, until when an answer is waited for (monotonic time), and how large it may be.

    `until_taken` holds on to the right to have a large answer in memory.
    """

    endpoint: str
    form: Mapping[str, str]
    until_taken: contextlib.ExitStack
    ends: float
    most_bytes: int


def largest_answer_bytes(memory_limit: int | None) -> int:
    """The size of the largest answer that the container's memory allows for; without a limit as with 256 MiB."""
    return max(2**20, memory_limit // _ANSWERS_IN_MEMORY) if memory_limit else LARGEST_ANSWER_BYTES


class Queries(PrometheusConnect):  # type: ignore[misc]  # the library has no types
    """Asks queries by POST, each within `timeout_seconds`, with at most `connections` at a time.

    `most_bytes` is the size of the largest answer that is read. Raises WrongAddress for a URL that cannot be used.
    """

    def __init__(
        self, where: str | Source, timeout_seconds: float, connections: int, most_bytes: int = LARGEST_ANSWER_BYTES
    ) -> None:
        self._source = source_of(where)
        self._connection = self._source()
        self._connections = connections
        self._most_bytes = most_bytes
        self._large = threading.RLock()
        self._is_victoriametrics = False
        url = self._connection.address.url
        super().__init__(url=url, session=requests.Session(), timeout=timeout_seconds, method="POST")
        self._session = self._new_session()

    def _new_session(self) -> requests.Session:
        """A session with a pool that fits, and no retries, since the next tick is the retry."""
        session = requests.Session()
        adapter = BoundedAdapter(self._connection.tls_config.server_name, pool_maxsize=self._connections, max_retries=0)
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)
        self._connection.set_up(session)
        return session

    def _connected(self) -> Connection:
        """The connection as it is stated now."""
        connection = self._source()
        if connection is not self._connection:
            self._connection, self.url = connection, connection.address.url
            self._is_victoriametrics = False
            self._session = self._new_session()
        return connection

    def ask(
        self, query: str, *, of_rates: bool = False, ends: float | None = None, most_bytes: int | None = None
    ) -> Answer:
        """The answer to one query. Never raises: what goes wrong is its problem and message.

        `of_rates`: beside timestamp() it picks samples within windows alone. `ends` is the monotonic time until which
        the answer is waited for, where that is sooner than the time-out; `most_bytes` is a bound of its own.
        """
        return self.ask_for(query, lambda answer: answer, of_rates=of_rates, ends=ends, most_bytes=most_bytes)

    def ask_for(
        self,
        query: str,
        take: Callable[[Answer], _T],
        *,
        of_rates: bool = False,
        ends: float | None = None,
        most_bytes: int | None = None,
    ) -> _T:
        """What `take` makes of the answer, as in `ask`. While it does, no other large answer is in memory."""
        for_rates = _AS_OF_NOW | (_WITHIN_WINDOWS if of_rates else {})
        with contextlib.ExitStack() as stack:
            question = Question("query", {"query": query}, stack, self._until(ends), most_bytes or self._most_bytes)
            body = self._answer(question, for_rates)
            return take(body if isinstance(body, Answer) else read(body))

    def ask_range(self, query: str, start: float, end: float, step: float) -> RangeAnswer:
        """The answer to a range query, from `start` to `end` (Unix time) every `step` seconds. Never raises."""
        form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        with contextlib.ExitStack() as stack:
            question = Question("query_range", form, stack, self._until(None), self._most_bytes)
            body = self._answer(question, _AS_OF_NOW)
            if isinstance(body, Answer):
                return RangeAnswer(problem=body.problem, message=body.message)
            return read_range(body)

    def version(self) -> str:
        """The version that the server states, "" where it states none."""
        with contextlib.ExitStack() as stack:
            question = Question(BUILD_INFO, {}, stack, self._until(None), _SMALL_ANSWER_BYTES)
            body = self._asked(question)
        data = body.json.get("data") if isinstance(body, Body) else None
        return str(data.get("version", ""))[:40] if isinstance(data, dict) else ""

    @property
    def matchers(self) -> str:
        """The matchers that go into every selector."""
        return self._connection.matchers

    def _until(self, ends: float | None) -> float:
        latest: float = time.monotonic() + self._timeout
        return latest if ends is None else min(ends, latest)

    def _answer(self, question: Question, of_victoriametrics: Mapping[str, str]) -> Body | Answer:
        """What a server says to a question it understood, else an Answer with the problem."""
        known, as_well = self._is_victoriametrics, question._replace(form={**question.form, **of_victoriametrics})
        body = self._asked(as_well if known else question)
        if not known and isinstance(body, Body) and is_victoriametrics(body.json):
            self._is_victoriametrics = True
            body = self._asked(as_well)
        return body

    def _asked(self, question: Question) -> Body | Answer:
        """What a server says. One that does not answer as Prometheus does is not asked again over its connection.

        Behind a Service, a connection stays with the pod it was made to, also when that pod's address is another's.
        """
        connection = self._connected()
        body = self._sent(question, connection)
        if isinstance(body, Answer) and body.problem in _NOT_PROMETHEUS:
            self._session = self._new_session()
        return body

    def _sent(self, question: Question, connection: Connection) -> Body | Answer:
        credentials = Credentials({})
        try:
            credentials = connection.credentials()
            reply = self._post(question, connection, credentials)
            if reply.status in _NO_ACCESS:
                return self._no_access(reply, connection.credential)
            found = self._understood(reply, question, connection)
        except CredentialProblem as problem:
            message = f"Prometheus at {self.url} is not asked: {problem}; mount it from a Secret (docs/prometheus.md)"
            return Answer(problem=DataProblem.UNAUTHORIZED, message=message)
        except _RedirectError as error:
            message = f"Prometheus at {self.url} answers with a redirect to {error}; {_fix_address(connection)}"
            found = Answer(problem=DataProblem.REDIRECTED, message=message)
        except (_TooLarge, TooManySeries):
            return Answer(problem=DataProblem.TOO_MANY_SERIES, message=_too_large(question.most_bytes))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            found = self._unreachable(_reason(error), connection)
        return replace(found, message=credentials.hide(found.message)) if isinstance(found, Answer) else found

    def _understood(self, reply: _Reply, question: Question, connection: Connection) -> Body | Answer:
        try:
            body = Body(reply.body, max(1, question.most_bytes // _BYTES_A_SERIES), connection.replica_labels)
        except TooManySeries:
            raise
        except ValueError:
            reason = f"answered with {_start(reply.body)} (HTTP {reply.status}), not JSON"
            return self._unreachable(reason, connection)
        if not isinstance(body.json, dict) or "status" not in body.json:
            reason = f"answered with JSON that is not from Prometheus (HTTP {reply.status})"
            return self._unreachable(reason, connection)
        if reply.status != _OK or body.json["status"] != "success":
            return refused(reply.status, body.json)
        return body

    def _post(self, question: Question, connection: Connection, credentials: Credentials) -> _Reply:
        """What comes back in time. Redirects are followed with the method kept, or raised."""
        url, parameters = f"{self.url}/api/v1/{question.endpoint}", connection.address.parameters
        for _ in range(_MOST_REDIRECTS + 1):
            left = max(0.01, question.ends - time.monotonic())
            form = _selecting(question.form, connection, left) if question.form else {}
            in_url = connection.method == "GET" or not form
            response = self._session.request(
                "GET" if in_url else "POST",
                url,
                params=(*parameters, *form.items()) if in_url else parameters,
                data=None if in_url else form,
                headers=dict(credentials.headers),
                timeout=(min(_CONNECT_SECONDS, left), left),
                stream=True,
                allow_redirects=False,
            )
            with contextlib.closing(response):
                target = response.headers.get("Location") if response.status_code in _REDIRECTS else None
                if target is None:
                    return _reply(response.status_code, self._body(response, question), response, credentials)
            url = _followed(url, target, question.endpoint, with_credentials=bool(credentials.headers))
            in_target = urlsplit(url).query
            if in_url and in_target:
                url = urlsplit(url)._replace(query="").geturl()
            elif in_target:
                parameters = ()
        raise _RedirectError(f"{printable(url)}, after more than {_MOST_REDIRECTS} redirects")

    def _body(self, response: requests.Response, question: Question) -> bytearray:
        """The body, if it comes in time and is no larger than what is read."""
        body, late = bytearray(), requests.Timeout(f"the answer was not complete after {self._timeout:g} s")
        # read1 returns with what is there, so that a trickle can't outlast the time-out.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            if len(body) <= _SMALL_ANSWER_BYTES < len(body) + len(chunk):
                if not self._large.acquire(timeout=max(0.0, question.ends - time.monotonic())):
                    raise late
                question.until_taken.callback(self._large.release)
            body += chunk
            if time.monotonic() > question.ends:
                raise late
            if len(body) > question.most_bytes:
                raise _TooLarge
        return body

    def _no_access(self, reply: _Reply, credential: str) -> Answer:
        asked = f", requesting {reply.challenge[:100]}" if reply.challenge else ""
        fix = f"it was shown {credential}: check that this is valid and may query" if credential else _FIX_ACCESS
        message = f"Prometheus at {self.url} denies access: {_start(reply.body)} (HTTP {reply.status}){asked}; {fix}"
        return Answer(problem=DataProblem.UNAUTHORIZED, message=message)

    def _unreachable(self, reason: str, connection: Connection) -> Answer:
        fix = next((fix for part, fix in _FIXES_OF_TLS.items() if part in reason), "")
        fix = f"{fix} (docs/prometheus.md)" if fix else _fix_address(connection)
        return Answer(problem=DataProblem.UNREACHABLE, message=f"Prometheus at {self.url}: {reason}; {fix}")


def _selecting(form: Mapping[str, str], connection: Connection, seconds: float) -> Mapping[str, str]:
    """The form with its time-out, the matchers in each selector of its query, and further labels of copies."""
    query = form["query"]
    if connection.replica_labels:
        query = query.replace(_REPLICAS, ", ".join((_REPLICAS, *connection.replica_labels)))
    return {**form, "query": with_matchers(query, connection.matchers), "timeout": f"{seconds * 1000:.0f}ms"}


def _reply(status: int, body: bytearray, response: requests.Response, credentials: Credentials) -> _Reply:
    """A response without the secrets, which a server that refuses may repeat. Data are left as they are."""
    if status != _OK:
        body = bytearray(credentials.hide(body.decode(errors="replace")).encode())
    return _Reply(status, body, credentials.hide(response.headers.get("WWW-Authenticate", "")))


def _fix_address(connection: Connection) -> str:
    return f"check that Prometheus runs and that {connection.setting} is its address"


def _followed(url: str, target: str, endpoint: str, *, with_credentials: bool) -> str:
    """Where a redirect leads: to the same question over a connection as safe, with credentials to the same server.

    Raises _RedirectError for another.
    """
    joined = urljoin(url, target)
    to, before = urlsplit(joined), urlsplit(url)
    if to.scheme not in (before.scheme, "https"):
        raise _RedirectError(f"{printable(joined)}, which is not encrypted")
    if not to.path.endswith(f"/api/v1/{endpoint}"):
        raise _RedirectError(f"{printable(joined)}, which is not its API, perhaps a login page")
    encrypts = to.scheme != before.scheme
    if with_credentials and (to.hostname != before.hostname or not (encrypts or to.port == before.port)):
        raise _RedirectError(f"{printable(joined)}, another server, which is not sent the credentials")
    return joined


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({_root(error)})"
    return printable(str(error))[:300]


def _root(error: BaseException) -> str:
    """The innermost cause, without the wrappings of three libraries."""
    while error.__context__ is not None:
        error = error.__context__
    return printable(str(error))[:200] or type(error).__name__


def _too_large(most_bytes: int) -> str:
    size = f"{most_bytes // 2**20} MiB" if most_bytes >= 2**20 else f"{most_bytes // 2**10} KiB"
    return f"the answer of Prometheus is larger than {size}"


def _start(body: bytearray) -> str:
    text = printable(body[:200].decode(errors="replace")).strip()[:60]
    if text.startswith("<"):
        return f"a web page ({text!r}), perhaps a login page"
    return f"{text!r}" if text else "nothing"
