import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config.config_exception import ConfigException

from scalableapp import errors
from scalableapp.adapters import kube_api
from scalableapp.adapters.kube_api import METADATA_LIST, Expired, KubeApi, Request
from tests.unit.adapters.canned import ApiServer, Asked, Refusal

GET = Request("GET", "/api/v1/pods")


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_api, "_LONGEST_PAUSE_SECONDS", 0.001)


@pytest.mark.parametrize(
    ("code", "kind", "tries"),
    [
        (400, errors.Rejected, 1),
        (401, errors.Rejected, 1),
        (403, errors.Rejected, 1),
        (404, errors.NotFound, 1),
        (405, errors.Rejected, 1),
        (409, errors.Conflict, 1),
        (410, Expired, 1),
        (413, errors.Rejected, 1),
        (422, errors.Rejected, 1),
        (429, errors.Unavailable, 3),
        (500, errors.Unavailable, 3),
        (503, errors.Unavailable, 3),
        (504, errors.Unavailable, 3),
    ],
)
async def test_each_refusal_is_one_of_our_errors_and_only_passing_ones_are_tried_again(
    server: ApiServer, api: KubeApi, code: int, kind: type[Exception], tries: int
) -> None:
    server.respond = lambda _asked: Refusal(code, "because of the moon")
    with pytest.raises(errors.ClusterError, match=f"GET /api/v1/pods: {code} because of the moon") as caught:
        await api.ask(GET)
    assert isinstance(caught.value, kind)
    assert len(server.asked) == tries


