"""`spec.scaling`: bounds, rates and stabilisation of scaling."""

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
        0, ge=0, le=3600, description="The lowest recommendation of this period limits scale-up."
    )
    select_policy: SelectPolicy = Field(
        SelectPolicy.MAX, description="Max: the policy that allows the most. Min: the least. Disabled: never scale up."
    )
    policies: tuple[Policy, ...] = Field(
        (
            Policy(type=PolicyType.PODS, value=4, period_seconds=15),
            Policy(type=PolicyType.PERCENT, value=100, period_seconds=15),
        ),
        min_length=1,
        max_length=16,
        description="Limits on the rate of scaling up.",
    )
    tolerance: Quantity = Field(
        "0.1", description="How far a metric may exceed its target before scaling up (0.1 is 10 %)."
    )

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
        description="The highest recommendation of this period limits scale-down. Defaults to 300. With an objective, "
        "surplus pods are removed instead after 600 pod-seconds of idleness (one surplus pod: 10 minutes, ten: 1 "
        "minute) or 20 start-up times, whichever is longer.",
    )
    select_policy: SelectPolicy = Field(
        SelectPolicy.MAX,
        description="Max: the policy that allows the most. Min: the least. Disabled: never scale down.",
    )
    policies: tuple[Policy, ...] = Field(
        (Policy(type=PolicyType.PERCENT, value=100, period_seconds=15),),
        min_length=1,
        max_length=16,
        description="Limits on the rate of scaling down. With the default, a targetRef that is a StatefulSet loses one "
        "pod a minute.",
    )
    tolerance: Quantity = Field(
        "0.1", description="How far a metric may fall below its target before scaling down (0.1 is 10 %)."
    )

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
    """Rates and stabilisation of scaling, with the names and semantics of autoscaling/v2."""

    scale_up: ScaleUp = Field(default_factory=ScaleUp, description="Rules for adding replicas.")
    scale_down: ScaleDown = Field(default_factory=ScaleDown, description="Rules for removing replicas.")
    applies_to_bounds: bool = Field(
        False,
        description="Whether the policies also limit the rate towards a changed minReplicas or maxReplicas, also of a "
        "schedule. If false, replicas out of bounds are corrected immediately, as with HPA.",
    )

    @cached_property
    def tolerances(self) -> tuple[float, float]:
        """Ratios of measured to target between which nothing changes; without the noise of binary fractions."""
        return round(1 - self.scale_down.tolerance_ratio, 9), round(1 + self.scale_up.tolerance_ratio, 9)

    @model_validator(mode="after")
    def _tolerances_are_ratios(self) -> Self:
        for name, rules in (("scaleUp", self.scale_up), ("scaleDown", self.scale_down)):
            if not 0 <= parse_quantity(rules.tolerance) < 1:
                raise ValueError(f"{name}.tolerance {rules.tolerance} is not between 0 and 1; write 0.1 for 10 %")
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
        description="Minimum number of replicas. 0 needs a metric with activationTarget: while the metric is at or "
        "below it, the app is scaled to zero. HTTP requests then fail (the load balancer answers 503) and do not wake "
        "the app, so use 0 for queue workers, not for what people wait for.",
    )
    max_replicas: int = Field(10, ge=1, le=MOST_REPLICAS, description="Maximum number of replicas.")
    objective: LatencyObjective | None = Field(
        None,
        description="A latency goal and how many minutes may miss it, instead of a load per pod to tune. The operator "
        "learns the load that a pod can handle from the durations of requests, and from the load how much headroom "
        "the start-up of new pods needs. Metrics may add pods to that. Until enough is learned, the metrics decide, or "
        "without any, CPU at 80 % of the request.",
    )
    metrics: tuple[Metric, ...] = Field(
        (),
        max_length=16,
        description="Metrics to scale on; the largest proposal wins. Without metrics and without an objective: CPU at "
        "80 % of spec.resources.requests.cpu, as an absolute amount; of a targetRef, of what its template requests.",
    )
    combine: Combine = Field(
        Combine.MAX,
        description="Max: the largest proposal wins. Min: the smallest, so all metrics must agree on more. Weighted: "
        "the average by weight. In each case, a metric that cannot be used prevents scaling down.",
    )
    behavior: Behavior = Field(default_factory=Behavior, description="Rates and stabilisation of scaling.")
    schedules: tuple[Schedule, ...] = Field(
        (),
        max_length=32,
        description="Times with other bounds. If several are active, the highest minReplicas and the lowest "
        "maxReplicas apply; if they conflict, minReplicas wins.",
    )
    burst: Burst | None = Field(
        None, description="A second, short window for sudden load. Needs a metric of type RequestsPerSecond."
    )
    prediction: Prediction = Field(
        default_factory=Prediction,
        description="Forecasts of the requests. Needs an objective or a metric of type RequestsPerSecond.",
    )
    fallback: Fallback = Field(
        default_factory=Fallback,
        description="What happens while no metric can be used, for example when Prometheus is down.",
    )

    @model_validator(mode="after")
    def _bounds_and_names(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas {self.min_replicas} is larger than maxReplicas {self.max_replicas}; "
                "lower minReplicas or raise maxReplicas"
            )
        labels = [metric.label for metric in self.metrics]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"metrics: {', '.join(twice)} appears twice; give each metric its own name")
        return self

    @model_validator(mode="after")
    def _schedules_fit(self) -> Self:
        names = [schedule.name for schedule in self.schedules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"schedules: {', '.join(twice)} appears twice; give each schedule its own name")
        for schedule in self.schedules:
            least = self.min_replicas if schedule.min_replicas is None else schedule.min_replicas
            most = self.max_replicas if schedule.max_replicas is None else schedule.max_replicas
            if least > most:
                raise ValueError(
                    f"schedules: {schedule.name} makes minReplicas {least} larger than maxReplicas {most}; "
                    "set both in the schedule"
                )
        return self

    @model_validator(mode="after")
    def _metrics_allow_it(self) -> Self:
        floors = (self.min_replicas, *(schedule.min_replicas for schedule in self.schedules))
        if 0 in floors and all(metric.activation_target is None for metric in self.metrics):
            raise ValueError(
                "with minReplicas 0 nothing wakes the app; add activationTarget to a metric of type Prometheus, or of "
                "type RequestsPerSecond with a request source per app, or set minReplicas to 1"
            )
        by_requests = any(metric.type is MetricType.REQUESTS_PER_SECOND for metric in self.metrics)
        if self.burst and not by_requests:
            raise ValueError("burst is based on requests; add a metric of type RequestsPerSecond or remove burst")
        if self.prediction.enabled and not by_requests and not self.objective:
            raise ValueError(
                "prediction is based on requests; add an objective or a metric of type RequestsPerSecond, or remove "
                "prediction"
            )
        if self.combine is not Combine.WEIGHTED and any(metric.weight for metric in self.metrics):
            raise ValueError(f"combine: {self.combine} uses no weight; use combine: Weighted or remove weight")
        return self


