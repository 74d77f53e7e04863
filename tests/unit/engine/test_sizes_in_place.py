"""Sizes of pods carried out in place, and what happens where that does not work."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from scalableapp.core.children.resources import WATCH_SECONDS
from scalableapp.core.size import Resize, Size
from scalableapp.core.vertical.limits import namespace_limits
from scalableapp.errors import Rejected, Unavailable
from tests.unit.engine.test_sizes import MI, SPEC, START_SIZE, OneApp
from tests.unit.engine.world import NAMESPACE


async def test_what_grows_in_place_all_pods_get_in_the_turn_that_decides_it_and_at_last_the_template() -> None:
    app = await OneApp(in_place=True).start(cores=0.085, memory=110 * MI)
    app.use(0.3, 110 * MI)
    await app.opened()
    cluster = app.world.cluster
    assert [pod for pod, _ in cluster.resized] == ["web-1", "web-2"]
    assert app.size == START_SIZE
    wanted = cluster.resized[0][1]
    for pod in ("web-1", "web-2"):
        app.change_pod(pod, resize=Resize.DONE)
    await app.world.tick()
    assert cluster.later == wanted
    assert app.size == wanted
    await app.world.tick()
    assert "paused" not in app.template
    assert not any(pod.deleting for pod in app.pods.values())
    assert app.world.condition(app.key, "Sized") == ("True", "InSync")
    assert [app.events(reason) for reason in ("FirstPodPassed", "ResizeByRollout")] == [[], []]
    assert len(app.events("Resized")) == 1


async def test_a_kill_in_place_raises_all_pods_at_once_and_a_second_one_aims_higher_without_a_rollout() -> None:
    app = await OneApp(in_place=True).start(cores=0.085, memory=110 * MI)
    app.resized_state = Resize.DONE
    for _ in range(2):
        now = app.world.clock.now() + timedelta(seconds=2)
        app.change_pod("web-2", oom_killed_at=now, ended_at=now)
        await app.world.tick()
    limits = [size.memory.limit for _, size in app.world.cluster.resized]
    assert limits == [356 * MI, 356 * MI, 712 * MI, 712 * MI]
    await app.world.tick(5)
    assert set(app.pods) == {"web-1", "web-2"}
    assert "minReadySeconds" not in app.template
    assert app.world.condition(app.key, "Sized") == ("True", "InSync")


async def test_a_kill_is_answered_while_a_raise_of_cpu_is_in_back_off() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    app.use(0.5, 110 * MI)
    await app.opened()
    await app.surge(ready=False, phase="Pending", problem="Unschedulable: 0/1 nodes: Insufficient cpu")
    await app.world.tick(14)
    await app.roll_out()
    await app.world.tick(4)
    assert app.world.condition(app.key, "Sized") == ("False", "ResizeRolledBack")
    app.change_pod(next(iter(app.pods)), oom_killed_at=app.world.clock.now())
    await app.world.tick()
    assert app.size.cpu == START_SIZE.cpu
    assert (app.size.memory.limit or 0) >= 356 * MI


@pytest.mark.parametrize(
    ("state", "ticks"),
    [(Resize.INFEASIBLE, 1), (Resize.FAILED, 1), (Resize.DEFERRED, 8), (Resize.IN_PROGRESS, 14)],
    ids=str,
)
async def test_a_resize_that_does_not_come_goes_by_a_rollout_and_is_taken_back(state: Resize, ticks: int) -> None:
    app = await OneApp(in_place=True).start(cores=0.085, memory=110 * MI)
    app.use(0.5, 110 * MI)
    await app.opened()
    name, wanted = app.world.cluster.resized[0]
    app.change_pod("web-2", resize=Resize.DONE)
    app.change_pod(name, resize=state, resize_message="no room")
    app.world.cluster.resized.clear()
    await app.world.tick(ticks)
    assert app.size == wanted
    assert app.template["minReadySeconds"] == WATCH_SECONDS
    assert "no room" in app.events("ResizeByRollout")[0]
    await app.world.tick()
    assert app.world.cluster.resized[0] == (name, START_SIZE)


async def test_a_change_that_no_node_has_room_for_leaves_no_pod_with_its_size() -> None:
    """In place it waits, the rollout's pod does too; then all is as it was, and sizes are free again."""
    app = await OneApp(in_place=True).start(cores=0.085, memory=110 * MI)
    app.resized_state = Resize.DEFERRED
    app.use(0.5, 110 * MI)
    await app.opened()
    app.resized_state = Resize.DONE
    await app.world.tick(8)
    await app.surge(ready=False, phase="Pending", problem="Unschedulable: 0/1 nodes")
    await app.world.tick(14)
    assert len(app.events("ResizeRolledBack")) == 1
    await app.roll_out()
    await app.world.tick(3)
    assert {pod.size for pod in app.pods.values()} == {START_SIZE}
    assert len(app.events("SizeRestored")) == 1
    assert "change" not in app.world.status(app.key)["resources"]


