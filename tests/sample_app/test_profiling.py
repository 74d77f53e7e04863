"""The profiler: who may switch it on, what it takes, what it leaves alone, and what can be read from it."""

import base64
import cProfile
import pstats
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sample_app import profiles
from sample_app.app import create_app
from sample_app.icicle import Graph, boxes, rows, svg
from sample_app.profiles import Store
from sample_app.profiling import Profiler, Switch, enable_here
from sample_app.serving import Serving
from sample_app.settings import Settings

TOKEN = "0123456789abcdef"  # noqa: S105 - of this test
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BROWSER = {
    "Authorization": f"Basic {base64.b64encode(f'me:{TOKEN}'.encode()).decode()}",
    "Accept": "text/html",
}
ROOT = "/debug/profile/"


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    serving = Serving(demo=True, profile_token=TOKEN, profile_folder=tmp_path / "profiles")
    return create_app(Settings(pod="pod-a", serving=serving), draining=lambda: False)


def taken(client: FlaskClient) -> list[str]:
    return [one["route"] for one in client.get(ROOT, headers=BEARER).get_json()["profiles"]]


def switch_on(client: FlaskClient, every: int = 1, seconds: int = 60) -> None:
    assert client.post(f"{ROOT}on?every={every}&seconds={seconds}", headers=BEARER).status_code == 200


