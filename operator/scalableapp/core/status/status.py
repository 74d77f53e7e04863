"""The status of a ScalableApp: built from what is known, compared with what was written, read back after a restart.

A field is *material* when its change is worth an immediate write; measured values, and the messages with them,
change all the time and are written now and then.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from scalableapp.core.learning.idle import Surplus
from scalableapp.core.model import (
    NO_SURPLUS,
    SCHEDULE,
    Decision,
    History,
    MetricReport,
    Outage,
    Recommendation,
    ScaleEvent,
)
from scalableapp.core.quantity import parse_target
from scalableapp.core.status.conditions import AppState, Condition, Requests, conditions
from scalableapp.core.status.learned_status import read_learned, write_learned
from scalableapp.core.status.size_status import write_sizes

Status = dict[str, Any]

_HISTORY = ("recommendations", "scaleEvents", "lastScaleTime", "outage", "surplus", "learned")
# Lists in status are what a restart needs, not a log; beyond this the oldest go.
LONGEST_LIST = 64


class Change(StrEnum):
    """How a new status differs from the written one."""

    NONE = "None"
    MEASURED = "Measured"
    MATERIAL = "Material"


def build_status(state: AppState, previous: Mapping[str, Any], now: datetime) -> Status:
    """The whole status. What has not changed, or is not known now, is taken over from the `previous` one."""
    decision, history = state.decision, state.history
    status: Status = {
        "observedGeneration": state.generation,
        "replicas": state.replicas,
        "readyReplicas": state.ready_replicas,
        "desiredReplicas": decision.replicas_to if decision else state.desired_replicas,
        "selector": state.selector,
        "url": state.url or None,
        "requests": _requests(state.requests),
        **{field: previous.get(field) for field in ("metrics", "decision", *_HISTORY)},
        **(_decided(decision, previous.get("decision")) if decision else {}),
        **(_remembered(history, previous) if history else {}),
        "resources": write_sizes(state.sizes) if state.sizes else None,
        "podTemplate": list(state.pod_template[:LONGEST_LIST]) or None,
        "conditions": _conditions(state, previous, now),
    }
    return {field: value for field, value in status.items() if value is not None}


def _requests(requests: Requests | None) -> Status | None:
    if requests is None:
        return None
    scrapes = {} if requests.scrape_seconds is None else {"scrapeSeconds": requests.scrape_seconds}
    return {"source": requests.source, "per": requests.per, **scrapes}


def patch_of(previous: Mapping[str, Any], status: Mapping[str, Any]) -> Status:
    """The merge patch that leads from the previous status to the new one; None stands for a removed field.

    A merge patch goes into objects, too: what is no longer in them has to be removed there.
    """
    changed = {
        field: _replaced(previous.get(field), value) for field, value in status.items() if previous.get(field) != value
    }
    return changed | {field: None for field in previous if field not in status}


def _replaced(previous: Any, value: Any) -> Any:
    """`value`, with None for what `previous` has beyond it."""
    if not isinstance(previous, Mapping) or not isinstance(value, Mapping):
        return value
    gone = {field: None for field in previous if field not in value}
    return {field: _replaced(previous.get(field), inner) for field, inner in value.items()} | gone


def change_of(previous: Mapping[str, Any], status: Mapping[str, Any]) -> Change:
    """Whether and how urgently the new status is worth a write."""
    if previous == status:
        return Change.NONE
    return Change.MEASURED if _material(previous) == _material(status) else Change.MATERIAL


def measures_moved(reported: Decision, decision: Decision) -> bool:
    """Whether a metric, or the replicas it needs, changed enough since it was reported to be reported again.

    The noise of an idle app is not reported: less than a twentieth of the target is ignored.
    """
    if decision.limited or len(reported.metrics) != len(decision.metrics):
        return True
    if reported.sizing and decision.sizing and reported.sizing.recommended != decision.sizing.recommended:
        return True
    return any(map(_moved, reported.metrics, decision.metrics))


def _moved(old: MetricReport, new: MetricReport) -> bool:
    if (old.name, old.target, old.proposed_replicas) != (new.name, new.target, new.proposed_replicas):
        return True
    try:
        change = abs(parse_target(new.current) - parse_target(old.current))
        return change > parse_target(new.target) / 20
    except ValueError:
        return old.current != new.current


def history_from(status: Mapping[str, Any], now: datetime) -> History:
    """What a decision remembers, from the status of before a restart.

    Status is not written each time that the same recommendation comes again, so the last one is taken to
    have stood until `now`, and those before keep their distance from it. The last scale-down is taken to have just
    happened. So no window is shortened by a clock that was put while the operator was away. Entries that cannot be read
    are left out.
    """
    recommendations = [
        Recommendation(at, entry["replicas"]) for at, entry in _entries(status, "recommendations", "replicas")
    ]
    if recommendations:
        passed = now - recommendations[-1].at
        recommendations = [replace(entry, at=entry.at + passed) for entry in recommendations]
    events = [ScaleEvent(at, entry["change"]) for at, entry in _entries(status, "scaleEvents", "change")]
    entries = _entries({"": [status.get("outage")]}, "", "replicas")
    outages = [Outage(min(at, now), entry["replicas"]) for at, entry in entries]
    return History(
        tuple(recommendations),
        _with_cuts_until(now, events),
        outages[0] if outages else None,
        surplus=_surplus(status.get("surplus")),
        learned=read_learned(status.get("learned")),
    )


def _with_cuts_until(now: datetime, events: list[ScaleEvent]) -> tuple[ScaleEvent, ...]:
    """The scale-downs moved, the last one to `now`. Scale-ups stay, as they limit the next one."""
    cuts = [event.at for event in events if event.change < 0]
    passed = now - cuts[-1] if cuts else timedelta(0)
    moved = [replace(event, at=event.at + passed, reported=event.at) if event.change < 0 else event for event in events]
    return tuple(sorted(moved, key=lambda event: event.at))


def _surplus(entry: object) -> Surplus:
    try:
        return Surplus(float(entry["podSeconds"]), int(entry["replicas"]))  # type: ignore[index]  # whatever was stored
    except (KeyError, TypeError, ValueError):
        return NO_SURPLUS


def newest_recommendation(status: Mapping[str, Any]) -> datetime:
    """When the last recommendation in status was made; long ago, if there is none."""
    times = [at for at, _ in _entries(status, "recommendations", "replicas")]
    return times[-1] if times else datetime.min.replace(tzinfo=UTC)


_BAD = {"Ready": "False", "MetricsAvailable": "False", "Conflicted": "True", "ObjectiveMet": "False"}
# An app that starts has no problem: these reasons get no Event.
# Of an objective, a bad minute is none either: the alert counts them.
_QUIET = {"PodsNotReady", "Deploying", "RoutePending", "TargetPending", "ObjectiveMissed"}


def turned_bad(previous: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Conditions that are worth a Warning: bad now, and not bad for this reason before.

    Metrics that have never been available get no Warning: a new app has none in its first seconds.
    """
    before = {entry["type"]: entry for entry in previous.get("conditions", ())}
    return tuple(
        Condition(entry["type"], entry["status"], entry["reason"], entry["message"])
        for entry in status["conditions"]
        if _is_news(before.get(entry["type"], {}), entry)
    )


