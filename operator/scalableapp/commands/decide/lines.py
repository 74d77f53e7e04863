"""The answers of `scalableapp decide`: JSON lines in, decisions out, through the operator's own core."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from scalableapp.commands.decide.sizes import Pods, Sized, read_usage, usage_by_resource, usage_of
from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.horizontal.decide import first_seen, record_scale, remember
from scalableapp.core.horizontal.interval import due
from scalableapp.core.horizontal.objective_plan import REQUESTS, replay_objective
from scalableapp.core.horizontal.prediction import replayed
from scalableapp.core.horizontal.startup import learn
from scalableapp.core.learning.forecast import LoadHistory
from scalableapp.core.learning.objective import Learned, Sample
from scalableapp.core.model import (
    NO_SERVICE_LEVEL,
    DataProblem,
    Decision,
    History,
    Observation,
    Outage,
    PodState,
    Reading,
    Recommendation,
    ScaleEvent,
    ServiceLevel,
    Startups,
)
from scalableapp.core.quality import LARGEST_VALUE, serves
from scalableapp.core.quantity import parse_quantity
from scalableapp.core.size import Size, size_fields
from scalableapp.core.targets import computable
from scalableapp.core.vertical.combined import carried_out, decide_both
from scalableapp.core.vertical.usage import SizeHistory, Usage
from scalableapp.errors import ScalableAppError, SpecError

# A sample this old says more about the scraping than about the load.
STALE_AFTER_SECONDS = 60.0
# A sample from the future beyond this means clocks that disagree.
CLOCK_SKEW_SECONDS = 30.0

# Bounds that keep dates within what datetime can tell.
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, Field(ge=datetime(2001, 9, 9, 2, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))]
Load = Annotated[float, Field(ge=0, le=LARGEST_VALUE, allow_inf_nan=False)]
UsageValue = Annotated[
    str | float, AfterValidator(lambda value: parse_quantity(value) if isinstance(value, str) else value)
]


Value = TypeVar("Value")
# An objective's CPU, read as a metric's is.
_CPU = Metric(type=MetricType.CPU, target="1")


class LineError(ScalableAppError):
    """A line that is no situation: names the field and the fix."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class _Pod(_Part):
    name: str
    phase: str = "Running"
    ready: bool
    deleting: bool = False
    started_seconds_ago: Seconds
    ready_seconds_ago: Seconds | None = None
    usage: dict[str, UsageValue] = Field(default_factory=dict)


class _Observed(Sized):
    replicas: int = Field(ge=0, le=2**31 - 1)
    rollout: bool = False
    pods: tuple[_Pod, ...] = ()
    totals: dict[str, float | None] = Field(default_factory=dict)
    burst_totals: dict[str, float | None] = Field(default_factory=dict)
    sample_age_seconds: float = 0.0


class _Recommendation(_Part):
    seconds_ago: Seconds
    replicas: int = Field(ge=0, le=2**31 - 1)


class _ScaleEvent(_Part):
    seconds_ago: Seconds
    change: int


class _Outage(_Part):
    seconds_ago: Seconds
    replicas: int = Field(ge=0, le=2**31 - 1)


class _History(_Part):
    recommendations: tuple[_Recommendation, ...] = ()
    scale_events: tuple[_ScaleEvent, ...] = ()
    outage: _Outage | None = None
    load: tuple[tuple[Seconds, Load], ...] = ()


class _Line(_Part):
    spec: dict[str, Any]
    now: Moment
    observed: _Observed
    history: _History | None = None


