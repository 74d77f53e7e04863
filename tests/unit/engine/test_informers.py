"""What keeps the registry true beside the watches."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalableapp.adapters.podwatch import PodEvent
from scalableapp.adapters.watch import Listed
from scalableapp.core.children.resources import API_VERSION
from scalableapp.core.model import AppKey, PodState
from scalableapp.core.size import Resource, SizeConflict
from scalableapp.core.vertical.limits import NamespaceLimits
from scalableapp.engine import informers as module
from scalableapp.engine.informers import CHILD_KINDS, Informers
from scalableapp.engine.workqueue import AsyncWorkQueue
from scalableapp.errors import Unavailable
from tests.unit.engine.fakes import START
from tests.unit.engine.world import NAMESPACE, World

WEB = AppKey(NAMESPACE, "web")


class Lister:
    """Lists what is in a world's cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.autoscalers: dict[AppKey, str] = {}
        self.resizers: dict[AppKey, SizeConflict] = {}
        self.failure: Exception | None = None

    async def list_metadata(self, api_version: str, kind: str, namespace: str, labels: str) -> AsyncIterator[Any]:
        if self.failure:
            raise self.failure
        if api_version == API_VERSION:
            found = list(self.world.cluster.apps.values())
        else:
            found = [body for (known, _), body in self.world.cluster.objects.items() if known == kind]
        for body in found:
            assert (kind == "ScalableApp") is (labels == "")
            yield body["metadata"]

    async def list_resizers(self, _namespace: str) -> dict[AppKey, SizeConflict]:
        return self.resizers

    async def list_autoscalers(self, _namespace: str) -> dict[AppKey, str]:
        if self.failure:
            raise self.failure
        return self.autoscalers


@pytest.fixture
def lister(world: World) -> Lister:
    return Lister(world)


@pytest.fixture
def informers(world: World, lister: Lister) -> Informers:
    queue = AsyncWorkQueue(world.queue, world.clock)
    return Informers(world.registry, queue, lister, CHILD_KINDS, ("",))  # type: ignore[arg-type] # lists as KubeClient does


async def test_an_app_deleted_unseen_is_forgotten(world: World, informers: Informers) -> None:
    key = await world.running()
    world.cluster.apps.clear()
    await informers.resync_once()
    assert world.registry.get(key) is None
    assert key not in world.queue


async def test_an_app_that_appears_during_the_list_is_kept(world: World, informers: Informers, lister: Lister) -> None:
    await world.running()
    listed = lister.list_metadata

    async def late(*arguments: str) -> AsyncIterator[Any]:
        async for metadata in listed(*arguments):
            yield metadata
        if arguments[1] == "ScalableApp":
            world.create("late")
            world.deliver()

    lister.list_metadata = late  # type: ignore[method-assign, assignment]
    await informers.resync_once()
    assert world.registry.get(AppKey(NAMESPACE, "late")) is not None


async def test_a_child_deleted_unseen_is_made_again(world: World, informers: Informers) -> None:
    key = await world.running()
    del world.cluster.objects["Service", key]
    await informers.resync_once()
    await world.settle()
    assert world.cluster.writes == [("apply", "Service")]


async def test_a_resync_checks_every_app_but_writes_nothing_when_all_is_well(
    world: World, informers: Informers
) -> None:
    key = await world.running()
    await informers.resync_once()
    assert key in world.queue
    world.clock.seconds += module.RESYNC_SPREAD_SECONDS
    await world.tick()
    assert key not in world.queue
    assert world.cluster.writes == []


async def test_an_autoscaler_that_comes_or_goes_makes_the_app_due(
    world: World, informers: Informers, lister: Lister
) -> None:
    key = await world.running()
    lister.autoscalers = {key: "an HPA"}
    await informers.refresh_autoscalers()
    await world.settle()
    assert world.condition(key, "Conflicted") == ("True", "Conflicted")
    lister.autoscalers = {}
    await informers.refresh_autoscalers()
    await world.settle()
    assert world.condition(key, "Conflicted") == ("False", "NoConflict")


async def test_who_else_sizes_pods_makes_the_app_due(world: World, informers: Informers, lister: Lister) -> None:
    key = await world.running()
    conflict = SizeConflict(frozenset({Resource.CPU}), "a VPA")
    lister.resizers = {key: conflict}
    await informers.refresh_autoscalers()
    assert key in world.queue
    assert world.registry.resizers == {key: conflict}


async def test_autoscalers_of_other_workloads_make_no_app_due(
    world: World, informers: Informers, lister: Lister
) -> None:
    lister.autoscalers = {AppKey("other", "thing"): "an HPA"}
    await informers.refresh_autoscalers()
    assert len(world.queue) == 0


