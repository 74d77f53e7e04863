"""Builders of what vertical decisions need, and an app of which only load and size matter, in a closed loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.api.vertical_fields import Vertical
from scalableapp.core.horizontal.decide import first_seen, record_scale, remember
from scalableapp.core.model import Decision, History, Observation, Reading
from scalableapp.core.size import Resource, Size, size_from
from scalableapp.core.vertical.combined import carried_out, decide_both
from scalableapp.core.vertical.peaks import Sample
from scalableapp.core.vertical.usage import SizeHistory, Usage, sampled
from tests.unit.core.build import NOW, RPS, ago, pod

MI = 2**20


def size(cpu: str = "200m/400m", memory: str = "256Mi/512Mi") -> Size:
    """A size from "request/limit" or "request"."""
    fields = {}
    for name, text in (("cpu", cpu), ("memory", memory)):
        request, _, limit = text.partition("/")
        fields[name] = {"request": request, "limit": limit}
    return size_from(fields)


def vertical(**fields: Any) -> Vertical:
    return Vertical.model_validate(fields)


def known(
    rules: Vertical,
    cpu: Callable[[float], float] | float,
    memory: Callable[[float], float] | float,
    seconds: float = 7200,
) -> SizeHistory:
    """A history in which usage (of all pods, and of the largest) was a function of its age; a sample a minute."""
    history = SizeHistory.blank(rules)
    learned = dict(history.learned)
    for resource, level in ((Resource.CPU, cpu), (Resource.MEMORY, memory)):
        for step in range(int(seconds // 60), -1, -1):
            value = level(step * 60.0) if callable(level) else level
            learned[resource] = sampled(learned[resource], resource, Sample(ago(step * 60), value))
    return replace(history, learned=learned)


def usage_now(now: Size | None = None, **changes: Any) -> Usage:
    return Usage(now or size(), **changes)


def sized_app(mode: str = "Vertical", *, sizing: Mapping[str, Any] | None = None, **horizontal: Any) -> ScalableAppSpec:
    horizontal = {"minReplicas": 1, "maxReplicas": 10, "metrics": [RPS], **horizontal}
    return parse_spec({"image": "a", "scaling": {"mode": mode, "horizontal": horizontal, "vertical": sizing or {}}})


@dataclass
class Loop:
    """One app whose pods share a load evenly: each request/s costs 10m cores, each pod takes 100 MiB + 1 MiB each.

    A pod cannot use more CPU than its limit (then it is throttled); at its memory limit it is killed.
    """

    spec: ScalableAppSpec
    size: Size = field(default_factory=size)
    replicas: int = 1
    seconds: float = 0.0
    kills: int = 0
    sizes: list[Size] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    history: History | None = None
    memory: SizeHistory | None = None

    def tick(self, load: float) -> Decision:
        now = NOW + timedelta(seconds=self.seconds)
        each = load / max(1, self.replicas)
        wanted = 0.01 + 0.01 * each
        cores = min(wanted, self.size.cpu.limit or wanted)
        used = min(100 * MI + MI * each, self.size.memory.limit or 1e12)
        self.kills += used == self.size.memory.limit
        pods = tuple(replace(pod(i), started_at=NOW - timedelta(hours=1)) for i in range(self.replicas))
        rps = Reading(per_pod={one.name: each for one in pods})
        seen = Observation(now, self.replicas, pods, {"RequestsPerSecond": rps})
        usage = Usage(
            self.size,
            {Resource.CPU: (cores,) * len(pods), Resource.MEMORY: (used,) * len(pods)},
            throttled=max(0.0, 1 - cores / wanted),
            oom_kills=self.kills,
        )
        self.history = self.history or first_seen(seen)
        self.memory = self.memory or SizeHistory.blank(self.spec.scaling.vertical)
        decision, self.memory = decide_both(self.spec, seen, self.history, usage, self.memory)
        self._carry_out(decision)
        return decision

    def _carry_out(self, decision: Decision) -> None:
        assert self.history
        assert self.memory
        assert decision.sizing
        self.history = remember(self.history, decision, self.spec)
        if decision.changes:
            change = decision.replicas_to - decision.replicas_from
            self.history = record_scale(self.history, decision.at, change, self.spec)
        self.memory = carried_out(self.memory, decision)
        self.replicas, self.size = decision.replicas_to, decision.sizing.size_to
        self.counts.append(self.replicas)
        self.sizes.append(self.size)
        self.decisions.append(decision)
        self.seconds += 15

    def run(self, load: float, seconds: float) -> "Loop":
        for _ in range(int(seconds // 15)):
            self.tick(load)
        return self

    def requests(self, resource: Resource) -> list[float]:
        return [one.of(resource).request or 0.0 for one in self.sizes]


def turns(values: list[float]) -> int:
    """How often a series changes its direction."""
    moves = [b - a for a, b in pairwise(values) if a != b]
    return sum((a > 0) != (b > 0) for a, b in pairwise(moves))
