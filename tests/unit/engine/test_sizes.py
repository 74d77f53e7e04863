"""Sizes of pods carried out: a rollout with one pod first, the way back, resizes in place, and restarts in between."""

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.children.resources import WATCH_SECONDS
from scalableapp.core.model import AppKey, PodState
from scalableapp.core.size import Resize, Resource, Size, SizeConflict, read_size, size_fields
from scalableapp.core.vertical.limits import NamespaceLimits, namespace_limits
from scalableapp.ports import PodAnswer, UsageMetric
from tests.unit.engine.world import FEATURES, NAMESPACE, World

MI = 2**20
SPEC: dict[str, Any] = {
    "image": "web:1",
    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}},
    "scaling": {"mode": "Vertical", "horizontal": {"minReplicas": 2}},
}
START_SIZE = read_size(SPEC["resources"])


class OneApp:
    """A world whose Deployment controller and kubelets are played by the test."""

    def __init__(self, *, in_place: bool = False) -> None:
        self.world = World(features=replace(FEATURES, resize=in_place))
        self.key = AppKey(NAMESPACE, "web")
        self.made = 0
        self.resized_state = Resize.IN_PROGRESS
        self.world.cluster.on_resize = lambda pod, size: self.change_pod(pod, size=size, resize=self.resized_state)

    async def start(
        self, spec: dict[str, Any] = SPEC, cores: float = 0.05, memory: float = 100 * MI, ticks: int = 60
    ) -> "OneApp":
        self.world.create(spec=spec)
        await self.world.settle()
        await self.roll_out()
        self.use(cores, memory)
        await self.world.tick(ticks)
        self.world.cluster.writes.clear()
        self.world.cluster.events.clear()
        return self

    @property
    def template(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.world.cluster.objects["Deployment", self.key]["spec"]
        return spec

    @property
    def size(self) -> Size:
        return read_size(self.template["template"]["spec"]["containers"][0]["resources"])

    @property
    def pods(self) -> dict[str, PodState]:
        record = self.world.registry.get(self.key)
        assert record
        return record.pods

    def make_pod(self, **changes: Any) -> PodState:
        """A pod of the present template, ready since now."""
        now = self.world.clock.now()
        self.made += 1
        pod = PodState(f"web-{self.made}", "Running", True, False, now, now, now, self.size)
        pod = replace(pod, **changes)
        self.world.registry.pod_seen(self.key, pod)
        return pod

    def change_pod(self, name: str, **changes: Any) -> None:
        self.world.registry.pod_seen(self.key, replace(self.pods[name], **changes))

    def count(self, updated: int) -> None:
        """The Deployment's status, as its controller counts."""
        deployment = self.world.cluster.objects["Deployment", self.key]
        live = [pod for pod in self.pods.values() if not pod.deleting]
        deployment["status"] = {
            "replicas": len(live),
            "updatedReplicas": updated,
            "readyReplicas": sum(pod.ready for pod in live),
            "observedGeneration": deployment["metadata"]["generation"],
        }
        self.world.cluster.put(deployment)

    async def surge(self, **changes: Any) -> PodState:
        """The controller makes one pod of the new template beside the old ones."""
        pod = self.make_pod(**changes)
        self.count(updated=1)
        await self.world.settle()
        return pod

    async def roll_out(self) -> None:
        """The controller replaces whatever is not of the present template."""
        wanted = self.template["replicas"]
        for name in [name for name, pod in self.pods.items() if pod.size != self.size]:
            self.world.registry.pod_gone(self.key, name)
        while len(self.pods) < wanted:
            self.make_pod()
        for name in list(self.pods)[wanted:]:
            self.world.registry.pod_gone(self.key, name)
        self.count(updated=wanted)
        self.use_again()
        await self.world.settle()

    def use(self, cores: float, memory: float) -> None:
        self._usage = cores, memory
        self.use_again()

    def use_again(self) -> None:
        cores, memory = getattr(self, "_usage", (0.05, 100 * MI))
        of = {(NAMESPACE, name): (cores, memory) for name in self.pods}
        self.world.metrics.pods[MetricType.CPU] = PodAnswer({pod: value[0] for pod, value in of.items()})
        self.world.metrics.usage[UsageMetric.MEMORY_PEAK] = PodAnswer({pod: value[1] for pod, value in of.items()})

    async def opened(self) -> "OneApp":
        """Ticks until a change of size begins."""
        for _ in range(200):
            await self.world.tick()
            if self.world.condition(self.key, "Sized") == ("False", "Resizing"):
                return self
        raise AssertionError("no change of size")

    def events(self, reason: str) -> list[str]:
        return [event.message for event in self.world.cluster.events if event.reason == reason]

    def restart(self) -> None:
        """Another operator takes over; it knows what the cluster holds."""
        old, pods = self.world, self.pods
        self.world = World(old.cluster, old.clock.seconds, features=old.features)
        for (_, _), body in list(old.cluster.objects.items()):
            old.cluster.news.append(("ADDED", copy.deepcopy(body)))
        old.cluster.news.append(("ADDED", copy.deepcopy(old.cluster.apps[self.key])))
        self.world.deliver()
        for pod in pods.values():
            self.world.registry.pod_seen(self.key, pod)
        self.use_again()


async def test_what_fits_is_not_touched() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    assert app.size == START_SIZE
    assert app.world.status(app.key)["resources"]["current"] == size_fields(START_SIZE)
    assert app.world.condition(app.key, "Sized") == ("True", "InSync")
    assert app.world.condition(app.key, "ScalingActive")[0] == "True"


async def test_a_limit_that_cannot_be_read_holds_raises_in_its_namespace_and_is_named() -> None:
    app = OneApp()
    bad = {"metadata": {"name": "team"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "a lot"}}]}}
    app.world.registry.namespace_limits = {NAMESPACE: namespace_limits({}, [bad], [])}
    await app.start(cores=0.3, memory=200 * MI)
    assert app.size == START_SIZE
    assert app.world.condition(app.key, "Sized") == ("Unknown", "LimitsUnreadable")
    assert "LimitRange team: max memory: 'a lot' is not a quantity" in app.world.message(app.key, "Sized")
    app.world.registry.namespace_limits = {NAMESPACE: NamespaceLimits()}
    await app.opened()
    assert app.size != START_SIZE


