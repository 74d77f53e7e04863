"""What `scalableapp check` finds: each thing is good, bad with how to mend it, or could not be looked at."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from scalableapp.commands.console.output import Paint, table


class State(StrEnum):
    """Whether something is as it should be."""

    GOOD = "Good"
    BAD = "Bad"
    UNKNOWN = "Unknown"


class Finding(NamedTuple):
    """One thing that was looked at. `fix` is a command or what else mends it; of what is good it is empty."""

    subject: str
    state: State
    message: str
    fix: str = ""


def good(subject: str, message: str) -> Finding:
    """It is as it should be."""
    return Finding(subject, State.GOOD, message)


def bad(subject: str, message: str, fix: str) -> Finding:
    """It is not."""
    return Finding(subject, State.BAD, message, fix)


def unknown(subject: str, message: str, fix: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(subject, State.UNKNOWN, message, fix)


_MARKS: Mapping[State, tuple[str, str]] = {
    State.GOOD: ("ok", "good"),
    State.BAD: ("BAD", "bad"),
    State.UNKNOWN: ("?", "dim"),
}


def as_lines(findings: Iterable[Finding], paint: Paint) -> str:
    """A line for each finding, below it how to mend it, and a line that sums up."""
    findings = list(findings)
    rows = table([(_MARKS[each.state][0], each.subject, each.message) for each in findings])
    lines = list[str]()
    for row, each in zip(rows, findings, strict=True):
        mark, colour = _MARKS[each.state]
        lines.append(f"{paint[colour]}{mark}{paint['end']}{row.removeprefix(mark)}")
        lines += [f"     {each.fix}"] if each.fix else []
    wrong, unseen = (sum(each.state is state for each in findings) for state in (State.BAD, State.UNKNOWN))
    verdict = f"{wrong} of {len(findings)} checks failed" if wrong else f"{len(findings) - unseen} checks passed"
    return "\n".join((*lines, "", verdict + (f"; {unseen} could not be made" if unseen else "") + "."))


def as_items(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings for programs."""
    return [{name: value for name, value in each._asdict().items() if value} for each in findings]