@pytest.mark.parametrize(
    "foreign",
    [
        aiohttp.ClientPayloadError("broken"),
        aiohttp.ServerDisconnectedError(),
        TimeoutError(),
        ConnectionResetError(104, "reset"),
        ssl.SSLCertVerificationError("certificate has expired"),
        socket.gaierror("no such host"),
        ValueError("chunk too big"),
        ApiException(status=0, reason="cannot prepare"),
        ConfigException("token file is gone"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_no_foreign_error_escapes(api: KubeApi, monkeypatch: pytest.MonkeyPatch, foreign: Exception) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise foreign

    monkeypatch.setattr(api._client, "call_api", fails)
    with pytest.raises(errors.Unavailable, match="GET /api/v1/pods: no answer") as caught:
        await api.ask(GET)
    assert caught.value.__cause__ is foreign


async def test_a_fault_of_our_own_is_not_taken_for_the_api_s(api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api._client, "call_api", fails)
    with pytest.raises(ZeroDivisionError):
        await api.ask(GET)


async def test_a_refused_connection_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        api = KubeApi(Configuration(host=f"http://127.0.0.1:{unused.getsockname()[1]}"))
        with pytest.raises(errors.Unavailable, match="no answer from the Kubernetes API"):
            await api.ask(GET)
        await api.close()


async def test_a_web_page_is_unavailable(server: ApiServer, api: KubeApi) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>maintenance</html>")

    server.respond = lambda _asked: page
    with pytest.raises(errors.Unavailable):
        await api.ask(GET)


async def test_an_api_that_does_not_answer_is_left_in_time(server: ApiServer) -> None:
    async def never(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    server.respond = lambda _asked: never
    api = KubeApi(Configuration(host=server.url), timeout_seconds=0.05)
    with pytest.raises(errors.Unavailable, match="TimeoutError"):
        await api.ask(GET, tries=1)
    await api.close()


async def test_a_passing_fault_is_not_noticed(server: ApiServer, api: KubeApi) -> None:
    server.replies(Refusal(503), Refusal(429), {"kind": "PodList"})
    assert await api.ask(GET) == {"kind": "PodList"}


@pytest.mark.parametrize(
    ("message", "fixes"),
    [
        pytest.param('User "system:serviceaccount:a:b" cannot list resource "pods"', True, id="RBAC"),
        pytest.param("exceeded quota: small", False, id="a quota"),
    ],
)
async def test_a_403_says_what_to_do_where_a_right_is_missing(
    server: ApiServer, api: KubeApi, message: str, fixes: bool
) -> None:
    server.replies(Refusal(403, message))
    with pytest.raises(errors.Rejected) as caught:
        await api.ask(GET)
    assert ("grant the operator's role this permission" in str(caught.value)) is fixes


async def test_a_namespace_that_is_going_away_is_an_error_of_its_own(server: ApiServer, api: KubeApi) -> None:
    server.replies(Refusal(403, "unable to create new content in namespace shop because it is being terminated"))
    with pytest.raises(errors.Terminating):
        await api.ask(GET)


@pytest.mark.parametrize(
    ("headers", "attempt", "bounds"),
    [
        pytest.param({}, 0, (0.25, 0.5), id="half a second at first"),
        pytest.param({}, 1, (0.5, 1.0), id="then doubled"),
        pytest.param({"Retry-After": "3"}, 0, (3.0, 3.0), id="no less than the server asks"),
        pytest.param({"Retry-After": "3600"}, 0, (3.0, 3.0), id="but never long"),
        pytest.param({"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}, 0, (3.0, 3.0), id="or a date"),
        pytest.param({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, (0.25, 0.5), id="a date that has passed"),
        pytest.param({"Retry-After": "soon"}, 0, (0.25, 0.5), id="neither a number nor a date"),
    ],
)
async def test_pauses_between_tries_are_jittered_bounded_and_as_the_server_wishes(
    server: ApiServer, api: KubeApi, headers: dict[str, str], attempt: int, bounds: tuple[float, float]
) -> None:
    server.replies(Refusal(429, headers=headers))
    with pytest.raises(errors.Unavailable) as caught:
        await api.ask(GET, tries=1)
    kube_api._LONGEST_PAUSE_SECONDS = 3.0  # as it is
    for _ in range(50):
        assert bounds[0] <= kube_api._pause_seconds(caught.value, attempt) <= bounds[1]


async def test_requests_beyond_the_burst_wait_for_their_token(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    api = KubeApi(Configuration(host=server.url), rate=20, burst=40)
    for _ in range(60):
        await api.ask(GET)
    await api.close()
    assert now == pytest.approx(1.0, abs=0.1)


async def test_a_list_is_read_page_by_page(server: ApiServer, api: KubeApi) -> None:
    server.replies({"metadata": {"continue": "x"}, "items": [1]}, {"metadata": {}, "items": [2]})
    pages = [
        page["items"]
        async for page in api.pages(Request("GET", "/apis", {"labelSelector": "a=b"}, accept=METADATA_LIST))
    ]
    assert pages == [[1], [2]]
    first, second = server.asked
    assert first.query == {"labelSelector": "a=b", "limit": "500"}
    assert second.query == {"labelSelector": "a=b", "limit": "500", "continue": "x"}
    assert second.headers["Accept"] == METADATA_LIST


async def test_each_try_is_counted_with_its_code(server: ApiServer) -> None:
    observed: list[tuple[str, int]] = []
    api = KubeApi(Configuration(host=server.url), observe=lambda verb, code, _seconds: observed.append((verb, code)))
    server.replies(Refusal(500), {})
    await api.ask(GET)
    await api.close()
    assert observed == [("GET", 500), ("GET", 200)]


async def test_without_pod_and_kubeconfig_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    with pytest.raises(errors.Rejected, match="set KUBECONFIG"):
        await kube_api.load_configuration("no-such-context-anywhere")


async def test_a_list_of_large_objects_is_read_in_smaller_pages(server: ApiServer, api: KubeApi) -> None:
    """Objects of 1 MB, as annotations and arguments may make them: 20 of them are not held at once."""

    def answer(asked: Asked) -> object:
        first, limit = int(asked.query.get("continue", 0)), int(asked.query["limit"])
        names = range(first, min(20, first + limit))
        more = {"continue": str(names.stop)} if names.stop < 20 else {}
        return {"metadata": more, "items": [{"name": name, "args": "x" * 2**20} for name in names]}

    server.respond = answer
    pages = [[item["name"] for item in found["items"]] async for found in api.pages(GET)]
    assert [name for page in pages for name in page] == list(range(20))
    assert max(map(len, pages)) == 7
    assert server.asked[0].query["limit"] == "500"


async def test_one_answer_that_is_too_large_is_not_asked_for_again(
    server: ApiServer, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_api, "MOST_BYTES", 1000)
    server.replies({"args": "x" * 1000})
    with pytest.raises(errors.Rejected, match="the answer has more than 1,000 bytes"):
        await api.ask(GET)
    assert len(server.asked) == 1


async def test_an_event_of_a_watch_may_be_as_large_as_an_object(server: ApiServer, api: KubeApi) -> None:
    large = {"type": "MODIFIED", "object": {"args": "é" * 2**20}}
    text = "".join(json.dumps(event) + "\n" for event in (SMALL, large, SMALL))

    async def events(_request: web.Request) -> web.Response:
        return web.Response(body=text.encode())

    server.respond = lambda _asked: events
    assert [event async for event in api.lines(GET, silence_seconds=5)] == [SMALL, large, SMALL]


async def test_an_event_without_an_end_is_not_held(
    server: ApiServer, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_api, "MOST_BYTES", 1000)

    async def events(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1001)

    server.respond = lambda _asked: events
    with pytest.raises(errors.Unavailable, match="more than 1,000 bytes"):
        _ = [event async for event in api.lines(GET, silence_seconds=5)]


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line), max_size=8), st.data())
async def test_lines_are_the_same_however_they_are_cut_into_chunks(lines: list[bytes], data: st.DataObject) -> None:
    text = b"\n".join(lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    chunks = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]

    class Content:
        async def iter_any(self) -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

    assert [line async for line in kube_api._split(Content())] == lines  # type: ignore[arg-type] # what it uses of it


async def test_a_long_reason_is_cut(server: ApiServer, api: KubeApi) -> None:
    server.replies(Refusal(422, f"Invalid value: {'x' * 30_000}"))
    with pytest.raises(errors.Rejected) as caught:
        await api.ask(GET)
    assert len(str(caught.value)) < 1100


SMALL = {"type": "ADDED", "object": {}}


@pytest.mark.parametrize("answer", [[], None, "text", 5], ids=["list", "null", "text", "number"])
async def test_json_that_is_no_object_is_an_error_of_the_api(server: ApiServer, api: KubeApi, answer: Any) -> None:
    server.replies(answer)
    with pytest.raises(errors.Unavailable, match="not a Kubernetes object"):
        await api.ask(GET, tries=1)


async def test_an_object_that_is_no_list_is_an_error_of_the_api(server: ApiServer, api: KubeApi) -> None:
    server.replies({})
    with pytest.raises(errors.Unavailable, match="not a list"):
        _ = [page async for page in api.pages(GET)]


async def test_nothing_is_written_while_there_is_a_reason_not_to(server: ApiServer) -> None:
    reasons = ["the Lease is not held", "the Lease is not held", ""]
    api = KubeApi(Configuration(host=server.url), rate=10_000, why_not=lambda: reasons.pop(0))
    patch = Request("PATCH", "/api/v1/things/a", body={})
    with pytest.raises(errors.Unavailable, match="not sent, because the Lease is not held"):
        await api.ask(patch, tries=1)
    await api.ask(GET)
    assert [asked.verb for asked in server.asked] == ["GET"]
    await api.ask(patch)  # its second try finds no reason
    assert [asked.verb for asked in server.asked] == ["GET", "PATCH"]
    await api.close()
