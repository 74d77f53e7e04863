"""What the spec of a workload that is scaled through `spec.targetRef` says of its pods, and what follows for metrics.

A percentage is of the request as the owner's template states it: an absolute amount, which a change of the template
moves and a resize of pods does not (kubernetes/autoscaler#1726, #6247).
"""

from collections.abc import Mapping
from typing import Any

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.scaling import Behavior, Policy, PolicyType
from scalableapp.core.api.spec import Resources, ScalableAppSpec
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.quantity import canonical_quantity, format_cpu, parse_quantity
from scalableapp.core.size import MEBIBYTE, Resource
from scalableapp.errors import FieldProblem, SpecError

_RESOURCE_OF = {MetricType.CPU: Resource.CPU, MetricType.MEMORY: Resource.MEMORY}

# From here on a tenth is below what matters.
_WHOLE_MEBIBYTES = 100


class InvalidTarget(Exception):
    """The workload cannot be scaled as the spec has it; the message says why and what to do."""


# Of each container that runs as long as its pod, sidecars among them: requests and limits by resource.
Template = Mapping[str, Mapping[str, Mapping[str, float]]]


def template_of(body: Mapping[str, Any]) -> Template:
    """What the template in a workload's spec requests; empty for a kind that has its pods' template elsewhere.

    Raises ValueError when a quantity cannot be read.
    """
    pod = ((body.get("spec") or {}).get("template") or {}).get("spec") or {}
    sidecars = [entry for entry in pod.get("initContainers") or () if entry.get("restartPolicy") == "Always"]
    lasting = [*(pod.get("containers") or ()), *sidecars]
    return {entry["name"]: _amounts(entry.get("resources") or {}) for entry in lasting}


def _amounts(resources: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """A limit without a request is the request, as the API server has it."""
    limits = _numbers(resources.get("limits") or {})
    return {"requests": limits | _numbers(resources.get("requests") or {}), "limits": limits}


def _numbers(amounts: Mapping[str, Any]) -> dict[str, float]:
    return {resource: parse_quantity(amounts[resource]) for resource in Resource if resource in amounts}


def as_deployed(spec: ScalableAppSpec, template: Template) -> ScalableAppSpec:
    """The spec with the amounts that percentages stand for, and with the resources that the template gives a pod.

    Raises InvalidTarget where a request is missing, naming the container.
    """
    horizontal = spec.scaling.horizontal
    metrics = tuple(_absolute(metric, template) for metric in horizontal.metrics)
    if not metrics:  # spec.metrics makes one of the request
        _request(Resource.CPU, "no metric is stated, which stands for 80 % of the cpu request", "", template)
    behavior = _behavior(spec.target_ref, horizontal.behavior)
    changed = spec.scaling.changed(horizontal=horizontal.changed(metrics=metrics, behavior=behavior))
    return spec.changed(scaling=changed, resources=_resources(template))


def computable(spec: ScalableAppSpec) -> ScalableAppSpec:
    """The spec, for who computes without the workload. Raises SpecError where its template would have to be known."""
    if spec.target_ref is None:
        return spec
    metrics = spec.scaling.horizontal.metrics
    if percents := [metric.target for metric in metrics if metric.percent is not None]:
        problem = f"target {percents[0]} is a percentage of a request that only the workload's template states"
    elif not metrics:
        problem = "without a metric, the target is 80 % of a request that only the workload's template states"
    else:
        return spec
    raise SpecError((FieldProblem("spec.scaling.horizontal.metrics", problem, "write an amount such as 300m"),))


def _behavior(ref: TargetRef | None, stated: Behavior) -> Behavior:
    """Members of a StatefulSet leave one a minute, where no other rate is stated: what they hold has to move."""
    usual = Behavior().scale_down.policies
    if ref is None or not ref.is_stateful_set or stated.scale_down.policies != usual:
        return stated
    slowly = (Policy(type=PolicyType.PODS, value=1, period_seconds=60),)
    return stated.changed(scale_down=stated.scale_down.changed(policies=slowly))


def _absolute(metric: Metric, template: Template) -> Metric:
    if metric.container and template and metric.container not in template:
        names = ", ".join(sorted(template))
        raise InvalidTarget(
            f"metric {metric.label} is of container {metric.container}, and the template has only {names}; correct "
            "container in the metric"
        )
    if metric.percent is None:
        return metric
    resource = _RESOURCE_OF[metric.type]
    why = f"metric {metric.label} has the target {metric.target} of the {resource} request"
    amount = metric.percent / 100 * _request(resource, why, metric.container or "", template)
    return metric.changed(target=_written(resource, amount))


def _request(resource: Resource, why: str, container: str, template: Template) -> float:
    """What the template requests for the container, or for all ("")."""
    if not template:
        raise InvalidTarget(f"{why}, and the workload has no spec.template to read it from; write an amount")
    of = {container: template[container]} if container else template
    lacking = sorted(name for name, amounts in of.items() if not amounts["requests"].get(resource))
    if lacking:
        choice = "" if container or len(template) == 1 else ", or name one that has a request: container in the metric"
        raise InvalidTarget(
            f"{why}, and container {lacking[0]} has none in the workload's template; add "
            f"resources.requests.{resource} to it, or write an amount as the target{choice}"
        )
    return sum(amounts["requests"][resource] for amounts in of.values())


def _written(resource: Resource, amount: float) -> str:
    if resource is Resource.CPU:
        return format_cpu(max(0.001, amount))
    if amount < MEBIBYTE:
        return str(max(1, round(amount)))
    mebibytes = amount / MEBIBYTE
    return f"{round(mebibytes, 1 if mebibytes < _WHOLE_MEBIBYTES else None)}Mi"


def _resources(template: Template) -> Resources:
    """What a pod has in sum; nothing of a resource that a container leaves open."""

    def summed(which: str) -> dict[str, str]:
        stated = [amounts[which] for amounts in template.values()]
        return {
            resource.value: canonical_quantity(_written(resource, sum(amounts[resource] for amounts in stated)))
            for resource in Resource
            if stated and all(amounts.get(resource) for amounts in stated)
        }

    return Resources(requests=summed("requests"), limits=summed("limits"))
