"""Real gunicorns, each with several workers and threads, on one real Redis: what the parts promise holds together."""

import http.client
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sample_app.caching.redis import TURN
from tests.sample_app.redis_server import RedisServer
from tests.sample_app.serving import Answer, Server, eventually

pytestmark = pytest.mark.process

CLIENTS = 24
TIMEOUT_SECONDS = 60
SHARED = "a token of these tests"


@pytest.fixture
def replicas(serve: Callable[..., Server], redis: RedisServer, tmp_path: Path) -> list[Server]:
    environment = {
        "CACHE_BACKEND": "Redis",
        "CACHE_REDIS_URL": redis.url,
        "CACHE_TOKEN": SHARED,
        "WEB_CONCURRENCY": "2",
        "WEB_THREADS": "4",
    }
    return [
        serve(POD_NAME=f"pod-{name}", PROMETHEUS_MULTIPROC_DIR=str(tmp_path / f"metrics-{name}"), **environment)
        for name in "ab"
    ]


def together(replicas: list[Server], path: str, count: int = CLIENTS) -> list[Answer]:
    """That many requests at once, spread over the replicas."""
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(replicas[number % len(replicas)].get, path) for number in range(count)]
        return [answer.result(TIMEOUT_SECONDS) for answer in asked]


def test_a_herd_on_all_replicas_computes_once(replicas: list[Server]) -> None:
    answers = together(replicas, "/cached")
    assert {answer.status for answer in answers} == {200}
    assert len({(answer.json["computed_at"], answer.json["computed_by"]["worker"]) for answer in answers}) == 1
    assert Counter(answer.headers["X-Cache"] for answer in answers)["MISS"] == 1
    assert len({answer.headers["X-Served-By"] for answer in answers}) > 1


def test_a_killed_worker_leaves_its_turn_to_another_in_the_end(replicas: list[Server], redis: RedisServer) -> None:
    """Its turn expires by itself; until then answers are computed and not kept."""
    with redis.client as raw:
        raw.set(f"{TURN}view//cached", "of a worker that was killed", px=3000)
        answers = together(replicas, "/cached", 4)
        assert {answer.status for answer in answers} == {200}
        eventually(lambda: replicas[0].get("/cached").headers["X-Cache"] == "HIT", "the answer is kept")


def test_redis_dies_under_load_and_no_request_fails(replicas: list[Server], redis: RedisServer) -> None:
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(_load, replicas, 3.0)
        time.sleep(0.5)
        redis.stop()
        time.sleep(1.0)
        redis.start()
        statuses = load.result(TIMEOUT_SECONDS)
    assert set(statuses) == {200}
    assert sum(server.metric("cache_errors_total", operation="read") for server in replicas) > 0
    eventually(lambda: _hits(replicas), "the cache is used again")


def test_an_invalidation_reaches_all_workers_of_all_replicas(replicas: list[Server]) -> None:
    before = {answer.json["computed_at"] for answer in together(replicas, "/cached")}
    assert len(before) == 1
    assert _delete(replicas[0], "/cache?key=view//cached") == 200
    after = {answer.json["computed_at"] for answer in together(replicas, "/cached")}
    assert len(after) == 1
    assert before != after


def test_the_catalogue_is_read_by_many_threads_of_many_processes(replicas: list[Server]) -> None:
    paths = [f"/products/{number}?plan={plan}" for number in range(1, 30) for plan in ("before", "after")]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda path: replicas[len(path) % 2].get(path), paths))
    assert {answer.status for answer in answers} == {200}
    for slow, fast in zip(answers[::2], answers[1::2], strict=True):
        assert slow.json == fast.json


def _load(replicas: list[Server], seconds: float) -> Counter[int]:
    end = time.monotonic() + seconds
    statuses: Counter[int] = Counter()
    number = 0
    with ThreadPoolExecutor(4) as pool:
        while time.monotonic() < end:
            paths = [f"/products/{1 + (number + offset) % 50}" for offset in range(4)]
            statuses.update(answer.status for answer in pool.map(replicas[number % 2].get, paths))
            number += 4
    return statuses


def _hits(replicas: list[Server]) -> bool:
    return all(server.get("/products/1").headers["X-Cache"] == "HIT" for server in replicas for _ in range(4))


def _delete(server: Server, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("DELETE", path, headers={"Authorization": f"Bearer {SHARED}"})
        return connection.getresponse().status
    finally:
        connection.close()
