"""The way to Prometheus: parameters, redirects, logins; and no secret in any message."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from scalableapp.adapters.prometheus_history import PrometheusHistory
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.core.model import DataProblem
from scalableapp.errors import WrongAddress
from tests.unit.adapters.canned import Canned, vector

Send = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def ask(canned: Canned) -> Iterator[Callable[..., Any]]:
    """A query to the canned server with more behind its address."""
    made: list[Queries] = []

    def answer(more: str = "") -> Any:
        made.append(Queries(canned.url + more, 1.0, 1))
        return made[-1].ask("up")

    yield answer
    for queries in made:
        queries.close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Connection", "close")
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def redirecting(status: int, to: str) -> Send:
    """Leads to another path, which answers."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/api/"):
            reply(handler, status, Location=to)
        else:
            body = f'{{"status":"success","data":{{"resultType":"scalar","result":[{time.time()},"7"]}}}}'
            reply(handler, 200, body.encode())

    return send


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_same_api_is_followed_with_the_query(
    canned: Canned, ask: Callable[..., Any], status: int
) -> None:
    canned.send = redirecting(status, "/prom/api/v1/query")
    answer = ask()
    assert [sample.value for sample in answer.samples] == [7.0]
    assert canned.queries == ["up", "up"]


def test_parameters_of_the_address_go_with_each_request_and_redirect(canned: Canned, ask: Callable[..., Any]) -> None:
    paths: list[str] = []

    def send(handler: BaseHTTPRequestHandler) -> None:
        paths.append(handler.path)
        redirecting(307, "/prom/api/v1/query")(handler)

    canned.send = send
    assert ask("/?dedup=true&x=a%20b").problem is None
    assert paths == ["/api/v1/query?dedup=true&x=a+b", "/prom/api/v1/query?dedup=true&x=a+b"]


LEADING_ELSEWHERE = {
    "a page to log in": ("https://login.example.com/oauth?state=S3cret", "https://login.example.com/oauth, which"),
    "another path": ("/login", "/login, which is not its API"),
    "another protocol": ("ftp://x/api/v1/query", "ftp://x/api/v1/query, which is not encrypted"),
    "round and round": ("/api/v1/query", "more than 5 redirects"),
    "with a password": ("//a:S3cret@x/login", "http://x/login"),
}


@pytest.mark.parametrize(("to", "message"), LEADING_ELSEWHERE.values(), ids=LEADING_ELSEWHERE.keys())
def test_other_redirects_are_named_without_secrets(
    canned: Canned, ask: Callable[..., Any], to: str, message: str
) -> None:
    canned.send = lambda handler: reply(handler, 302, Location=to)
    answer = ask()
    assert answer.problem is DataProblem.REDIRECTED
    assert message in answer.message
    assert "S3cret" not in answer.message


REFUSALS = {
    "basic": (401, b"Unauthorized", "requesting Basic"),
    "tenant": (401, b"no org id\n", "'no org id' (HTTP 401)"),
    "forbidden": (403, b'{"status":"error","error":"forbidden"}', "HTTP 403"),
    "page": (403, b"<!DOCTYPE html><title>Forbidden</title>", "a web page"),
}


@pytest.mark.parametrize(("status", "body", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_who_is_refused_access_is_reported(
    canned: Canned, ask: Callable[..., Any], status: int, body: bytes, message: str
) -> None:
    canned.send = lambda handler: reply(handler, status, body, WWW_Authenticate='Basic realm="x"')
    answer = ask()
    assert answer.problem is DataProblem.UNAUTHORIZED
    assert message in answer.message
    assert "SCALABLEAPP_PROMETHEUS_CONFIG" in answer.message


def test_user_and_password_of_a_netrc_file_are_sent(
    canned: Canned, ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login admin password S3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wanted = f"Basic {base64.b64encode(b'admin:S3cret').decode()}"

    def send(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") != wanted:
            reply(handler, 401)
        else:
            redirecting(0, "")(handler) if not handler.path.startswith("/api/") else reply(handler, 500, b"seen")

    canned.send = send
    assert "'seen' (HTTP 500)" in ask().message


SECRETS = {
    "connection": None,
    "error of the server": b'{"status":"error","errorType":"x","error":"dial http://a:S3cret@store?t=S3cret"}',
    "text": b"bad gateway: http://a:S3cret@store/api/v1/query?token=S3cret",
}


@pytest.mark.parametrize("body", SECRETS.values(), ids=SECRETS.keys())
def test_no_message_shows_what_is_secret(canned: Canned, ask: Callable[..., Any], body: bytes | None) -> None:
    if body is None:
        answer = Queries("http://127.0.0.1:9/?token=S3cret", 1.0, 1).ask("up")
    else:
        canned.send = lambda handler: reply(handler, 502, body)
        answer = ask("/?token=S3cret")
    assert answer.problem
    assert "S3cret" not in answer.message


@pytest.mark.parametrize("made", [lambda url: Queries(url, 1.0, 1), PrometheusHistory], ids=["now", "past"])
def test_nothing_asks_an_address_with_a_password(made: Callable[[str], object]) -> None:
    with pytest.raises(WrongAddress) as error:
        made("http://admin:S3cret@127.0.0.1:9")
    assert "S3cret" not in str(error.value)


def test_an_answer_after_a_redirect_is_read_as_any_other(canned: Canned, ask: Callable[..., Any]) -> None:
    canned.json(vector(({}, "7"), at=time.time(), isPartial=True))
    body = canned.body
    canned.send = lambda handler: (
        reply(handler, 308, Location="/x/api/v1/query") if handler.path[:3] != "/x/" else reply(handler, 200, body)
    )
    assert ask().problem is DataProblem.PARTIAL


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(404, b"", id="nothing"),
        pytest.param(200, b"<html>", id="a page"),
        pytest.param(403, b"{}", id="no access"),
    ],
)
def test_a_server_that_is_not_prometheus_is_not_asked_again_over_its_connection(
    canned: Canned, status: int, body: bytes
) -> None:
    with closing(Queries(canned.url, timeout_seconds=1.0, connections=2)) as queries:
        canned.vector(at=time.time())
        queries.ask("up")
        queries.ask("up")
        canned.status, canned.body = status, body
        queries.ask("up")
        queries.ask("up")
    first, second, third, fourth = canned.clients
    assert first == second == third != fourth
