"""The pages: for people and for programs, cached, counted, and never broken by what somebody asks."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sample_app.app import create_app
from sample_app.catalogue.database import NotReady
from sample_app.settings import Settings
from sample_app.storing import Storing
from tests.sample_app.conftest import PRODUCTS
from tests.sample_app.test_observe import value

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def server_timing(answer: Any) -> int:
    """Queries that the answer needed."""
    found = re.search(r'db;dur=[\d.]+;desc="(\d+) queries"', ", ".join(answer.headers.getlist("Server-Timing")))
    assert found
    return int(found[1])


def test_a_program_gets_json_and_the_next_page(client: FlaskClient) -> None:
    first = client.get("/products?limit=3").get_json()
    assert [product["id"] for product in first["products"]] == [1, 2, 3]
    second = client.get(first["next"]).get_json()
    assert [product["id"] for product in second["products"]] == [4, 5, 6]


def test_the_last_page_has_no_next_one(client: FlaskClient) -> None:
    assert client.get(f"/products?after={PRODUCTS - 1}").get_json()["next"] is None
    assert client.get(f"/products?after={PRODUCTS}").get_json() == {"products": [], "next": None}


@pytest.mark.parametrize("path", ["/products", "/products/17", "/products/search?q=oak+l", "/products/plans"])
def test_people_get_pages_that_lead_on(client: FlaskClient, path: str) -> None:
    page = client.get(path, headers=HTML)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"]*)"', page.text)} - {"/"}
    assert len(links) > 2
    for link in links:
        with client.get(link, headers=HTML) as answer:
            assert answer.status_code == 200, link


def test_the_two_forms_are_kept_apart(client: FlaskClient) -> None:
    answers = [client.get("/products/17", headers=headers) for headers in (HTML, {}, HTML, {})]
    assert [answer.mimetype for answer in answers] == ["text/html", "application/json"] * 2
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "MISS", "HIT", "HIT"]
    assert "Accept" in answers[0].headers["Vary"]


def test_a_page_from_the_cache_asks_the_database_nothing(client: FlaskClient) -> None:
    assert [server_timing(client.get("/products/17")) for _ in range(2)] == [4, 0]
    assert value(client, "db_queries_total", route="/products/<int:product_id>") == 4
    assert value(client, "db_queries_per_request_count", route="/products/<int:product_id>") == 1
    assert value(client, "db_connections_in_use") == 0


@pytest.mark.parametrize(("plan", "least", "most"), [("before", 20, 60), ("after", 2, 2)])
def test_a_plan_is_computed_anew_each_time(client: FlaskClient, plan: str, least: int, most: int) -> None:
    for _ in range(2):
        answer = client.get(f"/products?plan={plan}")
        assert least <= server_timing(answer) <= most
        assert "X-Cache" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"


def test_junk_in_the_query_makes_no_entry_of_its_own(client: FlaskClient) -> None:
    client.get("/products/17")
    assert client.get("/products/17?utm_source=mail&x=1").headers["X-Cache"] == "HIT"


@pytest.mark.parametrize("number", [0, 999999, 9999999999])
def test_what_is_not_there_is_kept_for_a_short_time(client: FlaskClient, number: int) -> None:
    answers = [client.get(f"/products/{number}") for _ in range(2)]
    assert [(answer.status_code, answer.headers["X-Cache"]) for answer in answers] == [(404, "MISS"), (404, "HIT")]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/products?limit=0", 400),
        ("/products?limit=101", 400),
        ("/products?after=-1", 400),
        ("/products?after=99999999999999999999", 400),
        ("/products?plan=best", 400),
        ("/products?category=../etc", 400),
        ("/products?category=attic", 404),
        ("/products/99999999999999999999", 404),
        ("/products/0", 404),
        ("/products/x", 404),
        ("/products/search", 200),
        ("/products/search?q=%00%25_", 200),
    ],
)
def test_what_cannot_be_is_refused_in_words(client: FlaskClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    path=st.sampled_from(["/products", "/products/search", "/products/17", "/products/plans"]),
    query=st.dictionaries(
        st.sampled_from(["q", "after", "limit", "category", "plan"]) | st.text(max_size=5),
        st.text(max_size=30) | st.integers().map(str) | st.sampled_from(["before", "study", "oak"]),
        max_size=5,
    ),
)
def test_no_query_string_makes_a_page_fail(app: Flask, path: str, query: dict[str, str]) -> None:
    assert app.test_client().get(path, query_string=query).status_code < 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(raw=st.text(alphabet="%&=+;#0123456789abcdefq \x00\x7f", max_size=60))
def test_no_raw_query_string_makes_a_page_fail(app: Flask, raw: str) -> None:
    for path in ("/products", "/products/search"):
        assert app.test_client().get(path, query_string=f"q={raw}&after={raw}").status_code < 500


def test_without_its_database_a_page_is_a_503_that_is_not_kept(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    database = app.extensions["sample_app.catalogue"]

    def away() -> None:
        raise NotReady

    with monkeypatch.context() as patch:
        patch.setattr(database, "_fill_once", away)
        answer = app.test_client().get("/products")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.get_json()["error"]["message"] == "the catalogue's database does not answer now"
    assert app.test_client().get("/products").status_code == 200


def test_without_demo_answers_do_not_tell_what_they_cost() -> None:
    assert "Server-Timing" not in create_app(Settings()).test_client().get("/").headers


def test_two_queries_never_share_an_answer(client: FlaskClient) -> None:
    first = client.get("/products/search?q=oak%26limit%3D3")
    other = client.get("/products/search?q=oak&limit=3")
    assert (first.headers["X-Cache"], other.headers["X-Cache"]) == ("MISS", "MISS")
    assert len(other.get_json()["products"]) == 3
    assert len(first.get_json()["products"]) != 3


@pytest.mark.parametrize(
    ("path", "same"),
    [
        ("/products", "/products?after=0&limit=20&category="),
        ("/products?limit=3", "/products?limit=003&limit=9&q=oak"),
        ("/products/17", "/products/0017?limit=3&q=oak"),
        ("/products/search?q=oak+l", "/products/search?q=Oak%26L&after=0"),
    ],
    ids=["defaults", "repeated and foreign", "a number written longer", "words"],
)
def test_queries_that_mean_the_same_share_an_answer(client: FlaskClient, path: str, same: str) -> None:
    answers = [client.get(path), client.get(same)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]
    assert answers[0].data == answers[1].data


TEXTS = st.sampled_from(["oak", "oak&limit=2", "oak&after=46&limit=2", "study", "2", "46", "0", "", "#html", "%26"])
QUERIES = st.lists(st.tuples(st.sampled_from(["q", "after", "limit", "category", "x"]), TEXTS), max_size=4)
PATHS = st.sampled_from(["/products", "/products/search", "/products/2", "/products/46"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(asked=st.lists(st.tuples(PATHS, QUERIES), min_size=2, max_size=6))
def test_the_cache_answers_what_would_be_computed(sqlite_url: str, asked: list[tuple[str, Any]]) -> None:
    storing = Storing(database_url=sqlite_url)
    caching, computing = (
        create_app(Settings(cache_backend=backend, storing=storing)).test_client() for backend in ("Memory", "None")
    )
    for path, query in asked:
        for headers in ({}, HTML):
            kept, computed = (
                client.get(path, query_string=urlencode(query), headers=headers) for client in (caching, computing)
            )
            assert kept.status_code == computed.status_code
            if kept.status_code == 200:
                assert kept.data == computed.data


@pytest.mark.parametrize("path", ["/products/plans", "/products?plan=before", "/products/17?plan=after"])
def test_without_demo_nothing_is_measured_and_no_page_leads_there(path: str) -> None:
    client = create_app(Settings()).test_client()
    assert client.get(path).status_code == 404
    assert not any("plan" in client.get(page, headers=HTML).text for page in ("/", "/products", "/products/17"))
