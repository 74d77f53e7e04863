"""One request computes, whoever asks meanwhile waits or gets the old value: in memory and in a real Redis."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask, abort
from werkzeug.test import TestResponse

from sample_app.app import create_app
from sample_app.caching import backend, cache, cacheable
from sample_app.settings import Settings
from sample_app.storing import Storing
from tests.sample_app.redis_server import RedisServer

TIMEOUT_SECONDS = 30


@dataclass
class Source:
    """What the cached view computes: counted, slow on demand, and failing on demand."""

    calls: int = 0
    seconds: float = 0.0
    answer: Callable[[int], Any] = str
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Any:
        with self._lock:
            self.calls += 1
            number = self.calls
        time.sleep(self.seconds)
        return self.answer(number)


@dataclass
class Site:
    """An application with one cached view, and another of the same cache as a second replica."""

    source: Source
    replicas: list[Flask]

    def get(self, replica: int = 0, path: str = "/thing") -> TestResponse:
        return self.replicas[replica].test_client().get(path)

    def herd(self, count: int) -> list[TestResponse]:
        """That many requests at the same time, spread over the replicas."""
        barrier = threading.Barrier(count, timeout=TIMEOUT_SECONDS)

        def one(number: int) -> TestResponse:
            barrier.wait()
            return self.get(number % len(self.replicas))

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))


def replica(source: Source, settings: Settings) -> Flask:
    app = create_app(settings)

    @app.get("/thing")
    @cache.cached(response_filter=cacheable)
    def thing() -> Any:
        return source()

    return app


@pytest.fixture(params=["Memory", "Redis"])
def site(request: pytest.FixtureRequest) -> Site:
    """In memory one replica, in Redis two that share it."""
    if request.param == "Memory":
        settings, count = Settings(cache_timeout_seconds=1, storing=Storing(cache_token="t")), 1
    else:
        redis: RedisServer = request.getfixturevalue("redis")
        settings, count = _redis_settings(redis), 2
    source = Source()
    return Site(source, [replica(source, settings) for _ in range(count)])


def _redis_settings(redis: RedisServer, **changes: Any) -> Settings:
    storing = replace(Storing(redis_url=redis.url, cache_token="t"), **changes)
    return Settings(cache_backend="Redis", cache_timeout_seconds=1, storing=storing)


def expire() -> None:
    time.sleep(1.2)  # the life of 1 s and its jitter of a tenth


def test_a_herd_on_a_missing_answer_computes_it_once(site: Site) -> None:
    site.source.seconds = 0.3
    answers = site.herd(24)
    assert {answer.text for answer in answers} == {"1"}
    assert site.source.calls == 1
    assert sorted({answer.headers["X-Cache"] for answer in answers}) == ["HIT", "MISS"]


def test_while_one_refreshes_the_others_get_the_old_answer_at_once(site: Site) -> None:
    site.get()
    expire()
    site.source.seconds = 0.3
    answers = site.herd(24)
    assert site.source.calls == 2
    results = [answer.headers["X-Cache"] for answer in answers]
    assert results.count("MISS") == 1
    assert results.count("STALE") == 23
    assert {answer.text for answer in answers if answer.headers["X-Cache"] == "STALE"} == {"1"}
    assert site.get().text == "2"


def test_a_server_error_is_never_kept_and_the_next_request_tries_anew(site: Site) -> None:
    site.source.answer = lambda number: abort(503) if number == 1 else str(number)
    assert [site.get().status_code for _ in range(3)] == [503, 200, 200]
    assert site.source.calls == 2


def test_a_failure_gives_the_turn_back_at_once(site: Site) -> None:
    site.source.answer = lambda number: 1 / 0 if number == 1 else str(number)
    assert site.get().status_code == 500
    began = time.monotonic()
    assert site.get().text == "2"
    assert time.monotonic() - began < backend.WAIT_SECONDS


def test_an_old_answer_outlives_a_failed_refresh(site: Site) -> None:
    site.get()
    expire()
    site.source.answer = lambda number: abort(503) if number == 2 else str(number)
    site.source.seconds = 0.3
    answers = site.herd(8)
    assert sorted(answer.status_code for answer in answers)[:7] == [200] * 7


def test_not_found_is_kept_for_a_short_time(site: Site) -> None:
    site.source.answer = lambda number: abort(404, "no such thing") if number == 1 else str(number)
    first, second = site.get(), site.get(len(site.replicas) - 1)
    assert (first.status_code, second.status_code, site.source.calls) == (404, 404, 1)
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert second.get_json()["error"]["message"] == "no such thing"


def test_an_invalidated_answer_does_not_come_back_from_a_slow_request(site: Site) -> None:
    """The slow one began before the invalidation, so it may have read what the invalidation is about."""
    site.source.seconds = 0.5
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.get)
        while not site.source.calls:
            time.sleep(0.01)
        site.replicas[0].test_client().delete("/cache?key=view//thing", headers={"Authorization": "Bearer t"})
        assert slow.result(TIMEOUT_SECONDS).text == "1"
    assert site.get().text == "2"


def test_the_waiters_of_a_dead_request_go_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "WAIT_SECONDS", 0.2)
    with site.replicas[0].app_context():
        site.replicas[0].extensions["cache"][cache].take_turn("view//thing", "of a process that died")
    assert [site.get().text, site.get().text] == ["1", "2"]  # served, but not kept: it is still the dead one's turn


def test_without_single_flight_the_whole_herd_computes(redis: RedisServer) -> None:
    source = Source(seconds=0.3)
    site = Site(source, [replica(source, _redis_settings(redis, single_flight=False))])
    site.herd(8)
    assert source.calls == 8


def test_lives_are_jittered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with site.replicas[0].app_context():
        lives = {site.replicas[0].extensions["cache"][cache]._life("x", 100) for _ in range(50)}
    assert len(lives) > 40
    assert 90 <= min(lives) < max(lives) <= 110
