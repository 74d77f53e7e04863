"""From stage to stage, in order; back to the first one after whatever fails."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scalableapp import supervisor as module
from scalableapp.adapters.lease import LeaseLost
from scalableapp.adapters.progress import Progress, Stage
from scalableapp.core.children.resources import ClusterFeatures
from scalableapp.errors import Unavailable
from scalableapp.settings import Settings
from scalableapp.supervisor import Pace, Supervisor

QUICK = Pace(0.001, 0.01, 0.05, 0.001, 3600.0)


class World:
    """A cluster, a Lease and terms, in each of which something may be in the way."""

    def __init__(self) -> None:
        self.stages: list[Stage | None] = []
        self.served: list[tuple[str, ...]] = []
        self.left_over: list[int] = []
        self.forbidden: set[str] = set()
        self.asked = 0
        self.crd = True
        self.down: Exception | None = None
        self.silent = False
        self.lease: Exception | None = None
        self.holder = ""
        self.ends: Callable[[], Awaitable[None]] = asyncio.Event().wait  # type: ignore[assignment]
        self.begun = asyncio.Event()
        self.progress = Progress(self.stages.append)

    def hangs(self) -> str:
        return ""

    async def features(self) -> ClusterFeatures:
        if self.down:
            raise self.down
        if self.silent:
            await asyncio.sleep(5)
        return ClusterFeatures()

    async def serves(self, *_: str) -> bool:
        return self.crd

    async def why_not_listed(self, _version: str, kind: str, namespace: str) -> str:
        self.asked += 1
        return f"{kind} is forbidden" if namespace in self.forbidden else ""


class FakeLease:
    def __init__(self, world: World) -> None:
        self.world = world

    def __str__(self) -> str:
        return "Lease a/b"

    async def acquire(self, waits: Callable[[str], None]) -> None:
        if self.world.lease:
            raise self.world.lease
        while self.world.holder:
            waits(self.world.holder)
            await asyncio.sleep(0.001)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    terms: weakref.WeakSet[object] = weakref.WeakSet()

    class FakeTerm:
        def __init__(self, _settings: Settings, _clients: object, _features: object, served: tuple[str, ...]) -> None:
            world.served.append(served)
            world.left_over.append(len(terms))
            terms.add(self)
            self.cycle = self

        def stalled(self) -> str:
            return "no tick for 40 s"

        async def run(self) -> None:
            world.progress.acts()
            world.begun.set()
            await world.ends()

    monkeypatch.setattr(module, "Term", FakeTerm)
    return world


class Clients:
    """What the supervisor takes of the real ones."""

    def __init__(self, world: World) -> None:
        self.telemetry = self.cluster = world
        self.progress = world.progress
        self.lease = FakeLease(world)


def supervised(world: World, namespaces: tuple[str, ...] = ()) -> Supervisor:
    clients: Any = Clients(world)
    return Supervisor(Settings(namespaces=namespaces), clients, QUICK)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.001)


class Running:
    """A supervisor that runs meanwhile."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    async def __aenter__(self) -> "asyncio.Task[Any]":
        self.task = asyncio.create_task(self.supervisor.run())
        return self.task

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


Obstacle = Callable[[World], None]


def set_to(name: str, value: object) -> Obstacle:
    return lambda world: setattr(world, name, value)


OBSTACLES: dict[str, tuple[Obstacle, Obstacle, Stage, str]] = {
    "an API that fails": (
        set_to("down", Unavailable("500")), set_to("down", None), Stage.API, "500"
    ),
    "an API that is silent": (
        set_to("silent", True), set_to("silent", False), Stage.API, "does not answer"
    ),
    "a CRD that is missing": (
        set_to("crd", False), set_to("crd", True), Stage.CRD, "kubectl apply -f crds/"
    ),
    "a right that is missing": (
        set_to("forbidden", {""}), set_to("forbidden", set()), Stage.NAMESPACES, "ScalableApp is forbidden"
    ),
    "a Lease that cannot be written": (
        set_to("lease", Unavailable("no leases")), set_to("lease", None), Stage.LEASE, "no leases"
    ),
    "a Lease of another": (
        set_to("holder", "the other"), set_to("holder", ""), Stage.STANDBY, "Lease a/b is held by the other"
    ),
}  # fmt: skip


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES.keys())
async def test_what_is_in_the_way_is_told_and_when_it_is_gone_the_operator_acts(
    world: World, obstacle: tuple[Obstacle, Obstacle, Stage, str]
) -> None:
    appears, vanishes, stage, words = obstacle
    appears(world)
    async with Running(supervised(world)) as task:
        await until(lambda: words in world.progress.readiness()[1])
        assert world.stages[-1] is stage
        assert not world.served
        vanishes(world)
        await asyncio.wait_for(world.begun.wait(), 5)
        assert not task.done()
        assert world.progress.readiness() == (True, "ready")


