"""Tenants apart: what one namespace's apps cost, or how often they fail, does not delay those of another."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.model import AppKey
from scalableapp.engine.workqueue import UPKEEP_EVERY, WorkQueue, share_of
from scalableapp.errors import Unavailable
from scalableapp.ports import Manifest
from tests.unit.engine.world import FakeCluster, World

LOUD, QUIET = "loud", "quiet"


def a_queue(share: int = 100) -> WorkQueue:
    return WorkQueue(jitter=lambda: 1.0, share=share)


def keys(namespace: str, count: int) -> list[AppKey]:
    return [AppKey(namespace, f"app-{number}") for number in range(count)]


def taken(queue: WorkQueue, turns: int, now: float = 0) -> list[AppKey | None]:
    """The next turns, each done before the next begins."""
    found = []
    for _ in range(turns):
        key = queue.take(now)
        found.append(key)
        if key:
            queue.done(key, now)
    return found


def test_namespaces_take_turns_however_many_apps_each_has() -> None:
    queue = a_queue()
    for key in (*keys(LOUD, 400), *keys(QUIET, 2)):
        queue.add(key, 0)
    first = [key.namespace for key in taken(queue, 5) if key]
    assert first == [LOUD, QUIET, LOUD, QUIET, LOUD]


def test_a_scaling_comes_before_upkeep() -> None:
    queue = a_queue()
    for key in keys(LOUD, 10):
        queue.add(key, 0)
    scaling = AppKey(QUIET, "web")
    queue.add(scaling, 1)
    queue.add(scaling, 1, urgent=True)
    assert queue.take(1) == scaling


def test_many_scalings_do_not_stop_upkeep() -> None:
    queue, upkeep = a_queue(), AppKey(QUIET, "web")
    queue.add(upkeep, 0)
    for key in keys(LOUD, 100):
        queue.add(key, 0, urgent=True)
    assert upkeep in taken(queue, UPKEEP_EVERY)


def test_a_scaling_decided_while_its_app_is_in_work_comes_first_afterwards() -> None:
    queue, web = a_queue(), AppKey(QUIET, "web")
    queue.add(web, 0)
    assert queue.take(0) == web
    for key in keys(LOUD, 10):
        queue.add(key, 0)
    queue.add(web, 0, urgent=True)
    queue.done(web, 0)
    assert queue.take(0) == web


def test_an_app_of_a_forgotten_scaling_is_upkeep_when_it_is_made_again() -> None:
    queue, web = a_queue(), AppKey(QUIET, "web")
    queue.add(web, 0, delay=5, urgent=True)
    queue.forget(web)
    queue.add(web, 0)
    other = AppKey(LOUD, "web")
    queue.add(other, 0, urgent=True)
    assert taken(queue, 2) == [other, web]


def test_one_namespace_never_has_all_workers() -> None:
    queue = a_queue(share=share_of(8))
    for key in keys(LOUD, 100):
        queue.add(key, 0)
    in_work = [queue.take(0) for _ in range(8)]
    assert len([key for key in in_work if key]) == 4
    web = AppKey(QUIET, "web")
    queue.add(web, 0)
    assert queue.take(0) == web
    assert queue.take(0) is None
    assert in_work[0]
    queue.failed(in_work[0], 0)
    assert queue.take(0) is not None


def test_the_server_decides_how_soon_a_failed_app_comes_again_within_a_minute() -> None:
    queue, web = a_queue(), AppKey(QUIET, "web")
    delays = []
    for asked_for in (0.0, 30.0, 3600.0):
        queue.add(web, 0)
        queue.take(0)
        delays.append(queue.failed(web, 0, asked_for))
        queue.forget(web)
    assert delays == [1.0, 30.0, 60.0]


@given(
    waiting_apps=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=40),
    share=st.integers(1, 3),
    urgent=st.booleans(),
)
def test_no_namespace_waits_longer_than_until_each_other_has_had_a_turn(
    waiting_apps: set[tuple[int, int]], share: int, urgent: bool
) -> None:
    """Turns end at once, so the share is never the reason to wait."""
    queue = a_queue(share)
    for namespace, name in waiting_apps:
        queue.add(AppKey(str(namespace), str(name)), 0, urgent=urgent)
    waiting = Counter(str(namespace) for namespace, _ in waiting_apps)
    since = dict.fromkeys(waiting, 0)
    while key := queue.take(0):
        queue.done(key, 0)
        waiting[key.namespace] -= 1
        since = {name: 0 if name == key.namespace else turns + 1 for name, turns in since.items() if waiting[name]}
        assert all(turns < len(waiting) for turns in since.values())
    assert not +waiting


@given(
    st.lists(st.tuples(st.sampled_from(["add", "urgent", "take", "done", "failed"]), st.integers(0, 8)), max_size=80)
)
def test_no_namespace_has_more_than_its_share_and_none_waits_while_it_may_work(steps: list[tuple[str, int]]) -> None:
    queue, working, now = a_queue(share=2), set[AppKey](), 0.0
    all_keys = [AppKey(str(number % 2), str(number)) for number in range(9)]
    for verb, number in steps:
        now += 1
        key = all_keys[number]
        if verb in ("add", "urgent"):
            queue.add(key, now, urgent=verb == "urgent")
        elif verb == "take":
            due = {found for found, at in queue._due.items() if at <= now}
            in_work = Counter(found.namespace for found in working)
            found = queue.take(now)
            assert (found is not None) == any(in_work[waiting.namespace] < 2 for waiting in due)
            working |= {found} if found else set()
        elif key in working:
            working.discard(key)
            getattr(queue, verb)(key, now)
        assert all(count <= 2 for count in Counter(found.namespace for found in working).values())


class Broken(FakeCluster):
    """Writes of objects in one namespace fail, as by an admission webhook that is away."""

    async def apply(self, manifest: Manifest) -> Manifest:
        if manifest["metadata"]["namespace"] == LOUD:
            raise Unavailable("500 failed calling webhook")
        return await super().apply(manifest)


@pytest.fixture
async def world() -> World:
    """400 apps of one tenant fail; another tenant has an app that runs."""
    world = World(Broken())
    world.queue.share = share_of(8)
    await world.running("web", namespace=QUIET)
    for number in range(400):
        world.create(f"app-{number}", namespace=LOUD)
    world.deliver()
    return world


async def turns_until(world: World, key: AppKey, seconds_each: float = 0.5) -> int:
    """How many turns pass until it is that app's."""
    for turn in range(1, 1000):
        world.deliver()
        taken = world.queue.take(world.clock())
        if taken and (record := world.registry.get(taken)):
            await world.loop.work(record)
        world.clock.seconds += seconds_each
        if taken == key:
            return turn
    raise AssertionError(f"{key} never had a turn")


async def test_a_new_app_of_another_tenant_does_not_wait_for_400_that_fail(world: World) -> None:
    key = world.create("new", namespace="third")
    assert await turns_until(world, key) <= 3
    assert world.replicas(key) == 2


async def test_a_scaling_of_another_tenant_does_not_wait_for_400_that_fail(world: World) -> None:
    web = AppKey(QUIET, "web")
    for _ in range(100):
        await turns_until_any(world)
    world.load(web, 200)
    before = world.replicas(web)
    await world.loop.tick()
    assert await turns_until(world, web) <= 2
    assert world.replicas(web) > before


async def turns_until_any(world: World) -> None:
    taken = world.queue.take(world.clock())
    if taken and (record := world.registry.get(taken)):
        await world.loop.work(record)
    world.clock.seconds += 0.5


async def test_one_answer_of_5xx_is_no_news_and_a_second_is_reported() -> None:
    world = World(Broken())
    key = world.create(namespace=LOUD)
    await world.settle()
    assert world.status(key) == {}
    world.clock.seconds += 1
    await world.settle()
    assert world.condition(key, "Ready") == ("False", "ApplyFailed")
    assert "failed calling webhook" in world.message(key, "Ready")
