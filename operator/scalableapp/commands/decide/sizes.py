"""The part of a line of `scalableapp decide` that is about the pods' size, and what is remembered from line to line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.api.vertical_fields import UpdateStrategy
from scalableapp.core.model import DataProblem
from scalableapp.core.quality import LARGEST_VALUE
from scalableapp.core.quantity import parse_quantity
from scalableapp.core.size import Resource, Size, size_from
from scalableapp.core.vertical.peaks import Sample
from scalableapp.core.vertical.usage import SizeHistory, Usage, sampled

# A usage whose newest sample is older than this, and than three of its steps, is of the past.
STALE_AFTER_SECONDS = 60.0

# Bounds that keep dates within what datetime can tell.
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _measured(value: str | float) -> float:
    number = parse_quantity(value) if isinstance(value, str) else value
    if not 0 <= number < LARGEST_VALUE:
        raise ValueError(f"{value} is not a usage; write a number or a quantity of 0 or more")
    return number


def _amount(value: str | float) -> str:
    if _measured(str(value)) == 0:
        raise ValueError(f"{value} is not greater than 0")
    return str(value)


UsageValue = Annotated[str | float, AfterValidator(_measured)]
Amounts = Annotated[str | float, AfterValidator(_amount)]


class Part(BaseModel):
    """A part of a line: camelCase outside, no unknown fields, never changed."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class _Amount(Part):
    request: Amounts | None = None
    limit: Amounts | None = None


class Sized(Part):
    """What `observed` says of the size: current resources, usage of a pod, kills so far, share of throttled periods."""

    resources: dict[Resource, _Amount] | None = None
    usage_history: dict[Resource, tuple[tuple[Seconds, UsageValue], ...]] = Field(default_factory=dict)
    oom_kills: int = Field(0, ge=0)
    throttled_ratio: Share = 0.0


class Pods(NamedTuple):
    """How many pods serve, and their usage, where `pods` of the line has it."""

    serving: int
    usage: Mapping[Resource, tuple[float, ...]]


def usage_of(seen: Sized, spec: ScalableAppSpec, pods: Pods, size: Size | None, unsettled: str) -> Usage:
    """The usage that a line tells of; `size` is what the line before left, where this one states none."""
    history = {resource: samples for resource, samples in seen.usage_history.items() if samples}
    problem, message = _problem(spec, history, pods)
    stated = {name.value: amount.model_dump(exclude_none=True) for name, amount in (seen.resources or {}).items()}
    return Usage(
        size=size_from(stated) if seen.resources is not None else size or start_size(spec),
        per_pod=pods.usage,
        serving=pods.serving,
        problem=problem,
        message=message,
        throttled=seen.throttled_ratio,
        oom_kills=seen.oom_kills,
        unsettled=unsettled,
        ratios=spec.resources.ratios if "resources" in spec.model_fields_set else {},
        in_place=spec.scaling.vertical.update_strategy is not UpdateStrategy.ROLLOUT,
    )


def start_size(spec: ScalableAppSpec) -> Size:
    """The size that spec.resources states."""
    return spec.resources.size


def _problem(
    spec: ScalableAppSpec, history: Mapping[Resource, Sequence[tuple[float, Any]]], pods: Pods
) -> tuple[DataProblem | None, str]:
    """What is wrong with the usage, if anything: each resource needs some, of now, in numbers."""
    for resource in spec.scaling.vertical.resources:
        samples, used = history.get(resource), pods.usage.get(resource)
        if wrong := next((value for value in used or () if not 0 <= value < LARGEST_VALUE), None):
            return _wrong(wrong), f"the {resource} usage of a pod is {wrong:g}; correct it, or leave it out"
        if not samples and not used:
            return DataProblem.EMPTY, f"neither usageHistory nor the pods' usage has {resource}"
        if samples and not used and (age := min(samples)[0]) > _stale_after(samples):
            return DataProblem.STALE, f"the newest {resource} usage is {age:g} s old; check the scrape configuration"
    return None, ""


def _wrong(value: float) -> DataProblem:
    if math.isnan(value):
        return DataProblem.NOT_A_NUMBER
    return DataProblem.NEGATIVE if value < 0 else DataProblem.INFINITE


def _stale_after(samples: Sequence[tuple[float, Any]]) -> float:
    ages = sorted(age for age, _ in samples)
    steps = [later - sooner for sooner, later in pairwise(ages)]
    return max(STALE_AFTER_SECONDS, 3 * median(steps) if steps else 0.0)


def read_usage(sizes: SizeHistory, seen: Sized, now: datetime, replicas: int) -> SizeHistory:
    """`sizes` with the samples of a line that it does not hold yet. Usage is of one pod; CPU is kept for all."""
    learned = dict(sizes.learned)
    for resource, samples in seen.usage_history.items():
        factor = max(1, replicas) if resource is Resource.CPU else 1
        known = learned[resource].recent[-1].at if learned[resource].recent else None
        for age, value in sorted(samples, reverse=True):
            at = now.astimezone(UTC) - timedelta(seconds=age)
            if known is None or at > known:
                learned[resource] = sampled(learned[resource], resource, Sample(at, float(value) * factor))
    return replace(sizes, learned=learned)


def usage_by_resource(values: Mapping[str, Sequence[float]]) -> dict[Resource, tuple[float, ...]]:
    """The pods' usage by resource, from that by the names of the metrics CPU and Memory."""
    names = {Resource.CPU: "CPU", Resource.MEMORY: "Memory"}
    return {resource: tuple(map(float, values[name])) for resource, name in names.items() if values.get(name)}
