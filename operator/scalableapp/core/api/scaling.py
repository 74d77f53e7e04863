"""`spec.scaling`: bounds, and the speed and calm of scaling."""

from enum import StrEnum
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from scalableapp.core.api.fields import MOST_REPLICAS, Model, Quantity
from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.api.schedules import Burst, Fallback, Prediction, Schedule
from scalableapp.core.api.vertical_fields import Prices, Vertical
from scalableapp.core.quantity import parse_quantity


class PolicyType(StrEnum):
    """Unit of a scaling policy."""

    PODS = "Pods"
    PERCENT = "Percent"


class Policy(Model):
    """At most `value` pods or percent of change in `periodSeconds`."""

    type: PolicyType = Field(description="Pods or Percent.")
    value: int = Field(ge=1, le=1_000_000, description="Largest change in the period.")
    period_seconds: int = Field(ge=1, le=1800, description="Length of the period.")


class SelectPolicy(StrEnum):
    """Which of several policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class ScaleUp(Model):
    """How fast replicas may be added (autoscaling/v2 HPAScalingRules and its defaults)."""

    stabilization_window_seconds: int = Field(
        0, ge=0, le=3600, description="Look back this long and take the lowest recommendation."
    )
    select_policy: SelectPolicy = Field(
        SelectPolicy.MAX, description="Max: the policy that allows most. Min: least. Disabled: never scale up."
    )
    policies: tuple[Policy, ...] = Field(
        (
            Policy(type=PolicyType.PODS, value=4, period_seconds=15),
            Policy(type=PolicyType.PERCENT, value=100, period_seconds=15),
        ),
        min_length=1,
        max_length=16,
        description="Limits on the speed of scaling up.",
    )
    tolerance: Quantity = Field("0.1", description="Ratio over 1 that is let pass without scaling up.")

    @cached_property
    def tolerance_ratio(self) -> float:
        """The tolerance as a number, parsed once: every decision needs it."""
        return parse_quantity(self.tolerance)


# autoscaling/v2's --horizontal-pod-autoscaler-downscale-stabilization.
SCALE_DOWN_WINDOW_SECONDS = 300


class ScaleDown(Model):
    """How fast replicas may be removed (autoscaling/v2 HPAScalingRules and its defaults)."""

    stabilization_window_seconds: int | None = Field(
        None,
        ge=0,
        le=3600,
        description="Look back this long and take the highest recommendation. Without it 300; where an objective "
        "decides, pods go instead when those too many have idled together for 600 s, or for 20 start-ups if that is "
        "more: one for ten minutes, ten for one.",
    )
    select_policy: SelectPolicy = Field(
        SelectPolicy.MAX, description="Max: the policy that allows most. Min: least. Disabled: never scale down."
    )
    policies: tuple[Policy, ...] = Field(
        (Policy(type=PolicyType.PERCENT, value=100, period_seconds=15),),
        min_length=1,
        max_length=16,
        description="Limits on the speed of scaling down.",
    )
    tolerance: Quantity = Field("0.1", description="Ratio under 1 that is let pass without scaling down.")

    @property
    def window_seconds(self) -> int:
        """The stabilisation window where metrics decide."""
        stated = self.stabilization_window_seconds
        return SCALE_DOWN_WINDOW_SECONDS if stated is None else stated

    @cached_property
    def tolerance_ratio(self) -> float:
        """The tolerance as a number, parsed once: every decision needs it."""
        return parse_quantity(self.tolerance)


class Behavior(Model):
    """Speed and calm of scaling, with the names and semantics of autoscaling/v2."""

    scale_up: ScaleUp = Field(default_factory=ScaleUp, description="Rules for adding replicas.")
    scale_down: ScaleDown = Field(default_factory=ScaleDown, description="Rules for removing replicas.")
    applies_to_bounds: bool = Field(
        False,
        description="Whether the policies also slow the way to a changed minReplicas or maxReplicas, a schedule's too. "
        "Otherwise replicas out of bounds are corrected at once, as HPA does.",
    )

    @cached_property
    def tolerances(self) -> tuple[float, float]:
        """Ratios of measured to target between which nothing changes; without the noise of binary fractions."""
        return round(1 - self.scale_down.tolerance_ratio, 9), round(1 + self.scale_up.tolerance_ratio, 9)

    @model_validator(mode="after")
    def _tolerances_are_ratios(self) -> Self:
        for name, rules in (("scaleUp", self.scale_up), ("scaleDown", self.scale_down)):
            if not 0 <= parse_quantity(rules.tolerance) < 1:
                raise ValueError(f"{name}.tolerance {rules.tolerance} is not in 0..1; write 0.1 for 10 %")
        return self


class Combine(StrEnum):
    """How the metrics' proposals become one number."""

    MAX = "Max"
    MIN = "Min"
    WEIGHTED = "Weighted"


