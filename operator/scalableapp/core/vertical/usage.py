"""What vertical decisions look at and what they remember: usage, kills, throttling, and the room in the cluster."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from scalableapp.core.api.vertical_fields import LimitsPolicy, Vertical
from scalableapp.core.learning.histogram import Histogram
from scalableapp.core.model import DataProblem, ScaleEvent
from scalableapp.core.size import Amount, Resource, Size, rounded_up

# A sample is added at most so often: more add nothing new, as rates are taken over a minute.
SAMPLE_SECONDS = 15.0
# What has lasted this long is no spike: CPU that all its samples show is needed, and so is memory that one does.
RECENT_SECONDS = 60.0
# VPA's rule for a container that was killed for its memory (--oom-bump-up-ratio, --oom-min-bump-up-bytes): it would
# have needed more than it had, but it is unknown how much more.
OOM_RATIO = 1.2
OOM_BYTES = 100 * 2**20
# A quarter of the periods throttled is a pod that people feel to be slow.
THROTTLED_SHARE = 0.25
# Beyond anything measured.
LARGEST_USAGE = 1e18
# A kill or throttling is remembered as long as the histogram remembers anything: 8 half-lives, 0.4 % of the weight.
REMEMBERED_HALF_LIVES = 8


class Sample(NamedTuple):
    """Usage at a moment: cores that all pods together need, or bytes of the largest pod."""

    at: datetime
    value: float


class Floor(NamedTuple):
    """A request that has proved necessary, until when that counts, and how that was found."""

    value: float
    until: datetime
    why: str


class ClusterLimits(NamedTuple):
    """Bounds of the cluster on one resource of a pod; None where there is none, `whose` says who sets them.

    `default_limit` is what a container without a limit gets; `limit_needed`: a quota refuses one without.
    """

    least: float | None = None
    most: float | None = None
    most_limit: float | None = None
    ratio: float | None = None
    whose: str = ""
    default_limit: float | None = None
    limit_needed: bool = False

    @property
    def needs_limit(self) -> bool:
        """Whether a container without a limit is refused, or given one."""
        return self.limit_needed or self.most_limit is not None or self.ratio is not None


@dataclass(frozen=True, slots=True)
class Usage:
    """The pods' size and usage at one moment.

    `size` is what the Deployment's template states. `per_pod` has the usage of each of the `serving` pods that it is
    known of, in cores and bytes; memory is the peak of the last minute. `throttled` is the largest share of CPU periods
    in which a pod was throttled, or of time in which it waited for CPU (PSI), None if it cannot be read. `oom_kills`
    counts the kills of the pods' present containers. `busy` says why sizes cannot be changed now, `unsettled` why only
    too little memory or CPU may change them; "" when they can. `thin` says why no size may be reduced: pods that have
    no sample may need the most.
    """

    size: Size
    per_pod: Mapping[Resource, tuple[float, ...]] = field(default_factory=dict)
    serving: int = 0
    problem: DataProblem | None = None
    message: str = ""
    throttled: float | None = 0.0
    oom_kills: int = 0
    busy: str = ""
    unsettled: str = ""
    thin: str = ""
    cluster_limits: Mapping[Resource, ClusterLimits] = field(default_factory=dict)


class FailedResize(NamedTuple):
    """A change that was rolled back: what it led to, when, why, and how many times in a row."""

    size: Size
    before: Size
    at: datetime
    why: str
    times: int


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known of the usage of one resource."""

    histogram: Histogram
    recent: tuple[Sample, ...] = ()
    floor: Floor | None = None


@dataclass(frozen=True, slots=True)
class SizeHistory:
    """What vertical decisions remember.

    `changed_at` is when the size last changed, `scaled` the last change of replicas. `ready` says whether the usage of
    before has been read where it is kept. `resumed_at`: what status says of before was written by a clock that may have
    been put since, so no size is reduced sooner after a restart than after a change.
    """

    learned: Mapping[Resource, Learned]
    changed_at: datetime | None = None
    scaled: ScaleEvent | None = None
    oom_kills: int = 0
    failed_resize: FailedResize | None = None
    ready: bool = True
    resumed_at: datetime | None = None

    @classmethod
    def blank(cls, vertical: Vertical, *, ready: bool = True) -> "SizeHistory":
        """Of an app that has not been measured yet."""
        empty = {
            resource: Learned(Histogram(float(vertical.need(resource).half_life_seconds))) for resource in Resource
        }
        return cls(empty, ready=ready)


def with_half_lives(history: SizeHistory, vertical: Vertical) -> SizeHistory:
    """The history itself; with other half-lives than it was made with, one that has to be read again."""
    lives = {resource: float(vertical.need(resource).half_life_seconds) for resource in Resource}
    if all(history.learned[resource].histogram.half_life == lives[resource] for resource in Resource):
        return history
    return replace(history, learned=SizeHistory.blank(vertical).learned, ready=False)