async def test_a_namespace_that_cannot_be_listed_keeps_what_is_known_and_hides_no_other(
    world: World, lister: Lister, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, here = AppKey("gone", "web"), AppKey("here", "web")
    world.registry.autoscalers = {gone: "HPA gone/web", AppKey("here", "old"): "HPA here/old"}

    async def list_autoscalers(namespace: str) -> dict[AppKey, str]:
        if namespace == "gone":
            raise Unavailable("namespace gone is away")
        return {here: "HPA here/web"}

    monkeypatch.setattr(lister, "list_autoscalers", list_autoscalers)
    queue = AsyncWorkQueue(world.queue, world.clock)
    informers = Informers(world.registry, queue, lister, CHILD_KINDS, ("gone", "here"))  # type: ignore[arg-type] # as above
    with pytest.raises(Unavailable):
        await informers.refresh_autoscalers()
    assert world.registry.autoscalers == {gone: "HPA gone/web", here: "HPA here/web"}


async def test_limits_of_a_new_namespace_are_read_soon_and_all_once_a_minute(
    world: World, informers: Informers, lister: Lister, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []

    async def list_limits(namespaces: set[str]) -> dict[str, NamespaceLimits]:
        asked.append(namespaces)
        return dict.fromkeys(namespaces, NamespaceLimits())

    monkeypatch.setattr(lister, "list_limits", list_limits, raising=False)
    spec = {"image": "web:1", "scaling": {"mode": "Vertical"}}
    world.create(spec=spec)
    world.deliver()
    for number in range(module.LIMITS_EVERY + 1):
        if number == 3:
            world.create(spec=spec, namespace="new")
            world.deliver()
        await informers.refresh_limits(only_unknown=number % module.LIMITS_EVERY != 0)
    assert asked == [{NAMESPACE}, {"new"}, {NAMESPACE, "new"}]


@pytest.mark.parametrize("task", ["follow_autoscalers", "follow_limits", "resync"])
async def test_a_fault_in_one_object_ends_none_of_the_tasks(
    informers: Informers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, task: str
) -> None:
    sleeps = iter([None, None, asyncio.CancelledError()])

    async def sleep(_seconds: float) -> None:
        if error := next(sleeps):
            raise error

    async def failing(**_: object) -> None:
        raise KeyError("metadata")

    once = {"follow_autoscalers": "refresh_autoscalers", "follow_limits": "refresh_limits", "resync": "resync_once"}
    monkeypatch.setattr(informers, once[task], failing)
    monkeypatch.setattr(module, "asyncio", type("Asyncio", (), {"sleep": staticmethod(sleep)}))
    with pytest.raises(asyncio.CancelledError):
        await getattr(informers, task)()
    assert caplog.text.count("KeyError: 'metadata'") >= 2


@pytest.mark.parametrize("task", ["follow_autoscalers", "resync"])
async def test_a_list_that_fails_is_tried_again(
    informers: Informers, lister: Lister, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, task: str
) -> None:
    lister.failure = Unavailable("the API server is away")
    sleeps = iter([None, None, asyncio.CancelledError()])

    async def sleep(_seconds: float) -> None:
        if error := next(sleeps):
            raise error

    monkeypatch.setattr(module, "asyncio", type("Asyncio", (), {"sleep": staticmethod(sleep)}))
    with pytest.raises(asyncio.CancelledError):
        await getattr(informers, task)()
    assert caplog.text.count("the API server is away") >= 2


async def test_the_loop_waits_until_all_that_exists_has_been_reported(world: World, informers: Informers) -> None:
    await world.running()
    restarted = World(world.cluster)
    informers._registry = restarted.registry
    waiting = asyncio.create_task(informers.first_lists())
    await asyncio.sleep(0)
    assert not waiting.done()
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), *world.cluster.apps.values())]
    restarted.deliver()
    await asyncio.wait_for(waiting, 5)


async def test_the_loop_does_not_wait_for_ever(
    world: World, informers: Informers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await world.running()
    world.create("unheard")
    monkeypatch.setattr(module, "FIRST_LISTS_SECONDS", 0.01)
    await informers.first_lists()
    assert "have not reported all existing objects" in caplog.text


async def test_watches_that_report_nothing_at_all_are_begun_again(
    world: World, informers: Informers, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create()
    monkeypatch.setattr(module, "FIRST_LISTS_SECONDS", 0.01)
    with pytest.raises(Unavailable, match="no watch has reported a ScalableApp"):
        await informers.first_lists()
    world.deliver()
    await asyncio.wait_for(informers.first_lists(), 5)


async def test_a_copy_of_a_child_under_another_name_is_not_waited_for(world: World, informers: Informers) -> None:
    key = await world.running()
    stray = copy.deepcopy(world.cluster.objects["Service", key])
    stray["metadata"]["name"] = "copy-of-web"
    world.cluster.put(stray)
    await asyncio.wait_for(informers.first_lists(), 5)


async def test_pods_are_followed(world: World, informers: Informers) -> None:
    await world.running()
    pod = PodState("web-9", "Running", True, False, START)

    class Watch:
        async def events(self) -> AsyncIterator[object]:
            yield PodEvent(WEB, "web-9", pod)
            yield PodEvent(WEB, "web-0", None)
            yield Listed()

    listed = asyncio.Event()
    await informers.follow_pods(Watch(), listed.set)  # type: ignore[arg-type] # yields as PodWatch does
    record = world.registry.get(WEB)
    assert record
    assert set(record.pods) == {"web-1", "web-9"}
    assert listed.is_set()