class Answers:
    """Answers lines, one by one. With `follow` they are ticks of one app and the history is kept here.

    The history of the first tick is taken from its line, or begins there as for an app the operator has
    never seen; that of later lines is ignored. A decision counts as carried out at once.
    """

    def __init__(self, *, follow: bool = False) -> None:
        self._follow = follow
        self._history: History | None = None
        self._raw_spec: dict[str, Any] | None = None
        self._spec: ScalableAppSpec | None = None
        self._decided_at: datetime | None = None
        self._sizes: SizeHistory | None = None
        self._size: Size | None = None

    def answer(self, text: str) -> dict[str, Any]:
        """The decision for one line. Raises LineError."""
        line = _read(text)
        spec = self._parsed(line.spec)
        observation = _observation(line, spec)
        if self._follow and not due(spec.scaling, self._decided_at, observation.now):
            return _not_due(spec, observation)
        history = self._history or _given(line, spec, observation) or self._blank(observation)
        sizes = self._sizes or SizeHistory.blank(spec.scaling.vertical)
        usage = None
        if spec.scaling.mode.sizes:
            usage = _usage(line.observed, spec, observation, self._size)
            sizes = read_usage(sizes, line.observed, observation.now, observation.replicas)
        decision, sizes = decide_both(spec, observation, history, usage, sizes)
        if self._follow:
            self._history = _carried_out(history, decision, spec)
            self._decided_at = observation.now
            self._sizes, self._size = _resized(sizes, decision)
        return _fields(decision)

    def _blank(self, observation: Observation) -> History:
        return first_seen(observation) if self._follow else History()

    def _parsed(self, raw: dict[str, Any]) -> ScalableAppSpec:
        """Successive lines mostly share their spec, and parsing it costs more than the decision."""
        if self._spec is None or raw != self._raw_spec:
            try:
                self._raw_spec, self._spec = raw, computable(parse_spec(raw))
                self._decided_at = None  # a changed spec is decided on at once
                self._sizes = None  # what is remembered depends on the half-lives
            except SpecError as error:
                self._raw_spec = self._spec = None
                raise LineError(str(error)) from error
        return self._spec


def answer_lines(lines: Iterable[str], *, follow: bool = False) -> Iterator[dict[str, Any]]:
    """A decision, or {"error": ...}, for each line that is not blank."""
    answers = Answers(follow=follow)
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            yield answers.answer(text)
        except LineError as error:
            yield {"error": f"line {number}: {error}"}


def _read(text: str) -> _Line:
    try:
        return _Line.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise LineError(f"not JSON ({error.msg} at column {error.colno}); write one JSON object per line") from error
    except RecursionError as error:
        raise LineError("nested too deeply; write one JSON object per line, as shown by --help") from error
    except ValidationError as error:
        raise LineError(" | ".join(map(_problem, error.errors(include_url=False)))) from error


def _problem(entry: Any) -> str:
    location = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in entry["loc"]).lstrip(".")
    fixes = {"missing": "add it", "extra_forbidden": "remove it or correct its name"}
    return f"{location or 'line'}: {entry['msg']}; {fixes.get(entry['type'], 'see scalableapp decide --help')}"


def _observation(line: _Line, spec: ScalableAppSpec) -> Observation:
    now, seen = line.now.astimezone(UTC), line.observed
    return Observation(
        now=now,
        replicas=seen.replicas,
        pods=tuple(_pod(pod, now) for pod in seen.pods),
        readings={metric.label: _reading(metric, seen) for metric in spec.metrics},
        service_level=_service_level(seen) if spec.scaling.horizontal.objective else NO_SERVICE_LEVEL,
        rollout=seen.rollout,
    )


def _service_level(seen: _Observed) -> ServiceLevel:
    return ServiceLevel(_reading(REQUESTS, seen), _slow_share(seen), _reading(_CPU, seen))


def _slow_share(seen: _Observed) -> Reading:
    share = seen.totals.get("SlowShare")
    if share is None:
        return Reading(problem=DataProblem.EMPTY, message="SlowShare is missing in totals")
    if not 0 <= share <= 1:
        return Reading(problem=DataProblem.WRONG_TYPE, message=f"SlowShare is {share:g}, not between 0 and 1")
    return Reading(share)


def _pod(pod: _Pod, now: datetime) -> PodState:
    changed = None if pod.ready_seconds_ago is None else _before(now, pod.ready_seconds_ago)
    started = _before(now, pod.started_seconds_ago)
    return PodState(pod.name, pod.phase, pod.ready, pod.deleting, started, changed)