class Mode(StrEnum):
    """Whether the number of pods, their size or both are scaled."""

    HORIZONTAL = "Horizontal"
    VERTICAL = "Vertical"
    COMBINED = "Combined"

    @property
    def sizes(self) -> bool:
        """Whether the pods' sizes are decided on."""
        return self is not Mode.HORIZONTAL


class DuringRollout(StrEnum):
    """What happens to the replicas while pods of an older template still run beside the new ones."""

    HOLD = "Hold"
    UP_ONLY = "UpOnly"
    SCALE = "Scale"


class Scaling(Model):
    """How the operator scales the app."""

    mode: Mode = Field(
        Mode.HORIZONTAL,
        description="Horizontal: replicas follow the metrics. Vertical: requests and limits follow the usage; replicas "
        "stay as they are, within minReplicas..maxReplicas (set spec.replicas to change them). Combined: both, in one "
        "decision; replicas change first.",
    )
    dry_run: bool = Field(False, description="Compute, explain and report decisions without acting on them.")
    paused: bool = Field(False, description="Leave replicas and sizes as they are.")
    interval_seconds: int | None = Field(
        None,
        ge=1,
        le=3600,
        description="Seconds between two decisions. Defaults to the operator's own interval. A changed spec is decided "
        "on immediately.",
    )
    horizontal: Horizontal = Field(
        default_factory=Horizontal, description="Bounds, metrics and behaviour for replicas."
    )
    vertical: Vertical = Field(
        default_factory=Vertical, description="Bounds and behaviour for pod sizes, in modes Vertical and Combined."
    )
    during_rollout: DuringRollout | None = Field(
        None,
        description="What a rollout in progress allows, whose extra pods distort values per pod. Hold: no pod is "
        "removed, and only load that is counted over the whole app (requests, queries) adds pods. UpOnly: CPU, summed "
        "up over old and new pods, adds pods too. Scale: as without a rollout. Defaults to Hold, for an Argo Rollout "
        "to UpOnly, since its canaries may last for hours.",
    )
    prices: Prices | None = Field(
        None, description="Prices of requested resources, so that decisions on sizes show the difference per hour."
    )
