"""How long the app's pods take from their creation until they serve: measured, never configured."""

import math
from statistics import median

from scalableapp.core.model import PodState, Startups
from scalableapp.core.quality import seconds_between, serves

# After progressDeadlineSeconds, 600 s by default, a Deployment gives a rollout up. A pod whose readiness changed
# later than that was serving before and lost its readiness once.
LONGEST_SECONDS = 600.0
# The newest starts count: a new image may start in another time.
MOST_SAMPLES = 15


def learn(startups: Startups, pods: tuple[PodState, ...]) -> Startups:
    """`startups` with the pods that have become ready since. The same object when there is none.

    Pods that an operator finds serving when it starts are measured, too: their readiness says since when.
    """
    known = startups.measured
    unknown = [pod for pod in pods if pod.name not in known]
    fresh = [pod for pod in unknown if serves(pod) and pod.readiness_changed_at]
    if not fresh and len(pods) - len(unknown) == len(known):  # none is new, none has gone
        return startups
    there = {pod.name for pod in pods}
    fresh.sort(key=lambda pod: pod.readiness_changed_at or pod.started_at)
    samples = (*startups.samples, *filter(_is_startup, map(_seconds_to_ready, fresh)))
    return Startups(samples[-MOST_SAMPLES:], startups.measured & there | {pod.name for pod in fresh})


def startup_seconds(startups: Startups) -> float | None:
    """What a start usually takes: the median, which one slow image pull does not move. None before the first one."""
    return median(startups.samples) if startups.samples else None


def _seconds_to_ready(pod: PodState) -> float:
    return seconds_between(pod.created_at or pod.started_at, pod.readiness_changed_at or pod.started_at)


def _is_startup(seconds: float) -> bool:
    return 0 <= seconds <= LONGEST_SECONDS and math.isfinite(seconds)
