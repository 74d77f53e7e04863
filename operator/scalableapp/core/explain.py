"""Reasons and wording: how a decision is explained to the person on call."""

import math
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from scalableapp.core.quantity import format_number, parse_target


class Reason(StrEnum):
    """Why a decision came to its number. Stable: conditions, Events and dashboards use these names.

    The names of autoscaling/v2 where it has one. A decision that is held by bad data carries the
    `DataProblem` instead.
    """

    DESIRED_WITHIN_RANGE = "DesiredWithinRange"  # what the metrics need is within all limits
    TOO_MANY_REPLICAS = "TooManyReplicas"  # limited to maxReplicas
    TOO_FEW_REPLICAS = "TooFewReplicas"  # raised to minReplicas
    SCALE_UP_STABILIZED = "ScaleUpStabilized"  # limited by the stabilisation window of scaleUp
    SCALE_DOWN_STABILIZED = "ScaleDownStabilized"  # limited by the stabilisation window of scaleDown
    SCALE_UP_LIMIT = "ScaleUpLimit"  # limited by a policy of scaleUp
    LOAD_SETTLING = "LoadSettling"  # the readings do not show what the last change of pods did
    SCALE_DOWN_LIMIT = "ScaleDownLimit"  # limited by a policy of scaleDown
    MODE_VERTICAL = "ModeVertical"  # replicas are not decided on
    PAUSED = "Paused"  # spec.scaling.paused
    CONFLICTED = "Conflicted"  # another autoscaler scales this workload
    WAITING_FOR_HAND_OVER = "WaitingForHandOver"  # another autoscaler scales the target so far
    REPLICAS_OWNED_ELSEWHERE = "ReplicasOwnedElsewhere"  # another manager keeps setting the target's replicas
    PINNED = "Pinned"  # spec.replicas
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"  # old and new pods distort the metrics
    REPLAYING_HISTORY = "ReplayingHistory"  # the operator has just started and loads an objective's history
    NO_READY_PODS = "NoReadyPods"  # no pod is ready, so nothing can be measured
    AWAITING_SAMPLES = "AwaitingSamples"  # pods became ready a few seconds ago
    OBJECTIVE_MISSED = "ObjectiveMissed"  # too many requests are slow or fail, so no pod is removed
    FALLBACK = "Fallback"  # no metric can be used: spec.scaling.horizontal.fallback
    ACTIVATED = "Activated"  # a metric rose above its activationTarget
    INACTIVE = "Inactive"  # every metric is at or below its activationTarget
    BURST = "Burst"  # sudden load in the short window
    PREDICTED = "Predicted"  # the load is expected to rise before new pods would serve
    DRY_RUN = "DryRun"  # spec.scaling.dryRun prevents the change


def duration(seconds: float) -> str:
    """Seconds in hours, minutes and seconds, rounded up: "45 s", "3 m 20 s", "1 h 5 m"."""
    whole = max(0, math.ceil(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = ((hours, "h"), (minutes, "m"), (rest if not hours else 0, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def clock(at: datetime, now: datetime) -> str:
    """A moment in UTC, with its date unless that is today's: "12:03:15 UTC", "2026-11-22 23:58:00 UTC"."""
    day = "" if at.date() == now.date() else f"{at:%Y-%m-%d} "
    return f"{day}{at.hour:02d}:{at.minute:02d}:{at.second:02d} UTC"


def when(at: datetime, now: datetime) -> str:
    """A time in the future, relative and absolute: "in 12 s (12:06:47 UTC)". It may be read long after."""
    return f"in {duration((at - now).total_seconds())} ({clock(at, now)})"


def count(number: int, noun: str) -> str:
    """A number of things: "1 pod", "3 pods"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def count_with_verb(number: int, noun: str, singular: str = "is", plural: str = "are") -> str:
    """A number of things and its verb: "1 pod is", "3 pods are"."""
    return f"{count(number, noun)} {singular if number == 1 else plural}"


def in_unit_of(value: float, quantity: str) -> str:
    """`value` written with the suffix of `quantity`: 0.412 for a target of "300m" is "412m"."""
    suffix, scale = _unit(quantity)
    return f"{format_number(value / scale)}{suffix}"


@lru_cache(maxsize=1024)
def _unit(quantity: str) -> tuple[str, float]:
    suffix = quantity.strip().lstrip("+-.0123456789")
    if not suffix or suffix[-1].isdigit():  # none, or an exponent
        return "", 1.0
    return suffix, parse_target(f"1{suffix}")
