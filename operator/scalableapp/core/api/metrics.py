"""`spec.scaling.horizontal.metrics`: what to scale on, and its target."""

from enum import StrEnum
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from scalableapp.core.api.fields import Model, NonNegativeQuantity, PositiveQuantity, Target
from scalableapp.core.quantity import is_duration, parse_quantity, parse_target, percent_of


class MetricType(StrEnum):
    """What a metric measures."""

    REQUESTS_PER_SECOND = "RequestsPerSecond"
    CPU = "CPU"
    MEMORY = "Memory"
    LATENCY = "Latency"
    PROMETHEUS = "Prometheus"


_WITHOUT_PODS = {MetricType.REQUESTS_PER_SECOND, MetricType.PROMETHEUS}


class TargetType(StrEnum):
    """What the target of a Prometheus query is compared with."""

    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"


class Aggregate(StrEnum):
    """How the pods' values of a metric become the app's value."""

    AVERAGE = "Average"
    PERCENTILE = "Percentile"


class Metric(Model):
    """One metric and its target."""

    type: MetricType = Field(
        description="RequestsPerSecond: rate of requests per pod, from what spec.monitoring.requests names or the "
        "pods serve, such as http_requests_total. CPU: cores used per pod. Memory: working set per pod in bytes. "
        "Latency: a quantile of the app's request durations in the last minute in seconds, from the same source's "
        "histogram; it proposes the number of ready pods times the ratio of latency to target. Use it in addition to "
        "RequestsPerSecond or CPU: alone it swings, as requests are equally fast on any number of pods that is enough. "
        "To scale on latency alone, use objective. Prometheus: your own query."
    )
    name: str | None = Field(
        None, min_length=1, max_length=63, description="Name in status and Events. Defaults to the type."
    )
    target: Target = Field(
        description="Target value per pod, as a quantity (50, 300m, 200Mi); with targetType Value, for the whole "
        "app. For Latency, seconds (0.25) or a duration (250ms, 2s). For CPU and Memory of a targetRef also a "
        "percentage (60%) of the request that the workload's template states, worked out anew when it changes."
    )
    container: str | None = Field(
        None,
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Container that is measured. Defaults to all containers of the pod, summed up. Only for types CPU "
        "and Memory, beside targetRef.",
    )
    quantile: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Quantile of the request durations: 95 % of the requests are faster than quantile 0.95. Only for "
        "type Latency, where it defaults to 0.95.",
    )
    target_type: TargetType = Field(
        TargetType.AVERAGE_VALUE,
        description="AverageValue: the query's value divided by the number of pods is compared with the target. "
        "Value: the query's value itself is. Only for type Prometheus.",
    )
    query: str | None = Field(
        None,
        min_length=1,
        max_length=2048,
        description="PromQL that returns one number for the app. $namespace and $app stand for the app's namespace and "
        'name; every selector must contain namespace="$namespace". Only for type Prometheus.',
    )
    aggregate: Aggregate = Field(
        Aggregate.AVERAGE,
        description="Average: the pods' average is compared with the target. Percentile: the pod at `percentile` is, "
        "so that a few hot pods count; useful if new pods take load off the hot ones. Not for types Prometheus and "
        "Latency.",
    )
    percentile: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Percentile by nearest rank; 100 is the hottest pod. Only with aggregate Percentile.",
    )
    weight: PositiveQuantity | None = Field(
        None, description="Weight in the average of combine Weighted. Defaults to 1. Only with combine Weighted."
    )
    activation_target: NonNegativeQuantity | None = Field(
        None,
        description="With minReplicas 0, the app stays at 0 replicas until the metric's value exceeds this. Only for "
        "types Prometheus and RequestsPerSecond, the latter with a request source that counts per app.",
    )

    @cached_property
    def label(self) -> str:
        """Name of this metric in status, Events and readings."""
        return self.name or self.type.value

    @cached_property
    def target_value(self) -> float:
        """The target as a number, parsed once: every decision needs it.

        Raises ValueError for a percentage, which is a number only once the request is known (core/targets.py).
        """
        return parse_target(self.target)

    @cached_property
    def percent(self) -> float | None:
        """The target as a percentage of the request; None where it is an amount."""
        return percent_of(self.target)

    @cached_property
    def latency_quantile(self) -> float:
        """The quantile of a Latency metric."""
        return 0.95 if self.quantile is None else self.quantile

    @cached_property
    def of_whole_app(self) -> bool:
        """Whether the target is compared with the app's value instead of the value per pod."""
        return self.type is MetricType.LATENCY or self.target_type is TargetType.VALUE

    @cached_property
    def counted_in_all(self) -> bool:
        """Whether it is load counted over the whole app, whatever its pods do meanwhile."""
        requests = self.type is MetricType.REQUESTS_PER_SECOND and self.aggregate is Aggregate.AVERAGE
        return requests or self.type is MetricType.PROMETHEUS

    @cached_property
    def used_in_sum(self) -> bool:
        """Whether pods use as much of it together however many they are."""
        return self.type is MetricType.CPU and self.aggregate is Aggregate.AVERAGE

    @cached_property
    def weight_value(self) -> float:
        """The weight as a number, parsed once."""
        return parse_quantity(self.weight or "1")

    @cached_property
    def activation_value(self) -> float:
        """The value above which the app must be awake, as a number, parsed once."""
        return parse_quantity(self.activation_target or "0")

    @model_validator(mode="after")
    def _fields_fit_the_type(self) -> Self:
        is_query = self.type is MetricType.PROMETHEUS
        if is_query and not self.query:
            raise ValueError("type Prometheus needs a query; add query: with PromQL that returns one number")
        if not is_query and self.query:
            raise ValueError(f"type {self.type} cannot have a query; remove query or use type: Prometheus")
        if not is_query and self.target_type is TargetType.VALUE:
            raise ValueError(f"type {self.type} cannot have a targetType; remove targetType or use type: Prometheus")
        if self.type is not MetricType.LATENCY and self.quantile is not None:
            raise ValueError(f"type {self.type} cannot have a quantile; remove quantile or use type: Latency")
        if self.type is not MetricType.LATENCY and is_duration(self.target):
            raise ValueError(f"target {self.target} is a duration; write a quantity, or use type: Latency")
        if self.activation_target is not None and self.type not in _WITHOUT_PODS:
            raise ValueError(
                f"type {self.type} cannot be measured without pods; remove activationTarget, or use type: Prometheus, "
                "or RequestsPerSecond with a request source per app"
            )
        return self

    @model_validator(mode="after")
    def _container_fits(self) -> Self:
        of_containers = self.type in (MetricType.CPU, MetricType.MEMORY)
        if not of_containers and self.container is not None:
            raise ValueError(f"type {self.type} is not of one container; remove container or use type: CPU or Memory")
        if not of_containers and self.percent is not None:
            raise ValueError(
                f"target {self.target} is a percentage of a request, which type {self.type} has not; write a quantity"
            )
        return self

    @model_validator(mode="after")
    def _aggregate_fits(self) -> Self:
        by_percentile = self.aggregate is Aggregate.PERCENTILE
        if by_percentile and self.type is MetricType.PROMETHEUS:
            raise ValueError("a query has no values per pod; remove aggregate or use quantile() in the query")
        if by_percentile and self.type is MetricType.LATENCY:
            raise ValueError(
                "a latency is measured over the whole app; remove aggregate and use quantile to choose the latency"
            )
        if by_percentile and self.percentile is None:
            raise ValueError("aggregate: Percentile needs a percentile; add percentile: 90")
        if not by_percentile and self.percentile is not None:
            raise ValueError(
                "percentile is for aggregate: Percentile only; add aggregate: Percentile or remove percentile"
            )
        return self
