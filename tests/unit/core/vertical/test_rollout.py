"""A change of size on its way: what each observation of the pods leads to."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from scalableapp.core.model import PodState
from scalableapp.core.size import Resize, Size
from scalableapp.core.vertical.rollout import Change, Phase, Result, RolloutObservation, Way, opened, resizable, step
from tests.unit.core.build import NOW
from tests.unit.core.sizes import size

GOOD, TO = size(), size(memory="300Mi/600Mi")
ROLLOUT = opened(TO, GOOD, NOW, in_place=False, why="more")
IN_PLACE = opened(TO, GOOD, NOW, in_place=True, why="more")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def pod(name: str, size_: Size = GOOD, ready_at: float = -600, **changes: Any) -> PodState:
    since = at(ready_at)
    made = PodState(name, "Running", True, False, since, since, since, size_)
    return replace(made, **changes)


def observation(seconds: float, *pods: PodState, **changes: Any) -> RolloutObservation:
    facts: dict[str, Any] = {"replicas": 2, "template": TO, "rollout": True, **changes}
    return RolloutObservation(at(seconds), pods=pods, **facts)


OLD = (pod("a"), pod("b"))


def third(ready_at: float = 5, **changes: Any) -> tuple[PodState, ...]:
    """The old pods, and one of the new size."""
    return (*OLD, pod("c", TO, ready_at, **changes))


PENDING: dict[str, Any] = {"phase": "Pending", "ready": False, "problem": "Unschedulable"}
SLOW = {"latencies": (("a", 0.1), ("b", 0.2), ("c", 0.9))}
FAST = {"latencies": (("a", 0.1), ("b", 0.2), ("c", 0.25))}
WAIT, ROLLBACK = (Result.NONE, Phase.FIRST), (Result.ROLLED_BACK, Phase.ROLLBACK)

FIRST: dict[str, tuple[float, tuple[PodState, ...], dict[str, Any], tuple[Result, Phase | None]]] = {
    "no pod yet": (10, OLD, {}, WAIT),
    "starting": (20, third(ready=False), {}, WAIT),
    "ready for a moment": (30, third(), {}, WAIT),
    "well for long enough": (36, third(), {}, (Result.FIRST_PASSED, Phase.REST)),
    "no pod in time": (151, OLD, {}, ROLLBACK),
    "slow to start, as usual": (151, third(ready=False), {"startup_seconds": 60.0}, WAIT),
    "never ready": (151, third(ready=False), {}, ROLLBACK),
    "restarted": (20, third(ended_at=at(15)), {}, ROLLBACK),
    "an old pod restarted": (20, (pod("a", ended_at=at(15)), pod("c", TO, 5)), {}, WAIT),
    "failed": (20, third(phase="Failed", ready=False), {}, ROLLBACK),
    "killed after a raise": (20, third(oom_killed_at=at(15)), {}, WAIT),
    "waits for a node": (40, third(**PENDING), {}, WAIT),
    "fits no node": (70, third(**PENDING), {}, ROLLBACK),
    "nobody there": (1, (), {"replicas": 0}, (Result.NONE, Phase.REST)),
    "slower than the others": (30, third(), SLOW, ROLLBACK),
    "cold": (20, third(), SLOW, WAIT),
    "as fast": (30, third(), FAST, WAIT),
}


@pytest.mark.parametrize(("seconds", "pods", "facts", "expected"), FIRST.values(), ids=FIRST.keys())
def test_the_first_pod_is_watched(
    seconds: float, pods: tuple[PodState, ...], facts: dict[str, Any], expected: tuple[Result, Phase | None]
) -> None:
    coming = step(ROLLOUT, observation(seconds, *pods, **facts))
    assert (coming.result, coming.change.phase if coming.change else None) == expected


def test_a_cut_of_memory_that_kills_is_rolled_back() -> None:
    cut = opened(GOOD, TO, NOW, in_place=True, why="less")
    assert cut.way is Way.ROLLOUT
    coming = step(cut, observation(20, pod("c", GOOD, 5, oom_killed_at=at(15))))
    assert coming.result is Result.ROLLED_BACK


REST: Change = replace(ROLLOUT, phase=Phase.REST, since=at(40))
NEW = (pod("c", TO, 5), pod("d", TO, 45))


@pytest.mark.parametrize(
    ("seconds", "pods", "facts", "result"),
    [
        (50, (*OLD, *NEW), {}, Result.NONE),
        (50, NEW, {"rollout": False}, Result.NONE),
        (56, NEW, {"rollout": False}, Result.DONE),
        (56, (NEW[0], pod("d", TO, 45, ready=False)), {"rollout": False}, Result.NONE),
        (56, (NEW[0], pod("d", TO, 45, ended_at=at(50))), {}, Result.ROLLED_BACK),
        (700, (*OLD, NEW[0]), {"stuck": True}, Result.ROLLED_BACK),
    ],
    ids=["rolling", "just there", "settled", "not all ready", "one crashes", "stuck"],
)
def test_the_rest_is_watched_too(
    seconds: float, pods: tuple[PodState, ...], facts: dict[str, Any], result: Result
) -> None:
    assert step(REST, observation(seconds, *pods, **facts)).result is result


def test_the_way_back_ends_when_no_pod_has_the_size_any_more() -> None:
    back = replace(ROLLOUT, phase=Phase.ROLLBACK, since=at(60), why="it crashed")
    assert back.template == GOOD
    assert step(back, observation(61, *OLD, pod("c", TO, 5))).change == back
    ended = step(back, observation(70, *OLD, rollout=False))
    assert (ended.change, ended.result) == (None, Result.RESTORED)
    assert step(back, observation(661, *OLD, pod("c", TO, 5))).change is None


def test_in_place_one_pod_after_the_other_is_asked() -> None:
    first = step(IN_PLACE, observation(0, *OLD))
    assert first.resize == ("a", TO)
    assert first.change
    asked = pod("a", TO, resize=Resize.IN_PROGRESS)
    assert step(first.change, observation(5, asked, OLD[1])).change == first.change
    done = step(first.change, observation(10, pod("a", TO), OLD[1])).change
    assert done
    assert done.done_at == at(10)
    passed = step(done, observation(40, pod("a", TO), OLD[1]))
    assert passed.result is Result.FIRST_PASSED
    assert passed.change
    assert passed.change.template == GOOD
    assert step(passed.change, observation(45, pod("a", TO), OLD[1])).resize == ("b", TO)
    later = step(passed.change, observation(50, pod("a", TO), pod("b", TO))).change
    assert later
    assert later.phase is Phase.TEMPLATE
    assert later.template == TO
    over = step(later, observation(55, pod("a", TO), pod("b", TO), rollout=False))
    assert (over.change, over.result) == (None, Result.DONE)


def test_a_pod_that_crashes_after_a_resize_in_place_brings_all_back_in_place() -> None:
    rest = replace(IN_PLACE, phase=Phase.REST, since=at(40))
    coming = step(rest, observation(45, pod("a", TO, ended_at=at(44)), OLD[1]))
    assert coming.result is Result.ROLLED_BACK
    assert coming.change
    assert step(coming.change, observation(46, pod("a", TO), OLD[1])).resize == ("a", GOOD)


@pytest.mark.parametrize(
    ("old", "new", "in_place"),
    [
        (size(), size(cpu="300m/600m"), True),
        (size(), size(cpu="100m/200m"), True),
        (size(), size(memory="128Mi/256Mi"), False),
        (size(), size(memory="300Mi/512Mi"), True),
        (size(), size(cpu="400m/400m", memory="512Mi/512Mi"), False),
        (size(), size(cpu="200m"), False),
        (size(memory="256Mi"), size(memory="256Mi/512Mi"), False),
    ],
    ids=["raise", "cut of CPU", "lower memory limit", "request alone", "other QoS class", "limit away", "new limit"],
)
def test_what_cannot_be_changed_in_place_goes_by_rollout(old: Size, new: Size, in_place: bool) -> None:
    assert resizable(old, new) is in_place
