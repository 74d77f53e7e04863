"""The way to Prometheus and back: one query, and what comes of it, without a fault of the network ever raised.

Built on prometheus-api-client's connection; its own custom_query puts queries in the URL whatever the method, and
drops the warnings with which Prometheus says that an answer is partial.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter

from scalableapp.adapters.prometheus_answers import (
    Answer,
    RangeAnswer,
    is_victoriametrics,
    read,
    read_range,
    refused,
)
from scalableapp.core.address import address, printable
from scalableapp.core.model import DataProblem

_CHUNK_BYTES = 65_536
# 20,000 pods in a grouped answer take about 2 MB.
_LARGEST_ANSWER_BYTES = 32 * 2**20
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
    "mount a netrc file with its user and password from a Secret and set NETRC to its path, or put an authenticating "
    "proxy in front of it"
)
_FIX_ADDRESS = "check that Prometheus runs and that SCALABLEAPP_PROMETHEUS_URL is its address"


class _Reply(NamedTuple):
    """A response: HTTP status, body, and the authentication challenge, if any."""

    status: int
    body: bytes
    challenge: str = ""


class _RedirectError(Exception):
    """A redirect that is not followed."""


class Queries(PrometheusConnect):  # type: ignore[misc]  # the library has no types
    """Asks queries by POST, each within `timeout_seconds`, with at most `connections` at a time.

    Raises WrongAddress for a URL that cannot be used.
    """

    def __init__(self, url: str, timeout_seconds: float, connections: int) -> None:
        where = address(url)
        self._parameters = where.parameters
        self._connections = connections
        self._is_victoriametrics = False
        super().__init__(url=where.url, session=requests.Session(), timeout=timeout_seconds, method="POST")
        self._session = self._new_session()

    def _new_session(self) -> requests.Session:
        """A session with a pool that fits, and no retries, since the next tick is the retry."""
        session = requests.Session()
        session.mount(f"{self.url}/api/", HTTPAdapter(pool_maxsize=self._connections, max_retries=0))
        return session

    def ask(self, query: str, *, of_rates: bool = False) -> Answer:
        """The answer to one query. Never raises: what goes wrong is its problem and message.

        `of_rates`: beside timestamp() it picks samples within windows alone.
        """
        answer = self._answer("query", {"query": query}, _AS_OF_NOW | (_WITHIN_WINDOWS if of_rates else {}))
        return answer if isinstance(answer, Answer) else read(answer)

    def ask_range(self, query: str, start: float, end: float, step: float) -> RangeAnswer:
        """The answer to a range query, from `start` to `end` (Unix time) every `step` seconds. Never raises."""
        form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        answer = self._answer("query_range", form, _AS_OF_NOW)
        if isinstance(answer, Answer):
            return RangeAnswer(problem=answer.problem, message=answer.message)
        return read_range(answer)

    def _answer(
        self, endpoint: str, form: Mapping[str, str], of_victoriametrics: Mapping[str, str]
    ) -> dict[str, Any] | Answer:
        """What a server says to a question it understood, else an Answer with the problem."""
        known = self._is_victoriametrics
        answer = self._asked(endpoint, {**form, **(of_victoriametrics if known else {})})
        if not known and isinstance(answer, dict) and is_victoriametrics(answer):
            self._is_victoriametrics = True
            answer = self._asked(endpoint, {**form, **of_victoriametrics})
        return answer

    def _asked(self, endpoint: str, form: Mapping[str, str]) -> dict[str, Any] | Answer:
        """What a server says. One that does not answer as Prometheus does is not asked again over its connection.

        Behind a Service, a connection stays with the pod it was made to, also when that pod's address is another's.
        """
        answer = self._sent(endpoint, form)
        if isinstance(answer, Answer) and answer.problem in _NOT_PROMETHEUS:
            self._session = self._new_session()
        return answer

    def _sent(self, endpoint: str, form: Mapping[str, str]) -> dict[str, Any] | Answer:
        try:
            reply = self._post(endpoint, form)
        except _RedirectError as error:
            message = f"Prometheus at {self.url} answers with a redirect to {error}; {_FIX_ADDRESS}"
            return Answer(problem=DataProblem.REDIRECTED, message=message)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return self._unreachable(_reason(error))
        return self._no_access(reply) if reply.status in _NO_ACCESS else self._understood(reply)

    def _understood(self, reply: _Reply) -> dict[str, Any] | Answer:
        try:
            answer = json.loads(reply.body)
        except ValueError:
            return self._unreachable(f"answered with {_start(reply.body)} (HTTP {reply.status}), not JSON")
        if not isinstance(answer, dict) or "status" not in answer:
            return self._unreachable(f"answered with JSON that is not from Prometheus (HTTP {reply.status})")
        if reply.status != _OK or answer["status"] != "success":
            return refused(reply.status, answer)
        return answer

    def _post(self, endpoint: str, form: Mapping[str, str]) -> _Reply:
        """What comes back within the time-out as a whole. Redirects are followed by POST, or raised."""
        ends = time.monotonic() + self._timeout
        url, parameters = f"{self.url}/api/v1/{endpoint}", self._parameters
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._session.post(
                url,
                params=parameters,
                data={**form, "timeout": f"{self._timeout:g}s"},
                timeout=max(0.01, ends - time.monotonic()),
                stream=True,
                allow_redirects=False,
            )
            with contextlib.closing(response):
                target = response.headers.get("Location") if response.status_code in _REDIRECTS else None
                if target is None:
                    challenge = response.headers.get("WWW-Authenticate", "")
                    return _Reply(response.status_code, self._body(response, ends), challenge)
            url = _followed(url, target, endpoint)
            parameters = () if urlsplit(url).query else self._parameters
        raise _RedirectError(f"{printable(url)}, after more than {_MOST_REDIRECTS} redirects")

    def _body(self, response: requests.Response, ends: float) -> bytes:
        """The body until `ends`, and no larger than we are ready to read."""
        body = bytearray()
        # read1 returns with what is there, so that a trickle can't outlast the time-out.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if time.monotonic() > ends:
                raise requests.Timeout(f"the answer was not complete after {self._timeout:g} s")
            if len(body) > _LARGEST_ANSWER_BYTES:
                raise requests.RequestException("the answer is larger than 32 MiB; aggregate the query")
        return bytes(body)

    def _no_access(self, reply: _Reply) -> Answer:
        asked = f", requesting {reply.challenge[:100]}" if reply.challenge else ""
        message = (
            f"Prometheus at {self.url} denies access: {_start(reply.body)} (HTTP {reply.status}){asked}; {_FIX_ACCESS}"
        )
        return Answer(problem=DataProblem.UNAUTHORIZED, message=message)

    def _unreachable(self, reason: str) -> Answer:
        message = f"Prometheus at {self.url}: {reason}; {_FIX_ADDRESS}"
        return Answer(problem=DataProblem.UNREACHABLE, message=message)


def _followed(url: str, target: str, endpoint: str) -> str:
    """Where a redirect leads: to the same question over a connection as safe. Raises _RedirectError for another."""
    joined = urljoin(url, target)
    to, before = urlsplit(joined), urlsplit(url)
    if to.scheme not in (before.scheme, "https"):
        raise _RedirectError(f"{printable(joined)}, which is not encrypted")
    if not to.path.endswith(f"/api/v1/{endpoint}"):
        raise _RedirectError(f"{printable(joined)}, which is not its API, perhaps a login page")
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


def _start(body: bytes) -> str:
    text = printable(body[:200].decode(errors="replace")).strip()[:60]
    if text.startswith("<"):
        return f"a web page ({text!r}), perhaps a login page"
    return f"{text!r}" if text else "nothing"
