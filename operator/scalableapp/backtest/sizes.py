"""Sizes of a pod replayed over a trace of its usage: ours, VPA's, and the size it starts with.

The pod uses what the trace says unless its limits hold it back: beyond the CPU limit it is throttled, beyond the memory
limit it is killed. A new size counts once a pod of it has started. Of each policy are told: slack (what was requested
and not used, as a share of what was requested), the minutes in which it was throttled or killed, and the changes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from scalableapp.backtest import vpa
from scalableapp.backtest.usagetrace import Moment, UsageTrace
from scalableapp.core.api.scaling import Mode
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.api.vertical_fields import UpdateStrategy
from scalableapp.core.children.resources import WATCH_SECONDS
from scalableapp.core.model import History, Observation, PodState
from scalableapp.core.size import Amount, Resource, Size
from scalableapp.core.vertical.change import resizable
from scalableapp.core.vertical.combined import decide_both, size_changed
from scalableapp.core.vertical.usage import SizeHistory, Usage

TICK_SECONDS = 15.0
_MINUTE = 60.0


class Seen(NamedTuple):
    """What a policy sees: the usage as far as the size allows it, and what happened for want of more."""

    at: float
    size: Size
    cpu: float
    memory: float
    throttled: float
    kills: int


class Policy(Protocol):
    """Decides the size of the pod."""

    def size(self, seen: Seen) -> Size:
        """The size to have from now on, the present one to keep it."""
        ...


@dataclass(slots=True)
class SizeScore:
    """What a policy came to over a trace."""

    cpu_requested: float = 0.0
    cpu_used: float = 0.0
    memory_requested: float = 0.0
    memory_used: float = 0.0
    throttled_minutes: int = 0
    oom_minutes: int = 0
    changes: int = 0

    @property
    def cpu_slack(self) -> float:
        """Share of the requested CPU that was not used."""
        return _slack(self.cpu_requested, self.cpu_used)

    @property
    def memory_slack(self) -> float:
        """Share of the requested memory that was not used."""
        return _slack(self.memory_requested, self.memory_used)


def _slack(requested: float, used: float) -> float:
    return max(0.0, 1 - used / requested) if requested else 0.0


@dataclass(slots=True)
class Ours:
    """The operator's own decision, on its own history."""

    spec: ScalableAppSpec
    history: SizeHistory | None = None
    kills: int = 0

    @property
    def in_place(self) -> bool:
        """Whether pods are resized in place where that can be."""
        return self.spec.scaling.vertical.update_strategy is not UpdateStrategy.ROLLOUT

    def size(self, seen: Seen) -> Size:
        """Through `decide_both`, as the operator decides."""
        now = datetime.fromtimestamp(seen.at, UTC)
        self.kills += seen.kills
        usage = Usage(
            seen.size,
            {Resource.CPU: (seen.cpu,), Resource.MEMORY: (seen.memory,)},
            throttled=seen.throttled,
            oom_kills=self.kills,
            ratios=self.spec.resources.ratios,
            in_place=self.in_place,
        )
        pod = PodState("pod", "Running", True, False, now - timedelta(days=1), now - timedelta(days=1))
        history = self.history or SizeHistory.blank(self.spec.scaling.vertical)
        observation = Observation(now, max(1, self.spec.replicas or 1), (pod,))
        decision, self.history = decide_both(self.spec, observation, History(), usage, history)
        if decision.sizing is None or not decision.sizing.changes:
            return seen.size
        self.history = size_changed(self.history, now)
        return decision.sizing.size_to


@dataclass(slots=True)
class Vpa:
    """VPA with its defaults, once a minute; limits in proportion, as it has them."""

    start: Size
    recommender: vpa.Recommender = field(default_factory=vpa.Recommender)
    updated_at: float = float("-inf")
    pod_since: float | None = None

    def size(self, seen: Seen) -> Size:
        """The targets when the updater evicts the pod."""
        self.pod_since = seen.at if self.pod_since is None else self.pod_since
        if seen.kills:
            self.recommender.killed(seen.at, seen.size.memory.request or 0.0)
        if seen.at - self.updated_at < _MINUTE and not seen.kills:
            return seen.size
        self.updated_at = seen.at
        self.recommender.observe(seen.at, seen.cpu, seen.memory)
        bounds = self.recommender.bounds(seen.at)
        requests = {"cpu": seen.size.cpu.request or 0.025, "memory": seen.size.memory.request or 250.0 * 2**20}
        if not seen.kills and not vpa.evicts(bounds, requests, seen.at - self.pod_since):
            return seen.size
        self.pod_since = seen.at
        return Size(*(_scaled(self.start.of(r), bounds[r.value].target) for r in Resource))


