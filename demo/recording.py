"""What was seen during a run, on one time axis, and what follows from it. No I/O, no clock.

Times (`at`) are seconds since the load began. A recording is built up while the run goes on, and can be written
to and read from JSON.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes.utils.quantity import parse_quantity

# A second of calm load has some 15 requests: too few for a percentile that does not jump.
LATENCY_WINDOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LoadSample:
    """One second as the load generator saw it.

    `latencies_ms` has one entry per answered request, failed ones included; `failures` counts by reason;
    `retries` counts requests retried because the server had closed the idle connection.
    """

    at: float
    users: int
    latencies_ms: tuple[float, ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0

    @property
    def failed(self) -> int:
        """Number of failed requests."""
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class AppState:
    """The app from a moment on: replicas its Deployment asks for, ready pods, the first metric per pod."""

    at: float
    replicas: int = 0
    ready: int = 0
    metric: str = ""
    current: float | None = None
    target: float | None = None


@dataclass(frozen=True, slots=True)
class PodSize:
    """What the Deployment's template gives each pod from a moment on: cores and MiB; None where nothing is set."""

    at: float
    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What Prometheus tells of the app's pods at a moment: cores and MiB of the busiest, share of throttled periods."""

    at: float
    cpu: float
    memory: float
    throttled: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of the operator as status.decision told it; `time` is the operator's own time stamp."""

    at: float
    time: str
    replicas_from: int
    replicas_to: int
    reason: str
    message: str

    @property
    def changes(self) -> bool:
        """Whether it changed the replicas."""
        return self.replicas_from != self.replicas_to


@dataclass(slots=True)
class Recording:
    """A run. `bounds` are the app's minReplicas and maxReplicas; lists are in the order of time."""

    started: str = ""
    bounds: tuple[int, int] = (1, 1)
    load: list[LoadSample] = field(default_factory=list)
    states: list[AppState] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    sizes: list[PodSize] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)

    @property
    def state(self) -> AppState:
        """The app as last seen."""
        return self.states[-1] if self.states else AppState(0.0)

    @property
    def end(self) -> float:
        """When the last thing was seen."""
        return max((seen[-1].at for seen in (self.load, self.states) if seen), default=0.0)

    def see(self, at: float, manifest: Mapping[str, Any]) -> None:
        """Take in a Deployment or a ScalableApp as the API server sent it."""
        if manifest["kind"] == "Deployment":
            self._change(
                at,
                replicas=manifest["spec"].get("replicas", 1),
                ready=manifest.get("status", {}).get("readyReplicas", 0),
            )
            self._see_size(at, manifest["spec"].get("template", {}).get("spec", {}).get("containers", []))
        else:
            self._see_app(at, manifest)

    def _see_app(self, at: float, manifest: Mapping[str, Any]) -> None:
        status = manifest.get("status", {})
        horizontal = manifest["spec"].get("scaling", {}).get("horizontal", {})
        self.bounds = (horizontal.get("minReplicas", 1), horizontal.get("maxReplicas", 10))
        for metric in status.get("metrics", [])[:1]:
            self._change(
                at,
                metric=metric["name"],
                current=_number(metric.get("current")),
                target=_number(metric.get("target")),
            )
        if "decision" in status:
            self._decide(at, status["decision"])

    def _see_size(self, at: float, containers: list[Mapping[str, Any]]) -> None:
        resources: Mapping[str, Any] = next(
            (entry.get("resources", {}) for entry in containers if entry.get("name") == "app"), {}
        )
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        amounts = (_number(found.get("cpu")) for found in (requests, limits))
        memory = (_mebibytes(found.get("memory")) for found in (requests, limits))
        size = PodSize(at, *amounts, *memory)
        if not self.sizes or dataclasses.replace(self.sizes[-1], at=at) != size:
            self.sizes.append(size)

    def cpu_request_at(self, at: float) -> float | None:
        """Cores that each pod is guaranteed at a moment."""
        return next((size.cpu_request for size in reversed(self.sizes) if size.at <= at), None)

    def _change(self, at: float, **facts: Any) -> None:
        state = dataclasses.replace(self.state, **facts)
        if state != self.state:
            self.states.append(dataclasses.replace(state, at=at))

    def _decide(self, at: float, said: Mapping[str, Any]) -> None:
        decision = Decision(at, said["time"], said["from"], said["to"], said.get("reason", ""), said.get("message", ""))
        known = {(seen.time, seen.replicas_from, seen.replicas_to, seen.reason) for seen in self.decisions}
        if (decision.time, decision.replicas_from, decision.replicas_to, decision.reason) not in known:
            self.decisions.append(decision)

    def changes(self) -> list[Decision]:
        """The decisions that changed the replicas."""
        return [decision for decision in self.decisions if decision.changes]

    def timeline(self) -> list[AppState]:
        """The states since the load began, led by the one that it found."""
        found = [state for state in self.states if state.at <= 0]
        return found[-1:] + self.states[len(found) :]

    def between(self, begin: float, end: float) -> list[LoadSample]:
        """The load samples of a stretch of time."""
        return [sample for sample in self.load if begin < sample.at <= end]

    def replicas_at(self, at: float) -> int:
        """Replicas asked for at a moment."""
        return next((state.replicas for state in reversed(self.states) if state.at <= at), 0)

    def first(self, since: float, **at_least: int) -> float | None:
        """When first after `since` the named numbers of the app's state were reached."""
        for state in self.states:
            if state.at >= since and all(getattr(state, name) >= least for name, least in at_least.items()):
                return state.at
        return None

    def latency(self, quantile: float, at: float) -> float | None:
        """Latency in milliseconds over the last LATENCY_WINDOW_SECONDS; None without an answered request."""
        return percentile(latencies(self.between(at - LATENCY_WINDOW_SECONDS, at)), quantile)


def rate(samples: Iterable[LoadSample]) -> float:
    """Mean requests per second of samples that are a second each."""
    counts = [len(sample.latencies_ms) for sample in samples]
    return sum(counts) / len(counts) if counts else 0.0


def latencies(samples: Iterable[LoadSample]) -> list[float]:
    """All latencies of the samples, in milliseconds."""
    return [latency for sample in samples for latency in sample.latencies_ms]


def percentile(values: Iterable[float], quantile: float) -> float | None:
    """The nearest-rank percentile: the smallest value that at least `quantile` of all do not exceed."""
    ranked = sorted(values)
    return ranked[max(math.ceil(quantile * len(ranked)), 1) - 1] if ranked else None


def _number(quantity: str | None) -> float | None:
    """A quantity of status as a number; None for what is none, as when a metric has no data."""
    try:
        return float(parse_quantity(quantity)) if quantity else None  # type: ignore[no-untyped-call]  # unannotated upstream
    except ValueError:
        return None


def _mebibytes(quantity: str | None) -> float | None:
    number = _number(quantity)
    return None if number is None else number / 2**20


def to_json(recording: Recording) -> dict[str, Any]:
    """The recording as plain data."""
    return dataclasses.asdict(recording)


def from_json(data: Mapping[str, Any]) -> Recording:
    """The recording that `to_json` wrote."""
    return Recording(
        started=data["started"],
        bounds=(data["bounds"][0], data["bounds"][1]),
        load=[LoadSample(**{**sample, "latencies_ms": tuple(sample["latencies_ms"])}) for sample in data["load"]],
        states=[AppState(**state) for state in data["states"]],
        decisions=[Decision(**decision) for decision in data["decisions"]],
        sizes=[PodSize(**size) for size in data["sizes"]],
        usages=[Usage(**usage) for usage in data["usages"]],
    )
