"""Between 0 and 1: whether an app whose minReplicas is 0 is scaled to zero or active."""

from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.explain import Reason, in_unit_of
from scalableapp.core.horizontal.rules import Case, RuleResult
from scalableapp.core.model import Reading


def activation(case: Case, number: int) -> RuleResult | None:
    """Scaled to zero while every metric is at or below its activationTarget (default 0), else at least 1.

    CPU does not count: an idle process uses some. An active app is scaled to zero only when all metrics can be
    used; an app at zero has no pods, so metrics of pods are not required.
    """
    if case.bounds.least.value > 0 or case.no_usable_metric:
        return None
    active = next((text for text in map(_above, case.spec.metrics, _usable(case)) if text), "")
    if active:
        return None if number else RuleResult("Activation", 1, Reason.ACTIVATED, f"{active}: needs 1 replica", asked=1)
    if number == 0 or (case.failed and case.current):
        return None
    conditions = " or ".join(
        f"{metric.label} is above {metric.activation_value:g}"
        for metric in case.spec.metrics
        if _measured_without_pods(metric)
    )
    message = f"no metric is above its activationTarget: needs 0 replicas until {conditions}"
    return RuleResult("Activation", 0, Reason.INACTIVE, message, asked=0)


def _usable(case: Case) -> list[Reading | None]:
    readings = case.observation.readings
    return [
        None if proposal.failure else readings[metric.label]
        for metric, proposal in zip(case.spec.metrics, case.proposals, strict=True)
    ]


def _measured_without_pods(metric: Metric) -> bool:
    """Whether the metric can be measured without pods."""
    return metric.type is MetricType.PROMETHEUS or metric.activation_target is not None


def _above(metric: Metric, reading: Reading | None) -> str:
    if reading is None or metric.type is MetricType.CPU:
        return ""
    value = sum(reading.per_pod.values()) if reading.total is None else reading.total
    if value <= metric.activation_value:
        return ""
    return (
        f"{metric.label} is {in_unit_of(value, metric.target)}, above its activationTarget {metric.activation_value:g}"
    )
