"""Which metric decided when: the stretches of a run in which the same one asked for the replicas."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from scalableapp.core.explain import clock
from scalableapp.core.model import Decision

_MOST_TOLD = 6


class Stretch(NamedTuple):
    """From second `start` to second `end` the metric, or the rule, `decided_by` asked for the replicas."""

    start: int
    end: int
    decided_by: str

    @property
    def seconds(self) -> int:
        """How long it was."""
        return self.end - self.start


def decider_of(decision: Decision) -> str:
    """The metric, or the rule of an objective, that asked for what was recommended; else the rule that ended it."""
    asked = decision.recommendation
    return next((step.rule for step in decision.steps if asked and step.value == asked.replicas), "") or (
        decision.steps[-1].rule
    )


def stretches_of(deciders: Sequence[tuple[int, str]], seconds: int) -> tuple[Stretch, ...]:
    """The stretches of a run of so many seconds; `deciders` says since which second which one decided."""
    pairs = pairwise([*deciders, (seconds, "")])
    return tuple(Stretch(start, end, name) for (start, name), (end, _) in pairs)


def in_words(stretches: Sequence[Stretch], started_at: float) -> list[str]:
    """The share of each decider, and the longest stretches in their order; `started_at` is Unix time."""
    if not stretches:
        return []
    total: Counter[str] = Counter()
    for stretch in stretches:
        total[stretch.decided_by] += stretch.seconds
    whole = max(total.total(), 1)
    shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in total.most_common())
    longest = sorted(sorted(stretches, key=lambda stretch: -stretch.seconds)[:_MOST_TOLD])
    start = datetime.fromtimestamp(started_at, UTC)
    told = ", ".join(
        f"{stretch.decided_by} {clock(_at(started_at, stretch.start), start)} to "
        f"{clock(_at(started_at, stretch.end), start)}"
        for stretch in longest
    )
    which = "stretches" if len(longest) == len(stretches) else f"longest of {len(stretches)} stretches"
    return [f"decided by: {shares}", f"{which}: {told}"] if len(total) > 1 else [f"decided by: {shares}"]


def _at(started_at: float, second: int) -> datetime:
    return datetime.fromtimestamp(started_at + second, UTC)