async def test_a_restart_while_the_deployment_is_paused_keeps_it_paused_until_the_template_has_the_size() -> None:
    app = await OneApp(in_place=True).start(cores=0.085, memory=110 * MI)
    app.use(0.3, 110 * MI)
    await app.opened()
    wanted = app.world.cluster.resized[0][1]
    for pod in ("web-1", "web-2"):
        app.change_pod(pod, resize=Resize.DONE)
    app.world.cluster.failures["resize ReplicaSet"] = Unavailable("503")
    await app.world.tick()
    assert app.template["paused"] is True
    applied: list[tuple[bool, Size]] = []
    put = app.world.cluster.put

    def noted(manifest: dict[str, Any]) -> None:
        put(manifest)
        if manifest["kind"] == "Deployment":
            applied.append((bool(app.template.get("paused")), app.size))

    app.world.cluster.put = noted  # type: ignore[method-assign]
    app.restart()
    del app.world.cluster.failures["resize ReplicaSet"]
    await app.world.tick(3)
    assert (False, START_SIZE) not in applied
    assert (app.size, app.template.get("paused")) == (wanted, None)


async def test_what_a_quota_keeps_from_the_pods_is_told_in_the_condition() -> None:
    app = OneApp()
    quota = {
        "metadata": {"name": "team"},
        "spec": {},
        "status": {"hard": {"requests.memory": "300Mi"}, "used": {"requests.memory": "256Mi"}},
    }
    app.world.registry.namespace_limits = {NAMESPACE: namespace_limits({}, [], [quota])}
    await app.start(cores=0.085, memory=200 * MI)
    assert app.size == START_SIZE
    assert app.world.condition(app.key, "Sized") == ("False", "SizeLimited")
    assert "memory limited to 128Mi by ResourceQuota team, but 2" in app.world.message(app.key, "Sized")


async def test_a_resize_that_is_refused_goes_by_a_rollout() -> None:
    app = OneApp(in_place=True)
    app.world.cluster.failures["resize"] = Rejected("403 Node didn't have enough capacity")
    await app.start(cores=0.085, memory=110 * MI)
    app.use(0.5, 110 * MI)
    await app.opened()
    await app.world.tick(2)
    assert app.size != START_SIZE
    assert app.template["minReadySeconds"] == WATCH_SECONDS


async def test_a_lower_memory_limit_goes_by_a_rollout_though_the_cluster_can_resize() -> None:
    spec = copy.deepcopy(SPEC)
    spec["scaling"]["vertical"] = {"memory": {"halfLifeSeconds": 60}}
    app = await OneApp(in_place=True).start(spec, cores=0.085, memory=40 * MI, ticks=20)
    await app.opened()
    assert (app.size.memory.limit or 0) < (START_SIZE.memory.limit or 0)
    assert app.template["minReadySeconds"] == WATCH_SECONDS
