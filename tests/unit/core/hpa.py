"""HPA's pods-metric rule once more, written as its Go source goes (sets and maps), to compare ours with."""

import math
from collections.abc import Mapping

from scalableapp.core.model import PodState

DOWN = UP = 0.1  # tolerance


def pods_metric(pods: tuple[PodState, ...], metrics: Mapping[str, float], target: float, current: int) -> int | None:
    """Replicas that calcPlainMetricReplicas (Kubernetes 1.36) gives; None where it raises an error."""
    ignored = {p.name for p in pods if p.deleting or p.phase == "Failed"}
    unready = {p.name for p in pods if p.name not in ignored and p.phase == "Pending"}
    missing = {p.name for p in pods if p.name not in ignored | unready and p.name not in metrics}
    usage = {p.name: metrics[p.name] for p in pods if p.name not in ignored | unready | missing}
    if not usage:
        return None
    ratio = sum(usage.values()) / len(usage) / target
    ready = len(usage)
    rebalance = bool(unready) and ratio > 1
    if not rebalance and not missing:
        return current if 1 - DOWN <= ratio <= 1 + UP else math.ceil(ratio * ready)
    if ratio < 1:
        usage |= dict.fromkeys(missing, target)
    elif ratio > 1:
        usage |= dict.fromkeys(missing, 0.0)
    if rebalance:
        usage |= dict.fromkeys(unready, 0.0)
    new = sum(usage.values()) / len(usage) / target
    if 1 - DOWN <= new <= 1 + UP or (ratio < 1 < new) or (ratio > 1 > new):
        return current
    replicas = math.ceil(new * len(usage))
    if (new < 1 and replicas > current) or (new > 1 and replicas < current):
        return current
    return replicas
