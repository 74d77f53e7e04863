"""How full pods are by their CPU: what that alone asks for, whatever was learned of them."""

import math
from dataclasses import dataclass
from typing import NamedTuple

# A pod counts as full above this share of the CPU that it may use.
MOST_UTILISATION = 0.85
# Replicas are an int32 in Kubernetes.
MOST_REPLICAS = 2**31 - 1
# At the limit itself, pods may lack any amount: requests that wait are not counted before they are answered.
_AT_LIMIT = 0.95
_STEP = 1.5


class Fullness(NamedTuple):
    """How much pods use of the CPU that they may use (1 is all): the `settled` ones of those that are ready."""

    utilisation: float
    settled: int
    ready: int


@dataclass(frozen=True, slots=True)
class Push:
    """Pods that were asked for because the present ones are full and requests are slow: when, and how many."""

    at: float = -math.inf
    pods: int = 0


NO_PUSH = Push()


def pods_by_cpu(pods: int, utilisation: float) -> int:
    """Pods that use no more than MOST_UTILISATION each, of what so many use now."""
    return math.ceil(min(pods * utilisation / MOST_UTILISATION, MOST_REPLICAS) - 1e-9)


def pushed(before: Push, at: float, pods: Fullness, reaction_seconds: float) -> Push:
    """Half as many again as are ready, once per reaction time, as long as pods are full and requests slow.

    Pods whose CPU is not known yet (all but the settled ones) take their part of what the others use, unless those
    are at their limit: then nobody knows how much is waiting.
    """
    used = pods.utilisation
    expected = used if used >= _AT_LIMIT else used * pods.settled / max(pods.ready, 1)
    if expected < MOST_UTILISATION:
        return NO_PUSH if used < MOST_UTILISATION else before
    if at - before.at < reaction_seconds:
        return before
    return Push(at, max(before.pods, math.ceil(_STEP * pods.ready - 1e-9)))
