"""A ScalableApp for an existing Deployment: a spec to apply, and its cost compared with today's."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, NamedTuple

from scalableapp.commands.plugin.deployment import Found, taken_over
from scalableapp.commands.plugin.simulation import Simulation, simulate
from scalableapp.commands.plugin.usage import UsageHistory, UsageSample
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.api.vertical_fields import Prices, Vertical
from scalableapp.core.children.resources import API_VERSION, KIND
from scalableapp.core.explain import duration
from scalableapp.core.quantity import format_cpu, format_number, parse_quantity
from scalableapp.core.size import Resource, Size, write_size
from scalableapp.core.vertical.recommendation import recommend
from scalableapp.core.vertical.usage import SizeHistory, Usage, with_past_usage, without_peaks
from scalableapp.errors import MetricsUnavailable

# As the operator derives a target where none is stated: spec.metrics.
_CPU_SHARE = 0.8
# maxReplicas over what the days before would have taken.
_ROOM = 1.5
_FEWEST_MOMENTS = 3
_DAY_SECONDS = 86_400.0
_MOST_REPLICAS = 1000
# Kubernetes' own names for pods leave 47 characters for the Deployment's; beyond, Prometheus' memory is not found.
_LONGEST_NAME = 40
_KINDS = {Resource.CPU: MetricType.CPU, Resource.MEMORY: MetricType.MEMORY}


class Bounds(NamedTuple):
    """Of an HPA that scales the Deployment already: its name, fewest and most replicas."""

    name: str
    least: int
    most: int


class Plan(NamedTuple):
    """Replicas over time and the size of a pod."""

    replicas: Sequence[int]
    size: Size

    def figures(self, prices: Prices | None) -> dict[str, Any]:
        """Figures for programs: replicas, what is requested of them on average, and what 30 days of that cost."""
        average = fmean(self.replicas)
        cores, gibibytes = average * (self.size.cpu.request or 0), average * (self.size.memory.request or 0) / 2**30
        figures = {
            "replicas": {"min": min(self.replicas), "average": round(average, 2), "max": max(self.replicas)},
            "resources": write_size(self.size),
            "requestedCores": round(cores, 3),
            "requestedGibibytes": round(gibibytes, 3),
        }
        if prices:
            a_core, a_gibibyte = parse_quantity(prices.cpu_core_hour), parse_quantity(prices.memory_gibibyte_hour)
            figures["costOf30Days"] = round(720 * (cores * a_core + gibibytes * a_gibibyte), 2)
        return figures


class Advice(NamedTuple):
    """The ScalableApp to apply, what there is today and would have been, each change, and what to know."""

    deployment: str
    manifest: dict[str, Any]
    today: Plan
    scaled: Plan
    sized: Plan
    simulation: Simulation
    notes: tuple[str, ...]


def advise(found: Found, usage: UsageHistory, hpa: Bounds | None, prices: Prices | None) -> Advice:
    """Raises MetricsUnavailable where too little is known, SpecError where the Deployment makes no ScalableApp."""
    _check(found, usage)
    today = Plan([len(used.values) for used in usage.of(MetricType.CPU)], found.size)
    size = _size(found, usage, round(fmean(today.replicas)))
    # Pods keep the CPU that their target goes by; how many share the load moves memory far less.
    kept = size.having(Resource.CPU, found.size.cpu if found.size.cpu.request else size.cpu)
    target = _CPU_SHARE * (kept.cpu.request or 0.1)
    per_second, request_notes = _requests_target(usage, target)
    metrics = [{"type": "CPU", "target": format_cpu(target)}, *per_second]
    spec = {**taken_over(found), "resources": _resources(found, kept)}
    spec["scaling"] = {"horizontal": {**_bounds(found, hpa), "metrics": metrics}}
    start = max(1, today.replicas[0])
    if not hpa:
        peak = max(simulate(parse_spec(spec), usage, start).replicas)
        most = min(_MOST_REPLICAS, max(math.ceil(_ROOM * peak), found.replicas, 2))
        spec["scaling"]["horizontal"]["maxReplicas"] = most
    if prices:
        spec["scaling"]["prices"] = prices.model_dump(by_alias=True)
    simulation = simulate(parse_spec(spec), usage, start)
    metadata = {"name": f"{found.name[:_LONGEST_NAME]}-scaled", "namespace": found.namespace}
    return Advice(
        found.name,
        {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec},
        today,
        scaled=Plan(simulation.replicas, kept),
        sized=Plan(today.replicas, size),
        simulation=simulation,
        notes=(*request_notes, *_lacking(usage), *_to_know(found, hpa, metadata["name"])),
    )


def _check(found: Found, usage: UsageHistory) -> None:
    known = len(usage.of(MetricType.CPU))
    if known < _FEWEST_MOMENTS:
        raise MetricsUnavailable(
            f"Prometheus has {known} samples of container_cpu_usage_seconds_total of container "
            f"{found.container['name']} in pods of {found.namespace}/{found.name}, but {_FEWEST_MOMENTS} are needed; "
            "is cAdvisor scraped with the labels namespace, pod and container, and is --container right?"
        )


def _bounds(found: Found, hpa: Bounds | None) -> dict[str, int]:
    if hpa:
        return {"minReplicas": max(1, hpa.least), "maxReplicas": hpa.most}
    return {"minReplicas": min(2, max(1, found.replicas)), "maxReplicas": _MOST_REPLICAS}


def _resources(found: Found, size: Size) -> dict[str, dict[str, str]]:
    """The size, and what else the container requests. Both maps are stated: a missing one would get defaults."""
    stated, sized = found.container.get("resources") or {}, write_size(size)
    return {
        field: {
            **{name: amount for name, amount in (stated.get(field) or {}).items() if name not in set(Resource)},
            **sized.get(field, {}),
        }
        for field in ("requests", "limits")
    }


def _size(found: Found, usage: UsageHistory, replicas: int) -> Size:
    """The size that vertical scaling would give the pods for so many of them, all of the time counting alike."""
    lasted = usage.times[-1] - usage.times[0]
    life = int(min(604_800, max(60, lasted)))
    vertical = Vertical.model_validate({"cpu": {"halfLifeSeconds": life}, "memory": {"halfLifeSeconds": life}})
    past = {resource: [_level(resource, used) for used in usage.of(kind)] for resource, kind in _KINDS.items()}
    history = without_peaks(with_past_usage(SizeHistory.blank(vertical), past))
    now = datetime.fromtimestamp(usage.times[-1], UTC)
    return recommend(vertical, Usage(found.size), history, now, max(1, replicas)).recommended


def _level(resource: Resource, used: UsageSample) -> tuple[float, float]:
    """As vertical scaling sees it: the largest pod's memory; CPU of all, each as busy as the one at 90 %."""
    values = sorted(used.values)
    if resource is Resource.MEMORY:
        return used.at, values[-1]
    return used.at, values[max(0, -(-90 * len(values) // 100) - 1)] * len(values)


def _requests_target(usage: UsageHistory, cores: float) -> tuple[list[dict[str, str]], list[str]]:
    """Requests/s that take a pod to its CPU target, by what they cost while the load was above its average."""
    requests = {used.at: used.total for used in usage.of(MetricType.REQUESTS_PER_SECOND)}
    if not any(requests.values()):
        return [], []
    average = fmean(requests.values())
    busy = [used for used in usage.of(MetricType.CPU) if requests.get(used.at, 0.0) >= average]
    cpu, served = sum(used.total for used in busy), sum(requests[used.at] for used in busy)
    if not cpu:
        return [], []
    target = format_number(cores * served / cpu)
    cost = f"a request took {format_number(1000 * cpu / served)} ms of CPU"
    note = f"RequestsPerSecond {target}: {cost}, so this brings a pod to its CPU target; requests show load before CPU"
    return [{"type": "RequestsPerSecond", "target": target}], [note]


def _lacking(usage: UsageHistory) -> list[str]:
    """What was not measured."""
    notes = {
        MetricType.MEMORY: "container_memory_working_set_bytes is missing: memory stays as it is",
        MetricType.REQUESTS_PER_SECOND: "http_requests_total is missing: nothing was scaled on requests/s",
    }
    missing = [note for kind, note in notes.items() if not usage.of(kind)]
    cpu, lasted = usage.of(MetricType.CPU), usage.times[-1] - usage.times[0]
    if lasted < _DAY_SECONDS:
        missing.append(f"{duration(lasted)} of history: this may not cover nights, peaks or weekends")
    expected = lasted / usage.step + 1
    if len(cpu) < 0.98 * expected:
        missing.append(
            f"CPU usage is missing in {1 - len(cpu) / expected:.0%} of the samples: replicas were held there"
        )
    return missing


def _to_know(found: Found, hpa: Bounds | None, name: str) -> list[str]:
    hpas = [f"HPA {hpa.name} currently scales the Deployment; its bounds were kept"] if hpa else []
    beside = f"{name} runs alongside Deployment {found.name}, with its own Service"
    return [
        *found.left,
        *hpas,
        "the image has to run as non-root with a read-only root file system",
        f"{beside}; set ingress.host or route, move the traffic there, then delete the Deployment",
    ]
