"""A watch on a kind that the cluster may serve or not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalableapp.adapters import kube_api, watch
from scalableapp.adapters.kube_api import KubeApi, collection
from scalableapp.adapters.watch import Change, Gone, Listed, Seen, Unserved, Watch
from scalableapp.errors import Unavailable
from tests.unit.adapters.canned import ApiServer, Asked, Refusal
from tests.unit.adapters.test_podwatch import Script, listed, pod, stream

ROUTES = collection("gateway.networking.k8s.io/v1", "httproutes")


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(watch, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(watch, "_ABSENT_SECONDS", 0.01)
    monkeypatch.setattr(kube_api, "_LONGEST_PAUSE_SECONDS", 0.001)


async def first(api: KubeApi, count: int) -> list[str]:
    """The first changes in short."""
    changes: AsyncIterator[Change] = Watch(api, ROUTES, "HTTPRoutes", "ours").changes()
    found = []
    async for change in changes:
        found.append(short(change))
        if len(found) == count:
            break
    await changes.aclose()  # type: ignore[attr-defined]  # it is a generator
    return found


def short(change: Change) -> str:
    match change:
        case Seen(body):
            return str(body["metadata"]["name"])
        case Gone(namespace, name):
            return f"{namespace}/{name} gone"
        case Unserved(_, denied):
            return "denied" if denied else "unserved"
        case Listed():
            return "listed"


async def test_a_kind_that_is_not_served_is_asked_for_until_it_is(server: ApiServer, api: KubeApi) -> None:
    Script(server, [Refusal(404), Refusal(404), listed(pod("a"))], [])
    assert await first(api, 4) == ["unserved", "unserved", "a", "listed"]
    assert {asked.path for asked in server.asked} == {"/apis/gateway.networking.k8s.io/v1/httproutes"}


async def test_after_a_kind_was_away_what_went_with_it_is_reported(server: ApiServer, api: KubeApi) -> None:
    Script(server, [listed(pod("a"), pod("b")), listed(pod("b"))], [Refusal(404)])
    assert await first(api, 7) == ["a", "b", "listed", "unserved", "b", "shop/a gone", "listed"]


async def test_without_the_right_nothing_known_is_dropped(server: ApiServer, api: KubeApi) -> None:
    script = Script(server, [listed(pod("a"))], [Refusal(403), stream(("MODIFIED", pod("a")), stays=True)])
    assert await first(api, 4) == ["a", "listed", "denied", "a"]
    assert script.watched_from == ["10", "10"]


async def test_a_watch_without_news_is_taken_up_again_without_longer_and_longer_pauses(
    server: ApiServer, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LONGEST_PAUSE_SECONDS", 3600.0)
    Script(server, [listed()], [stream()] * 16 + [stream(("ADDED", pod("a")), stays=True)])
    async with asyncio.timeout(60):  # doubled each time, the pauses would take longer than that
        assert await first(api, 2) == ["listed", "a"]


async def test_a_server_that_fails_is_no_kind_that_is_missing(server: ApiServer, api: KubeApi) -> None:
    answers: list[Any] = [Refusal(503)] * 3 + [listed()]

    def respond(asked: Asked) -> Any:
        return stream(stays=True) if "watch" in asked.query else answers.pop(0)

    server.respond = respond
    assert await first(api, 1) == ["listed"]


@pytest.mark.parametrize("answer", [Refusal(503), Refusal(403), Refusal(404), {}], ids=["503", "403", "404", "{}"])
async def test_a_watch_that_is_needed_and_fails_for_long_is_given_up(
    server: ApiServer, api: KubeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.1)
    server.replies(answer)
    changes = Watch(api, ROUTES, "pods", "ours", required=True).changes()
    with pytest.raises(Unavailable, match="the watch on pods has failed for"):
        await anext(changes)
    assert caplog.text.count("broke and is tried again") == 1


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("v1", "pods"), "/api/v1/pods"),
        (("v1", "pods", "shop"), "/api/v1/namespaces/shop/pods"),
        (("apps/v1", "deployments", "shop"), "/apis/apps/v1/namespaces/shop/deployments"),
    ],
    ids=["all", "of a namespace", "of a group"],
)
def test_a_collection_has_a_path(arguments: tuple[str, ...], path: str) -> None:
    assert collection(*arguments) == path
