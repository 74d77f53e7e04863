"""The flow of every row: an app that has settled, the fault, more load, and what was seen."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from benchmarks.faults.kube import Manifest
from benchmarks.faults.scene import LOAD, MORE_LOAD, MORE_PODS, REQUESTS, Bench, Install, Scene, following

FaultOf = Callable[[Scene], AbstractAsyncContextManager[None]]
_FAILED = re.compile(r"^(scalableapp_\w*(?:failure|problem|waiting|refused)\w*(?:{[^}]*})?) (\S+)$", re.MULTILINE)

_DURATION = "scalableapp_api_request_duration_seconds"
_ANSWERS = re.compile(rf"^{_DURATION}_count{{[^}}]*}} (\S+)$", re.MULTILINE)
_QUICK_ANSWERS = re.compile(rf'^{_DURATION}_bucket{{[^}}]*le="1.0"[^}}]*}} (\S+)$', re.MULTILINE)
_SLOW_SHARE = 0.1


class Rise(StrEnum):
    """When the load grows, and from when the seconds count until its pods are there."""

    AFTER = "after the fault, counted from its end"
    BEFORE = "before the fault, counted from its end"
    DURING = "while the fault lasts, counted from the rise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault, for `seconds`. `judge` returns what the operator says wrongly at its end, or "".

    `tells`: the operator must say that something is wrong while the fault lasts. `tls`: it reaches the servers by TLS.
    `clock`: its wall clock can be put.
    """

    name: str
    section: str
    fault: FaultOf
    seconds: float = 20.0
    rise: Rise = Rise.AFTER
    quick: bool = False
    tells: bool = False
    namespaced: bool = False
    tls: bool = False
    clock: bool = False
    metrics: tuple[Manifest, ...] = (REQUESTS,)
    load: float = LOAD
    patience_seconds: float = 60.0
    judge: Callable[[Scene], Awaitable[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a row came to. `back` in seconds, None where the patience ended; memory in MiB."""

    wrong: list[str] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    back: float | None = None
    patience: float = 0.0
    told: list[str] = field(default_factory=list)
    untrue: str = ""
    peak_mib: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """With figures as they are shown."""
        back = None if self.back is None else round(self.back, 1)
        return asdict(self) | {"back": back, "peak_mib": round(self.peak_mib)}


AIM_SECONDS, AIM_SECONDS_LONG, LONG_SECONDS = 10.0, 15.0, 300.0


def missed(row: Row, result: Result, slack: float = 1.0) -> list[str]:
    """What the row should have come to and did not; it may take `slack` times as long."""
    aim = slack * (AIM_SECONDS_LONG if row.seconds >= LONG_SECONDS else AIM_SECONDS)
    return [
        *(f"reduced from {text}" for text in result.wrong),
        *(f"the process ended: {text}" for text in result.exits),
        *([f"not back after {result.patience:g} s"] if result.back is None else []),
        *([f"back after {result.back:.1f} s, later than {aim:g} s"] if result.back and result.back > aim else []),
        *(["nothing was told"] if row.tells and not result.told else []),
        *([f"told wrongly: {result.untrue}"] if result.untrue else []),
    ]


async def measure(bench: Bench, row: Row) -> Result:
    """One row. Raises BenchError where the app does not even settle before the fault."""
    install = Install(namespaced=row.namespaced, tls=row.tls, clock=row.clock)
    async with bench.scene(row.metrics, install, load=row.load) as scene:
        return await _measure(scene, row)


async def _measure(scene: Scene, row: Row) -> Result:
    exits = len(scene.operator.exits)
    if row.rise is Rise.BEFORE:
        scene.loads.set(scene.shop, MORE_LOAD)
    back, untrue = None, ""
    async with _listening(scene) as told, row.fault(scene):
        await asyncio.sleep(row.seconds)
        if row.judge:
            untrue = await row.judge(scene)
        if row.rise is Rise.DURING:
            back = await _back(scene, row)
    if row.rise is not Rise.DURING:
        back = await _back(scene, row)
    return Result(
        wrong=scene.replicas.wrong.get(scene.shop, []),
        exits=scene.operator.exits[exits:],
        back=back,
        patience=row.patience_seconds,
        told=sorted(told),
        untrue=untrue,
        peak_mib=scene.operator.peak_mib,
    )


async def _back(scene: Scene, row: Row) -> float | None:
    scene.loads.set(scene.shop, MORE_LOAD)
    return await scene.replicas.reach(scene.shop, MORE_PODS, row.patience_seconds)


@asynccontextmanager
async def _listening(scene: Scene) -> AsyncIterator[set[str]]:
    """What the operator says in the block that it did not say before."""
    told: set[str] = set()
    before = {line for app in await scene.apps() for line in _conditions(app)}
    metrics = await _metrics(scene)

    async def listen() -> None:
        while True:
            await asyncio.sleep(1.0)
            told.update({line for app in await scene.apps() for line in _conditions(app)} - before)
            status, text = await scene.operator.text("/readyz")
            if status == 503:
                told.add(f"/readyz: {text}")
            told.update((await _metrics(scene)).news(metrics))

    async with following(listen()):
        yield told


def _conditions(app: Manifest) -> Iterator[str]:
    """Of its conditions those that tell of trouble; that pods start, or a number is limited, is none."""
    namespace = app["metadata"]["namespace"].partition("-")[0]
    for entry in app.get("status", {}).get("conditions") or ():
        good = "False" if entry["type"] in _BAD_WHEN_TRUE else "True"
        if entry["status"] != good and entry["reason"] not in _NO_TROUBLE and entry["type"] not in _NEVER_TROUBLE:
            yield f"condition of {namespace}: {entry['type']}={entry['status']} {entry['reason']}"


_BAD_WHEN_TRUE = {"Conflicted"}
_NEVER_TROUBLE = {"ScalingLimited", "Paused"}
_NO_TROUBLE = {"PodsNotReady", "NotMeasured", "NoReadyPods", "AwaitingSamples", "Deploying"}


class _Metrics(NamedTuple):
    """Of the operator's metrics: what counts failures, and how many answers of the API server took how long."""

    failures: dict[str, float]
    answers: float
    slow: float

    def news(self, before: "_Metrics") -> Iterator[str]:
        """What has become worse since; as for the alert, an API server is slow when one answer in ten is."""
        for name, value in self.failures.items():
            if value > before.failures.get(name, 0.0):
                yield f"metric: {name}"
        if self.slow - before.slow > _SLOW_SHARE * (self.answers - before.answers):
            yield f"metric: {_DURATION}, above 1 s"


async def _metrics(scene: Scene) -> _Metrics:
    _, text = await scene.operator.text("/metrics")
    failures = {name: float(value) for name, value in _FAILED.findall(text)}
    answers = sum(map(float, _ANSWERS.findall(text)))
    return _Metrics(failures, answers, answers - sum(map(float, _QUICK_ANSWERS.findall(text))))
