"""The spec of a ScalableApp: fields, defaults, bounds and the rules across fields.

The CRD in crds/ is generated from these models (core/crd.py), so a description here is what
`kubectl explain sapp.spec` prints. A field stands here only when the operator acts on it.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from scalableapp.core.quantity import parse_quantity
from scalableapp.errors import FieldProblem, SpecError


def _quantity(text: str) -> str:
    parse_quantity(text)
    return text


def _positive(text: str) -> str:
    if parse_quantity(text) <= 0:
        raise ValueError(f"{text} is not more than 0")
    return text


def _as_text(value: object) -> object:
    """YAML writes 50 and 0.5 without quotes; a quantity is text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[
    str, BeforeValidator(_as_text), AfterValidator(_quantity), Field(json_schema_extra={"format": "quantity"})
]
PositiveQuantity = Annotated[
    str, BeforeValidator(_as_text), AfterValidator(_positive), Field(json_schema_extra={"format": "positive-quantity"})
]
Path = Annotated[str, Field(pattern=r"^/[^\s?#]*$", max_length=256)]
ResourceMap = Annotated[dict[str, PositiveQuantity], Field(max_length=8)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class EnvVar(_Model):
    """One environment variable of the app's container."""

    name: str = Field(min_length=1, max_length=256, description="Name of the variable.")
    value: str | None = Field(None, max_length=32768, description="Its value as plain text.")
    value_from: dict[str, Any] | None = Field(
        None,
        description="Source of the value, as in a pod: configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError(f"{self.name} has both value and valueFrom; keep one of them")
        return self


class Resources(_Model):
    """Start values of the app's container; vertical scaling moves from here."""

    requests: ResourceMap = Field(
        default_factory=lambda: {"cpu": "100m", "memory": "128Mi"},
        description="What a pod is guaranteed, by resource name.",
    )
    limits: ResourceMap = Field(
        default_factory=lambda: {"cpu": "1", "memory": "256Mi"},
        description="What a pod may use at most, by resource name.",
    )

    @model_validator(mode="after")
    def _requests_fit_limits(self) -> Self:
        for name, request in self.requests.items():
            limit = self.limits.get(name)
            if limit is not None and parse_quantity(request) > parse_quantity(limit):
                raise ValueError(
                    f"requests.{name} {request} is more than limits.{name} {limit}; raise the limit or cut the request"
                )
        return self


class Health(_Model):
    """Where the kubelet asks whether a pod lives and may serve."""

    liveness_path: Path = Field("/healthz", description="HTTP path that answers 200 while the process works.")
    readiness_path: Path = Field("/readyz", description="HTTP path that answers 200 while the pod can serve requests.")


class LoadBalancing(StrEnum):
    """How the ingress spreads requests over pods."""

    ROUND_ROBIN = "RoundRobin"
    LEAST_CONNECTIONS = "LeastConnections"


class Ingress(_Model):
    """The load balancer in front of the app: an Ingress of networking.k8s.io/v1."""

    enabled: bool = Field(True, description="Whether the operator makes an Ingress.")
    host: str | None = Field(
        None,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        description="Host name that leads to the app; without it, every host does.",
    )
    path: Path = Field("/", description="Path prefix that leads to the app.")
    class_name: str | None = Field(
        None, max_length=253, description="IngressClass that serves it; without it, the cluster's default class."
    )
    tls_secret_name: str | None = Field(
        None,
        max_length=253,
        description="TLS Secret (kubernetes.io/tls) in the same namespace; without it, plain HTTP.",
    )
    load_balancing: LoadBalancing = Field(
        LoadBalancing.LEAST_CONNECTIONS,
        description="How requests are spread over pods. LeastConnections spares pods that are slow or warming up.",
    )
    annotations: dict[str, str] = Field(
        default_factory=dict, max_length=64, description="Further annotations of the Ingress, for your controller."
    )


class CacheBackend(StrEnum):
    """Where the app keeps cached answers."""

    NONE = "None"
    MEMORY = "Memory"


class Cache(_Model):
    """Cache settings, passed to the app as CACHE_BACKEND and CACHE_TIMEOUT_SECONDS."""

    backend: CacheBackend = Field(
        CacheBackend.MEMORY, description="None, or Memory: each worker process keeps its own answers."
    )
    timeout_seconds: int = Field(60, ge=1, le=86400, description="Seconds for which an answer stays cached.")


class Monitoring(_Model):
    """How Prometheus reads the app's metrics."""

    scrape: bool = Field(True, description="Whether pods carry the prometheus.io annotations.")
    path: Path = Field("/metrics", description="HTTP path of the app's metrics, on spec.port.")


class MetricType(StrEnum):
    """What a metric measures."""

    REQUESTS_PER_SECOND = "RequestsPerSecond"
    CPU = "CPU"
    PROMETHEUS = "Prometheus"


class TargetType(StrEnum):
    """What the target of a Prometheus query is compared with."""

    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"


class Metric(_Model):
    """One metric and the value it shall have."""

    type: MetricType = Field(
        description="RequestsPerSecond: rate of http_requests_total per pod. CPU: cores used per pod, absolute, never "
        "a share of the request. Prometheus: a query of your own."
    )
    name: str | None = Field(
        None, min_length=1, max_length=63, description="Name in status and events; without it, the type."
    )
    target: PositiveQuantity = Field(
        description="Value per pod to aim at, as a quantity (50, 300m); with targetType Value, for the whole app."
    )
    target_type: TargetType = Field(
        TargetType.AVERAGE_VALUE,
        description="AverageValue: the query's value divided by the pods is compared with the target. "
        "Value: the query's value itself. Only for type Prometheus.",
    )
    query: str | None = Field(
        None,
        min_length=1,
        max_length=2048,
        description="PromQL that returns one number for the app. $namespace and $app stand for the app's own; every "
        'selector must hold namespace="$namespace". Only for type Prometheus.',
    )

    @cached_property
    def label(self) -> str:
        """Name under which status, events and readings know this metric."""
        return self.name or self.type.value

    @cached_property
    def target_value(self) -> float:
        """The target as a number, parsed once: every decision needs it."""
        return parse_quantity(self.target)

    @model_validator(mode="after")
    def _fields_fit_the_type(self) -> Self:
        is_query = self.type is MetricType.PROMETHEUS
        if is_query and not self.query:
            raise ValueError("type Prometheus has no query; add query: with PromQL that returns one number")
        if not is_query and self.query:
            raise ValueError(f"type {self.type} takes no query; remove query or use type: Prometheus")
        if not is_query and self.target_type is TargetType.VALUE:
            raise ValueError(f"type {self.type} is measured per pod; remove targetType or use type: Prometheus")
        return self


class PolicyType(StrEnum):
    """Unit of a scaling policy."""

    PODS = "Pods"
    PERCENT = "Percent"


class Policy(_Model):
    """At most `value` pods or percent of change in `periodSeconds`."""

    type: PolicyType = Field(description="Pods or Percent.")
    value: int = Field(ge=1, le=1_000_000, description="Largest change in the period.")
    period_seconds: int = Field(ge=1, le=1800, description="Length of the period.")


class SelectPolicy(StrEnum):
    """Which of several policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class ScaleUp(_Model):
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


class ScaleDown(_Model):
    """How fast replicas may be removed (autoscaling/v2 HPAScalingRules and its defaults)."""

    stabilization_window_seconds: int = Field(
        300, ge=0, le=3600, description="Look back this long and take the highest recommendation."
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

    @cached_property
    def tolerance_ratio(self) -> float:
        """The tolerance as a number, parsed once: every decision needs it."""
        return parse_quantity(self.tolerance)


class Behavior(_Model):
    """Speed and calm of scaling, with the names and semantics of autoscaling/v2."""

    scale_up: ScaleUp = Field(default_factory=ScaleUp, description="Rules for adding replicas.")
    scale_down: ScaleDown = Field(default_factory=ScaleDown, description="Rules for removing replicas.")

    @model_validator(mode="after")
    def _tolerances_are_ratios(self) -> Self:
        for name, rules in (("scaleUp", self.scale_up), ("scaleDown", self.scale_down)):
            if not 0 <= parse_quantity(rules.tolerance) < 1:
                raise ValueError(f"{name}.tolerance {rules.tolerance} is not in 0..1; write 0.1 for 10 %")
        return self


class Horizontal(_Model):
    """Horizontal scaling: how many replicas."""

    min_replicas: int = Field(1, ge=1, le=1000, description="Fewest replicas.")
    max_replicas: int = Field(10, ge=1, le=1000, description="Most replicas.")
    metrics: tuple[Metric, ...] = Field(
        (),
        max_length=16,
        description="Metrics to scale on; the largest proposal wins. Without any: CPU at 80 % of "
        "spec.resources.requests.cpu, as an absolute amount.",
    )
    behavior: Behavior = Field(default_factory=Behavior, description="Speed and calm of scaling.")

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


class Mode(StrEnum):
    """In which direction the app is scaled."""

    HORIZONTAL = "Horizontal"


class Scaling(_Model):
    """How the operator scales the app."""

    mode: Mode = Field(Mode.HORIZONTAL, description="Horizontal: replicas follow the metrics.")
    dry_run: bool = Field(False, description="Compute, explain and report, but change no replicas.")
    paused: bool = Field(False, description="Leave replicas as they are.")
    horizontal: Horizontal = Field(
        default_factory=Horizontal, description="Bounds, metrics and behaviour for replicas."
    )


class ScalableAppSpec(_Model):
    """What a team writes: an image, and how it shall be scaled."""

    image: str = Field(min_length=1, max_length=1024, pattern=r"^\S+$", description="Container image of the app.")
    port: int = Field(8000, ge=1, le=65535, description="TCP port on which the app serves HTTP.")
    env: tuple[EnvVar, ...] = Field(
        (),
        max_length=256,
        description="Environment variables of the app.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    env_from: tuple[dict[str, Any], ...] = Field(
        (), max_length=64, description="ConfigMaps and Secrets whose keys become environment variables, as in a pod."
    )
    command: tuple[str, ...] = Field((), max_length=64, description="Replaces the image's entry point.")
    args: tuple[str, ...] = Field((), max_length=256, description="Replaces the image's arguments.")
    resources: Resources = Field(default_factory=Resources, description="CPU and memory of each pod.")
    replicas: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="Pins the replicas, as `kubectl scale sapp` does; horizontal scaling waits while it is set.",
    )
    health: Health = Field(default_factory=Health, description="Liveness and readiness.")
    ingress: Ingress = Field(default_factory=Ingress, description="Load balancer in front of the app.")
    cache: Cache = Field(default_factory=Cache, description="The app's cache.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="The app's metrics.")
    scaling: Scaling = Field(default_factory=Scaling, description="How the app is scaled.")

    @field_validator("env")
    @classmethod
    def _each_variable_once(cls, env: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
        names = [variable.name for variable in env]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands there twice; keep one of each name")
        return env

    @model_validator(mode="after")
    def _something_to_scale_on(self) -> Self:
        if not self.scaling.horizontal.metrics and "cpu" not in self.resources.requests:
            raise ValueError(
                "scaling.horizontal.metrics is empty and resources.requests.cpu is not set; "
                "add a metric, or a CPU request to derive one from"
            )
        return self

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics to scale on: the user's, or HPA's default of 80 % of the CPU request.

        The default is taken from the spec's request once and is absolute, so that a later change of
        the pods' requests does not move the signal.
        """
        if self.scaling.horizontal.metrics:
            return self.scaling.horizontal.metrics
        cores = 0.8 * parse_quantity(self.resources.requests["cpu"])
        return (Metric(type=MetricType.CPU, target=f"{cores * 1000:.0f}m"),)


def parse_spec(raw: Mapping[str, Any]) -> ScalableAppSpec:
    """The spec of a ScalableApp as the API server holds it.

    Raises SpecError that names every wrong field and its mend.
    """
    try:
        return ScalableAppSpec.model_validate(raw)
    except ValidationError as error:
        raise SpecError(tuple(_problem(entry) for entry in error.errors(include_url=False))) from error


_MENDS = {
    "missing": "add it",
    "extra_forbidden": "remove it or correct its name",
}


def _problem(entry: Any) -> FieldProblem:
    location = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in entry["loc"])
    message = entry["msg"].removeprefix("Value error, ")
    problem, _, mend = message.partition("; ")
    given = "" if entry["type"] in ("missing", "value_error") else f" (it is {_short(entry['input'])})"
    return FieldProblem(
        f"spec{location}",
        f"{problem}{given}",
        mend or _MENDS.get(entry["type"], "correct it: kubectl explain sapp.spec"),
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