async def test_before_the_limits_of_a_namespace_are_read_its_sizes_are_not_raised() -> None:
    app = OneApp()
    app.world.registry.namespace_limits = {}
    await app.start(cores=0.3, memory=200 * MI)
    assert app.size == START_SIZE
    assert app.world.condition(app.key, "Sized") == ("True", "InSync")


async def test_a_rise_of_memory_comes_by_a_rollout_with_one_pod_first_and_then_the_rest() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    app.use(0.085, 200 * MI)
    await app.opened()
    assert (app.size.memory.request or 0) >= 230 * MI
    assert app.template["minReadySeconds"] == WATCH_SECONDS
    assert app.template["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert app.world.condition(app.key, "Sized") == ("False", "Resizing")
    await app.surge()
    await app.world.tick(5)
    assert "minReadySeconds" in app.template
    await app.world.tick(2)
    assert "minReadySeconds" not in app.template
    assert app.template["strategy"]["rollingUpdate"]["maxSurge"] == "25%"
    await app.roll_out()
    await app.world.tick(5)
    assert app.world.condition(app.key, "Sized") == ("True", "InSync")
    assert app.world.status(app.key)["resources"]["current"] == size_fields(app.size)
    assert [len(app.events(reason)) for reason in ("Resizing", "FirstPodPassed", "Resized")] == [1, 1, 1]


POD_PROBLEMS: list[tuple[str, dict[str, Any], int, str]] = [
    ("crashes", {"ready": False, "ended_at": timedelta(seconds=3), "problem": "CrashLoopBackOff"}, 1, "restarted"),
    (
        "fits no node",
        {"ready": False, "phase": "Pending", "problem": "Unschedulable: 0/1 nodes"},
        14,
        "has not started within",
    ),
    ("never gets ready", {"ready": False}, 40, "no pod of this size was ready within"),
]


@pytest.mark.parametrize(
    ("changes", "ticks", "expected"), [row[1:] for row in POD_PROBLEMS], ids=[row[0] for row in POD_PROBLEMS]
)
async def test_a_first_pod_that_suffers_takes_everything_back(
    changes: dict[str, Any], ticks: int, expected: str
) -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    app.use(0.5, 110 * MI)
    await app.opened()
    bigger = app.size
    assert bigger != START_SIZE
    if isinstance(changes.get("ended_at"), timedelta):
        changes = changes | {"ended_at": app.world.clock.now() + changes["ended_at"]}
    await app.surge(**changes)
    await app.world.tick(ticks)
    assert app.size == START_SIZE
    (message,) = app.events("ResizeRolledBack")
    assert expected in message
    await app.roll_out()
    await app.world.tick(30)
    assert app.size == START_SIZE, "the same failed resize again"
    assert app.world.condition(app.key, "Sized") == ("False", "ResizeRolledBack")
    assert app.world.status(app.key)["resources"]["failedResize"]["times"] == 1
    await app.opened()
    assert app.size == bigger, "after the back-off it is tried again"


async def test_a_kill_for_memory_is_answered_in_the_next_cycle_and_until_it_is_enough() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    for name in list(app.pods):
        app.change_pod(name, ready=False, oom_killed_at=app.world.clock.now(), ended_at=app.world.clock.now())
    await app.world.tick()
    first = app.size
    assert (first.memory.limit or 0) >= 356 * MI
    now = app.world.clock.now() + timedelta(seconds=1)
    await app.surge(ready=False, oom_killed_at=now, ended_at=now)
    await app.world.tick(3)
    assert (app.size.memory.limit or 0) >= (first.memory.limit or 0) + 100 * MI
    assert len(app.events("StillTooSmall")) == 1
    await app.surge()
    await app.world.tick(8)
    await app.roll_out()
    await app.world.tick(5)
    assert app.world.condition(app.key, "Sized") == ("True", "InSync")


async def test_a_restart_of_the_operator_loses_no_way() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    app.use(0.085, 200 * MI)
    await app.opened()
    app.restart()
    await app.world.tick()
    assert app.template["minReadySeconds"] == WATCH_SECONDS
    await app.surge(ready=False, ended_at=app.world.clock.now() + timedelta(seconds=1))
    await app.world.tick()
    assert app.size == START_SIZE
    app.restart()
    await app.roll_out()
    await app.world.tick(3)
    assert app.world.status(app.key)["resources"]["failedResize"]["times"] == 1
    assert app.world.condition(app.key, "Sized") == ("False", "ResizeRolledBack")


async def test_a_finished_change_leaves_the_status_and_is_not_reported_again_after_a_restart() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    app.use(0.085, 200 * MI)
    await app.opened()
    await app.surge()
    await app.world.tick(8)
    await app.roll_out()
    await app.world.tick(5)
    assert len(app.events("Resized")) == 1
    assert "change" not in app.world.status(app.key)["resources"]
    app.restart()
    await app.world.tick(20)
    assert len(app.events("Resized")) == 1
    assert app.world.condition(app.key, "Sized") == ("True", "InSync")


async def test_a_step_that_is_due_does_not_wait_for_a_resync() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    app.use(0.085, 200 * MI)
    await app.opened()
    await app.surge()
    app.world.queue.add(app.key, app.world.clock(), delay=60)  # as a resync does
    await app.world.tick(7)
    assert "minReadySeconds" not in app.template


@pytest.mark.parametrize(
    ("resource", "freezes"), [(Resource.CPU, True), (Resource.MEMORY, False)], ids=["CPU", "memory only"]
)
async def test_who_else_sets_the_same_resource_freezes_sizes_and_not_replicas(
    resource: Resource, freezes: bool
) -> None:
    spec = copy.deepcopy(SPEC)
    spec["scaling"]["vertical"] = {"resources": ["cpu"]}
    app = await OneApp().start(spec, cores=0.085, memory=110 * MI)
    app.world.registry.resizers = {app.key: SizeConflict(frozenset({resource}), "a VPA sets it too")}
    app.use(0.5, 110 * MI)
    await app.world.tick(40)
    record = app.world.registry.get(app.key)
    assert record
    assert record.decision
    assert record.decision.reason != "Conflicted" or freezes
    assert bool(app.events("Resizing")) is not freezes
    assert app.world.condition(app.key, "Conflicted")[0] == str(freezes)


async def test_a_dry_run_recommends_and_changes_nothing() -> None:
    spec = copy.deepcopy(SPEC)
    spec["scaling"]["dryRun"] = True
    app = await OneApp().start(spec, cores=0.5, memory=110 * MI)
    assert app.size == START_SIZE
    assert app.world.status(app.key)["resources"]["recommended"]["cpu"]["request"] == "590m"
    assert "would resize pods from" in app.world.status(app.key)["decision"]["message"]


async def test_back_in_mode_horizontal_the_spec_says_the_size() -> None:
    app = await OneApp().start(cores=0.085, memory=110 * MI)
    app.use(0.085, 200 * MI)
    await app.opened()
    await app.surge()
    await app.world.tick(8)
    await app.roll_out()
    await app.world.tick(5)
    assert app.size != START_SIZE
    app.world.change(app.key, SPEC | {"scaling": {"mode": "Horizontal"}})
    await app.world.settle()
    assert app.size == START_SIZE
    assert "resources" not in app.world.status(app.key)
