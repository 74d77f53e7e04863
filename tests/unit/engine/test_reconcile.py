"""One app from its creation to its deletion: idle, restarted, wrong, faulty, gone."""

import copy
from collections import Counter

import pytest

from scalableapp.core.model import AppKey
from scalableapp.errors import NotFound, Terminating
from scalableapp.ports import Manifest
from tests.unit.engine.world import (
    BROKEN,
    NAMESPACE,
    World,
    with_scaling,
    with_spec,
)


async def test_a_new_app_gets_its_children_and_its_least_replicas(world: World) -> None:
    key = world.create()
    await world.settle()
    kinds = [what for verb, what in world.cluster.writes if verb == "apply"]
    assert kinds == ["Deployment", "Service", "Ingress", "PodDisruptionBudget"]
    assert world.replicas(key) == 2


async def test_nothing_changes_nothing_is_written(world: World) -> None:
    await world.running()
    await world.tick(100)
    assert (world.cluster.writes, world.cluster.events) == ([], [])


async def test_a_restart_writes_nothing_and_reads_nothing(world: World) -> None:
    key = await world.running()
    reads = world.cluster.reads
    restarted = World(world.cluster, world.clock.seconds)
    restarted.registry._record(key).pods = world.registry._record(key).pods
    restarted.metrics.pods = world.metrics.pods
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    restarted.deliver()
    await restarted.loop.tick()
    await restarted.settle()
    await restarted.tick(3)
    assert (world.cluster.writes, world.cluster.reads) == ([], reads)


async def test_a_restart_forgets_no_recommendation_that_holds_a_scale_down_back(world: World) -> None:
    key = await world.running(rps_each=200)
    await world.run_pods(key, rps_each=50)
    high = world.replicas(key)
    world.load(key, 1)
    await world.tick(2)
    assert world.status(key)["decision"]["reason"] == "ScaleDownStabilized"

    restarted = World(world.cluster, world.clock.seconds)
    restarted.registry._record(key).pods = world.registry._record(key).pods
    restarted.metrics.pods = world.metrics.pods
    world.cluster.news = [("ADDED", body) for body in (*world.cluster.objects.values(), world.cluster.apps[key])]
    await restarted.tick(50)
    assert restarted.replicas(key) == high
    await restarted.tick(20)
    assert restarted.replicas(key) < high


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"image": "web:1", "prot": 80}, "spec.prot"),
        (with_scaling(horizontal={"minReplicas": 5, "maxReplicas": 2}), "minReplicas"),
        (with_scaling(horizontal={"metrics": [{"type": "Prometheus", "target": "1", "query": "sum(x)"}]}), "query"),
        ({}, "image and targetRef are both missing"),
    ],
    ids=["unknown field", "bounds crossed", "query of another's metrics", "image missing"],
)
async def test_a_wrong_spec_is_named_and_leaves_the_running_app_alone(
    world: World, spec: dict[str, object], field: str
) -> None:
    key = await world.running()
    world.change(key, spec)
    world.load(key, 500)
    await world.tick(20)
    assert [verb for verb in world.cluster.verbs() if verb != "status"] == []
    assert world.condition(key, "Ready") == ("False", "InvalidSpec")
    assert world.condition(key, "ScalingActive") == ("False", "InvalidSpec")
    assert field in world.message(key, "Ready")
    assert [event.reason for event in world.cluster.events] == ["InvalidSpec"]


