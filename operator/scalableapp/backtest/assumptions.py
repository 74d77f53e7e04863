"""What a load curve does not tell about an app: taken from its spec, from options, or assumed and said so."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from scalableapp.backtest.load import Trace
from scalableapp.backtest.ours import cores_at_full_load
from scalableapp.backtest.service import Service
from scalableapp.backtest.simulator import Bounds, World
from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.scaling import Combine
from scalableapp.core.api.spec import ScalableAppSpec

# Where only a target is known: Knative's default of aiming at 70 % of what a pod carries.
_TARGET_SHARE = 0.7
# Where not even a target is known: maxReplicas were chosen so that they carry the busiest hours at that share.
_BUSY_PERCENTILE = 99.0


@dataclass(frozen=True)
class Assumed:
    """The simulated world, the load per pod that the app's metrics aim at, and in words where they come from."""

    world: World
    target: float
    notes: tuple[str, ...]


def assume(spec: ScalableAppSpec, trace: Trace, pod_capacity: float | None, startup_seconds: float) -> Assumed:
    """Fill the gaps.

    `pod_capacity` is requests per second of a pod with just as many slow ones as the objective allows, 5 % without
    one; None to assume it.
    """
    notes = []
    horizontal = spec.scaling.horizontal
    capacity = pod_capacity
    if capacity is None:
        capacity, note = _capacity(spec, trace)
        notes.append(note)
    service = _service(spec, capacity)
    world = World(
        service=service,
        startup_seconds=startup_seconds,
        bounds=Bounds(horizontal.min_replicas, horizontal.max_replicas),
    )
    target, target_notes = _target(spec, service)
    return Assumed(world, target, (*notes, *target_notes))


def _service(spec: ScalableAppSpec, capacity: float) -> Service:
    """A pod of that capacity. With an objective it has the workers that it takes to keep the objective's limits at it.

    Then a request takes a third of the limit in the mean, as 0.1 s of 0.3 s in the usual service.
    """
    usual, objective = Service(), spec.scaling.horizontal.objective
    if objective is None:
        return usual.with_capacity(capacity)
    limits = objective.shares.limits
    working = limits.seconds * usual.service_seconds / (usual.service_seconds + usual.wait_limit_seconds)
    workers = count(max(1, int(capacity * working)))
    pods = (Service(number, working, limits.seconds - working, limits.slow_limit) for number in workers)
    return next(pod for pod in pods if pod.capacity >= capacity).with_capacity(capacity)


def _capacity(spec: ScalableAppSpec, trace: Trace) -> tuple[float, str]:
    rates = [metric for metric in spec.metrics if metric.type is MetricType.REQUESTS_PER_SECOND]
    if rates:
        capacity = rates[0].target_value / _TARGET_SHARE
        why = f"the target of {rates[0].target} requests/s is assumed to be {_TARGET_SHARE:.0%} of it"
    else:
        busy = max(float(np.percentile(trace.rates, _BUSY_PERCENTILE)), 1e-9)
        capacity = busy / (_TARGET_SHARE * spec.scaling.horizontal.max_replicas)
        why = "maxReplicas is assumed to be enough for the busiest hours"
    return capacity, f"assumed that a pod handles {capacity:.3g} requests/s ({why}); set --pod-capacity to change it"


def _target(spec: ScalableAppSpec, service: Service) -> tuple[float, tuple[str, ...]]:
    """Requests per second and pod that the metrics aim at together, and what was assumed for that.

    Without metrics the usual share of the capacity. The other policies aim at the same, so that all of them are
    compared at one load per pod.
    """
    horizontal = spec.scaling.horizontal
    if horizontal.objective and not horizontal.metrics:
        return _TARGET_SHARE * service.capacity, ()
    loads = {metric.label: _load_per_pod(metric, spec, service) for metric in spec.metrics}
    pods = [1 / load for load in loads.values()]  # for one request per second
    weights = [metric.weight_value for metric in spec.metrics]
    average = sum(weight * each for weight, each in zip(weights, pods, strict=True)) / sum(weights)
    combined = {Combine.MAX: max(pods), Combine.MIN: min(pods), Combine.WEIGHTED: average}
    target = 1 / combined[horizontal.combine]
    notes = [_cpu_note(metric, loads[metric.label], spec) for metric in spec.metrics if metric.type is MetricType.CPU]
    if len(loads) > 1:
        notes.append(f"the other policies aim at what the metrics need together: {target:.3g} requests/s per pod")
    return target, tuple(notes)


def _load_per_pod(metric: Metric, spec: ScalableAppSpec, service: Service) -> float:
    if metric.type is MetricType.REQUESTS_PER_SECOND:
        return metric.target_value
    return min(metric.target_value / cores_at_full_load(spec), 1.0) * service.rate


def _cpu_note(metric: Metric, load: float, spec: ScalableAppSpec) -> str:
    cores = cores_at_full_load(spec)
    return (
        f"assumed that a pod that is busy all the time uses {cores:g} {'core' if cores == 1 else 'cores'}, so the "
        f"target {metric.target} of {metric.label} stands for {load:.3g} requests/s; set resources to change it"
    )
