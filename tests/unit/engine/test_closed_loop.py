"""Whatever happens between two looks, and whatever the watches and clocks do: no pod goes that the load needs.

The whole engine runs over a plant (plant.py) whose load never falls, while things happen in any order. One snapshot
leads to one change at most, and once all is well again the number comes right.
"""

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.engine.plant import CPU_PER_REQUEST, KEY, TARGET, WINDOW_SECONDS, Plant, Write
from tests.unit.engine.world import BROKEN

AT_ONCE = {"policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}], "stabilizationWindowSeconds": 0}
SPEC: dict[str, Any] = {
    "image": "web:1",
    "scaling": {
        "horizontal": {
            "minReplicas": 1,
            "maxReplicas": 40,
            "metrics": [{"type": "RequestsPerSecond", "target": f"{TARGET:g}"}],
            "behavior": {"scaleDown": AT_ONCE, "scaleUp": AT_ONCE},
        }
    },
}
# A window of the metrics and a look later, what is measured contains a load of before no more.
LAG_SECONDS = WINDOW_SECONDS + 15


def needed(load: float) -> int:
    return math.ceil(round(load / TARGET, 6))


Fault = Callable[[Plant, int], Awaitable[None]]


async def kubectl_scale(plant: Plant, size: int) -> None:
    await plant.kubectl_scale(1 + size % 40)


def _changed(plant: Plant, **scaling: object) -> dict[str, Any]:
    spec = copy.deepcopy(plant.cluster.apps[KEY]["spec"])
    spec["scaling"] |= scaling
    return dict(spec)


async def paused_or_not(plant: Plant, size: int) -> None:
    before = plant.cluster.apps[KEY]["spec"]["scaling"].get("paused", False)
    plant.operator.change(KEY, _changed(plant, paused=not before))
    await plant.turns()


async def spec_changed(plant: Plant, size: int) -> None:
    horizontal = plant.cluster.apps[KEY]["spec"]["scaling"].get("horizontal", {})
    plant.operator.change(KEY, _changed(plant, horizontal=horizontal | {"maxReplicas": 40 + size}))
    await plant.turns()


async def drift(plant: Plant, size: int) -> None:
    deployment = plant.deployment
    deployment["spec"]["template"]["spec"]["serviceAccountName"] = f"another-{size}"
    plant.cluster.put(deployment)
    await plant.turns()


async def pods_leave(plant: Plant, size: int) -> None:
    for pod in [pod for pod in plant.pods.values() if pod.left_at is None][: 1 + size % 8]:
        plant.leave(pod)
    await plant.turns()


async def slow_starts(plant: Plant, size: int) -> None:
    plant.start_seconds = 5 + size


async def no_samples_of_new_pods(plant: Plant, size: int) -> None:
    plant.sampled = False


async def no_samples_of_some(plant: Plant, size: int) -> None:
    for pod in list(plant.pods.values())[: 1 + size % 4]:
        pod.sampled = False


async def pods_silent(plant: Plant, size: int) -> None:
    plant.silent["pods"] = plant.second + 2 * size


async def deployments_silent(plant: Plant, size: int) -> None:
    plant.silent["deployments"] = plant.second + 2 * size


async def clock_put(plant: Plant, size: int) -> None:
    plant.put += timedelta(seconds=(size - 20) * 180)


async def restarted(plant: Plant, size: int) -> None:
    await plant.restart(size)


async def restarted_with_another_clock(plant: Plant, size: int) -> None:
    plant.put += timedelta(seconds=(size - 20) * 15)
    await plant.restart(5)


async def slow_snapshot(plant: Plant, size: int) -> None:
    plant.slow = 1 + size % 12


async def no_prometheus(plant: Plant, size: int) -> None:
    plant.unreachable_until = plant.second + 2 * size


async def scalings_refused(plant: Plant, size: int) -> None:
    plant.cluster.failures["scale"] = BROKEN


async def scalings_taken(plant: Plant, size: int) -> None:
    plant.cluster.failures.clear()


async def load_rises(plant: Plant, size: int) -> None:
    plant.load = min(600.0, plant.load + 2.0 * size)


FAULTS: tuple[Fault, ...] = (
    kubectl_scale,
    paused_or_not,
    spec_changed,
    drift,
    pods_leave,
    slow_starts,
    no_samples_of_new_pods,
    no_samples_of_some,
    pods_silent,
    deployments_silent,
    clock_put,
    restarted,
    restarted_with_another_clock,
    slow_snapshot,
    no_prometheus,
    scalings_refused,
    scalings_taken,
    load_rises,
)
SECONDS = st.sampled_from([0, 0, 1, 2, 4, 7, 12, 25])
HAPPENINGS = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 40), SECONDS), min_size=2, max_size=12)
# The percentile of the usage follows a load that rises more slowly than requests are lowered.
AT_STEADY_LOAD = HAPPENINGS.map(lambda found: [entry for entry in found if entry[0] is not load_rises])


