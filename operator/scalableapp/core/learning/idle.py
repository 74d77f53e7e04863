"""Surplus pods are removed once they have been idle as long as a new start costs (ski rental; Karlin et al., 1988)."""

from dataclasses import dataclass
from typing import NamedTuple

# Surplus pods are removed when they have been idle for so long in total: two for five minutes, as in HPA's window; or
# for so many start-ups, where starting is expensive.
LEAST_IDLE_POD_SECONDS = 600.0
_IDLE_STARTS = 20.0
_LEAST_IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Surplus:
    """Surplus pods: how long they have been idle in total, the most replicas needed in that time, and its seconds."""

    pod_seconds: float = 0.0
    wanted: int = 0
    seconds: float = 0.0


class Wait(NamedTuple):
    """How long surplus pods are idle before they are removed: in total, and each of them."""

    pod_seconds: float = LEAST_IDLE_POD_SECONDS
    seconds: float = 0.0


def wait_of(startup_seconds: float) -> Wait:
    """As long as new pods would cost instead; and however many are idle, no sooner than a new one would serve."""
    return Wait(max(LEAST_IDLE_POD_SECONDS, _IDLE_STARTS * startup_seconds), startup_seconds + _LEAST_IDLE_SECONDS)


_USUAL_WAIT = Wait()


def delayed_scale_down(
    surplus: Surplus,
    wanted: int,
    current: int,
    elapsed_seconds: float,
    wait: Wait = _USUAL_WAIT,
) -> tuple[int, Surplus]:
    """`wanted`, unless it is a scale-down whose time has not come; and what to remember.

    Goes down to the most that was wanted since pods became too many, when they have idled as long as `wait` says.
    """
    if wanted >= current:
        return wanted, Surplus()
    idle = surplus.pod_seconds + (current - wanted) * elapsed_seconds
    surplus = Surplus(idle, max(surplus.wanted, wanted), surplus.seconds + elapsed_seconds)
    if surplus.pod_seconds < wait.pod_seconds or surplus.seconds < wait.seconds:
        return current, surplus
    return min(surplus.wanted, current), Surplus()
