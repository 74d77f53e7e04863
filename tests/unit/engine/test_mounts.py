"""ConfigMaps and Secrets that an app mounts: a change rolls it out, and nothing else does."""

import copy

import pytest

from scalableapp.core.children.mounts import ANNOTATION, CONFIG_MAP, SECRET, UNREAD, Source, Version, read, write
from scalableapp.core.model import AppKey
from scalableapp.engine.mounts import Mounts
from scalableapp.errors import Rejected, Unavailable
from tests.unit.engine.world import NAMESPACE, SPEC, World

CONFIG, TLS = Source(CONFIG_MAP, "shop"), Source(SECRET, "tls")
MOUNTING = SPEC | {"mounts": [{"path": "/etc/shop", "configMap": "shop"}, {"path": "/etc/tls", "secret": "tls"}]}
DENIED = Rejected("GET /api/v1/namespaces/shop/secrets: 403 secrets is forbidden")


def holds(world: World, source: Source, content: str, resource_version: str = "") -> None:
    world.cluster.mounts[NAMESPACE, source] = Version(content, resource_version or content)


async def refreshed(world: World) -> None:
    for key in await Mounts(world.registry, world.cluster).refresh():
        world.queue.add(key, world.clock())
    await world.settle()


def versions(world: World, key: AppKey) -> dict[Source, str]:
    template = world.cluster.objects["Deployment", key]["spec"]["template"]
    return read(template["metadata"]["annotations"].get(ANNOTATION, ""))


@pytest.fixture
def mounting(world: World) -> World:
    holds(world, CONFIG, "one")
    holds(world, TLS, "a")
    return world


async def test_pods_are_made_with_what_is_mounted_and_not_replaced_at_once(mounting: World) -> None:
    key = mounting.create(spec=MOUNTING)
    await mounting.settle()
    await refreshed(mounting)
    assert versions(mounting, key) == {CONFIG: "one", TLS: "a"}
    assert mounting.cluster.writes.count(("apply", "Deployment")) == 1


@pytest.mark.parametrize("source", [CONFIG, TLS], ids=str)
async def test_a_change_of_content_is_rolled_out_once(mounting: World, source: Source) -> None:
    key = await mounting.running(spec=MOUNTING)
    holds(mounting, source, "new")
    await refreshed(mounting)
    await refreshed(mounting)
    assert versions(mounting, key)[source] == "new"
    assert mounting.cluster.writes.count(("apply", "Deployment")) == 1


async def test_new_labels_of_a_config_map_roll_nothing_out(mounting: World) -> None:
    await mounting.running(spec=MOUNTING)
    holds(mounting, CONFIG, "one", resource_version="2")
    await refreshed(mounting)
    assert "apply" not in mounting.cluster.verbs()


async def test_what_is_deleted_or_cannot_be_read_rolls_nothing_out(mounting: World) -> None:
    key = await mounting.running(spec=MOUNTING)
    del mounting.cluster.mounts[NAMESPACE, CONFIG]
    mounting.cluster.failures["read Secret"] = Unavailable("503")
    await refreshed(mounting)
    await mounting.tick(3)
    assert "apply" not in mounting.cluster.verbs()
    assert versions(mounting, key) == {CONFIG: "one", TLS: "a"}


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "not readable"])
async def test_a_restart_rolls_nothing_out(mounting: World, readable: bool) -> None:
    key = await mounting.running(spec=MOUNTING)
    restarted = World(mounting.cluster)
    if not readable:
        restarted.cluster.failures |= {"read Secret": DENIED, "read ConfigMap": Unavailable("503")}
    restarted.cluster.news = [("ADDED", copy.deepcopy(app)) for app in mounting.cluster.apps.values()]
    restarted.cluster.news += [("ADDED", copy.deepcopy(found)) for found in mounting.cluster.objects.values()]
    await restarted.settle()
    await refreshed(restarted)
    assert "apply" not in restarted.cluster.verbs()
    assert versions(restarted, key) == {CONFIG: "one", TLS: "a"}


