"""Size and usage of an app's pods, put in the form in which decisions on sizes take them. Pure: no I/O, no clock."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from scalableapp.core.api.metrics import MetricType
from scalableapp.core.explain import count
from scalableapp.core.horizontal.startup import startup_seconds
from scalableapp.core.learning.latency import quantile
from scalableapp.core.model import DataProblem, PodState
from scalableapp.core.quality import (
    CPU_RATE_WINDOW_SECONDS,
    LEAST_COVERAGE,
    SAMPLE_DELAY_SECONDS,
    seconds_between,
    serves,
)
from scalableapp.core.size import Amount, Resource, Size
from scalableapp.core.vertical.change import Change, RolloutObservation
from scalableapp.core.vertical.limits import NOT_READ_YET, NamespaceLimits, WholePod, within_quota
from scalableapp.core.vertical.usage import ClusterLimits, Usage, kept_for, with_past_usage
from scalableapp.engine.facts import DeploymentFacts
from scalableapp.engine.podtimes import date_pods
from scalableapp.engine.record import AppRecord
from scalableapp.engine.registry import Registry
from scalableapp.ports import PodAnswer, Snapshot, UsageMetric

# A pod that is not ready this soon after its start is still starting; later it is in trouble that may last.
STARTING_SECONDS = 120.0


def usage_of(
    record: AppRecord, registry: Registry, now: datetime, stale_after: timedelta, *, in_place: bool
) -> Usage | None:
    """The app's usage at this moment; None without a Deployment of its own."""
    facts, size = record.own_deployment, record.sizing.size
    if facts is None or size is None:
        return None
    date_pods(record, now)
    known = [dated.pod for dated in record.dated.values()]
    pods = [pod for pod in known if not pod.deleting]
    answers = _Answers(record, registry.snapshot, now, stale_after)
    problem, message = answers.problem
    partial = _partial(record, known, now)
    return Usage(
        size=size,
        per_pod={} if partial else answers.usage,
        serving=min(facts.replicas, sum(map(serves, pods))),  # without a rollout's surge, for which there is no load
        problem=problem,
        message=message,
        throttled=answers.throttled,
        oom_kills=record.oom_kills,
        killed=_killed(known),
        busy=_busy(record.sizing.change),
        unsettled=_unsettled(facts, pods, now) or partial,
        thin=answers.thin,
        cluster_limits=_cluster_limits(
            registry.namespace_limits.get(record.key.namespace, NOT_READ_YET),
            size,
            facts.replicas,
            pods,
            in_place=in_place,
        ),
        ratios=record.spec.resources.ratios if record.spec else {},
        in_place=in_place,
    )


def _killed(pods: Sequence[PodState]) -> Amount | None:
    """The memory of the pod that was killed for it last."""
    killed = [(pod.oom_killed_at, pod.killed_with) for pod in pods if pod.oom_killed_at]
    size = max(killed, key=lambda kill: kill[0])[1] if killed else None
    return size.memory if size else None


def _cluster_limits(
    limits: NamespaceLimits, size: Size, replicas: int, pods: Sequence[PodState], *, in_place: bool
) -> dict[Resource, ClusterLimits]:
    other_containers = next((pod.other_containers for pod in pods if pod.other_containers), Size())
    priority_class = next((pod.priority_class for pod in pods), "")
    return {
        resource: within_quota(
            limits,
            resource,
            size.of(resource),
            replicas,
            WholePod(other_containers.of(resource), priority_class),
            in_place=in_place,
        )
        for resource in Resource
    }


def rollout_observation(
    record: AppRecord, snapshot: Snapshot | None, requests: Snapshot | None, now: datetime
) -> RolloutObservation:
    """What a change of size under way goes by. `requests` are the answers on the app's request source."""
    date_pods(record, now)
    facts = record.own_deployment or DeploymentFacts(0, 0)
    pods = tuple(record.dated[name].pod for name in record.pods)
    histograms = requests.latencies.histograms if requests and requests.latencies else {}
    own = {pod.name: histograms.get((record.key.namespace, pod.name)) for pod in pods}
    found = {name: quantile(histogram, 0.5) for name, histogram in own.items() if histogram}
    return RolloutObservation(
        now=now,
        replicas=facts.replicas,
        pods=pods,
        template=None if facts.paused else facts.size,
        rollout=facts.rollout or facts.updated < facts.replicas,
        stuck=facts.stuck,
        startup_seconds=startup_seconds(record.history.startups) if record.history else None,
        latencies=tuple((name, seconds) for name, seconds in found.items() if seconds is not None),
        fullness=_fullness(record, snapshot, pods),
    )