def _scaled(start: Amount, request: float) -> Amount:
    return Amount(request, request * start.limit / start.request if start.limit and start.request else None)


class Static:
    """The size of the start."""

    def size(self, seen: Seen) -> Size:
        """The present one."""
        return seen.size


def policies(spec: ScalableAppSpec) -> dict[str, Policy]:
    """What is compared, by name."""
    return {"scalableapp": Ours(as_vertical(spec)), "vpa": Vpa(start_of(spec)), "static": Static()}


def as_vertical(spec: ScalableAppSpec) -> ScalableAppSpec:
    """The spec in mode Vertical: a trace of one pod's usage says nothing of replicas."""
    scaling = spec.scaling.model_copy(update={"mode": Mode.VERTICAL, "dry_run": False, "paused": False})
    return spec.model_copy(update={"scaling": scaling})


def start_of(spec: ScalableAppSpec) -> Size:
    """The size that the spec states."""
    return spec.resources.size


def replay(
    trace: UsageTrace,
    policy: Policy,
    start: Size,
    startup_seconds: float,
    watch: Callable[[float, Size], None] | None = None,
) -> SizeScore:
    """What the policy comes to. `watch` is told the seconds since the start and the size of each tick."""
    score, size, coming = SizeScore(), start, None
    throttled, killed = set[int](), set[int]()
    for seconds, wanted in _ticks(trace):
        if coming and seconds >= coming[0]:
            size, coming = coming[1], None
        seen = _seen(wanted._replace(at=trace.moments[0].at + seconds), size)
        minute = int(seconds // _MINUTE)
        if seen.throttled > 0:
            throttled.add(minute)
        if seen.kills:
            killed.add(minute)
        _count(score, seen)
        if watch:
            watch(seconds, size)
        recommended = policy.size(seen) if coming is None else size
        if recommended != size:
            score.changes += 1
            coming = seconds + _delay(size, recommended, policy, startup_seconds), recommended
    score.throttled_minutes, score.oom_minutes = len(throttled), len(killed)
    return score


def _delay(old: Size, new: Size, policy: Policy, startup_seconds: float) -> float:
    """A new pod starts; ours, where it takes a rollout, is watched before the others follow."""
    watched = isinstance(policy, Ours) and not (policy.in_place and resizable(old, new))
    return startup_seconds + (WATCH_SECONDS if watched else 0.0)


def _ticks(trace: UsageTrace) -> Iterator[tuple[float, Moment]]:
    """What is wanted, every 15 s; what was told last holds until something else is told."""
    place, first = 0, trace.moments[0].at
    for number in range(int(trace.seconds // TICK_SECONDS) + 1):
        seconds = number * TICK_SECONDS
        while place + 1 < len(trace.moments) and trace.moments[place + 1].at - first <= seconds:
            place += 1
        yield seconds, trace.moments[place]


def _seen(wanted: Moment, size: Size) -> Seen:
    cores = min(wanted.cpu, size.cpu.limit or wanted.cpu)
    used = min(wanted.memory, size.memory.limit or wanted.memory)
    throttled = 1 - cores / wanted.cpu if wanted.cpu else 0.0
    return Seen(wanted.at, size, cores, used, throttled, int(used < wanted.memory))


def _count(score: SizeScore, seen: Seen) -> None:
    hours = TICK_SECONDS / 3600
    score.cpu_requested += (seen.size.cpu.request or 0.0) * hours
    score.cpu_used += min(seen.cpu, seen.size.cpu.request or seen.cpu) * hours
    score.memory_requested += (seen.size.memory.request or 0.0) / 2**30 * hours
    score.memory_used += min(seen.memory, seen.size.memory.request or seen.memory) / 2**30 * hours