async def test_a_change_while_the_operator_was_away_is_rolled_out(mounting: World) -> None:
    key = await mounting.running(spec=MOUNTING)
    holds(mounting, CONFIG, "two")
    restarted = World(mounting.cluster)
    restarted.cluster.news = [("ADDED", copy.deepcopy(app)) for app in mounting.cluster.apps.values()]
    restarted.cluster.news += [("ADDED", copy.deepcopy(found)) for found in mounting.cluster.objects.values()]
    await restarted.settle()
    await refreshed(restarted)
    assert versions(restarted, key)[CONFIG] == "two"


async def test_secrets_that_the_operator_may_not_list_are_mounted_and_told_of_once(mounting: World) -> None:
    mounting.cluster.failures["read Secret"] = DENIED
    key = mounting.create(spec=MOUNTING)
    await mounting.settle()
    for _ in range(3):
        await refreshed(mounting)
    assert versions(mounting, key) == {CONFIG: "one", TLS: UNREAD}
    (told,) = [event for event in mounting.cluster.events if event.reason == "MountNotFollowed"]
    assert "Secret/tls is mounted, but the operator may not read it" in told.message
    assert "component rollout-on-secrets" in told.message


async def test_the_right_alone_rolls_nothing_out_but_the_next_change_does(mounting: World) -> None:
    mounting.cluster.failures["read Secret"] = DENIED
    key = await mounting.running(spec=MOUNTING)
    del mounting.cluster.failures["read Secret"]
    await refreshed(mounting)
    await mounting.tick(2)
    assert "apply" not in mounting.cluster.verbs()
    holds(mounting, TLS, "b")
    await refreshed(mounting)
    assert versions(mounting, key) == {CONFIG: "one", TLS: "b"}


async def test_the_right_and_a_restart_roll_nothing_out_but_the_next_change_does(mounting: World) -> None:
    mounting.cluster.failures["read Secret"] = DENIED
    key = await mounting.running(spec=MOUNTING)
    del mounting.cluster.failures["read Secret"]
    restarted = World(mounting.cluster)
    restarted.cluster.news = [("ADDED", copy.deepcopy(app)) for app in mounting.cluster.apps.values()]
    restarted.cluster.news += [("ADDED", copy.deepcopy(found)) for found in mounting.cluster.objects.values()]
    await restarted.settle()
    await refreshed(restarted)
    assert "apply" not in restarted.cluster.verbs()
    holds(restarted, TLS, "b")
    await refreshed(restarted)
    assert versions(restarted, key) == {CONFIG: "one", TLS: "b"}


async def test_a_config_map_that_comes_after_its_pods_does_not_replace_them(world: World) -> None:
    key = world.create(spec=MOUNTING)
    await world.settle()
    holds(world, CONFIG, "one")
    await refreshed(world)
    assert world.cluster.writes.count(("apply", "Deployment")) == 1
    holds(world, CONFIG, "two")
    await refreshed(world)
    assert versions(world, key)[CONFIG] == "two"


async def test_a_mount_that_is_added_comes_with_its_version(mounting: World) -> None:
    key = await mounting.running()
    mounting.change(key, MOUNTING)
    await mounting.settle()
    await refreshed(mounting)
    assert versions(mounting, key) == {CONFIG: "one", TLS: "a"}
    assert mounting.cluster.writes.count(("apply", "Deployment")) == 1


async def test_looking_costs_one_request_for_each_namespace_and_kind(mounting: World) -> None:
    for name in ("web", "api", "admin"):
        await mounting.running(name, spec=MOUNTING)
    await mounting.running("plain", namespace="other")
    before = mounting.cluster.reads
    await refreshed(mounting)
    assert mounting.cluster.reads == before + 2


def test_versions_are_read_as_they_are_written_and_what_is_no_version_is_left_out() -> None:
    found = {CONFIG: "one", TLS: "a"}
    assert read(write(found)) == found
    assert read("ConfigMap/shop=one Pod/x=1 Secret/= nonsense ConfigMap/=2") == {CONFIG: "one"}
