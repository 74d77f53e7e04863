"""What is refused before work is done for it, and what never is."""

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from sample_app.app import create_app
from sample_app.load import Load
from sample_app.metrics import Metrics
from sample_app.serving import Serving
from sample_app.settings import Settings
from sample_app.worker import refused
from tests.sample_app.redis_server import RedisServer

UNCOUNTED = ("/healthz", "/readyz", "/metrics")


def client_of(**serving: object) -> FlaskClient:
    return create_app(Settings(serving=Serving(**serving))).test_client()  # type: ignore[arg-type]  # by name


def test_a_request_too_many_is_answered_503_with_the_time_to_come_again(client: FlaskClient) -> None:
    token = refused.set(True)
    try:
        answer = client.get("/cached")
        spared = [client.get(path).status_code for path in UNCOUNTED]
    finally:
        refused.reset(token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "come again" in answer.get_json()["error"]["message"]
    assert spared == [200] * 3
    assert 'http_requests_refused_total{reason="overload"} 1.0' in client.get("/metrics").text


def test_the_client_that_asks_too_often_is_told_when_to_come_again() -> None:
    client = client_of(rate_limit="3/minute")
    answers = [client.get("/") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 120
    assert {client.get(path).status_code for path in UNCOUNTED for _ in range(5)} == {200}
    assert 'http_requests_refused_total{reason="rate"} 1.0' in client.get("/metrics").text


def test_clients_behind_a_proxy_are_told_apart_by_what_the_proxy_says() -> None:
    client = client_of(rate_limit="1/minute")
    said = ["198.51.100.1", "spoofed, 198.51.100.2", "spoofed anew, 198.51.100.2"]
    assert [client.get("/", headers={"X-Forwarded-For": one}).status_code for one in said] == [200, 200, 429]


def test_without_a_limit_nobody_is_refused(client: FlaskClient) -> None:
    assert {client.get("/").status_code for _ in range(50)} == {200}


@pytest.mark.parametrize(("size", "status"), [(10, 405), (11, 413)], ids=["at the bound", "beyond it"])
def test_a_body_beyond_the_bound_is_refused_unread(size: int, status: int) -> None:
    assert client_of(max_body_bytes=10).post("/cached", data=b"x" * size).status_code == status


def test_a_worker_is_full_when_as_many_wait_as_may() -> None:
    load = Load(Metrics(CollectorRegistry()), Serving(queue_limit=2, queue_seconds=5), threads=4)
    load.arrive()
    assert not load.full()
    load.arrive()
    assert load.full()
    assert load.begin(waited_seconds=4.9) is False
    assert not load.full()
    assert load.begin(waited_seconds=5.1) is True


@pytest.mark.parametrize("mark", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host"])
def test_the_metrics_are_not_there_for_whoever_comes_through_a_proxy(client: FlaskClient, mark: str) -> None:
    assert client.get("/metrics", headers={mark: "198.51.100.1"}).status_code == 404
    assert client.get("/", headers={mark: "198.51.100.1"}).status_code == 200


def test_replicas_share_the_count_in_redis_and_go_on_counting_alone_without_it(redis: RedisServer) -> None:
    replicas = [client_of(rate_limit="4/minute", rate_limit_storage=redis.url) for _ in range(2)]
    statuses = [replicas[number % 2].get("/").status_code for number in range(5)]
    assert statuses == [200] * 4 + [429]
    redis.stop()
    alone = [replicas[0].get("/").status_code for _ in range(5)]
    assert alone == [200] * 4 + [429]
