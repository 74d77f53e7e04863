"""What travels between the stages: observe -> recommend -> decide -> apply -> report.

Units: CPU in cores, memory in bytes, time stamps aware datetimes in UTC, durations in seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from scalableapp.core.learning.forecast import LoadHistory
from scalableapp.core.learning.idle import Surplus
from scalableapp.core.learning.objective import Learned
from scalableapp.core.size import Resize, Size, Sizing


class AppKey(NamedTuple):
    """Names one ScalableApp in the cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ChildId(NamedTuple):
    """Names one child of an app, in the app's namespace."""

    kind: str
    name: str


class DataProblem(StrEnum):
    """Why a metric cannot be used. Each is a state of its own, never a zero."""

    UNREACHABLE = "PrometheusUnreachable"
    UNAUTHORIZED = "PrometheusUnauthorized"
    REDIRECTED = "PrometheusRedirects"
    QUERY_FAILED = "QueryFailed"
    EMPTY = "NoData"
    NOT_A_NUMBER = "NotANumber"
    INFINITE = "Infinite"
    NEGATIVE = "NegativeValue"
    STALE = "StaleData"
    PARTIAL = "PartialData"
    WARNINGS = "PrometheusWarnings"
    WRONG_TYPE = "WrongResultType"
    CLOCK_SKEW = "ClockSkew"
    TOO_RARE = "ScrapesTooRare"
    DUPLICATE = "DuplicateSeries"
    BROKEN = "BrokenExporter"
    TOO_MANY_SERIES = "TooManySeries"
    AMBIGUOUS_REQUESTS = "AmbiguousRequests"
    UNKNOWN_SOURCE = "UnknownRequestSource"
    UNSUITABLE_SOURCE = "UnsuitableRequestSource"


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric of one app as measured, or why it could not be.

    `total` is the sum over the app; `per_pod` maps pod names to values for metrics that are measured
    per pod (requests/s, CPU cores) and is empty for a user's own query. `burst_total` is the sum over the
    short window of `burst`, where the app states one.

    `window_seconds` is what a rate is taken over, `newest_at` when the oldest of the pods' newest samples was taken.
    `pods` are those that a value of the whole app stands for, None where that is not known; `overdue` those whose
    values are too low, as scrapes of them were missed. `awaited` says what is not there yet, `note` what to know
    of the value, `burst_note` why there is no burst_total.
    """

    total: float | None = None
    per_pod: Mapping[str, float] = field(default_factory=dict)
    problem: DataProblem | None = None
    message: str = ""
    burst_total: float | None = None
    window_seconds: float | None = None
    newest_at: datetime | None = None
    pods: frozenset[str] | None = None
    overdue: frozenset[str] = frozenset()
    awaited: str = ""
    note: str = ""
    burst_note: str = ""


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """What an objective is judged by.

    Requests per second, the share of them that were slow or failed in the last minute (0..1, for the whole app, and of
    each pod), CPU cores per pod, and the requests per second that failed.
    """

    load: Reading = field(default_factory=Reading)
    slow_share: Reading = field(default_factory=Reading)
    cpu: Reading = field(default_factory=Reading)
    failed: float = 0.0


NO_SERVICE_LEVEL = ServiceLevel()


@dataclass(frozen=True, slots=True)
class PodState:
    """What a decision needs to know of a pod.

    `started_at` is when its node started it, `created_at` when it was created; None stands for the same time.
    Of the app's container: its `size` as the pod's spec has it, when it last ended, and when it was last killed for its
    memory. `problem` says why the pod cannot start, `message` what it says of itself while it is not ready, `resize`
    and `resize_message` where a resize in place stands. `other_containers` is the size of the others together.
    `left_at` is when its deletion was requested, or when it was gone. `sized_at` is when its size was changed, if that
    was seen, `size_before` what it had before.
    """

    name: str
    phase: str
    ready: bool
    deleting: bool
    started_at: datetime
    readiness_changed_at: datetime | None = None
    created_at: datetime | None = None
    size: Size | None = None
    ended_at: datetime | None = None
    oom_killed_at: datetime | None = None
    problem: str = ""
    message: str = ""
    resize: Resize = Resize.DONE
    resize_message: str = ""
    other_containers: Size | None = None
    priority_class: str = ""
    left_at: datetime | None = None
    sized_at: datetime | None = None
    size_before: Size | None = None

    @property
    def killed_with(self) -> Size | None:
        """The size with which it was last killed for its memory."""
        if self.size_before is None or self.oom_killed_at is None:
            return self.size
        sized = self.resize is Resize.DONE and self.sized_at is not None and self.oom_killed_at > self.sized_at
        return self.size if sized else self.size_before


@dataclass(frozen=True, slots=True)
class Observation:
    """One app at one moment. `replicas` is what its Deployment specifies, not what runs.

    `pods` holds those that left a short while ago, too: they are `deleting`, and what they carried is still measured.
    `conflict` names what else scales it, `size_conflict` what else sizes its pods. Of a workload that exists,
    `hand_over` names the autoscaler that scales it so far, `owned_elsewhere` who keeps setting its replicas. `up_only`:
    a rollout lets CPU of old and new pods together add pods. `resizing`: the pods get
    another size, so that a rollout under way is the operator's own. `replay_until`: after a
    restart, until when what an objective has learned is waited for.

    `watched_since` is when this process first looked: which pods left before, it has not seen. `unseen` counts replicas
    in which the known pods differ from what the Deployment has, since `unseen_since`. `spent`: the readings have led to
    a change of replicas already. `outdated`: replicas have been changed, by whomever, since the readings were begun.
    """

    now: datetime
    replicas: int
    pods: tuple[PodState, ...] = ()
    readings: Mapping[str, Reading] = field(default_factory=dict)
    service_level: ServiceLevel = NO_SERVICE_LEVEL
    rollout: bool = False
    resizing: bool = False
    replay_until: datetime | None = None
    conflict: str = ""
    hand_over: str = ""
    owned_elsewhere: str = ""
    up_only: bool = False
    size_conflict: str = ""
    watched_since: datetime | None = None
    unseen: int = 0
    unseen_since: datetime | None = None
    spent: bool = False
    outdated: bool = False

    @property
    def distorted(self) -> bool:
        """Whether a rollout of another template surges: old and new pods share the load, starting pods burn CPU.

        That of another size of the pods is slow by intent, and decided on in core/vertical/combined.py.
        """
        return self.rollout and not self.resizing


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the metrics needed at a moment, before stabilisation."""

    at: datetime
    replicas: int


