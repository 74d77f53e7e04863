import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from scalableapp.adapters import watch
from scalableapp.adapters.kube_api import KubeApi
from scalableapp.adapters.podwatch import PodEvent, PodWatch, pod_state
from scalableapp.adapters.watch import Listed
from scalableapp.core.model import AppKey
from tests.unit.adapters.canned import ApiServer, Asked, Handler, Refusal

WEB = AppKey("shop", "web")


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(watch, "_FIRST_PAUSE_SECONDS", 0.01)


def pod(name: str, phase: str = "Running", version: int = 1) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "labels": {"scalableapp.io/app": "web"},
            "creationTimestamp": "2026-11-23T08:00:00Z",
            "resourceVersion": str(version),
        },
        "status": {"phase": phase},
    }


def listed(*pods: dict[str, Any], version: int = 10) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(pods)}


def stream(*entries: tuple[str, dict[str, Any]], stays: bool = False) -> Handler:
    """A watch that tells of these and ends, or stays open."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, body in entries:
            await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
        if stays:
            await asyncio.sleep(30)
        return response

    return respond


class Script:
    """Answers lists and watches in turn; the last watch stays open."""

    def __init__(self, server: ApiServer, lists: list[Any], watches: list[Any]) -> None:
        self._lists, self._watches = lists, watches
        self.watched_from: list[str] = []
        server.respond = self

    def __call__(self, asked: Asked) -> Any:
        if "watch" not in asked.query:
            return self._lists.pop(0)
        self.watched_from.append(asked.query["resourceVersion"])
        return self._watches.pop(0) if self._watches else stream(stays=True)


async def first(api: KubeApi, count: int, **where: str) -> list[PodEvent | Listed]:
    """The first `count` events, the watch ended after them."""
    events: AsyncIterator[PodEvent | Listed] = PodWatch(api, **where).events()
    found: list[PodEvent | Listed] = []
    async with asyncio.timeout(10):
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    await events.aclose()  # type: ignore[attr-defined]  # it is a generator
    return found


def seen(events: list[PodEvent | Listed]) -> list[str]:
    """Events in short: pod and phase, "gone", or "listed"."""
    return [
        "listed" if isinstance(event, Listed) else f"{event.name} {event.pod.phase if event.pod else 'gone'}"
        for event in events
    ]


async def test_all_pods_are_reported_then_that_they_were_all_then_what_happens(server: ApiServer, api: KubeApi) -> None:
    changes = [("ADDED", pod("b", "Pending")), ("MODIFIED", pod("b")), ("DELETED", pod("a"))]
    Script(server, [listed(pod("a"))], [stream(*changes, stays=True)])
    assert seen(await first(api, 5)) == ["a Running", "listed", "b Pending", "b Running", "a gone"]


async def test_an_event_names_the_app_by_its_label(server: ApiServer, api: KubeApi) -> None:
    Script(server, [listed(pod("a"))], [])
    (event,) = await first(api, 1)
    assert isinstance(event, PodEvent)
    assert event.key == WEB


async def test_only_labelled_pods_are_asked_for(server: ApiServer, api: KubeApi) -> None:
    Script(server, [listed()], [])
    await first(api, 1, namespace="shop")
    assert server.asked[0].path == "/api/v1/namespaces/shop/pods"
    assert server.asked[0].query["labelSelector"] == "scalableapp.io/app"


async def test_a_watch_that_ends_goes_on_where_it_was(server: ApiServer, api: KubeApi) -> None:
    bookmark = {"metadata": {"resourceVersion": "31"}}
    script = Script(
        server,
        [listed()],
        [stream(("ADDED", pod("a", version=20)), ("BOOKMARK", bookmark)), stream(("ADDED", pod("b")), stays=True)],
    )
    assert seen(await first(api, 3)) == ["listed", "a Running", "b Running"]
    assert script.watched_from == ["10", "31"]


EXPIRED = {"kind": "Status", "code": 410, "message": "too old resource version"}


@pytest.mark.parametrize(
    "end",
    [stream(("ERROR", EXPIRED)), stream(("ERROR", {"code": 500})), Refusal(410), stream(("MODIFIED", {"kind": "Pod"}))],
    ids=["410 in the watch", "500 in the watch", "410 for the watch", "an answer that cannot be read"],
)
async def test_after_a_gap_pods_are_listed_anew_and_deletions_noticed(
    server: ApiServer, api: KubeApi, end: Any
) -> None:
    Script(server, [listed(pod("a"), pod("b")), listed(pod("b"), pod("c"), version=50)], [end])
    events = seen(await first(api, 7))
    assert events == ["a Running", "b Running", "listed", "b Running", "c Running", "a gone", "listed"]


@pytest.mark.parametrize("fault", [Refusal(503), Refusal(403, "pods is forbidden")], ids=["503", "403"])
async def test_a_watch_that_is_refused_is_tried_again(server: ApiServer, api: KubeApi, fault: Refusal) -> None:
    script = Script(server, [listed()], [fault, fault, fault, stream(("ADDED", pod("a")), stays=True)])
    assert seen(await first(api, 2)) == ["listed", "a Running"]
    assert script.watched_from == ["10"] * 4


async def test_a_list_that_fails_is_tried_again(server: ApiServer, api: KubeApi) -> None:
    Script(server, [Refusal(403), Refusal(403), listed(pod("a"))], [])
    assert seen(await first(api, 2)) == ["a Running", "listed"]


async def test_a_connection_that_went_silent_is_left(
    server: ApiServer, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 0.1)
    script = Script(server, [listed()], [stream(stays=True), stream(("ADDED", pod("a")), stays=True)])
    assert seen(await first(api, 2)) == ["listed", "a Running"]
    assert script.watched_from == ["10", "10"]


async def test_a_deletion_of_a_pod_nobody_knows_says_nothing(server: ApiServer, api: KubeApi) -> None:
    Script(server, [listed()], [stream(("DELETED", pod("ghost")), ("ADDED", pod("a")), stays=True)])
    assert seen(await first(api, 2)) == ["listed", "a Running"]


def test_a_pod_s_state_is_what_the_api_server_shows() -> None:
    body = pod("a")
    body["metadata"]["deletionTimestamp"] = "2026-11-23T08:10:00Z"
    body["status"] |= {
        "startTime": "2026-11-23T08:00:02Z",
        "conditions": [
            {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-11-23T08:00:03Z"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T08:00:09Z"},
        ],
    }
    state = pod_state(body)
    assert (state.name, state.phase, state.ready, state.deleting) == ("a", "Running", True, True)
    assert state.started_at == datetime(2026, 11, 23, 8, 0, 2, tzinfo=UTC)
    assert state.created_at == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert state.readiness_changed_at == datetime(2026, 11, 23, 8, 0, 9, tzinfo=UTC)


def test_a_pod_that_no_kubelet_has_seen_is_neither_ready_nor_started() -> None:
    state = pod_state({"metadata": pod("a")["metadata"]})
    assert (state.phase, state.ready, state.deleting, state.readiness_changed_at) == ("Unknown", False, False, None)
    assert state.started_at == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_a_pod_says_since_when_it_leaves() -> None:
    metadata = {
        "name": "web-1",
        "creationTimestamp": "2026-11-23T12:00:00Z",
        "deletionTimestamp": "2026-11-23T12:05:40Z",
        "deletionGracePeriodSeconds": 40,
    }
    assert pod_state({"metadata": metadata}).left_at == datetime(2026, 11, 23, 12, 5, tzinfo=UTC)


def test_the_other_containers_of_a_pod_are_summed() -> None:
    def container(name: str, cpu: str, **changes: str) -> dict[str, Any]:
        return {"name": name, "resources": {"requests": {"cpu": cpu}}, **changes}

    spec = {
        "priorityClassName": "high",
        "containers": [container("app", "1"), container("proxy", "100m")],
        "initContainers": [container("set-up", "2"), container("logs", "50m", restartPolicy="Always")],
    }
    state = pod_state({"metadata": {"name": "web-1", "creationTimestamp": "2026-11-23T12:00:00Z"}, "spec": spec})
    assert state.other_containers
    assert state.other_containers.cpu.request == pytest.approx(0.15)
    assert state.priority_class == "high"