def test_without_a_token_there_is_no_profiler() -> None:
    client = create_app(Settings()).test_client()
    assert {client.get(ROOT, headers=BEARER).status_code, client.post(f"{ROOT}on", headers=BEARER).status_code} == {404}


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer 0123456789abcdeX"}, {"Authorization": "Bearer \u00e9"}, {"Authorization": "x"}],
    ids=["none", "wrong", "not ASCII", "malformed"],
)
def test_whoever_lacks_the_token_is_asked_for_it(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post(f"{ROOT}on", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_another_sites_page_cannot_use_the_browsers_password(client: FlaskClient) -> None:
    assert client.post(f"{ROOT}on", headers=BROWSER | {"Origin": "https://elsewhere.test"}).status_code == 403
    assert client.post(f"{ROOT}on", headers=BROWSER | {"Origin": "http://localhost"}).status_code == 303


def test_the_profiler_is_not_there_through_a_proxy(client: FlaskClient) -> None:
    assert client.get(ROOT, headers=BEARER | {"X-Forwarded-For": "198.51.100.1"}).status_code == 404


def test_nothing_is_profiled_until_it_is_switched_on_nor_after(client: FlaskClient) -> None:
    client.get("/work?ms=0")
    assert taken(client) == []
    switch_on(client)
    client.get("/work?ms=0")
    client.post(f"{ROOT}off", headers=BEARER)
    client.get("/cached")
    assert taken(client) == ["/work"]
    client.post(f"{ROOT}clear", headers=BEARER)
    assert taken(client) == []


def test_one_request_in_n_is_profiled_and_probes_never(client: FlaskClient) -> None:
    switch_on(client, every=5)
    for _ in range(20):
        client.get("/")
    assert taken(client) == ["/"] * 4
    switch_on(client, every=1)
    for path in ("/healthz", "/readyz", "/metrics", "/nowhere"):
        client.get(path)
    assert taken(client) == ["/"] * 4


def test_it_switches_itself_off(tmp_path: Path) -> None:
    now = [1000.0]
    switch = Switch(tmp_path, lambda: now[0])
    switch.turn_on(every=3, seconds=60)
    other_worker = Switch(tmp_path, lambda: now[0])
    order = other_worker.order()
    assert order is not None
    assert order.every == 3
    now[0] += 60
    assert (switch.order(), other_worker.order()) == (None, None)


@pytest.mark.parametrize("query", ["every=0", "every=x", "seconds=901", "seconds="])
def test_an_order_out_of_bounds_is_refused(client: FlaskClient, query: str) -> None:
    assert client.post(f"{ROOT}on?{query}", headers=BEARER).status_code == 400


def test_one_profile_at_a_time_and_every_request_is_served(tmp_path: Path) -> None:
    store, switch = Store(tmp_path), Switch(tmp_path)
    inside, leave = threading.Event(), threading.Event()

    def slow(environ: dict[str, str], _start: object) -> list[bytes]:
        environ["sample_app.route"] = environ["PATH_INFO"]
        if environ["PATH_INFO"] == "/slow":
            inside.set()
            leave.wait(10)
        return [b"served"]

    profiler = Profiler(slow, switch, store)
    switch.turn_on(1, 60)
    first = threading.Thread(target=profiler, args=({"PATH_INFO": "/slow"}, None))
    first.start()
    inside.wait(10)
    assert profiler({"PATH_INFO": "/quick"}, lambda *_: None) == [b"served"]  # type: ignore[arg-type]
    leave.set()
    first.join()
    assert [one.route for one in store.all()] == ["/slow"]


def test_what_other_threads_do_is_not_in_the_profile() -> None:
    stop = threading.Event()

    def noise() -> None:
        while not stop.is_set():
            elsewhere()

    def elsewhere() -> int:
        return sum(range(50))

    def here() -> None:
        for _ in range(200):
            time.sleep(0)

    other = threading.Thread(target=noise)
    other.start()
    profile = cProfile.Profile()
    assert enable_here(profile)
    here()
    profile.disable()
    stop.set()
    other.join()
    names = {name for _file, _line, name in pstats.Stats(profile).stats}  # type: ignore[attr-defined]  # documented
    assert "here" in names
    assert "elsewhere" not in names


def test_a_failure_to_keep_a_profile_is_no_failure_of_the_request(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    switch_on(client)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Store, "save", full)
    assert client.get("/").status_code == 200
    assert "the profile of a request to / was not kept" in caplog.text


def profile_of(call: Callable[[], object]) -> cProfile.Profile:
    profile = cProfile.Profile()
    profile.runcall(call)
    return profile


@pytest.mark.parametrize(
    ("bound", "value", "kept"), [("MAX_PROFILES", 3, 3), ("MAX_BYTES", 1, 0), ("MAX_AGE_SECONDS", 2.5, 3)]
)
def test_profiles_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, kept: int
) -> None:
    monkeypatch.setattr(profiles, bound, value)
    now = [1000.0]
    store = Store(tmp_path, lambda: now[0])
    for _ in range(6):
        now[0] += 1
        store.save(profile_of(lambda: None), "/work", 0.25)
    assert len(list(tmp_path.iterdir())) == kept
    assert [one.at for one in store.all()] == [1006.0, 1005.0, 1004.0][:kept]


def test_a_profile_tells_its_route_and_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(profile_of(lambda: None), "/products/<int:number>", 0.0125)
    (one,) = store.all()
    assert (one.route, one.seconds) == ("/products/<int:number>", 0.0125)


@pytest.mark.parametrize("name", ["../secret", "..%2Fsecret", "switch", "x" * 300, "nowhere"])
def test_nothing_but_a_profile_can_be_downloaded(client: FlaskClient, name: str) -> None:
    assert client.get(f"{ROOT}{name}.pstats", headers=BEARER).status_code == 404
    assert client.get(f"{ROOT}{name}", headers=BEARER).status_code in (404, 308)


def test_a_download_is_a_profile_for_pstats(client: FlaskClient, tmp_path: Path) -> None:
    switch_on(client)
    client.get("/cached")
    (listed,) = client.get(ROOT, headers=BEARER).get_json()["profiles"]
    file = tmp_path / "downloaded"
    file.write_bytes(client.get(f"{listed['page']}.pstats", headers=BEARER).data)
    names = {name for _file, _line, name in pstats.Stats(str(file)).stats}  # type: ignore[attr-defined]
    assert "longest_collatz" in names


def test_the_pages_show_table_and_picture(client: FlaskClient) -> None:
    switch_on(client)
    for _ in range(3):
        client.get("/cached")
    (first, *_) = client.get(ROOT, headers=BEARER).get_json()["profiles"]
    for page in (first["page"], f"{ROOT}route?route=/cached", f"{ROOT}route?route=/cached&sort=total"):
        text = client.get(page, headers=BROWSER).text
        assert "<svg" in text
        assert "wsgi_app" in text
    assert "longest_collatz" in text
    overview = client.get(ROOT, headers=BROWSER).text
    assert overview.count(".pstats") == 3
    assert client.get(f"{ROOT}route?route=/nowhere", headers=BROWSER).status_code == 404


def test_the_costly_function_is_the_widest_box_and_the_first_row(tmp_path: Path) -> None:
    def parent() -> None:
        costly()
        cheap()

    def costly() -> int:
        return sum([number * number for number in range(400_000)])

    def cheap() -> int:
        return sum([number for number in range(100)])  # noqa: C416 - a frame of its own

    graph = Graph(pstats.Stats(profile_of(parent)))
    shown = {box.name.split(" ")[0]: box for box in boxes(graph)}
    assert shown["costly"].width > 0.8
    assert shown["costly"].depth == shown["parent"].depth + 1
    assert any("costly" in row.name or "comp" in row.name for row in rows(graph, 2))
    assert all(box.left + box.width <= 1.0001 for box in boxes(graph))


def test_recursion_ends() -> None:
    def down(depth: int) -> int:
        return 0 if depth == 0 else 1 + up(depth - 1)

    def up(depth: int) -> int:
        return down(depth)

    graph = Graph(pstats.Stats(profile_of(lambda: down(200))))
    assert len(list(boxes(graph))) < 10


def test_the_picture_is_well_formed_whatever_the_title() -> None:
    picture = svg(Graph(pstats.Stats(profile_of(lambda: sorted([2, 1])))), "a <b> & c")
    assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314 - our own