async def all_well_again(plant: Plant) -> None:
    plant.silent.clear()
    plant.cluster.failures.clear()
    plant.unreachable_until, plant.sampled, plant.start_seconds = 0, True, 5
    for pod in plant.pods.values():
        pod.sampled = True
    if plant.cluster.apps[KEY]["spec"]["scaling"].get("paused"):
        await paused_or_not(plant, 0)


def judge(write: Write, load: float) -> None:
    assert write.fresh or write.after > write.before, f"{write} on a reading of before the last change"
    assert write.after >= min(write.before, needed(load)), f"{write}, though {load} requests/s need {needed(load)}"


async def live(happenings: list[tuple[Fault, int, int]], spec: dict[str, Any] = SPEC) -> Plant:
    plant = Plant(spec)
    await plant.begin(5)
    written = 0
    for fault, size, seconds in [*happenings, (no_fault, 0, 40)]:
        await fault(plant, size)
        for _ in range(seconds):
            await plant.run(1)
            for write in plant.writes[written:]:
                judge(write, min(list(plant.loads)[-LAG_SECONDS:]))
            written = len(plant.writes)
    return plant


async def no_fault(plant: Plant, size: int) -> None:
    """Time passes."""


def once_a_snapshot(writes: list[Write]) -> None:
    looks = [write.look for write in writes]
    assert len(looks) == len(set(looks)), f"several changes on one snapshot: {writes}"


async def told(happenings: list[tuple[Fault, int, int]]) -> None:
    plant = await live(happenings)
    once_a_snapshot(plant.writes)
    await all_well_again(plant)
    await plant.run(180)
    once_a_snapshot(plant.writes)
    ratio = plant.load / TARGET / plant.replicas
    assert plant.replicas == needed(plant.load) or 0.9 <= ratio <= 1.1


@settings(max_examples=60)
@given(HAPPENINGS)
def test_no_pod_goes_that_the_load_needs(happenings: list[tuple[Fault, int, int]]) -> None:
    asyncio.run(told(happenings))


HOUR_AHEAD = (clock_put, 40, 0)


@pytest.mark.parametrize(
    "happenings",
    [
        pytest.param([(kubectl_scale, 36, 10)], id="replicas are set too high"),
        pytest.param([(kubectl_scale, 0, 1), (kubectl_scale, 36, 2)], id="replicas are set too low, and too high"),
        pytest.param([(kubectl_scale, 0, 6), (kubectl_scale, 0, 2)], id="replicas are set too low twice"),
        pytest.param([(paused_or_not, 0, 2), (kubectl_scale, 7, 60), (paused_or_not, 0, 3)], id="a pause ends"),
        pytest.param([(pods_silent, 40, 0), (kubectl_scale, 19, 20)], id="pods come while their watch is silent"),
        pytest.param([(slow_starts, 0, 0), (kubectl_scale, 19, 1), (pods_silent, 40, 20)], id="pods become ready then"),
        pytest.param(
            [(deployments_silent, 40, 0), (pods_silent, 40, 0), (load_rises, 40, 60)], id="both watches are silent"
        ),
        pytest.param([(pods_silent, 40, 0), (pods_leave, 3, 60)], id="pods are replaced while their watch is silent"),
        pytest.param(
            [(pods_silent, 4, 2), (pods_leave, 4, 20)], id="all pods are replaced while their watch is silent"
        ),
        pytest.param([HOUR_AHEAD, (pods_leave, 7, 60)], id="pods start while the clock is ahead"),
        pytest.param([(pods_leave, 3, 2), HOUR_AHEAD, (no_fault, 0, 30)], id="the clock is put after pods left"),
        pytest.param([(pods_leave, 3, 12), (restarted, 1, 30)], id="a restart after pods left"),
        pytest.param(
            [
                (paused_or_not, 0, 0),
                (kubectl_scale, 7, 60),
                (kubectl_scale, 4, 7),
                (restarted, 1, 0),
                (paused_or_not, 0, 30),
            ],
            id="a restart after somebody removed pods",
        ),
        pytest.param([(kubectl_scale, 9, 30), (slow_snapshot, 10, 0), (pods_leave, 3, 40)], id="a slow snapshot"),
    ],
)
def test_each_alone(happenings: list[tuple[Fault, int, int]]) -> None:
    asyncio.run(told(happenings))