def _fullness(record: AppRecord, snapshot: Snapshot | None, pods: Sequence[PodState]) -> tuple[tuple[str, float], ...]:
    """Shares of their memory limits that pods use."""
    answer = snapshot.usage.get(UsageMetric.MEMORY_PEAK) if snapshot else None
    limits = {pod.name: pod.size.memory.limit for pod in pods if pod.size}
    used = {name: answer.values.get((record.key.namespace, name), 0.0) for name in limits} if answer else {}
    return tuple((name, used.get(name, 0.0) / limit) for name, limit in limits.items() if limit)


def _busy(change: Change | None) -> str:
    return f"a change to {change.to} is under way ({change.phase})" if change else ""


def _unsettled(facts: DeploymentFacts, pods: list[PodState], now: datetime) -> str:
    """Why the usage says little now; "" when it may be gone by."""
    if facts.rollout:
        return "a rollout is under way"
    if not any(map(serves, pods)):
        return "no pod is ready"
    starting = [pod for pod in pods if not pod.ready and _since_start(pod, now) < STARTING_SECONDS]
    return f"{count(len(starting), 'pod')} started or ended recently" if starting else ""


def _partial(record: AppRecord, pods: Sequence[PodState], now: datetime) -> str:
    """Why the pods' usage is not all of it: pods are not known, or the others do not show what those took that left."""
    if record.unseen:
        return f"{count(record.unseen, 'pod')} differ between the Deployment and those that the operator knows"
    left = [pod for pod in pods if pod.left_at and seconds_between(pod.left_at, now) < CPU_RATE_WINDOW_SECONDS]
    return f"{count(len(left), 'pod')} left in the last {CPU_RATE_WINDOW_SECONDS:.0f} s" if left else ""


def _since_start(pod: PodState, now: datetime) -> float:
    return seconds_between(max(pod.started_at, pod.ended_at or pod.started_at), now)


