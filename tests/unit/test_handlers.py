"""Kopf's part: its settings, its thread, and events into the registry."""

import asyncio
import threading
from typing import Any

import kopf
import pytest

from scalableapp import handlers as handlers_module
from scalableapp.core.model import AppKey
from scalableapp.engine.informers import CHILD_KINDS, CHILD_SELECTOR
from scalableapp.engine.registry import Registry
from scalableapp.errors import Unavailable
from scalableapp.handlers import KopfWatches, kopf_handlers, kopf_settings, take
from tests.unit.engine.world import NAMESPACE, app_labels

KEY = AppKey(NAMESPACE, "web")


def app(uid: str = "u1") -> dict[str, Any]:
    metadata = {"namespace": NAMESPACE, "name": "web", "uid": uid, "generation": 1}
    return {"kind": "ScalableApp", "metadata": metadata, "spec": {"image": "web:1"}}


def service() -> dict[str, Any]:
    metadata = {"namespace": NAMESPACE, "name": "web", "labels": app_labels()}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}}


@pytest.mark.parametrize("event", [None, "ADDED", "MODIFIED"], ids=["listed", "added", "modified"])
def test_an_app_that_is_new_to_us_is_due(event: str | None) -> None:
    assert take(Registry(), event, app()) == KEY


def test_a_deleted_app_is_not_due() -> None:
    registry = Registry()
    take(registry, "ADDED", app())
    assert take(registry, "DELETED", app()) is None
    assert registry.get(KEY) is None


def test_a_deletion_that_comes_after_its_successor_does_not_forget_the_successor() -> None:
    registry = Registry()
    take(registry, "ADDED", app("u2"))
    take(registry, "DELETED", app("u1"))
    assert registry.get(KEY) is not None


def test_a_child_that_changes_or_goes_makes_its_app_due() -> None:
    registry = Registry()
    take(registry, None, app())
    assert take(registry, "ADDED", service()) == KEY
    assert take(registry, "MODIFIED", service()) is None
    assert take(registry, "DELETED", service()) == KEY


def test_kopf_soon_gives_up_on_a_server_that_fails_and_on_a_watch_that_is_silent() -> None:
    settings = kopf_settings(CHILD_KINDS)
    assert settings.networking.error_backoffs == (0.5, 1.0)
    assert settings.networking.request_timeout == 10
    assert settings.watching.server_timeout == 20
    assert settings.watching.inactivity_timeout == 25


def test_kopf_never_kills_the_process() -> None:
    assert kopf_settings(CHILD_KINDS).process.ultimate_exiting_timeout is None


def test_children_are_selected_by_the_server() -> None:
    selectors = kopf_settings(CHILD_KINDS).watching.label_selectors
    for kind in ("deployments", "services", "ingresses", "poddisruptionbudgets"):
        assert any(kind in repr(selector) for selector in selectors), kind
    assert set(selectors.values()) == {CHILD_SELECTOR}


def test_nothing_is_stored_on_users_objects() -> None:
    settings = kopf_settings(CHILD_KINDS)
    assert settings.persistence.diffbase_storage.fetch(body=kopf.Body({})) is None
    assert settings.posting.enabled is False


def test_kopf_asks_the_same_address_as_our_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    found = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: found)
    handlers = kopf_handlers(lambda *_: None, CHILD_KINDS, server="https://10.96.0.1:443")
    (log_in,) = [handler for handler in handlers._activities._handlers if handler.id == "service-account"]
    info: Any = log_in.fn()  # type: ignore[call-arg]
    assert (info.server, info.token) == ("https://10.96.0.1:443", "t")


def test_there_are_no_handlers_that_would_need_a_finalizer_or_an_annotation() -> None:
    handlers = kopf_handlers(lambda *_: None, CHILD_KINDS)
    assert (handlers._changing._handlers, handlers._spawning._handlers, handlers._indexing._handlers) == ([], [], [])
    assert len(handlers._watching._handlers) == 6


async def test_what_ends_kopf_is_raised_and_its_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(**_: Any) -> Any:
        raise kopf.LoginError("no way in")

    monkeypatch.setattr(kopf, "spawn_tasks", refused)
    threads = threading.active_count()
    with pytest.raises(Unavailable, match="children ended: LoginError: no way in"):
        await KopfWatches(CHILD_KINDS).follow(lambda *_: None)
    assert threading.active_count() == threads


async def test_events_come_in_our_own_event_loop_until_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str | None, int]] = []
    arrived = asyncio.Event()

    async def tell_of_an_app(*, registry: kopf.OperatorRegistry, **_: Any) -> Any:
        (handler, *_others) = registry._watching._handlers
        event: Any = {"type": "ADDED", "object": app()}
        await handler.fn(event=event)  # type: ignore[call-arg, misc]
        return [asyncio.create_task(asyncio.Event().wait())]

    def deliver(kind: str | None, _body: Any) -> None:
        taken.append((kind, threading.get_ident()))
        arrived.set()

    monkeypatch.setattr(kopf, "spawn_tasks", tell_of_an_app)
    threads = threading.active_count()
    following = asyncio.create_task(KopfWatches(CHILD_KINDS).follow(deliver))
    await asyncio.wait_for(arrived.wait(), 5)
    assert taken == [("ADDED", threading.get_ident())]
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert threading.active_count() == threads


async def test_a_kopf_that_does_not_end_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()

    async def hang(**_: Any) -> Any:
        release.wait(5)
        return []

    monkeypatch.setattr(kopf, "spawn_tasks", hang)
    monkeypatch.setattr(handlers_module, "_END_SECONDS", 0.1)
    following = asyncio.create_task(KopfWatches(CHILD_KINDS).follow(lambda *_: None))
    await asyncio.sleep(0.05)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert "left behind" in caplog.text
    release.set()
