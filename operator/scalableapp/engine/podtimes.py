"""The times of pods, brought to the operator's clock.

Pods bear times of other clocks, the API server's and the nodes'. What changes while the operator looks has changed
since the last look, whatever these clocks show.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from scalableapp.core.model import PodState
from scalableapp.core.size import Resize
from scalableapp.engine.record import AppRecord, Dated

_POD_TIMES = ("started_at", "readiness_changed_at", "created_at", "ended_at", "oom_killed_at", "left_at", "sized_at")


def date_pods(record: AppRecord, now: datetime) -> None:
    """Bring `record.dated` up to date, and note since when pods are missing in it.

    At the first look the pods' times are taken as they are. Later a time that is new lies between the last look and
    now; all times of a pod that is new are moved as its latest one.
    """
    earliest = record.evaluated_at if record.watched_since else None
    record.watched_since = record.watched_since or now
    before, record.dated = record.dated, {}
    for pod in (*record.pods.values(), *record.removed_pods.values()):
        known = before.get(pod.name)
        if known is None or known.reported is not pod:
            known = Dated(pod, _sized(_dated(pod, known, earliest, now), known, earliest or now))
        record.dated[pod.name] = known
    record.unseen_since = (record.unseen_since or now) if record.unseen else None


def _dated(pod: PodState, known: Dated | None, earliest: datetime | None, now: datetime) -> PodState:
    times: dict[str, datetime] = {name: at for name in _POD_TIMES if (at := getattr(pod, name))}
    if known is None:
        latest = max(times.values())
        by = _between(latest, earliest, now) - latest
        return _moved_pod(pod, by) if by else pod
    dated: dict[str, Any] = {
        name: getattr(known.pod, name) if getattr(known.reported, name) == at else _between(at, earliest, now)
        for name, at in times.items()
    }
    return replace(pod, **dated) if dated != times else pod


def _sized(pod: PodState, known: Dated | None, earliest: datetime) -> PodState:
    """With the time when its size changed, which was after the last look, and the size before."""
    if known is None:
        return pod
    old = known.pod
    if pod.size == old.size and (pod.resize is Resize.DONE) == (old.resize is Resize.DONE):
        return replace(pod, sized_at=old.sized_at, size_before=old.size_before)
    had = old.size if old.resize is Resize.DONE else old.size_before
    return replace(pod, sized_at=earliest, size_before=had)


def _between(at: datetime, earliest: datetime | None, latest: datetime) -> datetime:
    return min(latest, max(at, earliest) if earliest else at)


def left_at(record: AppRecord, name: str) -> datetime | None:
    """When a pod left, by the operator's clock where it has been dated."""
    dated = record.dated.get(name)
    return (dated.pod if dated else record.removed_pods[name]).left_at


def _moved_pod(pod: PodState, by: timedelta) -> PodState:
    return replace(pod, **{name: at + by for name in _POD_TIMES if (at := getattr(pod, name))})


def moved_pods(dated: Mapping[str, Dated], by: timedelta) -> dict[str, Dated]:
    """The pods with their times moved, as the clock was put."""
    return {name: Dated(reported, _moved_pod(pod, by)) for name, (reported, pod) in dated.items()}
