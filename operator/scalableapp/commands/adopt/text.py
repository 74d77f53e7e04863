"""What `adopt` prints: manifests that can be applied, with what is not in them as comments."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from scalableapp.commands.adopt.app import Adopted
from scalableapp.commands.console.output import YAML, for_programs

_WIDTH = 118


class Skipped(NamedTuple):
    """A workload for which nothing is printed, and why."""

    target: str
    why: str


def as_yaml(adopted: Sequence[Adopted], skipped: Sequence[Skipped]) -> str:
    """One YAML document for each; without any, comments alone."""
    parts = ["\n".join((*_comments(each), str(for_programs(each.manifest, YAML)))) for each in adopted]
    if skipped:
        left_out = [line for each in skipped for line in _item(f"{each.target}: {each.why}")]
        parts.insert(0, "\n".join(("# Left out:", *left_out)))
    return "\n---\n".join(parts)


def _comments(adopted: Adopted) -> Iterator[str]:
    yield f"# {adopted.target}, from {', '.join(adopted.sources)}. With dryRun, it makes decisions but changes nothing."
    if adopted.left:
        yield "# No counterpart yet:"
        for left in adopted.left:
            yield from _item(str(left))
    if adopted.notes:
        yield "# To check:"
        for note in adopted.notes:
            yield from _item(note)


def _item(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="# - ", subsequent_indent="#   ", break_long_words=False, break_on_hyphens=False
    )


def as_record(adopted: Sequence[Adopted], skipped: Sequence[Skipped]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "items": [
            {
                "target": each.target,
                "sources": list(each.sources),
                "manifest": each.manifest,
                "noCounterpart": [left._asdict() for left in each.left],
                "notes": list(each.notes),
            }
            for each in adopted
        ],
        "leftOut": [each._asdict() for each in skipped],
    }
