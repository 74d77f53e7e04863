import dataclasses
import os
import time

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sample_app import cpu
from sample_app.app import create_app
from sample_app.caching import cacheable
from sample_app.settings import Settings


def test_the_first_page_tells_programs_who_served_it(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.json == {"app": "sample-app", "version": "0.1.0", "pod": "pod-a", "worker": os.getpid()}
    assert answer.headers["Vary"] == "Accept"


def test_the_first_page_is_html_for_a_browser(client: FlaskClient) -> None:
    answer = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.mimetype == "text/html"
    assert "<dd>pod-a</dd>" in answer.text


def test_a_pod_name_is_escaped_in_the_page() -> None:
    client = create_app(Settings(pod="<script>")).test_client()
    assert "<script>" not in client.get("/", headers={"Accept": "text/html"}).text


def test_work_burns_the_cpu_time_asked_for(client: FlaskClient) -> None:
    before = time.thread_time()
    answer = client.get("/work?ms=30")
    assert time.thread_time() - before >= 0.030
    assert answer.get_json()["requested_ms"] == 30
    assert answer.get_json()["cpu_ms"] >= 30
    assert answer.headers["Cache-Control"] == "no-store"


def test_work_has_a_default(client: FlaskClient) -> None:
    assert client.get("/work").get_json()["requested_ms"] == 50


@pytest.mark.parametrize(
    "text",
    ["", "-1", "5001", "1.5", "abc", "1e3", " 5", "1_000", "٣", "9" * 5000],
    ids=["empty", "negative", "too much", "fraction", "word", "exponent", "space", "underscore", "script", "digits"],
)
def test_work_refuses_anything_but_a_number_within_bounds(client: FlaskClient, text: str) -> None:
    answer = client.get("/work", query_string={"ms": text})
    assert answer.status_code == 400
    assert "is not a whole number of milliseconds from 0 to 5000" in answer.get_json()["error"]["message"]
    assert answer.get_json()["request_id"] == answer.headers["X-Request-ID"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_no_query_makes_work_fail(app: Flask, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "burn", lambda seconds: seconds)
        assert app.test_client().get("/work", query_string={"ms": text}).status_code in (200, 400)


def test_the_cached_route_answers_from_the_cache(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get("/cached")
    monkeypatch.setattr(cpu, "longest_collatz", lambda _limit: pytest.fail("computed again"))
    second = client.get("/cached")
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert first.get_json() == second.get_json()


def test_without_a_cache_every_answer_is_computed() -> None:
    client = create_app(Settings(cache_backend="None")).test_client()
    answers = [client.get("/cached") for _ in range(2)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "MISS"]
    assert answers[0].get_json()["computed_at"] < answers[1].get_json()["computed_at"]


@pytest.mark.parametrize(("status", "kept"), [(200, True), (404, True), (400, False), (500, False), (503, False)])
def test_errors_are_not_kept_but_for_not_found(status: int, kept: bool) -> None:
    assert cacheable(Response(status=status)) is kept


def test_health_does_not_depend_on_draining_but_readiness_does() -> None:
    leaving = False
    client = create_app(Settings(), draining=lambda: leaving).test_client()
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)
    leaving = True
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 503)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/work", 405)], ids=["no route", "no method"]
)
def test_errors_are_json(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.get_json()["error"]["status"] == status


def test_a_refused_method_is_told_the_allowed_ones(client: FlaskClient) -> None:
    assert "GET" in client.post("/work").headers["Allow"]


def test_a_failure_of_the_application_is_a_plain_500(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "burn", lambda _seconds: 1 / 0)
    answer = app.test_client().get("/work")
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text


def test_the_longest_collatz_sequences_are_the_known_ones() -> None:
    assert cpu.longest_collatz(10) == (9, 19)
    assert cpu.longest_collatz(1000) == (871, 178)


def test_settings_come_from_the_environment_when_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "pod-b")
    assert create_app().test_client().get("/").get_json()["pod"] == "pod-b"


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().workers = 3  # type: ignore[misc]  # the point of the test
