"""Kopf's part: events into the registry, and settings that survive an API server that is away."""

import itertools
from typing import Any

import kopf
import pytest

from scalableapp.core.model import AppKey
from scalableapp.engine.informers import CHILD_KINDS, CHILD_SELECTOR
from scalableapp.engine.registry import Registry
from scalableapp.engine.workqueue import AsyncWorkQueue, WorkQueue
from scalableapp.handlers import kopf_handlers, kopf_settings, take
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


def test_kopf_never_gives_up_on_an_api_server_that_is_away() -> None:
    backoffs = kopf_settings(CHILD_KINDS).networking.error_backoffs
    assert not isinstance(backoffs, int | float)
    for _ in range(2):  # each request starts anew
        pauses = list(itertools.islice(iter(backoffs), 500))
        assert len(pauses) == 500
        assert pauses[0] <= 0.5
        assert 7.5 <= pauses[-1] <= 15


def test_children_are_selected_by_the_server() -> None:
    selectors = kopf_settings(CHILD_KINDS).watching.label_selectors
    for kind in ("deployments", "services", "ingresses", "poddisruptionbudgets"):
        assert any(kind in repr(selector) for selector in selectors), kind
    assert set(selectors.values()) == {CHILD_SELECTOR}


def test_nothing_is_stored_on_users_objects() -> None:
    settings = kopf_settings(CHILD_KINDS)
    assert settings.persistence.diffbase_storage.fetch(body=kopf.Body({})) is None
    assert settings.posting.enabled is False


async def test_kopf_asks_the_same_address_as_our_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    found = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: found)
    queue = AsyncWorkQueue(WorkQueue(), lambda: 0.0)
    handlers = kopf_handlers(Registry(), queue, lambda: "", CHILD_KINDS, server="https://10.96.0.1:443")
    (log_in,) = [handler for handler in handlers._activities._handlers if handler.id == "service-account"]
    info: Any = log_in.fn()  # type: ignore[call-arg]
    assert (info.server, info.token) == ("https://10.96.0.1:443", "t")


async def _probe(stalled: str) -> object:
    handlers = kopf_handlers(Registry(), AsyncWorkQueue(WorkQueue(), lambda: 0.0), lambda: stalled, CHILD_KINDS)
    (probe,) = [handler for handler in handlers._activities._handlers if handler.id == "loop"]
    return await probe.fn()  # type: ignore[call-arg, misc]


async def test_the_probe_fails_at_once_when_the_loop_stalls() -> None:
    with pytest.raises(kopf.PermanentError, match="no tick for 30 s"):
        await _probe("no tick for 30 s")


async def test_the_probe_passes_while_the_loop_turns() -> None:
    assert await _probe("") == "running"


def test_there_are_no_handlers_that_would_need_a_finalizer_or_an_annotation() -> None:
    handlers = kopf_handlers(Registry(), AsyncWorkQueue(WorkQueue(), lambda: 0.0), lambda: "", CHILD_KINDS)
    assert (handlers._changing._handlers, handlers._spawning._handlers, handlers._indexing._handlers) == ([], [], [])
    assert len(handlers._watching._handlers) == 6