def slowly(**scale_down: Any) -> dict[str, Any]:
    spec = copy.deepcopy(SPEC)
    spec["scaling"]["horizontal"]["behavior"]["scaleDown"] = AT_ONCE | scale_down
    return spec


CLOCKS = st.lists(
    st.tuples(
        st.sampled_from([clock_put, restarted, restarted_with_another_clock, slow_snapshot, no_prometheus]),
        st.integers(0, 40),
        SECONDS,
    ),
    min_size=1,
    max_size=6,
)
PERIOD_SECONDS = 120


async def after_a_fall(spec: dict[str, Any], happenings: list[tuple[Fault, int, int]]) -> tuple[Plant, int]:
    """Nine pods, whose load falls to that of two before all this happens."""
    plant = Plant(spec, load=180.0)
    await plant.begin(9)
    fell = plant.second
    plant.load = 40.0
    for fault, size, seconds in happenings:
        await fault(plant, size)
        await plant.run(seconds)
    await plant.run(3 * PERIOD_SECONDS)
    return plant, fell


@settings(max_examples=20)
@given(CLOCKS)
@example([(restarted_with_another_clock, 27, 0)])
@example([(clock_put, 40, 4), (clock_put, 0, 0)])
def test_no_clock_and_no_restart_shortens_a_window(happenings: list[tuple[Fault, int, int]]) -> None:
    plant, fell = asyncio.run(after_a_fall(slowly(stabilizationWindowSeconds=PERIOD_SECONDS), happenings))
    assert plant.writes[0].second >= fell + PERIOD_SECONDS
    assert plant.replicas == 2


@settings(max_examples=20)
@given(CLOCKS)
@example([(no_fault, 0, 25), (restarted_with_another_clock, 40, 0)])
@example([(no_fault, 0, 25), (restarted_with_another_clock, 0, 0)])
@example([(no_fault, 0, 25), (clock_put, 40, 0)])
def test_no_clock_and_no_restart_shortens_the_period_of_a_policy(happenings: list[tuple[Fault, int, int]]) -> None:
    policy = {"type": "Pods", "value": 1, "periodSeconds": PERIOD_SECONDS}
    plant, _ = asyncio.run(after_a_fall(slowly(policies=[policy]), happenings))
    seconds = [write.second for write in plant.writes]
    assert len(seconds) >= 2
    assert all(later - sooner >= PERIOD_SECONDS for sooner, later in pairwise(seconds))


VERTICAL: dict[str, Any] = {
    "image": "web:1",
    "resources": {"requests": {"cpu": "300m", "memory": "200Mi"}},
    "scaling": {
        "mode": "Vertical",
        "vertical": {
            "minAllowed": {"cpu": "10m", "memory": "16Mi"},
            "cpu": {"percentile": 50, "marginPercent": 5, "halfLifeSeconds": 60},
            "behavior": {"scaleDown": {"intervalSeconds": 30}, "scaleUp": {"intervalSeconds": 15}},
        },
    },
}


@pytest.mark.parametrize("mode", ["Vertical", "Combined"])
@settings(max_examples=15)
@given(happenings=AT_STEADY_LOAD)
@example(happenings=[(pods_silent, 40, 0), (kubectl_scale, 19, 80)])
@example(happenings=[(kubectl_scale, 19, 120), (kubectl_scale, 4, 60)])
def test_no_request_falls_below_what_the_pods_use(mode: str, happenings: list[tuple[Fault, int, int]]) -> None:
    spec = VERTICAL | {"scaling": VERTICAL["scaling"] | {"mode": mode}}
    if mode == "Combined":
        spec["scaling"]["horizontal"] = SPEC["scaling"]["horizontal"]

    async def sized() -> None:
        plant = Plant(spec)
        await plant.begin(5)
        await plant.run(180)
        for fault, size, seconds in [*happenings, (no_fault, 0, 40)]:
            await fault(plant, size)
            for _ in range(seconds):
                before = plant.requested
                await plant.run(1)
                used = CPU_PER_REQUEST * plant.load / max(1, plant.replicas)
                assert plant.requested >= min(before, used), (plant.second, before, plant.requested, used)

    asyncio.run(sized())
