"""Faults to play with: what they do, and that they are not there unless asked for."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sample_app import cpu, demo
from sample_app.app import create_app
from sample_app.demo import Ballast
from sample_app.serving import Serving
from sample_app.settings import Settings

TOKEN = "0123456789abcdef"  # noqa: S105 - of this test
ROUTES = ("/work", "/delay", "/memory", "/fault", "/readyz/disable", "/readyz/enable")


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(demo, "_ballast", Ballast(lambda _seconds, _call: None))
    yield
    demo._disabled[0] = 0


@pytest.mark.parametrize("path", ROUTES)
def test_faults_do_not_exist_unless_asked_for(path: str) -> None:
    assert create_app(Settings()).test_client().get(path).status_code == 404


def test_a_delay_holds_the_answer_and_no_cpu(client: FlaskClient) -> None:
    began, used = time.monotonic(), time.thread_time()
    answer = client.get("/delay?ms=50")
    assert time.monotonic() - began >= 0.05
    assert time.thread_time() - used < 0.05
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("rate", "status"), [("1", 500), ("0", 200), ("1.0", 500), ("0.0", 200)])
def test_faults_come_at_the_rate_asked_for(client: FlaskClient, rate: str, status: int) -> None:
    assert {client.get(f"/fault?rate={rate}").status_code for _ in range(20)} == {status}


def test_half_of_the_requests_fail_at_half_the_rate(client: FlaskClient) -> None:
    statuses = [client.get("/fault?rate=0.5").status_code for _ in range(200)]
    assert 50 < statuses.count(500) < 150  # 7 standard deviations


@pytest.mark.parametrize("rate", ["", "2", "-1", "nan", "1e-1", "0.", "\u0660", "1" * 5000, "1.1"])
def test_a_rate_that_is_no_share_is_refused(client: FlaskClient, rate: str) -> None:
    assert client.get("/fault", query_string={"rate": rate}).status_code == 400


def test_readiness_can_be_switched_off_and_on(client: FlaskClient) -> None:
    client.post("/readyz/disable")
    assert (client.get("/readyz").status_code, client.get("/healthz").status_code) == (503, 200)
    assert client.get("/readyz").get_json() == {"status": "disabled"}
    client.post("/readyz/enable")
    assert client.get("/readyz").status_code == 200


def test_memory_is_held_for_the_time_asked_for(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    later: list[tuple[float, Callable[[], None]]] = []
    monkeypatch.setattr(demo, "_ballast", Ballast(lambda seconds, call: later.append((seconds, call))))
    assert client.get("/memory?mb=3&seconds=7").get_json()["held_mb"] == 3
    assert client.get("/memory?mb=1").get_json()["held_mb"] == 4
    (seconds, release), _ = later
    assert seconds == 7
    release()
    assert client.get("/memory?mb=0").get_json()["held_mb"] == 1


def test_a_worker_holds_no_more_than_the_bound(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "MAX_MEMORY_MB", 4)
    assert client.get("/memory?mb=3").status_code == 200
    assert client.get("/memory?mb=3").status_code == 409
    assert client.get("/memory?mb=5").status_code == 400


@pytest.fixture
def everything(tmp_path: Path) -> FlaskClient:
    serving = Serving(demo=True, profile_token=TOKEN, profile_folder=tmp_path)
    return create_app(Settings(serving=serving), draining=lambda: False).test_client()


def every_route() -> list[str]:
    """Of the whole application, parameters filled with something that is not there."""
    rules = create_app(Settings(serving=Serving(demo=True, profile_token=TOKEN))).url_map.iter_rules()
    return sorted(rule.rule.replace("<", "").replace(">", "") for rule in rules if "GET" in (rule.methods or ()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from(every_route()),
    query=st.dictionaries(st.sampled_from(["ms", "mb", "seconds", "n", "x"]) | st.text(), st.text()) | st.text(),
)
def test_no_query_string_makes_a_route_fail(everything: FlaskClient, route: str, query: dict[str, str] | str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "burn", lambda seconds: seconds)
        patch.setattr(time, "sleep", lambda _seconds: None)
        patch.setattr(demo, "MAX_MEMORY_MB", 1)
        with everything.get(route, query_string=query, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            status = answer.status_code
    assert status < 500 or route == "/fault" or (route == "/readyz" and demo.disabled())