def learn(history: SizeHistory, usage: Usage, vertical: Vertical, now: datetime) -> SizeHistory:
    """`history` with what is seen now. Samples of bad data are left out."""
    learned = dict(history.learned)
    for resource in vertical.resources:
        if value := _level(resource, usage, vertical):
            learned[resource] = sampled(learned[resource], resource, Sample(now, value))
    history = replace(history, learned=learned)
    return _throttling(_kills(history, usage, vertical, now), usage, vertical, now)


def with_past_usage(history: SizeHistory, past: Mapping[Resource, Sequence[tuple[float, float]]]) -> SizeHistory:
    """`history` with past usage: (seconds since 1970, value), the oldest first."""
    learned = dict(history.learned)
    for resource, points in past.items():
        known = learned[resource].histogram
        first = known.first if known.samples else math.inf
        histogram = Histogram(known.half_life)
        for at, value in points:
            if at < first and 0 <= value < LARGEST_USAGE:
                histogram = histogram.add(at, value)
        for sample in learned[resource].recent:
            histogram = histogram.add(sample.at.timestamp(), sample.value)
        learned[resource] = replace(learned[resource], histogram=histogram)
    return replace(history, learned=learned, ready=True)


def sampled(learned: Learned, resource: Resource, sample: Sample) -> Learned:
    """With one more sample, unless one was taken a moment ago: of memory, the higher of the two counts then."""
    last = learned.recent[-1] if learned.recent else None
    since = (sample.at - last.at).total_seconds() if last else SAMPLE_SECONDS
    if since < SAMPLE_SECONDS - 0.5:
        higher = resource is Resource.MEMORY and last is not None and since >= 0 and sample.value > last.value
        return replace(learned, recent=(*learned.recent[:-1], Sample(sample.at, sample.value))) if higher else learned
    recent = tuple(old for old in learned.recent if (sample.at - old.at).total_seconds() <= RECENT_SECONDS)
    histogram = learned.histogram.add(sample.at.timestamp(), sample.value)
    return Learned(histogram, (*recent, sample), learned.floor)


def _level(resource: Resource, usage: Usage, vertical: Vertical) -> float | None:
    """Memory of the largest pod. Of CPU, what all pods would use if each were as busy as the one at the percentile."""
    values = () if usage.problem else sorted(usage.per_pod.get(resource, ()))
    if not values:
        return None
    if resource is Resource.MEMORY:
        return values[-1]
    rank = -(-vertical.cpu.percentile * len(values) // 100)
    return values[max(0, rank - 1)] * max(len(values), usage.serving)


def _kills(history: SizeHistory, usage: Usage, vertical: Vertical, now: datetime) -> SizeHistory:
    """New kills for memory, and the request that would bring the limit to what VPA adds after one."""
    before, kills = history.oom_kills, usage.oom_kills
    history = replace(history, oom_kills=kills)
    amount = usage.size.memory
    had = amount.limit or amount.request
    if kills <= before or had is None or Resource.MEMORY not in vertical.resources:
        return history
    needed = max(had * OOM_RATIO, had + OOM_BYTES)
    request = needed * _share(amount)
    floor = _floor(Resource.MEMORY, request, vertical, now, "a container was OOM-killed")
    return _with_floor(history, Resource.MEMORY, floor)


def _throttling(history: SizeHistory, usage: Usage, vertical: Vertical, now: datetime) -> SizeHistory:
    """More CPU while pods are throttled: the usage alone does not show how much they need."""
    request, limit = usage.size.cpu
    if limit is not None and vertical.limits is LimitsPolicy.REQUESTS_ONLY:
        return history  # no request helps against a limit that stays
    settled = history.changed_at is None or (now - history.changed_at).total_seconds() > RECENT_SECONDS
    throttled = usage.throttled or 0.0
    if throttled <= THROTTLED_SHARE or not request or not settled or Resource.CPU not in vertical.resources:
        return history
    why = f"pods lack CPU {throttled * 100:.0f} % of the time"
    floor = _floor(Resource.CPU, request * (1 + min(1.0, throttled)), vertical, now, why)
    return _with_floor(history, Resource.CPU, floor)


def _floor(resource: Resource, value: float, vertical: Vertical, now: datetime, why: str) -> Floor:
    lasts = timedelta(seconds=REMEMBERED_HALF_LIVES * vertical.need(resource).half_life_seconds)
    return Floor(rounded_up(resource, value), now + lasts, why)


def _with_floor(history: SizeHistory, resource: Resource, floor: Floor) -> SizeHistory:
    learned = replace(history.learned[resource], floor=floor)
    return replace(history, learned={**history.learned, resource: learned})


def _share(amount: Amount) -> float:
    """Request over limit; 1 without a limit."""
    return amount.request / amount.limit if amount.request and amount.limit else 1.0
