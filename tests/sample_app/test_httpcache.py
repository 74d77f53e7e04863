"""What browsers and edge caches may keep."""

from pathlib import Path

import pytest
from flask import Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sample_app import assets
from sample_app.app import create_app
from sample_app.httpcache import shared
from sample_app.serving import Serving
from sample_app.settings import Settings

IMMUTABLE = "max-age=315360000, public, immutable"


def test_a_shared_answer_says_how_long_and_what_may_be_stale(client: FlaskClient) -> None:
    directives = client.get("/cached").headers["Cache-Control"]
    assert set(directives.split(", ")) == {
        *("public", "max-age=5", "s-maxage=30"),
        *("stale-while-revalidate=60", "stale-if-error=3600"),
    }


def test_its_life_in_shared_caches_follows_the_setting() -> None:
    answer = create_app(Settings(cache_timeout_seconds=7)).test_client().get("/cached")
    assert answer.cache_control.s_maxage == 7


def test_a_client_that_has_it_is_sent_no_body_again(client: FlaskClient) -> None:
    first = client.get("/cached")
    again = client.get("/cached", headers={"If-None-Match": first.headers["ETag"]})
    other = client.get("/cached", headers={"If-None-Match": '"something else"'})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (other.status_code, other.data) == (200, first.data)


@pytest.mark.parametrize("path", ["/", "/work?ms=0", "/healthz", "/nowhere", "/work?ms=x", "/spread"])
def test_everything_else_is_kept_by_nobody(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_the_first_page_differs_by_what_is_accepted(client: FlaskClient) -> None:
    assert client.get("/").headers["Vary"] == "Accept"


def test_no_answer_sets_a_cookie(client: FlaskClient) -> None:
    assert not any("Set-Cookie" in client.get(path).headers for path in ("/", "/cached", "/spread", "/work?ms=0"))


def test_an_answer_with_a_cookie_is_never_shared() -> None:
    app = create_app(Settings())

    @app.get("/greeting")
    @shared
    def greeting() -> Response:
        response = Response("hello")
        response.set_cookie("visitor", "1")
        return response

    assert app.test_client().get("/greeting").headers["Cache-Control"] == "private, no-store"


@pytest.fixture
def built(tmp_path: Path) -> FlaskClient:
    assets.build(tmp_path / "static")
    return create_app(Settings(serving=Serving(static_folder=tmp_path / "static"))).test_client()


def fetch(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    answer = client.get(path, headers=headers)
    answer.get_data()
    answer.close()  # a file is open behind it
    return answer


def address(client: FlaskClient) -> str:
    page = client.get("/spread").text
    return page.partition('src="')[2].partition('"')[0]


def test_a_built_file_lives_for_ever_under_the_hash_of_its_content(built: FlaskClient) -> None:
    answer = fetch(built, address(built))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == IMMUTABLE
    assert answer.data == (assets.SOURCES / "spread.js").read_bytes()


@pytest.mark.parametrize(("accepted", "encoding"), [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)])
def test_it_is_sent_compressed_as_the_client_asks(built: FlaskClient, accepted: str, encoding: str | None) -> None:
    answer = fetch(built, address(built), **{"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == encoding
    assert answer.headers["Vary"] == "Accept-Encoding"
    whole = (assets.SOURCES / "spread.js").stat().st_size
    assert (len(answer.data) < whole / 2) is (encoding is not None)


def test_a_changed_file_has_another_address(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "app.css").write_text("a {}")
    first = assets.build(tmp_path / "built", sources)
    (sources / "app.css").write_text("b {}")
    second = assets.build(tmp_path / "built", sources)
    assert first["app.css"] != second["app.css"]
    assert second == assets.build(tmp_path / "again", sources)


def test_developers_get_the_sources_without_a_build(client: FlaskClient) -> None:
    assert address(client) == "/static/spread.js"
    assert fetch(client, "/static/spread.js").headers["Cache-Control"] == "max-age=60, public"


@pytest.mark.parametrize("built", [True, False], ids=["built", "sources"])
def test_the_icon_that_browsers_ask_for_is_there_and_is_no_load(tmp_path: Path, *, built: bool) -> None:
    folder = tmp_path / "static" if built else None
    if folder:
        assets.build(folder)
    client = create_app(Settings(serving=Serving(static_folder=folder))).test_client()
    answer = fetch(client, "/favicon.ico")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert "X-Served-By" not in answer.headers  # Flask, which counts, has not seen it


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/nowhere.css"])
def test_nothing_but_the_files_is_served(built: FlaskClient, path: str) -> None:
    assert built.get(path).status_code == 404
