"""What was decided on an app in the past, put together from who remembers: Events, Prometheus, and its status.

Events have reason and message, and the API server keeps them for an hour unless told otherwise. Prometheus has the
number the operator decided on, for days, without a reason.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from scalableapp.commands.console.output import Paint, table
from scalableapp.commands.explain.reader import last_seen
from scalableapp.core.explain import clock, duration
from scalableapp.ports import Manifest

Row = dict[str, Any]

_RESCALE = re.compile(r"^(\d+) -> (\d+) replicas \((\w+)\): (.*)$", re.DOTALL)
# By how much the two may differ on when a change was: a scrape, and the time that carrying it out took.
_SLACK_SECONDS = 30.0


class Samples(NamedTuple):
    """The number decided on, from Prometheus: pairs of Unix time and replicas, oldest first, `step` seconds apart."""

    points: Sequence[tuple[float, int]] = ()
    step: float = 15.0


def rows_of(app: Manifest, events: Iterable[Manifest], samples: Samples, since: datetime) -> list[Row]:
    """Everything since then, oldest first: time, from, to, reason, message as far as known, and source."""
    known = [*map(_of_event, events)]
    changes = [row for row in _of_samples(samples) if not _is_known(row, known, samples.step)]
    status = [row for row in _of_status(app) if not _is_known(row, known, 0.0)]
    rows = sorted((*known, *changes, *status), key=_at)
    return [row for row in rows if _at(row) >= since]


def _of_event(event: Manifest) -> Row:
    reason, message = str(event.get("reason", "")), str(event.get("message", ""))
    row: Row = {"time": last_seen(event), "reason": reason, "message": message, "source": "Event"}
    if match := _RESCALE.match(message):
        before, after, why, message = match.groups()
        row |= {"from": int(before), "to": int(after), "reason": why, "message": message}
    if (count := event.get("count") or 1) > 1:
        row["count"] = count
    return row


def _of_samples(samples: Samples) -> Iterator[Row]:
    for (before_at, before), (at, after) in pairwise(samples.points):
        if after == before:
            continue
        row: Row = {"time": _text(at), "from": before, "to": after, "source": "Prometheus"}
        if at - before_at > 2 * samples.step:
            row["message"] = f"some time since {_text(before_at)}: there are no samples in between"
        yield row


def _of_status(app: Manifest) -> Iterator[Row]:
    """The current decision, since its number or reason last changed."""
    decision = (app.get("status") or {}).get("decision") or {}
    if "time" in decision:
        named = {name: decision.get(name) for name in ("time", "from", "to", "reason", "message")}
        yield {**named, "source": "status"}


def _is_known(row: Row, known: Iterable[Row], step: float) -> bool:
    """Whether an Event reports the same change; the Event has more details."""
    window = timedelta(seconds=step + _SLACK_SECONDS)
    return row["from"] != row["to"] and any(
        other.get("to") == row["to"] and abs(_at(other) - _at(row)) <= window for other in known
    )


def notes_of(rows: Sequence[Row], samples: Samples, problem: str, since: datetime, now: datetime) -> list[str]:
    """Which rows come from where, and how far back each source goes."""
    events = [_at(row) for row in rows if row["source"] == "Event"]
    notes = [
        f"Events: {len(events)}, the oldest of {clock(min(events), now)}; the API server forgets them after an hour, "
        "unless its --event-ttl differs"
        if events
        else "Events: none left; the API server forgets them after an hour, unless its --event-ttl differs"
    ]
    if problem:
        return [*notes, f"Prometheus: not available, so older rows are missing: {problem}"]
    if not samples.points:
        lack = f"Prometheus: no scalableapp_desired_replicas of this app since {clock(since, now)}; does it scrape the"
        return [*notes, f"{lack} operator?"]
    first = datetime.fromtimestamp(samples.points[0][0], UTC)
    late = " (its oldest)" if (first - since).total_seconds() > 2 * samples.step else ""
    return [
        *notes,
        (
            f"Prometheus: samples every {duration(samples.step)} since {clock(first, now)}{late}; they contain only "
            "the replica count, so these rows have no reason"
        ),
    ]


def as_text(rows: Sequence[Row], notes: Sequence[str], now: datetime, paint: Paint, *, wide: bool) -> str:
    """The rows as a table, then the notes. Messages are cut to what tells most unless `wide`."""
    cells = [_cells(row, now, wide=wide) for row in rows]
    lines = table([("TIME", "CHANGE", "REASON", "FROM", "MESSAGE"), *cells]) if rows else ["No past decisions found."]
    shown = [f"{paint['title']}{lines[0]}{paint['end']}", *lines[1:], ""]
    return "\n".join([*shown, *(f"{paint['dim']}{note}{paint['end']}" for note in notes)])


_SHORT = 100


def _cells(row: Row, now: datetime, *, wide: bool) -> tuple[str, ...]:
    before, after = row.get("from"), row.get("to")
    change = "" if after is None else f"stays {after}" if before == after else f"{before} -> {after}"
    count = f"x{row['count']}: " if "count" in row else ""
    message = " ".join(f"{count}{row.get('message') or ''}".split())
    if not wide and len(message) > _SHORT:
        message = f"{message[: _SHORT - 1]}…"
    return clock(_at(row), now), change, str(row.get("reason", "")), str(row["source"]), message


def _at(row: Row) -> datetime:
    return datetime.fromisoformat(str(row["time"]) or "1970-01-01T00:00:00Z")


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
