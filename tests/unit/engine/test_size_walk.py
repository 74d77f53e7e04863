"""A random walk over a change of size: whatever happens, it ends, tells the truth, and leaves nothing behind.

Pods come, go, are killed, deferred, refused; the operator restarts at any step. Then all is well again.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from scalableapp.core.size import Resize, Size
from scalableapp.errors import Rejected, Unavailable
from tests.unit.engine.test_sizes import MI, OneApp

STEPS, CALM_LOOKS = 60, 420
_STATES = (Resize.DONE, Resize.DONE, Resize.IN_PROGRESS, Resize.DEFERRED, Resize.INFEASIBLE)


@dataclass
class Walk:
    """An app whose nodes, kubelets and Deployment controller do as the dice say."""

    app: OneApp
    dice: random.Random
    made_of: dict[str, Size] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    calm: bool = False

    def begin(self) -> None:
        self.made_of = dict.fromkeys(self.app.pods, self.app.size)
        self.app.world.cluster.on_resize = self.kubelet

    def kubelet(self, name: str, size: Size) -> None:
        if name in self.app.pods:
            state = Resize.DONE if self.calm else self.dice.choice(_STATES)
            self.app.change_pod(name, size=size, resize=state)

    def settle_resizes(self) -> None:
        for name, pod in list(self.app.pods.items()):
            if pod.resize is not Resize.DONE and (self.calm or self.dice.random() < 0.3):
                self.app.change_pod(name, resize=Resize.DONE)

    async def controller(self) -> None:
        """Rolls out what the template has, one pod first; pods that got the template's size in place are of it."""
        app, template = self.app, self.app.template
        if (later := app.world.cluster.later) is not None:
            app.world.cluster.later = None
            self.made_of = dict.fromkeys(self.made_of, later)
        if not template.get("paused"):
            self._replace(canary="minReadySeconds" in template)
        self.made_of = {name: made for name, made in self.made_of.items() if name in app.pods}
        app.count(updated=sum(made == app.size for made in self.made_of.values()))
        app.use_again()
        await app.world.settle()

    def _replace(self, *, canary: bool) -> None:
        app, wanted = self.app, self.app.template["replicas"]
        fresh = [name for name in app.pods if self.made_of.get(name) == app.size]
        old = [name for name in app.pods if name not in fresh]
        while len(fresh) < (min(1, len(old)) if canary else wanted):
            fits = self.calm or self.dice.random() < 0.7
            problem = {} if fits else {"phase": "Pending", "ready": False, "problem": "Unschedulable: Insufficient cpu"}
            pod = app.make_pod(**problem)
            self.made_of[pod.name] = app.size
            fresh.append(pod.name)
        ready = [name for name in fresh if app.pods[name].ready]
        if not canary and len(ready) >= wanted:
            for name in [*old, *fresh[wanted:]]:
                app.world.registry.pod_gone(app.key, name)
        elif self.calm:
            for name in fresh:
                app.change_pod(name, phase="Running", ready=True, problem="")

    def happen(self) -> None:
        event: Callable[[], None] = self.dice.choice(
            (
                self.kill,
                self.lose,
                self.more_cpu,
                self.less_cpu,
                self.refuse,
                self.restart,
                self.fail,
                self.settle_resizes,
            )
        )
        self.log.append(event.__name__)
        event()

    def kill(self) -> None:
        name = self.dice.choice(sorted(self.app.pods))
        now = self.app.world.clock.now() + timedelta(seconds=1)
        self.app.change_pod(name, oom_killed_at=now, ended_at=now)

    def lose(self) -> None:
        if len(self.app.pods) > 1:
            self.app.world.registry.pod_gone(self.app.key, self.dice.choice(sorted(self.app.pods)))

    def more_cpu(self) -> None:
        self.app.use(0.4, 110 * MI)

    def less_cpu(self) -> None:
        self.app.use(0.085, 110 * MI)

    def refuse(self) -> None:
        self.app.world.cluster.failures["resize"] = Rejected("403 forbidden by policy")

    def fail(self) -> None:
        self.app.world.cluster.failures[self.dice.choice(("apply", "resize", "status"))] = Unavailable("503")

    def restart(self) -> None:
        self.app.restart()

    async def look(self) -> None:
        await self.app.world.tick()
        await self.controller()
        if self.dice.random() < 0.5 or self.calm:
            self.app.world.cluster.failures.clear()


async def walked(seed: int) -> tuple[Walk, int]:
    dice = random.Random(seed)  # noqa: S311 - a seed, so that each run has the same
    app = await OneApp(in_place=True).start(cores=0.085, memory=110 * MI)
    walk = Walk(app, dice)
    walk.begin()
    for _ in range(STEPS):
        walk.happen()
        await walk.look()
    walk.calm = True
    walk.app.use(0.085, 110 * MI)
    for _ in range(CALM_LOOKS):
        walk.settle_resizes()
        await walk.look()
    asked = len(app.world.cluster.resized)
    for _ in range(20):
        await walk.look()
    return walk, len(app.world.cluster.resized) - asked


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_a_change_ends_tells_the_truth_and_leaves_nothing_behind(seed: int) -> None:
    walk, asked = asyncio.run(walked(seed))
    app = walk.app
    resources = app.world.status(app.key)["resources"]
    assert "change" not in resources, (walk.log, resources)
    assert {pod.size for pod in app.pods.values()} == {app.size}, walk.log
    assert not app.template.get("paused"), walk.log
    assert "minReadySeconds" not in app.template, walk.log
    assert asked == 0, walk.log
    assert app.world.condition(app.key, "Sized") in {("True", "InSync"), ("False", "ResizeRolledBack")}, walk.log
    assert (
        resources["current"]["memory"]["limit"]
        == app.template["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    )