@pytest.mark.parametrize(
    ("error", "stage"),
    [(LeaseLost("taken over"), Stage.LEASE), (Unavailable("Kopf ended"), Stage.LISTS)],
    ids=["a lost Lease", "a watch that gave way"],
)
async def test_a_term_that_ends_is_followed_by_another(world: World, error: Exception, stage: Stage) -> None:
    endings = [error]

    async def ends() -> None:
        if endings:
            raise endings.pop()
        await asyncio.Event().wait()

    world.ends = ends
    async with Running(supervised(world)) as task:
        await until(lambda: len(world.served) == 2)
        assert not task.done()
    assert stage in world.stages[world.stages.index(None) :]


async def test_a_term_leaves_no_memory_to_the_next_one(world: World) -> None:
    async def ends() -> None:
        raise Unavailable("Kopf ended")

    world.ends = ends
    async with Running(supervised(world)):
        await until(lambda: len(world.served) == 4)
    assert world.left_over == [0, 0, 0, 0]


async def test_an_internal_error_ends_it_before_all_else(world: World) -> None:
    async def ends() -> None:
        raise ExceptionGroup("term", [Unavailable("first"), ExceptionGroup("inner", [KeyError("a bug")])])

    world.ends = ends
    with pytest.raises(KeyError, match="a bug"):
        await asyncio.wait_for(supervised(world).run(), 5)


async def test_namespaces_that_cannot_be_watched_do_not_hold_up_the_others(world: World) -> None:
    world.forbidden = {"b"}
    async with Running(supervised(world, ("a", "b", "c"))):
        await asyncio.wait_for(world.begun.wait(), 5)
        assert world.served == [("a", "c")]
        assert world.progress.readiness() == (True, "waiting for namespace b: ScalableApp is forbidden")
        world.forbidden = set()
        await until(lambda: world.served[-1] == ("a", "b", "c"))
        await until(lambda: world.progress.readiness() == (True, "ready"))


async def test_a_namespace_that_comes_and_goes_does_not_cost_the_others_a_term_each_time(world: World) -> None:
    over = asyncio.Event()

    async def ends() -> None:
        await over.wait()
        over.clear()
        raise Unavailable("a watch gave way")

    world.ends = ends
    async with Running(supervised(world, ("a", "b"))):
        world.forbidden = {"b"}
        await asyncio.wait_for(world.begun.wait(), 5)
        world.forbidden = set()
        await until(lambda: world.served[-1] == ("a", "b"))
        world.forbidden = {"b"}
        over.set()
        await until(lambda: world.served[-1] == ("a",))
        terms, world.forbidden, world.asked = len(world.served), set(), 0
        await until(lambda: world.asked > 50)
        assert len(world.served) == terms


async def test_without_any_namespace_it_waits(world: World) -> None:
    world.forbidden = {"a", "b"}
    async with Running(supervised(world, ("a", "b"))):
        await until(lambda: world.stages[-1:] == [Stage.NAMESPACES])
        world.forbidden = {"a"}
        await until(lambda: world.served == [("b",)])


async def test_the_loop_is_judged_only_while_there_is_one(world: World) -> None:
    world.crd = False
    waiting = supervised(world)
    async with Running(waiting):
        await until(lambda: world.stages[-1:] == [Stage.CRD])
        assert waiting.alive() == (True, "running")
        world.crd = True
        await asyncio.wait_for(world.begun.wait(), 5)
        assert waiting.alive() == (False, "no tick for 40 s")
