"""One instant query to Prometheus: what came back, as values that need no knowledge of HTTP or JSON.

Built on prometheus-api-client's connection; its own custom_query puts queries in the URL whatever the method, and
drops the warnings with which Prometheus says that an answer is partial.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.adapters import HTTPAdapter

from scalableapp.core.address import address, printable
from scalableapp.core.model import DataProblem

_CHUNK_BYTES = 65_536
# 20,000 pods in a grouped answer take about 2 MB.
_LARGEST_ANSWER_BYTES = 32 * 2**20
_OK = 200
_NO_ACCESS = {401, 403, 407}
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
# Above this the clocks of Prometheus and the operator differ too much to compare times of samples and pods.
_LARGEST_SKEW_SECONDS = 30.0
_MEND_ACCESS = (
    "mount a netrc file with its user and password from a Secret and name it in NETRC, or put a proxy before it that "
    "adds what it asks for"
)
_HINT, _DOUBT = "promql info", "promql warning"
_MEND_ADDRESS = "check that Prometheus runs and that SCALABLEAPP_PROMETHEUS_URL is its address"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector; a scalar has no labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The samples of an instant query and its Unix time, or why there are none to decide on."""

    samples: tuple[Sample, ...] = ()
    problem: DataProblem | None = None
    message: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a range query: pairs of Unix time and value, oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """The series of a range query, or why there are none to go by."""

    series: tuple[Series, ...] = ()
    problem: DataProblem | None = None
    message: str = ""


class _Reply(NamedTuple):
    """What came back: HTTP status, body, and how to prove who one is, where that is asked for."""

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
        session = requests.Session()
        where = address(url)
        self._parameters = where.parameters
        super().__init__(url=where.url, session=session, timeout=timeout_seconds, method="POST")
        # The longest prefix wins over what the library mounts: a pool that fits, and no retries, since the next
        # tick is the retry.
        session.mount(f"{self.url}/api/", HTTPAdapter(pool_maxsize=connections, max_retries=0))

    def ask(self, query: str) -> Answer:
        """The answer to one query. Never raises: what goes wrong is its problem and message."""
        answer = self._answer("query", {"query": query})
        return answer if isinstance(answer, Answer) else _read(answer)

    def ask_range(self, query: str, start: float, end: float, step: float) -> RangeAnswer:
        """The answer to a range query, from `start` to `end` (Unix time) every `step` seconds. Never raises."""
        form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        answer = self._answer("query_range", form)
        if isinstance(answer, Answer):
            return RangeAnswer(problem=answer.problem, message=answer.message)
        return _read_range(answer)

    def _answer(self, endpoint: str, form: Mapping[str, str]) -> dict[str, Any] | Answer:
        """What Prometheus says to a question it understood, else an Answer with the problem."""
        try:
            reply = self._post(endpoint, form)
        except _RedirectError as error:
            message = f"Prometheus at {self.url} answers with a redirect to {error}; {_MEND_ADDRESS}"
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
            return self._unreachable(f"answered with JSON that is not Prometheus' (HTTP {reply.status})")
        if reply.status != _OK or answer["status"] != "success":
            return _refused(reply.status, answer)
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
        raise _RedirectError(f"{printable(url)}, and so on, {_MOST_REDIRECTS} times and more")

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
        asked = f", asking for {reply.challenge[:100]}" if reply.challenge else ""
        message = (
            f"Prometheus at {self.url} refuses access: {_start(reply.body)} (HTTP {reply.status}){asked}; "
            f"{_MEND_ACCESS}"
        )
        return Answer(problem=DataProblem.UNAUTHORIZED, message=message)

    def _unreachable(self, reason: str) -> Answer:
        message = f"Prometheus at {self.url}: {reason}; {_MEND_ADDRESS}"
        return Answer(problem=DataProblem.UNREACHABLE, message=message)


