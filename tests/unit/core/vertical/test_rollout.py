"""A change of size on its way: what each observation of the pods leads to."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from scalableapp.core.model import PodState
from scalableapp.core.size import Resize, Size
from scalableapp.core.vertical.change import Change, Phase, RolloutObservation, Way, resizable
from scalableapp.core.vertical.rollout import Result, Step, aimed, opened, step
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


CUT = opened(size(cpu="100m/200m"), GOOD, NOW, in_place=True, why="less")


def test_of_a_cut_in_place_one_pod_is_watched_before_the_others_are_asked() -> None:
    assert step(CUT, observation(0, *OLD)).resizes == (("a", CUT.to),)
    asked = pod("a", CUT.to, resize=Resize.IN_PROGRESS)
    assert step(CUT, observation(11, asked, OLD[1])) == Step(CUT)
    done = step(CUT, observation(15, pod("a", CUT.to), OLD[1])).change
    assert done
    assert done.done_at == at(15)
    passed = step(done, observation(45, pod("a", CUT.to), OLD[1]))
    assert passed.result is Result.FIRST_PASSED
    assert passed.change
    assert passed.change.template == GOOD
    assert step(passed.change, observation(45, pod("a", CUT.to), OLD[1])).resizes == (("b", CUT.to),)
    later = step(passed.change, observation(50, pod("a", CUT.to), pod("b", CUT.to))).change
    assert later
    assert later.phase is Phase.TEMPLATE
    assert later.template == CUT.to
    there = {"template": CUT.to, "rollout": False}
    over = step(later, observation(55, pod("a", CUT.to), pod("b", CUT.to), **there))
    assert (over.change, over.result) == (None, Result.DONE)


def test_what_grows_in_place_all_pods_get_at_once_and_the_fullest_first() -> None:
    full = {"fullness": (("a", 0.4), ("b", 0.9))}
    assert step(IN_PLACE, observation(0, *OLD, **full)).resizes == (("b", TO), ("a", TO))
    crashed = pod("a", TO, ended_at=at(4), oom_killed_at=at(4))
    assert step(IN_PLACE, observation(5, crashed, pod("b", TO))).change == replace(
        IN_PLACE, phase=Phase.TEMPLATE, since=at(5)
    )


def test_a_pod_that_crashes_after_a_cut_in_place_brings_all_back_in_place() -> None:
    rest = replace(CUT, phase=Phase.REST, since=at(40))
    coming = step(rest, observation(45, pod("a", CUT.to, ended_at=at(44)), OLD[1]))
    assert coming.result is Result.ROLLED_BACK
    assert coming.change
    assert step(coming.change, observation(46, pod("a", CUT.to), OLD[1])).resizes == (("a", GOOD),)


def test_a_pod_that_never_has_what_was_asked_is_replaced_after_a_few_calls() -> None:
    rounded = pod("a", size(memory="320Mi/640Mi"))
    calls, change = 0, IN_PLACE
    for second in range(0, 300, 5):
        coming = step(change, observation(second, rounded, rounded))
        calls += len(coming.resizes)
        if coming.change is not None and coming.change.way is Way.ROLLOUT:
            assert "pod a has cpu 200m (limit 400m), memory 320Mi (limit 640Mi) after 1 m 5 s" in coming.message
            assert calls <= 12
            return
    raise AssertionError("it asks for ever")


WAITING = (pod("a", TO, resize=Resize.DEFERRED, resize_message="no room"), pod("b", TO))


def test_a_resize_that_is_given_up_is_taken_back_in_place() -> None:
    """Else the kubelet makes it whenever there is room, though status says otherwise."""
    given_up = step(IN_PLACE, observation(40, *WAITING))
    assert given_up.result is Result.BY_ROLLOUT
    assert given_up.change
    assert step(given_up.change, observation(45, *WAITING)).resizes == (("a", GOOD),)
    back = replace(given_up.change, phase=Phase.ROLLBACK, since=at(200), why="no node has room")
    assert step(back, observation(201, *WAITING, rollout=False)).resizes == (("a", GOOD), ("b", GOOD))
    assert step(back, observation(205, *OLD, rollout=False)).result is Result.RESTORED


def test_a_rollback_that_pods_do_not_follow_ends_and_tells_so() -> None:
    back = replace(IN_PLACE, phase=Phase.ROLLBACK, since=at(0), why="it crashed")
    calls = 0
    for second in range(0, 605, 5):
        coming = step(back, observation(second, *WAITING, rollout=False))
        assert coming.change == back
        calls += len(coming.resizes)
    assert calls <= 80
    over = step(back, observation(605, *WAITING, rollout=False))
    assert over.change is None
    assert "2 pods still have another size, as pod a: cpu 200m (limit 400m), memory 300Mi (limit 600Mi)" in over.message


def test_a_kill_is_charged_to_the_size_with_which_it_came() -> None:
    cut = replace(opened(GOOD, TO, NOW, in_place=True, why="less"), way=Way.IN_PLACE)
    before = pod("a", GOOD, oom_killed_at=at(3), sized_at=at(5), size_before=TO)
    assert step(cut, observation(10, before)).result is Result.NONE
    since = pod("a", GOOD, oom_killed_at=at(8), sized_at=at(5), size_before=TO)
    assert step(cut, observation(10, since)).result is Result.ROLLED_BACK


def test_a_raise_under_way_may_aim_higher() -> None:
    more = size(memory="600Mi/1200Mi")
    higher = aimed(IN_PLACE, more, at(10), in_place=True, why="killed")
    assert (higher.good, higher.to, higher.way, higher.phase) == (GOOD, more, Way.IN_PLACE, Phase.REST)
    assert aimed(ROLLOUT, more, at(10), in_place=True, why="killed").way is Way.ROLLOUT


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