class _Answers:
    """Prometheus' last answers as one app reads them. CPU of pods that have just become ready is their start's."""

    def __init__(self, record: AppRecord, snapshot: Snapshot | None, now: datetime, stale_after: timedelta) -> None:
        self._record = record
        self._snapshot = snapshot
        self._age = now - snapshot.at if snapshot else timedelta(0)
        self._stale = abs(self._age) > stale_after  # of the future: the clock was put back
        self._ready = {
            pod.name: seconds_between(pod.readiness_changed_at or pod.started_at, now)
            for pod in (dated.pod for dated in record.dated.values())
            if serves(pod)
        }

    @property
    def usage(self) -> dict[Resource, tuple[float, ...]]:
        """Of each pod that serves."""
        if self._snapshot is None or self._stale:
            return {}
        cpu = self._values(self._snapshot.kinds.get(MetricType.CPU))
        memory = self._values(self._snapshot.usage.get(UsageMetric.MEMORY_PEAK))
        return {
            Resource.CPU: tuple(value for name, value in cpu.items() if self._is_settled(name)),
            Resource.MEMORY: tuple(memory.values()),
        }

    @property
    def throttled(self) -> float | None:
        """The worst pod's share; 0 where the node tells none, None where Prometheus' answer cannot be used."""
        answers = self._lack_of_cpu()
        if self._snapshot is None or self._stale or any(_failed(answer) for answer in answers.values()):
            return None
        settled = (
            v for answer in answers.values() for name, v in self._values(answer).items() if self._is_settled(name)
        )
        return min(1.0, max(settled, default=0.0))

    def _lack_of_cpu(self) -> dict[str, PodAnswer | None]:
        usage = self._snapshot.usage if self._snapshot else {}
        return {
            "container_cpu_cfs_throttled_periods_total": usage.get(UsageMetric.THROTTLED),
            "container_pressure_cpu_waiting_seconds_total": usage.get(UsageMetric.CPU_PRESSURE),
        }

    def _is_settled(self, name: str) -> bool:
        """Whether the rate of the pod's CPU holds nothing of its start any more."""
        return self._ready[name] >= self._window(name)

    def _window(self, name: str) -> float:
        """Seconds over which the pod's rate of CPU is taken."""
        answer = self._snapshot.kinds.get(MetricType.CPU) if self._snapshot else None
        scrape = answer.scrapes.get((self._record.key.namespace, name)) if answer else None
        return max(CPU_RATE_WINDOW_SECONDS, scrape.window if scrape else 0.0)

    @property
    def problem(self) -> tuple[DataProblem | None, str]:
        """Why the usage cannot be used, if so. Without a pod that serves, or with new ones, none is missed."""
        if self._snapshot is None:
            return DataProblem.EMPTY, "Prometheus has not been queried yet"
        if self._stale:
            return DataProblem.STALE, f"Prometheus was last queried {self._age.total_seconds():.0f} s ago"
        answers: dict[str, PodAnswer | None] = {
            "container_cpu_usage_seconds_total": self._snapshot.kinds.get(MetricType.CPU),
            "container_memory_working_set_bytes": self._snapshot.usage.get(UsageMetric.MEMORY_PEAK),
        }
        missed = (self._missed(name, answer) for name, answer in answers.items())
        return next(filter(None, missed), None) or self._unknown_lack_of_cpu()

    def _unknown_lack_of_cpu(self) -> tuple[DataProblem | None, str]:
        """Usage that a limit held back looks like little usage: a size must not be cut without knowing of that."""
        for metric, answer in self._lack_of_cpu().items():
            if answer and _failed(answer):
                return answer.problem, f"{metric} cannot be used: {answer.message}"
        return None, ""

    @property
    def thin(self) -> str:
        """How many pods have no sample that should have one; "" where all have."""
        answers = self._snapshot and (
            self._snapshot.kinds.get(MetricType.CPU),
            self._snapshot.usage.get(UsageMetric.MEMORY_PEAK),
        )
        silent = [name for name in self._due if any(name not in self._values(answer) for answer in answers or ())]
        return (
            f"{len(silent)} of {count(len(self._due), 'pod')} {'has' if len(silent) == 1 else 'have'} no sample"
            if silent
            else ""
        )

    @property
    def _due(self) -> list[str]:
        """The pods that serve for long enough to have samples."""
        return [name for name, seconds in self._ready.items() if seconds >= self._window(name) + SAMPLE_DELAY_SECONDS]

    def _missed(self, metric: str, answer: PodAnswer | None) -> tuple[DataProblem, str] | None:
        if answer is None:
            return DataProblem.EMPTY, f"Prometheus has not been queried for {metric} yet"
        if answer.problem and answer.problem is not DataProblem.EMPTY:
            return answer.problem, answer.message
        due = self._due
        seen = sum(name in self._values(answer) for name in due)
        if not due or seen >= max(1, LEAST_COVERAGE * len(due)):
            return None
        namespace = self._record.key.namespace
        if refusal := next((why for name in due if (why := answer.refused.get((namespace, name)))), None):
            return refusal[0], f"{metric} cannot be used: {refusal[1]}"
        if seen:
            of = f"{seen} of {count(len(due), 'pod')}"
            return (
                DataProblem.PARTIAL,
                f"Prometheus has {metric} of only {of} of {self._record.key}; check the scrape configuration",
            )
        return (
            DataProblem.EMPTY,
            f"Prometheus has no {metric} of any pod of {self._record.key}; does it scrape cAdvisor?",
        )

    def _values(self, answer: PodAnswer | None) -> Mapping[str, float]:
        """Of the pods that serve, as far as they are numbers, and not of before scrapes were missed."""
        if answer is None:
            return {}
        namespace = self._record.key.namespace
        overdue = {pod for pod, scrape in answer.scrapes.items() if pod[0] == namespace and scrape.overdue}
        found = {name: answer.values.get((namespace, name)) for name in self._ready if (namespace, name) not in overdue}
        return {name: value for name, value in found.items() if value is not None and 0 <= value < 1e18}


def _failed(answer: PodAnswer | None) -> bool:
    """Whether a metric that many nodes do not have could not be read, as opposed to not being there."""
    return answer is not None and answer.problem not in (None, DataProblem.EMPTY)


def remembered_seconds(record: AppRecord, resource: Resource) -> float:
    """How far back the usage of an app matters."""
    if record.sizing.history is None:
        return 0.0
    return kept_for(resource, record.sizing.history.learned[resource].histogram.half_life).total_seconds()


def replay_usage(record: AppRecord, past: Mapping[Resource, Sequence[tuple[float, float]]]) -> None:
    """Let an app know of its usage of before."""
    if record.sizing.history:
        record.sizing.history = with_past_usage(record.sizing.history, past)
