"""How the pods of a new size are: what is wrong with them, and whether they have been well for long enough."""

from datetime import datetime
from statistics import median

from scalableapp.core.children.resources import WATCH_SECONDS
from scalableapp.core.explain import duration
from scalableapp.core.model import PodState
from scalableapp.core.quality import seconds_between, serves
from scalableapp.core.size import Size
from scalableapp.core.vertical.change import Change, Phase, RolloutObservation, Way, grows

# A pod that is unschedulable for this long does not fit: the scheduler and a node autoscaler had time to react.
UNSCHEDULABLE_SECONDS = 60.0
# A first pod should be ready after so many times the usual start-up time, and this time is the minimum.
LEAST_START_SECONDS = 120.0
STARTS = 4.0
# A first pod that responds so much slower than the others, and by so many seconds, has a problem. Not right after its
# start, when caches are cold.
SLOWER_RATIO = 3.0
SLOWER_SECONDS = 0.1
WARM_SECONDS = 20.0


def problem_of(change: Change, observation: RolloutObservation, resized: list[PodState]) -> str:
    """What is wrong with the pods of the new size; "" when nothing is, or what has only grown in place."""
    if change.way is Way.IN_PLACE and grows(change.good, change.to):
        return ""
    for pod in resized:
        if problem := _pod_problem(change, pod, observation.now):
            return f"pod {pod.name} {problem}"
    return _slow(observation, resized) if change.phase is Phase.FIRST else ""


def _pod_problem(change: Change, pod: PodState, now: datetime) -> str:
    """A kill of a pod whose memory has not become less is none of the change's: its next aim is higher."""
    was_killed = killed(change, pod)
    if was_killed and not grows(Size(memory=change.good.memory), Size(memory=change.to.memory)):
        return "was OOM-killed"
    if pod.phase == "Failed":
        return "failed"
    if not was_killed and pod.ended_at and pod.ended_at >= change.opened_at:
        return f"restarted{f' ({pod.problem})' if pod.problem else ''}"
    waited = seconds_between(begun(pod), now)
    if pod.phase == "Pending" and pod.problem and waited > UNSCHEDULABLE_SECONDS:
        return f"has not started within {duration(waited)}: {pod.problem}"
    return ""


def _slow(observation: RolloutObservation, resized: list[PodState]) -> str:
    """Whether the first pod responds much slower than the median of the others."""
    names = {pod.name for pod in resized}
    if not any(_ready_seconds(pod, observation.now) >= WARM_SECONDS for pod in resized):
        return ""
    own = [seconds for name, seconds in observation.latencies if name in names]
    others = [seconds for name, seconds in observation.latencies if name not in names]
    if not own or not others:
        return ""
    slowest, usual = max(own), median(others)
    if slowest <= SLOWER_RATIO * usual or slowest <= usual + SLOWER_SECONDS:
        return ""
    return f"the first pod responds in {slowest * 1000:.0f} ms, the others in {usual * 1000:.0f} ms"


def killed(change: Change, pod: PodState) -> bool:
    """Whether it was killed for its memory with the new size."""
    return pod.oom_killed_at is not None and pod.oom_killed_at >= change.opened_at and pod.killed_with == change.to


def begun(pod: PodState) -> datetime:
    """When it was created."""
    return pod.created_at or pod.started_at


def watched_long_enough(pod: PodState, now: datetime) -> bool:
    """Whether it has served for as long as a first pod is watched."""
    return _ready_seconds(pod, now) >= WATCH_SECONDS


def _ready_seconds(pod: PodState, now: datetime) -> float:
    return seconds_between(pod.readiness_changed_at or begun(pod), now) if serves(pod) else 0.0


def longest_start(observation: RolloutObservation) -> float:
    """Seconds after which a first pod should be ready."""
    return max(LEAST_START_SECONDS, STARTS * (observation.startup_seconds or 0.0))


def why_not(resized: list[PodState]) -> str:
    """Why no pod of the new size is ready, to end a message with."""
    if not resized:
        return "; none was created, see kubectl describe replicasets"
    return next((f"; {pod.problem}" for pod in resized if pod.problem), "; see kubectl describe pods")