def _followed(url: str, target: str, endpoint: str) -> str:
    """Where a redirect leads: to the same question over a connection as safe. Raises _RedirectError for another."""
    joined = urljoin(url, target)
    to, before = urlsplit(joined), urlsplit(url)
    if to.scheme not in (before.scheme, "https"):
        raise _RedirectError(f"{printable(joined)}, which is not encrypted")
    if not to.path.endswith(f"/api/v1/{endpoint}"):
        raise _RedirectError(f"{printable(joined)}, which is not its API, perhaps a page to log in")
    return joined


def _reservation(answer: Mapping[str, Any]) -> Answer | None:
    """Why an answer must not be decided on although it was given, if so.

    VictoriaMetrics marks an answer without the series of a storage that is down, and warns of nothing.
    """
    if answer.get("isPartial"):
        message = "the answer is partial (isPartial): a part of the storage behind Prometheus' API did not answer"
        return Answer(problem=DataProblem.PARTIAL, message=message)
    warnings = answer.get("warnings") or ()
    texts = [warnings] if isinstance(warnings, str) else [str(warning) for warning in warnings]
    # Prometheus 2.48 to 2.53 put hints among the warnings; later ones have a field of their own for them.
    texts = [text for text in texts if not text.lower().startswith(_HINT)]
    if not texts:
        return None
    told = "; ".join(texts)[:300]
    if all(text.lower().startswith(_DOUBT) for text in texts):
        message = f"Prometheus doubts the result of the query: {told}"
    else:
        message = f"Prometheus warns that its answer may be partial: {told}"
    return Answer(problem=DataProblem.WARNINGS, message=message)


def _read(answer: Mapping[str, Any]) -> Answer:
    if reservation := _reservation(answer):
        return reservation
    try:
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind not in ("vector", "scalar"):
            message = f"the query returns a {kind}, not one number; aggregate it, for example with sum(...)"
            return Answer(problem=DataProblem.WRONG_TYPE, message=message)
        series = result if kind == "vector" else [{"metric": {}, "value": result}]
        if series and (skew := _skew(float(series[0]["value"][0]))):
            return Answer(problem=DataProblem.CLOCK_SKEW, message=skew)
        samples = tuple(Sample(float(entry["value"][1]), entry["metric"]) for entry in series)
        return Answer(samples, at=float(series[0]["value"][0]) if series else 0.0)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        # A native histogram has no "value", so it ends here too.
        message = f"the answer cannot be read as numbers ({error!r}); return numbers, for example with sum(...)"
        return Answer(problem=DataProblem.WRONG_TYPE, message=message)


def _read_range(answer: Mapping[str, Any]) -> RangeAnswer:
    if reservation := _reservation(answer):
        return RangeAnswer(problem=reservation.problem, message=reservation.message)
    try:
        return RangeAnswer(
            tuple(
                Series(entry["metric"], tuple((float(at), float(value)) for at, value in entry["values"]))
                for entry in answer["data"]["result"]
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"the answer to a range query cannot be read ({error!r})"
        return RangeAnswer(problem=DataProblem.WRONG_TYPE, message=message)


def _refused(status: int, answer: Mapping[str, Any]) -> Answer:
    kind, text = answer.get("errorType", "error"), printable(str(answer.get("error", "")))[:300]
    return Answer(
        problem=DataProblem.QUERY_FAILED, message=f"Prometheus refused the query: {kind}: {text} (HTTP {status})"
    )


def _skew(evaluated_at: float) -> str:
    """What to say when Prometheus' clock is not ours."""
    skew = evaluated_at - time.time()
    if abs(skew) <= _LARGEST_SKEW_SECONDS:
        return ""
    which = "ahead of" if skew > 0 else "behind"
    return f"Prometheus' clock is {abs(skew):.0f} s {which} the operator's; synchronise both with NTP"


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
        return f"a web page ({text!r}), perhaps one to log in"
    return f"{text!r}" if text else "nothing"
