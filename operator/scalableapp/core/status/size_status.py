"""`status.resources`: the size of the pods, and what the operator needs to continue after a restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scalableapp.core.size import Resource, Size, format_amount, parse_amount, size_fields, size_from
from scalableapp.core.vertical.backoff import FailedResize, Failures
from scalableapp.core.vertical.change import Change, Phase, Way
from scalableapp.core.vertical.usage import Floor

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SizeState:
    """What is reported about the size of the pods, and what has to survive a restart.

    `unread` says which limit of the namespace cannot be read, and why; "" if all can. `bound` says which bound keeps
    pods from what they need, "" for none. `killed` is the memory request that kills have shown to be needed.
    """

    current: Size
    recommended: Size | None = None
    changed_at: datetime | None = None
    change: Change | None = None
    failures: Failures = ()
    unread: str = ""
    bound: str = ""
    killed: Floor | None = None


def write_sizes(state: SizeState) -> Fields:
    """The fields of status.resources."""
    fields: Fields = {
        "current": size_fields(state.current),
        "recommended": size_fields(state.recommended) if state.recommended else None,
        "changedAt": _text(state.changed_at),
        "change": _change(state.change) if state.change else None,
        **{name: _failed_resize(entry) for name, entry in zip(_FAILURES, state.failures, strict=False)},
        "memoryFloor": _floor(state.killed) if state.killed else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def read_sizes(fields: Any) -> SizeState | None:
    """What status.resources contains; None when it cannot be read."""
    try:
        return SizeState(
            size_from(fields["current"]),
            size_from(fields["recommended"]) if fields.get("recommended") else None,
            _time(fields.get("changedAt")),
            _read_change(fields["change"]) if fields.get("change") else None,
            tuple(_read_failed_resize(fields[name]) for name in _FAILURES if fields.get(name)),
            killed=_read_floor(fields["memoryFloor"]) if fields.get("memoryFloor") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _change(change: Change) -> Fields:
    fields = {
        "to": size_fields(change.to),
        "good": size_fields(change.good),
        "way": change.way.value,
        "phase": change.phase.value,
        "openedAt": _text(change.opened_at),
        "since": _text(change.since),
        "doneAt": _text(change.done_at),
        "why": change.why,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _read_change(fields: Mapping[str, Any]) -> Change:
    opened_at, done_at = datetime.fromisoformat(fields["openedAt"]), _time(fields.get("doneAt"))
    return Change(
        size_from(fields["to"]),
        size_from(fields["good"]),
        Way(fields["way"]),
        Phase.ROLLBACK if fields["phase"] == "Back" else Phase(fields["phase"]),  # as 0.1.0 wrote it
        opened_at,
        datetime.fromisoformat(fields["since"]),
        str(fields["why"]),
        done_at if done_at and done_at >= opened_at else None,  # else it is of a change before, left by an old version
    )


# The newest first. Another one is of the other resource.
_FAILURES = ("failedResize", "otherFailedResize")


def _floor(floor: Floor) -> Fields:
    return {"request": format_amount(Resource.MEMORY, floor.value), "until": _text(floor.until)}


def _read_floor(fields: Mapping[str, Any]) -> Floor:
    value = parse_amount(Resource.MEMORY, fields["request"])
    return Floor(value, datetime.fromisoformat(fields["until"]), "containers were OOM-killed")


def _failed_resize(failed_resize: FailedResize) -> Fields:
    return {
        "size": size_fields(failed_resize.size),
        "before": size_fields(failed_resize.before),
        "time": _text(failed_resize.at),
        "why": failed_resize.why,
        "times": failed_resize.times,
    }


def _read_failed_resize(fields: Mapping[str, Any]) -> FailedResize:
    return FailedResize(
        size_from(fields["size"]),
        size_from(fields["before"]),
        datetime.fromisoformat(fields["time"]),
        str(fields["why"]),
        int(fields["times"]),
    )


def _text(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
