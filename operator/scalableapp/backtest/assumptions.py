"""What a load curve does not tell about an app: taken from its spec, from options, or assumed and said so."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from scalableapp.backtest.load import Trace
from scalableapp.backtest.ours import cores_at_full_load
from scalableapp.backtest.service import Service
from scalableapp.backtest.simulator import Bounds, World
from scalableapp.core.api.metrics import MetricType
from scalableapp.core.api.spec import ScalableAppSpec

# Where only a target is known: Knative's default of aiming at 70 % of what a pod carries.
_TARGET_SHARE = 0.7
# Where not even a target is known: maxReplicas were chosen so that they carry the busiest hours at that share.
_BUSY_PERCENTILE = 99.0


@dataclass(frozen=True)
class Assumed:
    """The simulated world, the load per pod that the app's first metric aims at, and in words where they come from."""

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
    return Assumed(world, _target(spec, service), tuple(notes))


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


def _target(spec: ScalableAppSpec, service: Service) -> float:
    """Requests per second and pod that the first metric's target stands for; the usual share without one."""
    horizontal = spec.scaling.horizontal
    if horizontal.objective and not horizontal.metrics:
        return _TARGET_SHARE * service.capacity
    metric = spec.metrics[0]
    if metric.type is MetricType.REQUESTS_PER_SECOND:
        return metric.target_value
    share = metric.target_value / cores_at_full_load(spec)
    return min(share, 1.0) * service.rate
