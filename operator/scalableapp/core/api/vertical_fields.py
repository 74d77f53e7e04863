"""`spec.scaling.vertical`: which resources of the pods are scaled, within which bounds, how fast and by what method."""

from enum import StrEnum
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from scalableapp.core.api.fields import Model, NonNegativeQuantity, PositiveQuantity, Quantity
from scalableapp.core.quantity import parse_quantity
from scalableapp.core.size import Resource, parse_amount


class LimitsPolicy(StrEnum):
    """What happens to the limits when requests change."""

    PROPORTIONAL = "Proportional"
    REQUESTS_ONLY = "RequestsOnly"
    NONE = "None"


class UpdateStrategy(StrEnum):
    """How pods get a new size."""

    AUTO = "Auto"
    IN_PLACE = "InPlace"
    ROLLOUT = "Rollout"


class Least(Model):
    """Lower bounds of the requests."""

    cpu: PositiveQuantity = Field("10m", description="Smallest CPU request.")
    memory: PositiveQuantity = Field("32Mi", description="Smallest memory request.")


class Most(Model):
    """Upper bounds of the requests."""

    cpu: PositiveQuantity | None = Field(None, description="Largest CPU request.")
    memory: PositiveQuantity | None = Field(None, description="Largest memory request.")


class CpuNeed(Model):
    """Percentile, margin and weighting of the CPU usage."""

    percentile: int = Field(90, ge=50, le=100, description="Percentile of the usage that the request should cover.")
    margin_percent: int = Field(15, ge=0, le=200, description="Percentage added on top.")
    half_life_seconds: int = Field(
        900, ge=60, le=604800, description="Age at which a usage sample has half the weight of a new one."
    )


class MemoryNeed(Model):
    """How the memory request follows from the usage. Memory cannot be squeezed: the peaks of a week count in full."""

    percentile: int = Field(
        98,
        ge=50,
        le=100,
        description="Percentile of the usage that the request should cover, beside the highest peak of 384 half-lives.",
    )
    margin_percent: int = Field(15, ge=0, le=200, description="Percentage added on top.")
    half_life_seconds: int = Field(
        1800,
        ge=60,
        le=604800,
        description="Age at which a usage sample has half the weight of a new one. The highest peak of 384 half-lives "
        "is always covered: by default of 8 days, which is also the longest.",
    )


class Raising(Model):
    """When a size is raised."""

    tolerance: Quantity = Field(
        "0.15", description="How far the need may exceed a request before it is raised (0.15 is 15 %)."
    )
    interval_seconds: int = Field(60, ge=15, le=86400, description="Minimum seconds since the last change.")


class Cutting(Model):
    """When a size is lowered."""

    tolerance: Quantity = Field(
        "0.3", description="How far a request may exceed the need before it is lowered (0.3 is 30 %)."
    )
    interval_seconds: int = Field(600, ge=30, le=86400, description="Minimum seconds since the last change.")


class SizeBehavior(Model):
    """Thresholds and intervals of vertical scaling. Sizes are raised sooner than lowered."""

    scale_up: Raising = Field(default_factory=Raising, description="When sizes are raised.")
    scale_down: Cutting = Field(default_factory=Cutting, description="When sizes are lowered.")

    @cached_property
    def up_ratio(self) -> float:
        """The tolerance of raises as a number, parsed once."""
        return parse_quantity(self.scale_up.tolerance)

    @cached_property
    def down_ratio(self) -> float:
        """The tolerance of cuts as a number, parsed once."""
        return parse_quantity(self.scale_down.tolerance)

    @model_validator(mode="after")
    def _tolerances_are_ratios(self) -> Self:
        for name, ratio in (("scaleUp", self.up_ratio), ("scaleDown", self.down_ratio)):
            if not 0 <= ratio < 10:
                raise ValueError(f"{name}.tolerance is not between 0 and 10; write 0.1 for 10 %")
        return self


class Vertical(Model):
    """Vertical scaling: how large each pod is. spec.resources are the sizes to start from."""

    resources: tuple[Resource, ...] = Field(
        (Resource.CPU, Resource.MEMORY),
        min_length=1,
        max_length=2,
        description="Resources that are scaled; the others stay as in spec.resources.",
    )
    min_allowed: Least = Field(default_factory=Least, description="Smallest requests.")
    max_allowed: Most = Field(
        default_factory=Most,
        description="Largest requests. The largest node, LimitRanges and ResourceQuotas also limit them.",
    )
    limits: LimitsPolicy = Field(
        LimitsPolicy.PROPORTIONAL,
        description="Proportional: limits keep their ratio to the requests. RequestsOnly: limits stay, and requests "
        "never exceed them. None: no limits are set.",
    )
    update_strategy: UpdateStrategy = Field(
        UpdateStrategy.AUTO,
        description="Auto: running pods are resized in place if the cluster supports it (Kubernetes 1.33), otherwise "
        "by a rollout that starts new pods first. A lower memory limit always needs a rollout.",
    )
    cpu: CpuNeed = Field(default_factory=CpuNeed, description="How the CPU request follows from the usage.")
    memory: MemoryNeed = Field(default_factory=MemoryNeed, description="How the memory request follows from the usage.")
    behavior: SizeBehavior = Field(default_factory=SizeBehavior, description="When sizes change, and how often.")

    def need(self, resource: Resource) -> CpuNeed | MemoryNeed:
        """The rules by which the request of a resource follows from its usage."""
        return self.cpu if resource is Resource.CPU else self.memory

    @cached_property
    def least(self) -> dict[Resource, float]:
        """The bounds of minAllowed in cores and bytes, parsed once."""
        return {resource: parse_amount(resource, getattr(self.min_allowed, resource.value)) for resource in Resource}

    @cached_property
    def most(self) -> dict[Resource, float]:
        """The bounds of maxAllowed in cores and bytes where stated, parsed once."""
        stated = {resource: getattr(self.max_allowed, resource.value) for resource in Resource}
        return {resource: parse_amount(resource, text) for resource, text in stated.items() if text is not None}

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        for resource, most in self.most.items():
            if self.least[resource] > most:
                raise ValueError(
                    f"minAllowed.{resource} {getattr(self.min_allowed, resource)} is larger than maxAllowed.{resource} "
                    f"{getattr(self.max_allowed, resource)}; lower minAllowed or raise maxAllowed"
                )
        if len(set(self.resources)) < len(self.resources):
            raise ValueError("resources lists one twice; write [cpu, memory], [cpu] or [memory]")
        return self


class Prices(Model):
    """What requested resources cost, in your currency, so that decisions show it."""

    cpu_core_hour: NonNegativeQuantity = Field(description="Price of one core per hour.")
    memory_gibibyte_hour: NonNegativeQuantity = Field(description="Price of one GiB of memory per hour.")
