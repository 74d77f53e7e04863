"""An account as people read it. Messages stand as they are, one to a line, so that they can be searched for."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from scalableapp.commands.console.output import PLAIN, Paint
from scalableapp.commands.console.output import table as _table
from scalableapp.commands.explain.explanation import Explanation
from scalableapp.core.explain import clock, count, duration

# The status of a condition in which nobody has to do anything.
_FINE = dict.fromkeys(("Ready", "Available", "Exposed", "MetricsAvailable", "ScalingActive", "Sized"), "True")


def as_text(found: Explanation, now: datetime, paint: Paint = PLAIN) -> str:
    """The account at the time `now`, in parts with a title."""
    parts = (
        _head(found, paint),
        ("Notes", found.get("notes") or ()),
        _decision(found, now),
        _hpas(found),
        _steps(found),
        _metrics(found, now),
        _conditions(found, paint),
        _events(found, now, paint),
    )
    lines = [line for part in parts for line in _part(part, paint)]
    return "\n".join(lines).strip("\n")


Part = tuple[str, Sequence[str]]


def _part(part: Part, paint: Paint) -> Iterator[str]:
    title, lines = part
    if not lines:
        return
    yield f"{paint['title']}{title}{paint['end']}"
    yield from (f"  {line}" for line in lines)
    yield ""


def _head(found: Explanation, paint: Paint) -> Part:
    bounds = [found.get(name) for name in ("minReplicas", "maxReplicas")]
    within = f", {bounds[0]} to {bounds[1]} replicas" if None not in bounds else ""
    counts = f"{count(found.get('replicas', 0), 'replica')}, {found.get('readyReplicas', 0)} ready"
    if "desiredReplicas" in found:
        counts += f", {found['desiredReplicas']} desired"
    url = f"{paint['dim']}{found['url']}{paint['end']}" if "url" in found else ""
    return f"{found['app']} ({found.get('mode', 'Horizontal')}{within})", [counts, *filter(None, [url])]


def _decision(found: Explanation, now: datetime) -> Part:
    decision = found.get("decision") or {}
    if not decision:
        return "Decision", ()
    before, after = decision.get("from"), decision.get("to")
    number = f"{before} -> {after} replicas" if before != after else f"stays at {count(int(after or 0), 'replica')}"
    since = f", since {_moment(decision['time'], now)}" if "time" in decision else ""
    return f"Decision: {number} ({decision.get('reason')}){since}", [str(decision.get("message", ""))]


def _hpas(found: Explanation) -> Part:
    """The number of others beside ours."""
    entries = found.get("hpas") or ()
    names = ("minReplicas", "maxReplicas", "currentReplicas", "desiredReplicas")
    rows = [(entry["name"], *(str(entry.get(name, "?")) for name in names)) for entry in entries]
    ours = (found.get("decision") or {}).get("to", "?")
    title = f"HorizontalPodAutoscalers of the same target; this app decides on {ours}"
    return title, _table([("NAME", "MIN", "MAX", "CURRENT", "DESIRED"), *rows] if rows else ())


def _steps(found: Explanation) -> Part:
    steps = (found.get("decision") or {}).get("steps") or ()
    rows = [(step["rule"], str(step["value"]), step["message"]) for step in steps]
    return "Step by step", _table([("RULE", "REPLICAS", ""), *rows] if rows else ())


def _metrics(found: Explanation, now: datetime) -> Part:
    entries = found.get("metrics") or ()
    rows: list[tuple[str, ...]] = [
        (entry["name"], entry["current"], entry["target"], str(entry.get("proposedReplicas", "<none>")))
        for entry in entries
    ]
    head: tuple[str, ...] = ("METRIC", "CURRENT", "TARGET", "PROPOSES")
    if any("measuredAt" in entry for entry in entries):
        head = (*head, "MEASURED")
        times = [_moment(entry["measuredAt"], now) if "measuredAt" in entry else "" for entry in entries]
        rows = [(*row, time) for row, time in zip(rows, times, strict=True)]
    return "Measured", _table([head, *rows] if rows else ())


def _conditions(found: Explanation, paint: Paint) -> Part:
    entries = found.get("conditions") or ()
    rows = _table([(entry["type"], entry["status"], entry["reason"], entry["message"]) for entry in entries])
    return "Conditions", [
        f"{paint[_colour(entry['type'], entry['status'])]}{row}{paint['end']}"
        for entry, row in zip(entries, rows, strict=True)
    ]


def _colour(type_: str, status: str) -> str:
    if status == "Unknown":
        return "dim"
    return "good" if status == _FINE.get(type_, "False") else "bad"


def _events(found: Explanation, now: datetime, paint: Paint) -> Part:
    entries = found.get("events") or ()
    rows = _table(
        [
            (_moment(event["time"], now), str(event["reason"]), f"x{event['count']}", str(event["message"]))
            for event in entries
        ]
    )
    return "Events, newest last", [
        f"{paint['bad' if event['type'] == 'Warning' else 'end']}{row}{paint['end']}"
        for event, row in zip(entries, rows, strict=True)
    ]


def _moment(text: str, now: datetime) -> str:
    """A time of the API by the clock, and how long ago that was."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{clock(at, now)} ({duration((now - at).total_seconds())} ago)"
