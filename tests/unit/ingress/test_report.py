"""What the controller writes back, and how it follows a cluster, against an API server of its own on loopback."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ingress_controller import kube
from ingress_controller.kube import ApiError, Collection
from ingress_controller.report import Reporter, event_of, has_address
from ingress_controller.table import Problem, Routing
from tests.unit.ingress.fake_api import WAIT_SECONDS, FakeServer

PROBLEM = Problem("shop", "web", "BadSecret", "TLS secret cert: there is no such Secret")
INGRESS = {"metadata": {"name": "web", "namespace": "shop", "uid": "1234"}, "spec": {}}
PLACE = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web"
THINGS = "/api/v1/things"


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "RETRY_SECONDS", (0.01, 0.02))


Following = Callable[[], tuple[Collection, threading.Semaphore]]


@pytest.fixture
def follow(server: FakeServer) -> Iterator[Following]:
    followed: list[Collection] = []

    def start() -> tuple[Collection, threading.Semaphore]:
        changes = threading.Semaphore(0)
        followed.append(Collection(server.api, THINGS, changes.release))
        followed[-1].start()
        return followed[-1], changes

    yield start
    for collection in followed:
        collection.stop()


@pytest.fixture
def reporter(server: FakeServer) -> Iterator[Reporter]:
    started = Reporter(server.api)
    started.start()
    yield started
    started.stop()


def thing(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, **more}


def names(collection: Collection) -> list[str]:
    return sorted(item["metadata"]["name"] for item in collection.objects())


def test_a_collection_follows_what_is_listed_added_changed_and_deleted(server: FakeServer, follow: Following) -> None:
    server.items[THINGS] = [thing("a"), thing("b")]
    collection, changes = follow()
    assert changes.acquire(timeout=WAIT_SECONDS)
    assert collection.synced.is_set()
    assert names(collection) == ["a", "b"]
    for kind, item in [("ADDED", thing("c")), ("MODIFIED", thing("a", spec=1)), ("DELETED", thing("b"))]:
        server.events[THINGS].put({"type": kind, "object": item})
        assert changes.acquire(timeout=WAIT_SECONDS)
    assert names(collection) == ["a", "c"]
    assert {"spec": 1}.items() <= collection.objects()[0].items()


@pytest.mark.usefixtures("no_delay")
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(None, id="ended-by-the-server"),
        pytest.param({"type": "ERROR", "object": {"code": 410, "message": "too old"}}, id="gone"),
        pytest.param({"type": "ADDED", "object": {}}, id="senseless"),
    ],
)
def test_a_watch_that_ends_is_begun_again_from_a_fresh_list(server: FakeServer, follow: Following, end: Any) -> None:
    server.items[THINGS] = [thing("a")]
    collection, changes = follow()
    assert changes.acquire(timeout=WAIT_SECONDS)
    server.items[THINGS] = [thing("b")]
    server.events[THINGS].put(end)
    assert changes.acquire(timeout=WAIT_SECONDS)
    assert names(collection) == ["b"]


@pytest.mark.usefixtures("no_delay")
def test_a_refused_list_is_tried_again(server: FakeServer, follow: Following) -> None:
    server.refusals = 2
    server.items[THINGS] = [thing("a")]
    collection, changes = follow()
    assert changes.acquire(timeout=WAIT_SECONDS)
    assert names(collection) == ["a"]


def test_a_refusal_tells_status_and_message(server: FakeServer) -> None:
    server.refusals = 1
    with pytest.raises(ApiError, match=r"503.*not now") as caught:
        server.api.request("POST", THINGS, {})
    assert caught.value.status == 503


def test_a_served_ingress_gets_its_address_and_each_problem_one_event(server: FakeServer, reporter: Reporter) -> None:
    routing = Routing("", (INGRESS,), (PROBLEM,))
    reporter.report(routing)
    assert server.sent.get(timeout=WAIT_SECONDS) == (
        "PATCH",
        f"{PLACE}/status",
        {"status": {"loadBalancer": {"ingress": [{"hostname": "localhost"}]}}},
    )
    method, place, event = server.sent.get(timeout=WAIT_SECONDS)
    assert (method, place, event["reason"]) == ("POST", "/api/v1/namespaces/shop/events", "BadSecret")
    addressed = {**INGRESS, "status": {"loadBalancer": {"ingress": [{"hostname": "localhost"}]}}}
    other = {"metadata": {"name": "other", "namespace": "shop"}, "spec": {}}
    reporter.report(Routing("", (addressed, other), (PROBLEM,)))
    assert server.sent.get(timeout=WAIT_SECONDS)[1] == PLACE.replace("web", "other") + "/status"
    assert server.sent.empty()


def test_a_report_that_fails_is_made_again(
    server: FakeServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingress_controller.report.RETRY_SECONDS", 0.01)
    server.refusals = 1
    reporter.report(Routing("", (INGRESS,), ()))
    assert server.sent.get(timeout=WAIT_SECONDS)[0] == "PATCH"


def test_an_event_points_at_its_ingress() -> None:
    event = event_of(PROBLEM, "1234", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert event["involvedObject"]["uid"] == "1234"
    assert (event["type"], event["firstTimestamp"]) == ("Warning", "2026-01-02T03:04:05Z")


@pytest.mark.parametrize(
    ("status", "known"),
    [
        pytest.param({"loadBalancer": {"ingress": [{"hostname": "localhost"}]}}, True, id="ours"),
        pytest.param({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}, False, id="anothers"),
        pytest.param({"loadBalancer": {}}, False, id="empty"),
        pytest.param(None, False, id="none"),
    ],
)
def test_an_address_is_written_only_where_it_lacks(status: Any, known: bool) -> None:
    assert has_address({"status": status}) is known
