"""Requests to the Kubernetes API: raw JSON in and out, bounded in number and time, errors mapped to ours.

The client library gives configuration, authentication and the connection; its typed APIs are not used, since they
cost tens of MiB and refuse what a newer server adds. Nothing of the library's passes this file.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.exceptions import OpenApiException
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import load_incluster_config
from kubernetes.aio.config.kube_config import load_kube_config

import scalableapp
from scalableapp.core.children.resources import MANAGED_BY
from scalableapp.core.tokens import TokenBucket
from scalableapp.errors import ClusterError, Conflict, NotFound, Rejected, Terminating, Unavailable

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

PAGE_SIZE = 500
# A page of 500 ordinary pods has 5 MB, a single object at most 1.5; parsed it takes several times as much memory.
MOST_BYTES = 8 * 2**20
# Errors may quote what a user wrote.
_LONGEST_REASON = 1024
_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.5
# Whatever the server asks for: it must be noticed soon when it is well again.
_LONGEST_PAUSE_SECONDS = 3.0
_CONNECT_SECONDS = 5.0
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _GONE = 401, 403, 404, 409, 410
_INVALID, _TOO_MANY, _SERVER_FAULT = 422, 429, 500
_FOREIGN = (aiohttp.ClientError, OpenApiException, ConfigException, OSError, ValueError)


class Expired(Unavailable):
    """The position in a list or a watch is no longer known (410): list again."""


class Invalid(Rejected):
    """The object would become invalid (422)."""


class Denied(Rejected):
    """The client is not authenticated or lacks the permission (401, 403). `answer` is the server's, without a fix."""

    def __init__(self, message: str, answer: str) -> None:
        super().__init__(message)
        self.answer = answer


class TooLarge(Rejected):
    """The answer is larger than is read at once."""


class _Throttled(Unavailable):
    """The server says when to come back."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


async def load_configuration(context: str | None = None) -> Configuration:
    """How to reach the cluster: the pod's ServiceAccount, or else the kubeconfig and its (current) context.

    Raises Rejected when there is neither.
    """
    configuration = Configuration()
    if context is None:
        try:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # untyped library
        except ConfigException:
            pass
        else:
            return configuration
    try:
        await load_kube_config(context=context, client_configuration=configuration)  # type: ignore[no-untyped-call]  # as above
    except (ConfigException, OSError) as error:
        raise Rejected(
            f"Cannot reach the Kubernetes API: not in a pod, and the kubeconfig is not usable: {error}; set KUBECONFIG"
        ) from error
    return configuration


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` starts at the server's root; `query` holds its parameters."""

    verb: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = JSON
    accept: str = JSON

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