@dataclass(frozen=True, slots=True)
class ScaleEvent:
    """A change of replicas that was carried out; `change` is signed.

    `reported` is when status says it was, where it is taken to have been later: after a restart (status.history_from).
    """

    at: datetime
    change: int
    reported: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """No metric can be used since a moment; `replicas` is what there was then, the last good number."""

    since: datetime
    replicas: int


@dataclass(frozen=True, slots=True)
class Startups:
    """Seconds that starts of the app's pods took, oldest first, and the names of the pods that are in them."""

    samples: tuple[float, ...] = ()
    measured: frozenset[str] = frozenset()


NOTHING_LEARNED, NO_SURPLUS = Learned(), Surplus()


@dataclass(frozen=True, slots=True)
class History:
    """What a decision remembers: oldest first."""

    recommendations: tuple[Recommendation, ...] = ()
    scale_events: tuple[ScaleEvent, ...] = ()
    outage: Outage | None = None
    startups: Startups = Startups()
    loads: LoadHistory = field(default_factory=LoadHistory)
    learned: Learned = NOTHING_LEARNED
    surplus: Surplus = NO_SURPLUS


# The rule whose message is material even where the number stays: a schedule began or ended.
SCHEDULE = "Schedule"


@dataclass(frozen=True, slots=True)
class Step:
    """One rule in a decision: its name, the number after it, and why."""

    rule: str
    value: int
    message: str


@dataclass(frozen=True, slots=True)
class MetricReport:
    """One metric as the user sees it in status: numbers as text, in the target's unit.

    `at` is when the oldest of the pods' newest samples was taken, None where Prometheus does not report it.
    `pods` counts those that should have a sample, `without_sample` those of them that have none.
    """

    name: str
    current: str
    target: str
    proposed_replicas: int | None
    at: datetime | None = None
    pods: int = 0
    without_sample: int = 0


class ObjectiveReport(NamedTuple):
    """Whether an objective is met: "True", "False" or "Unknown", with a reason and a message."""

    met: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The number, and the chain that led to it (last rule last).

    `recommendation` is what the metrics needed before stabilisation, to be remembered; None when
    the metrics were not used (paused, held, pinned). `active` says whether the metrics drive the number,
    `limited` whether a bound, a window or a policy limited what they needed. `outage`, `startups`, `loads`, `learned`
    and `surplus` are the history's as they stand now, to be remembered. `sizing` is the size of the pods, in the modes
    that decide on it; `objective` whether it is met, of an app with one.
    """

    at: datetime
    replicas_from: int
    replicas_to: int
    reason: str
    message: str
    steps: tuple[Step, ...]
    metrics: tuple[MetricReport, ...] = ()
    recommendation: Recommendation | None = None
    active: bool = True
    limited: bool = False
    data_problem: DataProblem | None = None
    data_message: str = ""
    outage: Outage | None = None
    startups: Startups = Startups()
    loads: LoadHistory = field(default_factory=LoadHistory)
    learned: Learned = NOTHING_LEARNED
    surplus: Surplus = NO_SURPLUS
    sizing: Sizing | None = None
    objective: ObjectiveReport | None = None

    @property
    def changes(self) -> bool:
        """Whether the decision changes the number of replicas."""
        return self.replicas_to != self.replicas_from

    @property
    def resizes(self) -> bool:
        """Whether the decision changes the size of the pods."""
        return self.sizing is not None and self.sizing.changes
