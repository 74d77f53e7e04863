"""What vertical decisions look at and what they remember: usage, its peaks, and the room in the cluster.

pressure.py adds what kills and throttling teach.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from scalableapp.core.api.vertical_fields import Vertical
from scalableapp.core.learning.histogram import Histogram
from scalableapp.core.model import DataProblem, ScaleEvent
from scalableapp.core.size import Amount, Resource, Size
from scalableapp.core.vertical.backoff import Failures
from scalableapp.core.vertical.peaks import Peaks, Sample, with_peak

# A sample is added at most so often: more add nothing new, as rates are taken over a minute.
SAMPLE_SECONDS = 15.0
# What has lasted this long is no spike: CPU that all its samples show is needed, and so is memory that one does.
RECENT_SECONDS = 60.0
# Beyond anything measured.
LARGEST_USAGE = 1e18
# A histogram says nothing of what is older: 8 half-lives, 0.4 % of the weight.
REMEMBERED_HALF_LIVES = 8
# So long the peaks of memory, and kills for want of it, are remembered: with the default half-life a week and a day, so
# that what comes once a week is known.
_MEMORY_HALF_LIVES = 384
# So long CPU is not reduced below what was needed for a minute: an hour and, where each change replaces the pods, a
# day and an hour, so that what comes every day changes nothing.
_CPU_HALF_LIVES, _CPU_HALF_LIVES_OF_ROLLOUTS = 4, 100
LONGEST_MEMORY = timedelta(days=8)


class Floor(NamedTuple):
    """A request that has proved necessary, until when that counts, and how that was found.

    `since` is when that was last found. Of CPU: the request, the share of throttled periods and the usage of a pod by
    which that was found.
    """

    value: float
    until: datetime
    why: str
    since: datetime | None = None
    request: float = 0.0
    throttled: float = 0.0
    used: float = 0.0


class ClusterLimits(NamedTuple):
    """Bounds of the cluster on one resource of a pod; None where there is none, `whose` says who sets them.

    `default_limit` is what a container without a limit gets; `limit_needed`: a quota refuses one without. `node` is
    what a pod can get on the largest node. `unread`: there may be others, which are not known.
    """

    least: float | None = None
    most: float | None = None
    most_limit: float | None = None
    ratio: float | None = None
    whose: str = ""
    default_limit: float | None = None
    limit_needed: bool = False
    node: float | None = None
    unread: bool = False

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
    counts the kills of the pods' present containers, `killed` is the memory that the last one had, if known. `busy`
    says why sizes cannot be changed now, `unsettled` why only too little memory or CPU may change them; "" when they
    can. `thin` says why no size may be reduced: pods that have no sample may need the most. `ratios` are limits over
    requests as the spec has them; `in_place`: pods can be resized without a rollout.
    """

    size: Size
    per_pod: Mapping[Resource, tuple[float, ...]] = field(default_factory=dict)
    serving: int = 0
    problem: DataProblem | None = None
    message: str = ""
    throttled: float | None = 0.0
    oom_kills: int = 0
    killed: Amount | None = None
    busy: str = ""
    unsettled: str = ""
    thin: str = ""
    cluster_limits: Mapping[Resource, ClusterLimits] = field(default_factory=dict)
    ratios: Mapping[Resource, float] = field(default_factory=dict)
    in_place: bool = True


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known of the usage of one resource.

    `peaks` are its highest values, of CPU those that lasted for a minute. `floor` is what was found to be necessary at
    once, `killed` what kills for memory have shown to be.
    """

    histogram: Histogram
    recent: tuple[Sample, ...] = ()
    floor: Floor | None = None
    peaks: Peaks = ()
    killed: Floor | None = None


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
    failures: Failures = ()
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
    learned = dict(SizeHistory.blank(vertical).learned)
    killed = history.learned[Resource.MEMORY].killed
    learned[Resource.MEMORY] = replace(learned[Resource.MEMORY], killed=killed)
    return replace(history, learned=learned, ready=False)


def with_usage(history: SizeHistory, usage: Usage, vertical: Vertical, now: datetime) -> SizeHistory:
    """`history` with the usage of this moment. Samples of bad data are left out."""
    learned = dict(history.learned)
    for resource in vertical.resources:
        value = _level(resource, usage, vertical)
        if value is not None:
            learned[resource] = sampled(learned[resource], resource, Sample(now, value))
    return replace(history, learned=learned)


def with_past_usage(history: SizeHistory, past: Mapping[Resource, Sequence[tuple[float, float]]]) -> SizeHistory:
    """`history` with past usage: (seconds since 1970, value), the oldest first."""
    learned = dict(history.learned)
    for resource, points in past.items():
        known = learned[resource].histogram
        first = known.first if known.samples else math.inf
        histogram, peaks, lasts = Histogram(known.half_life), Peaks(), kept_for(resource, known.half_life)
        for at, value in points:
            if at < first and 0 <= value < LARGEST_USAGE:
                histogram = histogram.add(at, value)
                peaks = with_peak(peaks, Sample(datetime.fromtimestamp(at, UTC), value), lasts)
        for sample in learned[resource].recent:
            histogram = histogram.add(sample.at.timestamp(), sample.value)
        for sample in learned[resource].peaks:
            peaks = with_peak(peaks, sample, lasts)
        learned[resource] = replace(learned[resource], histogram=histogram, peaks=peaks)
    return replace(history, learned=learned, ready=True)


def without_peaks(history: SizeHistory) -> SizeHistory:
    """`history` of which no peak keeps the CPU up."""
    cpu = replace(history.learned[Resource.CPU], peaks=())
    return replace(history, learned={**history.learned, Resource.CPU: cpu})


def sampled(learned: Learned, resource: Resource, sample: Sample) -> Learned:
    """With one more sample, unless one was taken a moment ago: of memory, the higher of the two counts then."""
    last = learned.recent[-1] if learned.recent else None
    since = (sample.at - last.at).total_seconds() if last else SAMPLE_SECONDS
    if since < SAMPLE_SECONDS - 0.5:
        higher = resource is Resource.MEMORY and last is not None and since >= 0 and sample.value > last.value
        if not higher:
            return learned
        peaks = with_peak(learned.peaks, sample, kept_for(resource, learned.histogram.half_life))
        return replace(learned, recent=(*learned.recent[:-1], sample), peaks=peaks)
    recent = tuple(old for old in learned.recent if (sample.at - old.at).total_seconds() <= RECENT_SECONDS)
    recent = (*recent, sample)
    histogram = learned.histogram.add(sample.at.timestamp(), sample.value)
    lasting = Sample(sample.at, lasting_value(resource, recent, fewest=2))
    peaks = with_peak(learned.peaks, lasting, kept_for(resource, histogram.half_life))
    return replace(learned, histogram=histogram, recent=recent, peaks=peaks)


def lasting_value(resource: Resource, recent: Sequence[Sample], fewest: int = 4) -> float:
    """What the last minute shows: of memory the peak; of CPU what every sample shows, once there are so many."""
    values = [sample.value for sample in recent]
    if resource is Resource.MEMORY:
        return max(values, default=0.0)
    return min(values) if len(values) >= fewest else 0.0


def kept_for(resource: Resource, half_life: float, *, in_place: bool = False) -> timedelta:
    """How long a size is not reduced below what the resource has needed."""
    if resource is Resource.MEMORY:
        return min(LONGEST_MEMORY, timedelta(seconds=_MEMORY_HALF_LIVES * half_life))
    lives = _CPU_HALF_LIVES if in_place else _CPU_HALF_LIVES_OF_ROLLOUTS
    return min(LONGEST_MEMORY, timedelta(seconds=lives * half_life))


def _level(resource: Resource, usage: Usage, vertical: Vertical) -> float | None:
    """Memory of the largest pod. Of CPU, what all pods would use if each were as busy as the one at the percentile."""
    values = () if usage.problem else sorted(usage.per_pod.get(resource, ()))
    if not values:
        return None
    if resource is Resource.MEMORY:
        return values[-1]
    rank = -(-vertical.cpu.percentile * len(values) // 100)
    return values[max(0, rank - 1)] * max(len(values), usage.serving)