class Horizontal(Model):
    """Horizontal scaling: how many replicas."""

    min_replicas: int = Field(
        1,
        ge=0,
        le=MOST_REPLICAS,
        description="Fewest replicas. 0 needs a metric with activationTarget: while it is at or below that, the app "
        "sleeps. Nothing serves then: HTTP requests fail (the load balancer answers 503) and wake nobody, so 0 is for "
        "workers that draw from a queue, not for what people wait for.",
    )
    max_replicas: int = Field(10, ge=1, le=MOST_REPLICAS, description="Most replicas.")
    objective: LatencyObjective | None = Field(
        None,
        description="What you want of the app, instead of a load per pod to tune: a latency and how many minutes may "
        "miss it. The operator learns from http_request_duration_seconds what a pod carries, and from the load how "
        "much head-room new pods' start-up takes. Metrics stated beside it may ask for more. While it has nothing to "
        "go by, the metrics decide, or without any CPU at 80 % of the request.",
    )
    metrics: tuple[Metric, ...] = Field(
        (),
        max_length=16,
        description="Metrics to scale on; the largest proposal wins. Without any and without an objective: CPU at "
        "80 % of spec.resources.requests.cpu, as an absolute amount.",
    )
    combine: Combine = Field(
        Combine.MAX,
        description="Max: the largest proposal wins. Min: the smallest, so all metrics must agree on more. Weighted: "
        "the average by weight. With each of them, a metric that cannot be used forbids scaling down.",
    )
    behavior: Behavior = Field(default_factory=Behavior, description="Speed and calm of scaling.")
    schedules: tuple[Schedule, ...] = Field(
        (),
        max_length=32,
        description="Times with other bounds. Where several are active, the highest minReplicas and the lowest "
        "maxReplicas count; if they cross, minReplicas wins.",
    )
    burst: Burst | None = Field(
        None, description="A short window beside the long one, for sudden load. Needs a metric RequestsPerSecond."
    )
    prediction: Prediction = Field(
        default_factory=Prediction, description="Forecasts of the requests. Needs a metric RequestsPerSecond."
    )
    fallback: Fallback = Field(
        default_factory=Fallback, description="What happens while no metric can be used, as when Prometheus is down."
    )

    @model_validator(mode="after")
    def _bounds_and_names(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas {self.min_replicas} is more than maxReplicas {self.max_replicas}; "
                "lower minReplicas or raise maxReplicas"
            )
        labels = [metric.label for metric in self.metrics]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"metrics: {', '.join(twice)} stands there twice; give each metric its own name")
        return self

    @model_validator(mode="after")
    def _schedules_fit(self) -> Self:
        names = [schedule.name for schedule in self.schedules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"schedules: {', '.join(twice)} stands there twice; give each schedule its own name")
        for schedule in self.schedules:
            least = self.min_replicas if schedule.min_replicas is None else schedule.min_replicas
            most = self.max_replicas if schedule.max_replicas is None else schedule.max_replicas
            if least > most:
                raise ValueError(
                    f"schedules: {schedule.name} leads to minReplicas {least} over maxReplicas {most}; set both in it"
                )
        return self

    @model_validator(mode="after")
    def _metrics_allow_it(self) -> Self:
        floors = (self.min_replicas, *(schedule.min_replicas for schedule in self.schedules))
        if 0 in floors and all(metric.activation_target is None for metric in self.metrics):
            raise ValueError(
                "minReplicas 0 has nothing that wakes the app; add activationTarget to a metric of type Prometheus, or "
                "set minReplicas to 1"
            )
        by_requests = any(metric.type is MetricType.REQUESTS_PER_SECOND for metric in self.metrics)
        if self.burst and not by_requests:
            raise ValueError("burst looks at requests; add a metric of type RequestsPerSecond or remove burst")
        if self.prediction.enabled and not by_requests and not self.objective:
            raise ValueError(
                "prediction looks at requests; add an objective or a metric of type RequestsPerSecond, or remove "
                "prediction"
            )
        if self.combine is not Combine.WEIGHTED and any(metric.weight for metric in self.metrics):
            raise ValueError(f"combine {self.combine} takes no weight; use combine: Weighted or remove weight")
        return self


class Mode(StrEnum):
    """In which direction the app is scaled."""

    HORIZONTAL = "Horizontal"
    VERTICAL = "Vertical"
    COMBINED = "Combined"

    @property
    def sizes(self) -> bool:
        """Whether the pods' sizes are decided on."""
        return self is not Mode.HORIZONTAL


class Scaling(Model):
    """How the operator scales the app."""

    mode: Mode = Field(
        Mode.HORIZONTAL,
        description="Horizontal: replicas follow the metrics. Vertical: requests and limits follow the usage, and "
        "replicas stay as they are within minReplicas..maxReplicas (spec.replicas sets them). Combined: both, in one "
        "decision; replicas move first.",
    )
    dry_run: bool = Field(False, description="Compute, explain and report, but change no replicas.")
    paused: bool = Field(False, description="Leave replicas as they are.")
    interval_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Seconds between two decisions; without it, every look of the operator at the metrics is one. "
        "A changed spec is decided on at once.",
    )
    horizontal: Horizontal = Field(
        default_factory=Horizontal, description="Bounds, metrics and behaviour for replicas."
    )
    vertical: Vertical = Field(
        default_factory=Vertical, description="Bounds and behaviour for sizes, in the modes Vertical and Combined."
    )
    prices: Prices | None = Field(
        None, description="What requested resources cost, so that decisions on sizes tell the difference an hour."
    )