def _reading(metric: Metric, seen: _Observed) -> Reading:
    age = seen.sample_age_seconds
    if not age <= STALE_AFTER_SECONDS:
        return Reading(
            problem=DataProblem.STALE, message=f"the newest sample is {age:g} s old; check the scrape configuration"
        )
    if age < -CLOCK_SKEW_SECONDS:
        return Reading(
            problem=DataProblem.CLOCK_SKEW, message=f"the sample is {-age:g} s in the future; check the clocks"
        )
    per_pod = {pod.name: float(value) for pod in seen.pods if (value := _of(metric, pod.usage)) is not None}
    total = _of(metric, seen.totals)
    if total is None and not per_pod:
        return Reading(problem=DataProblem.EMPTY, message="it is in neither usage nor totals")
    return Reading(total=total, per_pod=per_pod, burst_total=_of(metric, seen.burst_totals))


def _of(metric: Metric, values: Mapping[str, Value]) -> Value | None:
    if metric.type is MetricType.PROMETHEUS or metric.label in values:
        return values.get(metric.label)
    return values.get(metric.type.value)


def _given(line: _Line, spec: ScalableAppSpec, observation: Observation) -> History | None:
    if line.history is None:
        return None
    now = line.now.astimezone(UTC)
    recommendations = (
        Recommendation(_before(now, entry.seconds_ago), entry.replicas) for entry in line.history.recommendations
    )
    events = (ScaleEvent(_before(now, entry.seconds_ago), entry.change) for entry in line.history.scale_events)
    outage, startups = line.history.outage, learn(Startups(), observation.pods)
    return History(
        tuple(sorted(recommendations, key=lambda entry: entry.at)),
        tuple(sorted(events, key=lambda entry: entry.at)),
        Outage(_before(now, outage.seconds_ago), outage.replicas) if outage else None,
        startups,
        _loads(line.history, now, startups) if spec.scaling.horizontal.prediction.enabled else LoadHistory(),
        _learned(line.history, now, spec, startups),
    )


def _learned(history: _History, now: datetime, spec: ScalableAppSpec, startups: Startups) -> Learned:
    loads = ((_before(now, age), load) for age, load in sorted(history.load, reverse=True))
    return replay_objective(spec, (Sample(at.timestamp(), load, 0, None) for at, load in loads), startups)


def _loads(history: _History, now: datetime, startups: Startups) -> LoadHistory:
    return replayed(((_before(now, age), load) for age, load in sorted(history.load, reverse=True)), startups)


def _carried_out(history: History, decision: Decision, spec: ScalableAppSpec) -> History:
    remembered = remember(history, decision, spec)
    if not decision.changes:
        return remembered
    return record_scale(remembered, decision.at, decision.replicas_to - decision.replicas_from, spec)


def _usage(seen: _Observed, spec: ScalableAppSpec, observation: Observation, size: Size | None) -> Usage:
    serving = {pod.name for pod in observation.pods if serves(pod)}
    names = ("CPU", "Memory")
    values = {n: [float(p.usage[n]) for p in seen.pods if p.name in serving and n in p.usage] for n in names}
    unsettled = "a rollout is under way" if observation.rollout else ""
    return usage_of(seen, spec, Pods(len(serving), usage_by_resource(values)), size, unsettled)


def _resized(sizes: SizeHistory, decision: Decision) -> tuple[SizeHistory, Size | None]:
    """What is remembered of the size after a decision, which counts as carried out at once."""
    sizing = decision.sizing
    if sizing is None:
        return sizes, None
    return carried_out(sizes, decision), sizing.size_to


def _not_due(spec: ScalableAppSpec, observation: Observation) -> dict[str, Any]:
    message = f"not decided on: the last decision is less than {spec.scaling.interval_seconds} s old (intervalSeconds)"
    step = {"rule": "Interval", "value": observation.replicas, "message": message}
    return {"replicas": observation.replicas, "reason": "NotDue", "message": message, "steps": [step]}


def _fields(decision: Decision) -> dict[str, Any]:
    steps = [{"rule": step.rule, "value": step.value, "message": step.message} for step in decision.steps]
    sized = {"resources": size_fields(decision.sizing.size_to)} if decision.sizing else {}
    return {
        "replicas": decision.replicas_to,
        **sized,
        "reason": decision.reason,
        "message": decision.message,
        "steps": steps,
    }


def _before(now: datetime, seconds: float) -> datetime:
    return now - timedelta(seconds=seconds)