def collection(api_version: str, plural: str, namespace: str = "") -> str:
    """Path of all objects of a kind, in one namespace or (namespace "") in all."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


_BEYOND_ASCII = re.compile("[\x7f-\uffff]")


def as_yaml(body: Any) -> str:
    """JSON that YAML 1.1 reads the same, for server-side apply.

    YAML has no surrogate pairs, so characters beyond the BMP stand for themselves. All others beyond ASCII are escaped:
    some of them may not stand in YAML, and some end a line.
    """
    return _BEYOND_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(body, ensure_ascii=False))


class KubeApi:
    """At most `rate` requests a second (`burst` at once), `in_flight` at a time, each `timeout_seconds` long.

    `observe` is told verb, status code (0: no answer) and seconds of each try. Nothing is written while `why_not`
    gives a reason; it is asked immediately before each try.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        rate: float = 20.0,
        burst: float = 40.0,
        in_flight: int = 16,
        timeout_seconds: float = 5.0,
        observe: Callable[[str, int, float], None] = lambda _verb, _code, _seconds: None,
        why_not: Callable[[], str] = lambda: "",
    ) -> None:
        self._client = ApiClient(configuration)
        self._client.user_agent = f"{MANAGED_BY}/{scalableapp.__version__}"
        self._bucket = TokenBucket(rate, burst)
        self._rate = rate
        self._in_order = asyncio.Lock()
        self._slots = asyncio.Semaphore(in_flight)
        self._timeout = timeout_seconds
        self._observe = observe
        self._why_not = why_not

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # untyped library

    async def ask(self, request: Request, *, tries: int = _TRIES) -> dict[str, Any]:
        """The answer as JSON, after at most `tries` tries. Raises ClusterError and its kinds, nothing else."""
        for attempt in range(tries - 1):
            try:
                return await self._ask_once(request)
            except (Expired, TooLarge):
                raise
            except Unavailable as error:
                pause = _pause_seconds(error, attempt)
            await asyncio.sleep(pause)
        return await self._ask_once(request)

    async def pages(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        """A list, page by page, of fewer objects where these are large.

        Raises Expired when it changed too much meanwhile: start again.
        """
        place, limit = "", PAGE_SIZE
        while True:
            query = {**request.query, "limit": str(limit), **({"continue": place} if place else {})}
            try:
                page = await self.ask(Request(request.verb, request.path, query, accept=request.accept))
            except TooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // 8)
                continue
            if "items" not in page:
                raise Unavailable(f"{request}: the answer is not a list of Kubernetes objects")
            yield page
            place = page.get("metadata", {}).get("continue", "")
            if not place:
                return

    async def lines(
        self, request: Request, silence_seconds: float, opened: Callable[[], None] = lambda: None
    ) -> AsyncIterator[dict[str, Any]]:
        """The events of a watch, until the server ends it or says nothing for `silence_seconds`.

        `opened` is called once the server has granted it.
        """
        limits = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=silence_seconds)
        with _mapped(request):
            async with self._sent(request, limits) as response:
                opened()
                async for line in _split(response.content):
                    yield json.loads(line)

    async def _ask_once(self, request: Request) -> dict[str, Any]:
        async with self._in_order:  # first come, first served
            while not self._bucket.take(time.monotonic()):  # noqa: ASYNC110 - tokens come with time, nobody signals them
                await asyncio.sleep(1.0 / self._rate)
        limits = aiohttp.ClientTimeout(total=self._timeout)
        with _mapped(request):
            async with self._slots:
                if request.verb != "GET" and (reason := self._why_not()):
                    raise Unavailable(f"{request}: not sent, because {reason}")
                async with self._sent(request, limits) as response:
                    answer = json.loads(await _bounded(request, response))
        if not isinstance(answer, dict):
            raise Unavailable(f"{request}: the answer is not a Kubernetes object")
        return answer

    @asynccontextmanager
    async def _sent(self, request: Request, limits: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response of which only the head has been read, and which is good."""
        content_type, body = request.content_type, request.body
        if content_type == APPLY_PATCH:
            # With a parameter in the type, the client leaves the text as it is.
            content_type, body = f"{APPLY_PATCH}; charset=utf-8", as_yaml(body)
        serialized = await self._client.param_serialize(
            request.verb,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": request.accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        started, code = time.monotonic(), 0
        try:
            answer = await self._client.call_api(*serialized, _request_timeout=limits)
            response: aiohttp.ClientResponse = answer.response
            code = response.status
        finally:
            self._observe(request.verb, code, time.monotonic() - started)
        async with response:
            if response.status >= 400:
                raise _refusal(request, response, await response.read())
            yield response


async def _bounded(request: Request, response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises TooLarge."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge(f"{request}: the answer has more than {MOST_BYTES:,} bytes")
    return bytes(body)


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length that an object may have: aiohttp's own end at 128 KiB. Raises ValueError for longer ones."""
    line = bytearray()
    async for chunk in content.iter_any():
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line += part
            if line:
                yield bytes(line)
            line.clear()
        line += rest
        if len(line) > MOST_BYTES:
            raise ValueError(f"an event has more than {MOST_BYTES:,} bytes")
    if line:
        yield bytes(line)


class _mapped:  # noqa: N801 - used like a function
    """Turns what the client raises into Unavailable."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _FOREIGN) and not isinstance(error, ClusterError):
            reason = str(error) or type(error).__name__
            raise Unavailable(f"{self._request}: no answer from the Kubernetes API: {reason}") from error


def _pause_seconds(error: Unavailable, attempt: int) -> float:
    """How long to wait after the try `attempt` (0 for the first): doubled, jittered, no less than the server asks."""
    asked_for = error.retry_after_seconds if isinstance(error, _Throttled) else 0.0
    pause = _FIRST_PAUSE_SECONDS * (1 << attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
    return min(_LONGEST_PAUSE_SECONDS, max(asked_for, pause))


def _refusal(request: Request, response: aiohttp.ClientResponse, body: bytes) -> ClusterError:
    """Our error for an answer of 400 and above."""
    code = response.status
    message = f"{request}: {code} {_reason(body) or response.reason}"
    if code == _SERVER_FAULT and _NOT_IN_THE_SCHEMA in message:
        return Rejected(message)
    if code == _TOO_MANY or code >= _SERVER_FAULT:
        return _Throttled(f"{message}; will be retried", _seconds(response.headers.get("Retry-After", "")))
    if code in _KINDS:
        return _KINDS[code](message)
    if code == _FORBIDDEN and "because it is being terminated" in message:
        return Terminating(message)
    if code in (_UNAUTHORIZED, _FORBIDDEN):
        return Denied(message + _fix(code, message), message)
    return Rejected(message)


# Server-side apply answers so with 500 to fields that do not exist or hold another type.
_NOT_IN_THE_SCHEMA = "failed to create typed patch object"
_KINDS = {_NOT_FOUND: NotFound, _CONFLICT: Conflict, _GONE: Expired, _INVALID: Invalid}


def _fix(code: int, message: str) -> str:
    if code == _UNAUTHORIZED:
        return "; the API server rejects the operator's token: restart the operator and check its ServiceAccount"
    # Quotas, admission and namespaces on their way out refuse with 403 too; only RBAC says what a user "cannot" do.
    if code == _FORBIDDEN and " cannot " in message:
        return "; grant the operator's role this permission: kubectl apply -k manifests/"
    return ""


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body).get("message", ""))[:_LONGEST_REASON]
    except (ValueError, AttributeError):
        return body[:200].decode(errors="replace").strip()


def _seconds(text: str) -> float:
    """Retry-After in seconds: a number, or a date (RFC 9110, 10.2.3); 0 for anything else."""
    if text.isdecimal():
        return float(text)
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # no date, or one without a zone
        return 0.0
