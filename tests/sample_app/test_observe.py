import json
import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from sample_app import cpu
from sample_app.logs import JsonFormatter
from sample_app.worker import queue_seconds


def value(client: FlaskClient, name: str, **labels: str) -> float | None:
    families = text_string_to_metric_families(client.get("/metrics").text)
    found = [s.value for family in families for s in family.samples if s.name == name and s.labels == labels]
    return found[0] if found else None


def test_requests_are_counted_by_route_method_and_code(client: FlaskClient) -> None:
    for path in ("/work?ms=0", "/work?ms=1", "/work?ms=x"):
        client.get(path)
    assert value(client, "http_requests_total", method="GET", route="/work", code="200") == 2
    assert value(client, "http_requests_total", method="GET", route="/work", code="400") == 1
    assert value(client, "http_request_duration_seconds_count", method="GET", route="/work") == 3


def test_a_route_shows_as_zero_before_its_first_request(client: FlaskClient) -> None:
    assert value(client, "http_requests_total", method="GET", route="/cached", code="200") == 0
    assert value(client, "cache_requests_total", cache="site.cached", result="hit") == 0


def test_paths_without_a_route_and_invented_methods_share_one_series(client: FlaskClient) -> None:
    for path in ("/a", "/b", "/c"):
        client.open(path, method="INVENTED")
    assert value(client, "http_requests_total", method="OTHER", route="unmatched", code="404") == 3


def test_probes_and_scrapes_are_no_load(client: FlaskClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        client.get(path)
    text = client.get("/metrics").text
    assert "healthz" not in text
    assert "readyz" not in text
    assert 'route="/metrics"' not in text


def test_the_latency_buckets_hold_the_usual_objectives(client: FlaskClient) -> None:
    client.get("/work?ms=0")
    labels = {"method": "GET", "route": "/work"}
    for bound in ("0.005", "0.1", "0.25", "0.5", "1.0", "10.0", "+Inf"):
        assert value(client, "http_request_duration_seconds_bucket", le=bound, **labels) is not None, bound


def test_the_wait_for_a_thread_is_part_of_the_latency(client: FlaskClient) -> None:
    token = queue_seconds.set(3.0)
    try:
        client.get("/work?ms=0")
    finally:
        queue_seconds.reset(token)
    seconds = value(client, "http_request_duration_seconds_sum", method="GET", route="/work")
    assert seconds is not None
    assert seconds >= 3.0


def test_a_request_that_fails_is_counted_and_not_in_progress_any_more(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    monkeypatch.setattr(cpu, "burn", lambda _seconds: 1 / 0)
    client.get("/work")
    assert value(client, "http_requests_total", method="GET", route="/work", code="500") == 1
    assert value(client, "http_requests_in_progress") == 0


def test_a_request_is_in_progress_while_it_is_handled(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []

    def burn(seconds: float) -> float:
        seen.append(value(client.application.test_client(), "http_requests_in_progress"))
        return seconds

    monkeypatch.setattr(cpu, "burn", burn)
    client.get("/work")
    assert seen == [1]


def test_cache_hits_and_misses_are_counted(client: FlaskClient) -> None:
    for _ in range(3):
        client.get("/cached")
    assert value(client, "cache_requests_total", cache="site.cached", result="miss") == 1
    assert value(client, "cache_requests_total", cache="site.cached", result="hit") == 2


def test_the_scraper_gets_the_format_it_asks_for(client: FlaskClient) -> None:
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    answer = client.get("/metrics", headers=accept)
    assert answer.mimetype == "application/openmetrics-text"
    assert answer.text.endswith("# EOF\n")
    assert client.get("/metrics").mimetype == "text/plain"


def test_a_request_keeps_the_id_it_came_with(client: FlaskClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"


@pytest.mark.parametrize("given", ["", "a b", '"}', "x" * 129], ids=["none", "space", "quote", "too long"])
def test_an_unusable_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    answered = client.get("/", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert answered != given
    assert len(answered) == 32


def test_the_access_log_is_one_json_object_per_request(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sample_app.access")
    client.get("/work?ms=0", headers={"X-Request-ID": "abc", "User-Agent": 'evil"\n'.strip()})
    client.get("/healthz")
    (record,) = caplog.records
    line = json.loads(JsonFormatter().format(record))
    assert (line["request_id"], line["route"], line["path"]) == ("abc", "/work", "/work?ms=0")
    assert (line["status"], line["method"], line["user_agent"]) == (200, "GET", 'evil"')


def test_a_log_line_holds_the_exception_and_stays_one_line() -> None:
    try:
        int("x")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, error.__traceback__)})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ValueError: invalid literal" in json.loads(line)["exception"]