def _is_news(before: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    bad = _BAD.get(entry["type"])
    if entry["status"] != bad or entry["reason"] in _QUIET:
        return False
    if entry["type"] == "MetricsAvailable":
        return before.get("status") == "True"
    return (before.get("status"), before.get("reason")) != (bad, entry["reason"])


def _decided(decision: Decision, previous: Mapping[str, Any] | None) -> Status:
    made = {"from": decision.replicas_from, "to": decision.replicas_to, "reason": decision.reason}
    same = previous is not None and all(previous.get(field) == value for field, value in made.items())
    fields = {
        "time": previous["time"] if previous and same and "time" in previous else _text(decision.at),
        **made,
        "message": decision.message,
        "steps": [{"rule": step.rule, "value": step.value, "message": step.message} for step in decision.steps],
    }
    return {"metrics": [_metric(report) for report in decision.metrics] or None, "decision": fields}


def _metric(report: MetricReport) -> Status:
    proposed = {} if report.proposed_replicas is None else {"proposedReplicas": report.proposed_replicas}
    measured = {"measuredAt": _text(report.at)} if report.at else {}
    return {"name": report.name, "current": report.current, "target": report.target, **proposed, **measured}


def _remembered(history: History, previous: Mapping[str, Any]) -> Status:
    recommendations = [
        {"time": _text(entry.at), "replicas": entry.replicas} for entry in history.recommendations[-LONGEST_LIST:]
    ]
    made = sorted((event.reported or event.at, event.change) for event in history.scale_events[-LONGEST_LIST:])
    events = [{"time": _text(at), "change": change} for at, change in made]
    last = events[-1]["time"] if events else previous.get("lastScaleTime")
    outage = {"time": _text(history.outage.since), "replicas": history.outage.replicas} if history.outage else None
    surplus = {"podSeconds": round(history.surplus.pod_seconds), "replicas": history.surplus.wanted}
    return {
        "recommendations": recommendations or None,
        "scaleEvents": events or None,
        "lastScaleTime": last,
        "outage": outage,
        "surplus": surplus if history.surplus.pod_seconds else None,
        "learned": write_learned(history.learned),
    }


# A change of replicas shows in lastScaleTime; entries that only age out of these lists are not material.
_MEASURED = {"metrics", "recommendations", "scaleEvents", "surplus", "learned"}


def _material(status: Mapping[str, Any]) -> dict[str, Any]:
    decision = status.get("decision") or {}
    return {
        **{field: value for field, value in status.items() if field not in _MEASURED},
        "decision": {field: decision.get(field) for field in ("from", "to", "reason")},
        "resources": {k: v for k, v in (status.get("resources") or {}).items() if k != "recommended"},
        "schedules": [step for step in decision.get("steps") or () if step.get("rule") == SCHEDULE],
        "conditions": [
            {field: value for field, value in entry.items() if field != "message"}
            for entry in status.get("conditions", ())
        ],
    }


def _conditions(state: AppState, previous: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    before = {entry["type"]: entry for entry in previous.get("conditions", ())}
    return [_entry(condition, before, state.generation, now) for condition in conditions(state)]


def _entry(
    condition: Condition, before: Mapping[str, Mapping[str, Any]], generation: int, now: datetime
) -> dict[str, Any]:
    old = before.get(condition.type, {})
    same = old.get("status") == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if same and "lastTransitionTime" in old else _text(now),
        "reason": condition.reason,
        "message": condition.message,
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _entries(status: Mapping[str, Any], field: str, number: str) -> list[tuple[datetime, Mapping[str, Any]]]:
    found = []
    for entry in status.get(field) or ():
        try:
            at = datetime.fromisoformat(entry["time"])
            found.append((at.astimezone(UTC), {number: int(entry[number])}))
        except (KeyError, TypeError, ValueError):
            continue
    return sorted(found, key=lambda pair: pair[0])