@pytest.mark.parametrize("cpu", ["500u", "1n"])
async def test_the_smallest_request_is_applied_with_the_rest_of_its_generation(world: World, cpu: str) -> None:
    key = await world.running()
    world.change(key, {"image": "web:2", "resources": {"requests": {"cpu": cpu}, "limits": {}}})
    await world.tick()
    container = world.cluster.objects["Deployment", key]["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["resources"]) == ("web:2", {"requests": {"cpu": "1m"}})
    assert world.status(key)["observedGeneration"] == 2


async def test_a_spec_that_the_operator_fails_on_is_never_reported_as_deployed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await world.running()
    monkeypatch.setattr("scalableapp.engine.record.parse_spec", _faulty)
    world.change(key, with_spec(image="web:2"))
    world.load(key, 500)
    await world.tick(3)
    assert world.condition(key, "Ready") == ("False", "InvalidSpec")
    assert "spec: internal error in the operator while reading it: ZeroDivisionError" in world.message(key, "Ready")
    assert world.status(key)["observedGeneration"] == 2
    assert [verb for verb in world.cluster.verbs() if verb != "status"] == []


def _faulty(_spec: object) -> object:
    raise ZeroDivisionError


async def test_a_fixed_spec_goes_on_at_once(world: World) -> None:
    key = await world.running()
    world.change(key, {"image": "web:1", "prot": 80})
    await world.tick()
    world.change(key, with_spec(image="web:2"))
    await world.settle()
    assert world.condition(key, "Ready")[0] == "True"
    assert ("apply", "Deployment") in world.cluster.writes


async def test_a_spec_that_changes_during_the_work_is_reported_only_once_it_is_applied(world: World) -> None:
    key = await world.running()
    world.change(key, with_spec(image="web:2"))
    apply = world.cluster.apply

    async def interrupted(manifest: Manifest) -> Manifest:
        world.cluster.apply = apply  # type: ignore[method-assign]
        world.change(key, with_spec(image="web:3"))
        world.deliver()
        return await apply(manifest)

    world.cluster.apply = interrupted  # type: ignore[method-assign]
    world.deliver()
    record = world.registry.get(key)
    assert record
    assert world.queue.take(world.clock()) == key
    await world.loop.work(record)
    assert world.status(key)["observedGeneration"] == 1
    await world.settle()
    container = world.cluster.objects["Deployment", key]["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], world.status(key)["observedGeneration"]) == ("web:3", 3)


async def test_an_app_deleted_during_the_work_is_not_written_to(world: World) -> None:
    key = await world.running()
    world.change(key, with_spec(image="web:2"))
    apply = world.cluster.apply

    async def interrupted(manifest: Manifest) -> Manifest:
        applied = await apply(manifest)
        world.registry.app_gone(key)
        return applied

    world.cluster.apply = interrupted  # type: ignore[method-assign]
    await world.settle()
    assert "status" not in world.cluster.verbs()


async def test_a_name_that_no_service_can_bear_is_reported_and_nothing_is_made(world: World) -> None:
    key = world.create("web.shop")
    await world.settle()
    assert world.condition(key, "Ready") == ("False", "InvalidSpec")
    assert "metadata.name" in world.message(key, "Ready")
    assert world.cluster.objects == {}


async def test_a_deleted_app_is_forgotten_and_written_no_more(world: World) -> None:
    key = await world.running()
    world.delete(key)
    await world.tick(3)
    assert (world.cluster.writes, world.cluster.objects, len(world.registry)) == ([], {}, 0)
    for name in ("web-0", "web-1"):
        world.registry.pod_gone(key, name)
    assert world.registry._records == {}


async def test_an_app_being_deleted_gets_its_children_not_back(world: World) -> None:
    key = await world.running()
    app = copy.deepcopy(world.cluster.apps[key])
    app["metadata"] |= {"deletionTimestamp": "2026-01-05T12:00:00Z", "generation": 2}
    world.cluster.news.append(("MODIFIED", app))
    await world.settle()
    world.cluster.remove("Deployment", key)
    await world.tick(3)
    assert world.cluster.writes == []


async def test_an_app_whose_namespace_is_being_deleted_is_left_to_go(world: World) -> None:
    key = await world.running()
    world.cluster.failures["apply"] = Terminating("namespace shop is going")
    world.cluster.remove("Deployment", key)
    world.cluster.remove("Service", key)
    await world.tick(20)
    assert world.cluster.verbs() == ["apply", "apply"]
    assert world.cluster.events == []


async def test_an_app_whose_deletion_was_missed_is_dropped_on_the_first_404(world: World) -> None:
    key = await world.running()
    del world.cluster.apps[key]
    world.load(key, 100)
    await world.tick()
    assert world.registry.get(key) is None
    world.cluster.writes.clear()
    await world.tick(5)
    assert world.cluster.writes == []


async def test_a_deployment_that_vanished_unseen_is_made_again(world: World) -> None:
    key = await world.running()
    del world.cluster.objects["Deployment", key]
    world.load(key, 100)
    await world.tick(3)
    assert ("Deployment", key) in world.cluster.objects


async def test_a_fault_of_ours_is_reported_on_that_app_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key, other = await world.running(), await world.running("api")
    monkeypatch.setattr("scalableapp.engine.reconcile.children", _failing_for(key))
    world.change(key, with_spec(image="web:2"))
    world.load(other, 100)
    await world.tick(2)
    assert world.condition(key, "Ready") == ("False", "InternalError")
    assert world.replicas(other) == 4


def _failing_for(broken: AppKey) -> object:
    from scalableapp.core.children.resources import children  # noqa: PLC0415 - the true one, before it is replaced

    def failing(key: AppKey, *rest: object) -> object:
        if key == broken:
            raise ZeroDivisionError
        return children(key, *rest)  # type: ignore[arg-type]

    return failing


async def test_the_api_server_down_is_survived_with_back_off(world: World) -> None:
    key = await world.running()
    for verb in ("apply", "scale", "status", "delete"):
        world.cluster.failures[verb] = BROKEN
    world.load(key, 100)
    await world.tick(24)
    tried = Counter(world.cluster.verbs())
    assert tried.pop("scale") < 40
    assert sum(tried.values()) < 20
    world.cluster.failures.clear()
    await world.tick(1)
    assert world.replicas(key) == 4


async def test_a_status_that_is_gone_while_it_is_written_means_the_app_is_gone(world: World) -> None:
    key = world.create()
    world.cluster.failures["status"] = NotFound("gone")
    await world.settle()
    assert world.registry.get(key) is None


async def test_two_hundred_apps_at_once(world: World) -> None:
    keys = [world.create(f"app-{number}") for number in range(200)]
    for _ in range(10):
        world.deliver()
        while (key := world.queue.take(world.clock())) is not None:
            record = world.registry.get(key)
            assert record
            await world.loop.work(record)
    assert all(world.replicas(key) == 2 for key in keys)
    assert len(world.cluster.objects) == 800
    world.cluster.writes.clear()
    world.clock.seconds += 5
    await world.loop.tick()
    assert (world.cluster.writes, len(world.queue)) == ([], 0)
    assert world.metrics.asked[-1].namespaces == {NAMESPACE}
