"""A change of size under way, and what is seen of the pods while it is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scalableapp.core.model import PodState
from scalableapp.core.size import Resource, Size


class Phase(StrEnum):
    """How far a change has come."""

    FIRST = "First"
    REST = "Rest"
    TEMPLATE = "Template"
    ROLLBACK = "Rollback"


class Way(StrEnum):
    """How pods get the size."""

    IN_PLACE = "InPlace"
    ROLLOUT = "Rollout"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of size under way. `good` is what it is rolled back to.

    `opened_at` is when it began by this way, `since` when its last step was taken, `done_at` when the first pod had its
    size in place. `why` says what it is for, or what failed.
    """

    to: Size
    good: Size
    way: Way
    phase: Phase
    opened_at: datetime
    since: datetime
    why: str
    done_at: datetime | None = None

    @property
    def template(self) -> Size:
        """The size that the Deployment's template has meanwhile."""
        forth = self.way is Way.ROLLOUT or self.phase is Phase.TEMPLATE
        return self.to if forth and self.phase is not Phase.ROLLBACK else self.good


@dataclass(frozen=True, slots=True)
class RolloutObservation:
    """What a change is based on. `rollout`: pods of an older template are still being replaced.

    `template` is the size of the live template, None while the Deployment is paused. `latencies` are mean seconds of a
    request by pod, `fullness` shares of the memory limit that pods use.
    """

    now: datetime
    replicas: int
    pods: tuple[PodState, ...]
    template: Size | None = None
    rollout: bool = False
    stuck: bool = False
    startup_seconds: float | None = None
    latencies: tuple[tuple[str, float], ...] = ()
    fullness: tuple[tuple[str, float], ...] = ()


def grows(old: Size, new: Size) -> bool:
    """Whether no request and no limit becomes less."""
    return all(
        b is None or (a is not None and a <= b)
        for resource in Resource
        for a, b in zip(old.of(resource), new.of(resource), strict=True)
    )


def resizable(old: Size, new: Size) -> bool:
    """Whether pods may be resized in place.

    Apps read their memory limit once, and the kubelet cuts it at its best effort only; the QoS class of a pod is fixed;
    and a limit cannot be taken away.
    """
    lower = new.memory.limit is not None and (old.memory.limit is None or new.memory.limit < old.memory.limit)
    removed = any(old.of(resource).limit is not None and new.of(resource).limit is None for resource in Resource)
    return not lower and not removed and old.guaranteed == new.guaranteed
