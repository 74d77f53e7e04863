"""Metrics of single apps: about ten series for each, made when asked for, of what the last tick has seen.

An app that is gone leaves no series behind. Conditions are shown only while they are not what an app in order has:
all of them would be most of the page, and say nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scalableapp.core.model import AppKey, Decision, MetricReport
from scalableapp.core.quantity import parse_target
from scalableapp.core.size import Resource, Size
from scalableapp.core.status.conditions import Abnormal


class AppView(NamedTuple):
    """One app after a tick.

    `counts` are the replicas that its Deployment asks for and those that are ready, `bounds` the fewest and the most
    replicas in force, `budget` the share of minutes (0..1) that may be bad, `size` what a pod has and
    `recommended` what it should have, in the modes that decide on it; each None where there is none.
    """

    key: AppKey
    decision: Decision | None
    counts: tuple[int, int] | None
    bounds: tuple[int, int] | None
    budget: float | None
    abnormal: tuple[Abnormal, ...]
    size: Size | None = None
    recommended: Size | None = None


_Samples = Iterable[tuple[tuple[str, ...], float]]


class _Family(NamedTuple):
    """One metric: its labels in addition to namespace and app, its meaning, and its samples for an app."""

    name: str
    labels: tuple[str, ...]
    meaning: str
    samples: Callable[[AppView], _Samples]

    def gauge(self) -> GaugeMetricFamily:
        """Without samples."""
        return GaugeMetricFamily(f"scalableapp_{self.name}", self.meaning, labels=["namespace", "app", *self.labels])


def _one(of: Callable[[AppView], float | None]) -> Callable[[AppView], _Samples]:
    def samples(view: AppView) -> _Samples:
        value = of(view)
        return () if value is None else (((), value),)

    return samples


def _reported(of: Callable[[MetricReport], str]) -> Callable[[AppView], _Samples]:
    def samples(view: AppView) -> _Samples:
        for report in view.decision.metrics if view.decision else ():
            if (value := _number(of(report))) is not None:
                yield (report.name,), value

    return samples


def _number(text: str) -> float | None:
    """As a number; None for what is none, such as <unknown>: one app's text must not cost the page of all."""
    try:
        return parse_target(text)
    except ValueError:
        return None


def _requests(resource: Resource) -> Callable[[AppView], _Samples]:
    def samples(view: AppView) -> _Samples:
        for size, which in ((view.size, "current"), (view.recommended, "recommended")):
            if size and (request := size.of(resource).request) is not None:
                yield (which,), request

    return samples


def _conditions(view: AppView) -> _Samples:
    return ((condition, 1) for condition in view.abnormal)


_FAMILIES = (
    _Family(
        "desired_replicas",
        (),
        "Replicas decided on in the last evaluation.",
        _one(lambda view: view.decision.replicas_to if view.decision else None),
    ),
    _Family(
        "current_replicas",
        (),
        "Replicas set in the Deployment, as of the last evaluation.",
        _one(lambda view: view.counts and view.counts[0]),
    ),
    _Family("ready_replicas", (), "Number of ready pods.", _one(lambda view: view.counts and view.counts[1])),
    _Family(
        "min_replicas",
        (),
        "Current minimum of replicas: minReplicas, or that of an active schedule.",
        _one(lambda view: view.bounds and view.bounds[0]),
    ),
    _Family(
        "max_replicas",
        (),
        "Current maximum of replicas: maxReplicas, or that of an active schedule.",
        _one(lambda view: view.bounds and view.bounds[1]),
    ),
    _Family(
        "metric_value",
        ("metric",),
        "Measured value of a metric of the spec, in the base unit of its target (requests/s, cores, bytes, seconds); "
        "for the metric Objective, the share of slow requests. Absent while unknown.",
        _reported(lambda report: report.current),
    ),
    _Family(
        "metric_target",
        ("metric",),
        "Target of that metric, in the same unit.",
        _reported(lambda report: report.target),
    ),
    _Family(
        "objective_budget_ratio",
        (),
        "Share of all minutes that may be bad: badMinutesPercent of an objective, as a ratio.",
        _one(lambda view: view.budget),
    ),
    _Family(
        "pod_cpu_request_cores",
        ("size",),
        "CPU that a pod requests (current) and should request (recommended), in modes Vertical and Combined.",
        _requests(Resource.CPU),
    ),
    _Family("pod_memory_request_bytes", ("size",), "The same for memory.", _requests(Resource.MEMORY)),
    _Family(
        "last_decision_timestamp_seconds",
        (),
        "Unix time of the last evaluation of the app; time() minus this is its age.",
        _one(lambda view: view.decision.at.timestamp() if view.decision else None),
    ),
    _Family(
        "condition",
        ("type", "status", "reason"),
        "1 for each abnormal condition in the app's status; absent for all others.",
        _conditions,
    ),
)


class AppsCollector(Collector):
    """Shows `views`, which another thread may replace."""

    def __init__(self) -> None:
        self.views: Sequence[AppView] = ()

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names only: asked for when registering, before there are apps."""
        return (family.gauge() for family in _FAMILIES)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All series of all apps."""
        views = self.views
        for family in _FAMILIES:
            gauge = family.gauge()
            for view in views:
                with suppress(Exception):  # what cannot be told of one app must not cost the page of all
                    for labels, value in list(family.samples(view)):
                        gauge.add_metric([*view.key, *labels], value)
            yield gauge
