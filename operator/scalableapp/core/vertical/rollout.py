"""A change of size as it is applied to the pods: one pod first, watched; then the rest; or a rollback.

What only grows in place hurts nobody: all pods get it at once. A pure state machine. `step` is called whenever
something is observed, and returns what to do next. All its state is in the change itself, which status keeps, and in
the pods, so that a restart of the operator loses nothing.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from scalableapp.core.children.resources import WATCH_SECONDS
from scalableapp.core.explain import count_with_verb, duration
from scalableapp.core.model import PodState
from scalableapp.core.quality import seconds_between, serves
from scalableapp.core.size import Resize, Size
from scalableapp.core.vertical.change import Change, Phase, RolloutObservation, Way, grows, resizable
from scalableapp.core.vertical.health import begun, killed, longest_start, problem_of, watched_long_enough, why_not

# A resize in place that waits for room, or is in progress for this long, is given up, and the pods are replaced.
DEFERRED_SECONDS = 30.0
IN_PROGRESS_SECONDS = 60.0
# Pods that do not have the size yet are asked at each look at first, then at one look of each such time.
ASK_AGAIN_SECONDS = 20.0
_AT_FIRST_SECONDS, _LOOK_SECONDS = 10.0, 5.0
# The rest has followed when all pods have been there for this long.
SETTLED_SECONDS = 15.0
# After this long a rollback is no longer watched.
ROLLBACK_SECONDS = 600.0
# Pods are dated by the API server's clock, changes by the operator's.
_CLOCKS = timedelta(seconds=5)


class Result(StrEnum):
    """What became of a change."""

    NONE = ""
    FIRST_PASSED = "FirstPodPassed"
    BY_ROLLOUT = "ResizeByRollout"
    DONE = "Resized"
    ROLLED_BACK = "ResizeRolledBack"
    RESTORED = "SizeRestored"


class Step(NamedTuple):
    """What comes next: the change afterwards (None: it is over), its result, and pods to resize in place."""

    change: Change | None
    result: Result = Result.NONE
    message: str = ""
    resizes: tuple[tuple[str, Size], ...] = ()


def opened(to: Size, good: Size, now: datetime, *, in_place: bool, why: str) -> Change:
    """A change that begins: in place where `in_place` serves and the change allows it. What grows so is not watched."""
    way = Way.IN_PLACE if in_place and resizable(good, to) else Way.ROLLOUT
    phase = Phase.REST if way is Way.IN_PLACE and grows(good, to) else Phase.FIRST
    return Change(to, good, way, phase, now, now, why)


def aimed(change: Change, to: Size, now: datetime, *, in_place: bool, why: str) -> Change:
    """A change under way that becomes one to a larger size. One that was given up in place goes on by a rollout."""
    given_up = change.way is Way.ROLLOUT and change.phase is not Phase.ROLLBACK
    return opened(to, change.good, now, in_place=in_place and not given_up and resizable(change.to, to), why=why)


def too_small(change: Change, observation: RolloutObservation) -> str:
    """Which pod was killed for its memory with the new size; "" for none."""
    return next((pod.name for pod in observation.pods if killed(change, pod)), "")


def step(change: Change, observation: RolloutObservation) -> Step:
    """What comes next. The same change and nothing to do where only waiting helps."""
    return _STEPS[change.phase](change, observation)


def _first(change: Change, observation: RolloutObservation) -> Step:
    if observation.replicas == 0:
        return _next(change, observation, Phase.REST, Result.NONE, "")
    resized = _resized(change, observation)
    if problem := problem_of(change, observation, resized):
        return _roll_back(change, observation, problem)
    if change.way is Way.IN_PLACE:
        return _first_in_place(change, observation, resized)
    if any(watched_long_enough(pod, observation.now) for pod in resized):
        return _passed(change, observation)
    waited = seconds_between(change.since, observation.now)
    longest = longest_start(observation) + WATCH_SECONDS
    if waited > longest:
        return _roll_back(
            change, observation, f"no pod of this size was ready within {duration(longest)}{why_not(resized)}"
        )
    return Step(change, resizes=_withdrawn(change, observation))


def _withdrawn(change: Change, observation: RolloutObservation) -> tuple[tuple[str, Size], ...]:
    """Pods that still wait for the size that was given up in place: else they get it whenever there is room.

    Meanwhile the scheduler reckons with it.
    """
    waiting = (pod for pod in _before(change, observation) if pod.size == change.to and pod.resize is not Resize.DONE)
    return tuple((pod.name, change.good) for pod in waiting)


def _before(change: Change, observation: RolloutObservation) -> list[PodState]:
    """Pods that a rollout of the change has not created: those of its size got it in place."""
    return [pod for pod in _live(observation) if begun(pod) < change.opened_at - _CLOCKS]


def _first_in_place(change: Change, observation: RolloutObservation, resized: list[PodState]) -> Step:
    if not resized:
        pod = min((p for p in observation.pods if serves(p)), key=lambda p: p.name, default=None)
        if pod is None:
            return _by_rollout(change, observation, "no ready pod can be resized in place")
        return _asking(change, observation, [pod])
    if waiting := _waiting(change, observation, resized):
        return waiting
    if change.done_at is None:
        return Step(replace(change, done_at=observation.now))
    if seconds_between(change.done_at, observation.now) < WATCH_SECONDS:
        return Step(change)
    return _passed(change, observation)


def _asking(change: Change, observation: RolloutObservation, pods: list[PodState]) -> Step:
    """The fullest pods first. A pod that has another size than it was asked to have will not get it by asking."""
    waited = seconds_between(change.since, observation.now)
    known = [pod for pod in pods if seconds_between(begun(pod), observation.now) > IN_PROGRESS_SECONDS]
    if known and waited > IN_PROGRESS_SECONDS:
        pod = known[0]
        return _by_rollout(change, observation, f"pod {pod.name} has {pod.size} after {duration(waited)}")
    if waited >= _AT_FIRST_SECONDS and waited % ASK_AGAIN_SECONDS >= _LOOK_SECONDS:
        return Step(change)
    used = dict(observation.fullness)
    fullest = sorted(pods, key=lambda pod: (-used.get(pod.name, 0.0), pod.name))
    return Step(change, resizes=tuple((pod.name, change.to) for pod in fullest))


def _passed(change: Change, observation: RolloutObservation) -> Step:
    message = f"the first pod with {change.to} has been healthy for {WATCH_SECONDS} s; the others follow"
    return _next(change, observation, Phase.REST, Result.FIRST_PASSED, message)


def _rest(change: Change, observation: RolloutObservation) -> Step:
    resized, live = _resized(change, observation), _live(observation)
    if problem := problem_of(change, observation, resized):
        return _roll_back(change, observation, problem)
    if observation.stuck and change.way is Way.ROLLOUT:
        return _roll_back(change, observation, "the rollout failed (ProgressDeadlineExceeded)")
    if change.way is Way.IN_PLACE:
        return _rest_in_place(change, observation, resized)
    there = len(resized) == len(live) >= observation.replicas and all(map(serves, live)) and not observation.rollout
    if there and seconds_between(change.since, observation.now) >= SETTLED_SECONDS:
        return Step(None, Result.DONE, f"all pods have {change.to}")
    return Step(change)


def _rest_in_place(change: Change, observation: RolloutObservation, resized: list[PodState]) -> Step:
    left = [pod for pod in _live(observation) if pod.size != change.to]
    if waiting := _waiting(change, observation, resized):
        return (
            waiting._replace(resizes=_asking(change, observation, left).resizes)
            if waiting.change == change
            else waiting
        )
    if left:
        return _asking(change, observation, left)
    return _next(change, observation, Phase.TEMPLATE, Result.NONE, "")


def _template(change: Change, observation: RolloutObservation) -> Step:
    """All pods have the size; pods of a later scale-up need it, too, and that must not start a rollout."""
    left = [pod for pod in _live(observation) if pod.size != change.to]
    if observation.template == change.to and not left and not observation.rollout:
        return Step(None, Result.DONE, f"all pods have {change.to}, resized in place")
    if seconds_between(change.since, observation.now) > IN_PROGRESS_SECONDS:
        return _by_rollout(change, observation, "the Deployment's template could not be changed without a rollout")
    return _asking(change, observation, left) if left else Step(change)


def _rolling_back(change: Change, observation: RolloutObservation) -> Step:
    asked = _live(observation) if change.way is Way.IN_PLACE else _before(change, observation)
    back = [pod for pod in asked if pod.size == change.to or (change.way is Way.IN_PLACE and pod.size != change.good)]
    left = [pod for pod in _live(observation) if pod in back or pod.size == change.to]
    pending = [pod for pod in asked if pod not in left and pod.resize is not Resize.DONE]
    waited = seconds_between(change.since, observation.now)
    if not left and not pending and not observation.rollout:
        return Step(None, Result.RESTORED, f"all pods have {change.good} again: {change.why}")
    if waited > ROLLBACK_SECONDS:
        return Step(None, Result.RESTORED, f"{_still(left or pending)} after {duration(waited)}: {change.why}")
    again = waited < _AT_FIRST_SECONDS or waited % ASK_AGAIN_SECONDS < _LOOK_SECONDS
    return Step(change, resizes=tuple((pod.name, change.good) for pod in back) if again else ())


def _still(pods: list[PodState]) -> str:
    if not pods:
        return "the rollout to the last good size has not ended"
    number = count_with_verb(len(pods), "pod", "still has", "still have")
    return f"{number} another size, as pod {pods[0].name}: {pods[0].size}"


_STEPS = {Phase.FIRST: _first, Phase.REST: _rest, Phase.TEMPLATE: _template, Phase.ROLLBACK: _rolling_back}


def _next(change: Change, observation: RolloutObservation, phase: Phase, result: Result, message: str) -> Step:
    return Step(replace(change, phase=phase, since=observation.now), result, message)


def _roll_back(change: Change, observation: RolloutObservation, why: str) -> Step:
    """All pods go back to the last good size, in the same way."""
    message = f"{change.to} is rolled back to {change.good}: {why}"
    return Step(replace(change, phase=Phase.ROLLBACK, since=observation.now, why=why), Result.ROLLED_BACK, message)


def _by_rollout(change: Change, observation: RolloutObservation, why: str) -> Step:
    return refused(change, observation.now, why)


def refused(change: Change, now: datetime, why: str) -> Step:
    """A change that cannot be made in place, for the reason `why`: the pods are replaced."""
    changed = replace(change, way=Way.ROLLOUT, phase=Phase.FIRST, opened_at=now, since=now, done_at=None)
    return Step(changed, Result.BY_ROLLOUT, f"{change.to} is applied by a rollout instead of in place: {why}")


def _waiting(change: Change, observation: RolloutObservation, resized: list[PodState]) -> Step | None:
    """What to do about pods whose resize in place has been requested and is not complete yet."""
    pending = [pod for pod in resized if pod.resize is not Resize.DONE]
    if not pending:
        return None
    pod, waited = pending[0], seconds_between(change.since, observation.now)
    waiting_for = f"pod {pod.name}: {pod.resize}{f', {pod.resize_message}' if pod.resize_message else ''}"
    if pod.resize in (Resize.INFEASIBLE, Resize.FAILED):
        return _by_rollout(change, observation, waiting_for)
    if waited > (DEFERRED_SECONDS if pod.resize is Resize.DEFERRED else IN_PROGRESS_SECONDS):
        return _by_rollout(change, observation, f"{waiting_for} for {duration(waited)}")
    return Step(change)


def _live(observation: RolloutObservation) -> list[PodState]:
    return [pod for pod in observation.pods if not pod.deleting and pod.phase not in ("Failed", "Succeeded")]


def _resized(change: Change, observation: RolloutObservation) -> list[PodState]:
    """The pods that show whether the new size works: after a rollout only those that it created."""
    pods = [pod for pod in observation.pods if pod.size == change.to and not pod.deleting]
    if change.way is Way.IN_PLACE:
        return pods
    return [pod for pod in pods if begun(pod) >= change.opened_at - _CLOCKS]
