"""Builders of what a decision needs, with defaults for all that a test does not care about."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.model import (
    History,
    Observation,
    PodState,
    Reading,
    Recommendation,
    ScaleEvent,
)

NOW = datetime(2026, 11, 23, 12, 6, 35, tzinfo=UTC)
RPS = {"type": "RequestsPerSecond", "target": "50"}
CPU = {"type": "CPU", "target": "300m"}
QUEUE = {"type": "Prometheus", "name": "queue", "query": 'q{namespace="$namespace"}', "target": "10"}
QUEUE_VALUE = QUEUE | {"targetType": "Value"}


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def app(*metrics: Mapping[str, Any], replicas: int | None = None, **horizontal: Any) -> ScalableAppSpec:
    """A spec that scales on `metrics`; paused, dryRun and intervalSeconds go to scaling, the rest to horizontal."""
    scaling = {name: horizontal.pop(name) for name in ("paused", "dryRun", "intervalSeconds") if name in horizontal}
    horizontal = {"minReplicas": 1, "maxReplicas": 100, "metrics": list(metrics or (RPS,)), **horizontal}
    pin = {} if replicas is None else {"replicas": replicas}
    return parse_spec({"image": "app:1", "scaling": {**scaling, "horizontal": horizontal}, **pin})


def free(up: Mapping[str, Any] | None = None, down: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A behavior that lets every change through at once, but for what the test states."""
    anything = {"policies": [{"type": "Pods", "value": 1_000_000, "periodSeconds": 1}], "stabilizationWindowSeconds": 0}
    return {"scaleUp": {**anything, **(up or {})}, "scaleDown": {**anything, **(down or {})}}


def pod(number: int, **changes: Any) -> PodState:
    """A pod that has been serving for long."""
    usual: dict[str, Any] = {
        "name": f"pod-{number}",
        "phase": "Running",
        "ready": True,
        "deleting": False,
        "started_at": ago(3600),
        "readiness_changed_at": ago(3590),
    }
    return PodState(**usual | changes)


def pods(number: int) -> tuple[PodState, ...]:
    return tuple(pod(index) for index in range(number))


def per_pod(*values: float | None) -> Reading:
    """A reading with a value for each pod in turn; None is a pod without a sample."""
    known = {f"pod-{index}": value for index, value in enumerate(values) if value is not None}
    return Reading(total=sum(known.values()), per_pod=known)


def observe(
    *,
    current: int = 3,
    pods: Sequence[PodState] | None = None,
    rollout: bool = False,
    conflict: str = "",
    **readings: Any,
) -> Observation:
    """An app of `current` serving pods; a reading is given by its metric's name, a number means that much per pod."""
    running = tuple(pod(index) for index in range(current)) if pods is None else tuple(pods)
    return Observation(
        now=NOW,
        replicas=current,
        pods=running,
        readings={
            name: value if isinstance(value, Reading) else per_pod(*[value] * len(running))
            for name, value in readings.items()
        },
        rollout=rollout,
        conflict=conflict,
    )


def past(recommended: Mapping[float, int] | None = None, scaled: Mapping[float, int] | None = None) -> History:
    """A history from {seconds ago: replicas} and {seconds ago: signed change}."""
    return History(
        recommendations=tuple(Recommendation(ago(s), n) for s, n in sorted((recommended or {}).items(), reverse=True)),
        scale_events=tuple(ScaleEvent(ago(s), n) for s, n in sorted((scaled or {}).items(), reverse=True)),
    )
