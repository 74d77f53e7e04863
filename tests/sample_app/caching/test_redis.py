"""The shared cache in a real Redis: it comes and goes, and the application does not."""

import json
import logging
import socket
import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sample_app.app import create_app
from sample_app.caching import cache, cacheable, memoized
from sample_app.caching.admin import functions
from sample_app.caching.redis import VALUE
from sample_app.settings import Settings
from sample_app.storing import Storing
from tests.sample_app.redis_server import RedisServer
from tests.sample_app.test_observe import value

TOKEN = {"Authorization": "Bearer secret"}


def build(redis_url: str) -> Flask:
    app = create_app(Settings(cache_backend="Redis", storing=Storing(redis_url=redis_url, cache_token="secret")))
    calls = {"thing": 0, "double": 0}

    @memoized
    def double(number: int) -> int:
        calls["double"] += 1
        return 2 * number

    @app.get("/things/<int:number>")
    @cache.cached(response_filter=cacheable)
    def thing(number: int) -> dict[str, int]:
        calls["thing"] += 1
        return {"calls": calls["thing"], "double": double(number)}

    return app


@pytest.fixture
def client(redis: RedisServer) -> FlaskClient:
    return build(redis.url).test_client()


def test_another_replica_answers_from_the_same_cache(client: FlaskClient, redis: RedisServer) -> None:
    first = client.get("/things/1")
    other = build(redis.url).test_client().get("/things/1")
    assert (first.get_json(), other.headers["X-Cache"]) == (other.get_json(), "HIT")


def test_what_is_kept_is_json_and_expires(client: FlaskClient, redis: RedisServer) -> None:
    client.get("/things/1")
    with redis.client as raw:
        names = [name for name in raw.scan_iter("*") if not name.endswith(b"memver")]
        assert len(names) == 2
        for name in names:
            assert json.loads(raw.get(name) or b"")["fresh_until"] > time.time()
            assert 0 < raw.ttl(name) <= 30 * 1.1 + 31


def test_a_memoised_function_is_computed_once_per_argument(client: FlaskClient) -> None:
    for path in ("/things/1", "/things/2"):
        client.get(path)
    client.delete("/cache?prefix=view/", headers=TOKEN)
    client.get("/things/1")
    assert value(client, "cache_requests_total", cache="double", result="miss") == 2
    assert value(client, "cache_requests_total", cache="double", result="hit") == 1


@pytest.mark.parametrize(
    ("query", "removed"),
    [("key=view//things/1", 1), ("prefix=view//things/", 3), ("prefix=view//thing*", 0), ("key=view//things/", 0)],
    ids=["key", "prefix", "a pattern is taken literally", "a prefix is no key"],
)
def test_invalidation_removes_what_it_names(client: FlaskClient, query: str, removed: int) -> None:
    for number in (1, 2, 10):
        client.get(f"/things/{number}")
    answer = client.delete(f"/cache?{query}", headers=TOKEN)
    assert answer.get_json() == {"removed": removed, "where": "all replicas"}
    found = [client.get(f"/things/{number}").headers["X-Cache"] for number in (1, 2, 10)]
    assert found.count("MISS") == removed


def test_thousands_of_keys_of_a_prefix_are_removed(client: FlaskClient, redis: RedisServer) -> None:
    with redis.client as raw:
        raw.mset({f"{VALUE}a/{number}": "{}" for number in range(5000)})
        raw.set("of somebody else", 1)
        assert client.delete("/cache?prefix=a/", headers=TOKEN).get_json()["removed"] == 5000
        assert raw.keys("*") == [b"of somebody else"]


def test_all_values_of_a_function_are_invalidated_by_its_name(client: FlaskClient) -> None:
    client.get("/things/1")
    assert client.delete("/cache?function=double", headers=TOKEN).status_code == 200
    client.delete("/cache?prefix=view/", headers=TOKEN)
    client.get("/things/1")
    assert value(client, "cache_requests_total", cache="double", result="miss") == 2


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("key=a", {}, 401),
        ("key=a", {"Authorization": "Bearer wrong"}, 401),
        ("key=a", {"Authorization": "Bearer s\u00e9cret"}, 401),
        ("", TOKEN, 400),
        ("key=a&prefix=b", TOKEN, 400),
        ("function=unknown", TOKEN, 404),
    ],
    ids=["no token", "wrong token", "token beyond ASCII", "nothing named", "two things named", "no such function"],
)
def test_a_wrong_invalidation_is_refused(client: FlaskClient, query: str, headers: dict[str, str], status: int) -> None:
    assert client.delete(f"/cache?{query}", headers=headers).status_code == status


def test_without_a_token_nobody_invalidates() -> None:
    client = create_app(Settings()).test_client()
    assert client.delete("/cache?key=a", headers={"Authorization": "Bearer "}).status_code == 404


def test_without_a_cache_there_is_nothing_to_invalidate() -> None:
    client = create_app(Settings(cache_backend="None", storing=Storing(cache_token="secret"))).test_client()
    assert client.delete("/cache?key=a", headers=TOKEN).status_code == 409


def test_without_redis_the_application_serves_and_says_so_once(
    client: FlaskClient, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/things/1")
    redis.stop()
    with caplog.at_level(logging.WARNING):
        answers = [client.get("/things/1") for _ in range(20)]
    assert {(answer.status_code, answer.headers["X-Cache"]) for answer in answers} == {(200, "ERROR")}
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Redis does not answer and is left alone, tried every 5 s"
    ]
    assert value(client, "cache_circuit_open") == 1
    assert value(client, "cache_errors_total", operation="read") == 3
    assert client.delete("/cache?key=a", headers=TOKEN).status_code == 503


def test_with_redis_back_the_cache_is_used_again(client: FlaskClient, redis: RedisServer) -> None:
    redis.stop()
    for _ in range(5):
        client.get("/things/1")
    redis.start()
    _eventually(lambda: client.get("/things/1").headers["X-Cache"] == "HIT")
    assert value(client, "cache_circuit_open") == 0


def test_a_restarted_redis_costs_no_request_its_answer(client: FlaskClient, redis: RedisServer) -> None:
    client.get("/things/1")
    redis.stop()
    redis.start()
    assert [client.get("/things/1").headers["X-Cache"] for _ in range(2)] == ["MISS", "HIT"]


def test_a_redis_that_is_silent_costs_a_few_short_waits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = build(f"redis://127.0.0.1:{silent.getsockname()[1]}/0").test_client()
        answers = [client.get(f"/things/{number}") for number in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert value(client, "cache_errors_total", operation="read") == 3


def test_the_names_of_memoised_functions_are_known() -> None:
    assert set(functions) >= {"double"}


def _eventually(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not check():
        assert time.monotonic() < end
        time.sleep(0.1)
