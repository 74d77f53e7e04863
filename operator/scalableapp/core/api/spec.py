"""The spec of a ScalableApp: fields, defaults, bounds and the rules across fields.

The CRD in crds/ is generated from these models (core/api/crd.py), so a description here is what
`kubectl explain sapp.spec` prints. Only fields that the operator acts on are here.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from scalableapp.core.api.budget import size_problem
from scalableapp.core.api.env_fields import EnvFrom, EnvVar
from scalableapp.core.api.fields import MOST_REPLICAS, Model, Path, ResourceMap
from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.api.pod_fields import Health, Mount, Name, PullSecret, SecurityContext
from scalableapp.core.api.pod_template import PodTemplate
from scalableapp.core.api.routing_fields import Ingress, Route
from scalableapp.core.api.scaling import DuringRollout, Mode, Scaling
from scalableapp.core.api.target_fields import TargetRef
from scalableapp.core.quantity import canonical_quantity, parse_quantity
from scalableapp.core.size import Amount, Resource, Size, read_size
from scalableapp.errors import FieldProblem, SpecError

Argument = Annotated[str, Field(max_length=16384)]


class Resources(Model):
    """Initial resources of the app's container; vertical scaling starts from here."""

    requests: ResourceMap = Field(
        default_factory=lambda: {"cpu": "100m", "memory": "128Mi"},
        description="Guaranteed amount per pod, by resource name.",
    )
    limits: ResourceMap = Field(
        default_factory=lambda: {"cpu": "1", "memory": "256Mi"},
        description="Maximum amount per pod, by resource name.",
    )

    @cached_property
    def cpu_limit_cores(self) -> float | None:
        """CPU that a pod may use at most, as a number, parsed once; None without a limit."""
        limit = self.limits.get("cpu")
        return None if limit is None else parse_quantity(limit)

    @cached_property
    def cpu_amount(self) -> Amount:
        """CPU that a pod requests, and may use at most, as numbers, parsed once."""
        request = self.requests.get("cpu")
        return Amount(None if request is None else parse_quantity(request), self.cpu_limit_cores)

    @cached_property
    def size(self) -> Size:
        """The size that pods start with, parsed once."""
        return read_size({"requests": self.requests, "limits": self.limits})

    @cached_property
    def ratios(self) -> dict[Resource, float]:
        """Limits over requests, of the resources that have both."""
        amounts = {resource: self.size.of(resource) for resource in Resource}
        return {resource: limit / request for resource, (request, limit) in amounts.items() if limit and request}

    @model_validator(mode="after")
    def _requests_fit_limits(self) -> Self:
        for name, request in self.requests.items():
            limit = self.limits.get(name)
            if limit is not None and parse_quantity(request) > parse_quantity(limit):
                raise ValueError(
                    f"requests.{name} {request} is larger than limits.{name} {limit}; "
                    "raise the limit or lower the request"
                )
        return self


class CacheBackend(StrEnum):
    """Where the app keeps cached answers."""

    NONE = "None"
    MEMORY = "Memory"
    REDIS = "Redis"


class Cache(Model):
    """Cache settings, passed to the app as CACHE_BACKEND, CACHE_TIMEOUT_SECONDS and, for Redis, CACHE_REDIS_URL."""

    backend: CacheBackend = Field(
        CacheBackend.MEMORY,
        description="None. Memory: each worker process caches its own answers. Redis: all pods share a Redis that the "
        "operator runs for the app, named like the app with the suffix -cache. It holds 64 MiB, then evicts what is "
        "used least; a restart empties it, and the app has to work without it meanwhile.",
    )
    timeout_seconds: int = Field(60, ge=1, le=86400, description="Seconds for which an answer stays cached.")


class Monitoring(Model):
    """How Prometheus scrapes the app's metrics."""

    scrape: bool = Field(True, description="Whether pods have the prometheus.io annotations for scraping.")
    path: Path = Field("/metrics", description="HTTP path of the app's metrics, on spec.port.")
    requests: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="What counts the app's requests: a request source that comes with the operator, such as flask or "
        "spring (docs/requests.md), or a RequestSource of the cluster. Defaults to the operator's own setting, which "
        "is auto: the source whose metrics the app's pods serve.",
    )


class ScalableAppSpec(Model):
    """What you write: an image, or a workload that exists, and how to scale it."""

    image: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        pattern=r"^\S+$",
        description="Container image of the app. Exactly one of image and targetRef.",
    )
    target_ref: TargetRef | None = Field(
        None,
        description="Scales a workload that exists, in place of deploying an image: anything with a scale subresource. "
        "The operator sets its replicas and nothing else. All fields that describe an app to deploy are refused "
        "beside it.",
    )
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        description="TCP port on which the app serves HTTP. 0: it serves none, as a worker that draws from a queue: it "
        "gets no Service, no variable PORT and, unless health.port is set, no probes.",
    )
    env: tuple[EnvVar, ...] = Field(
        (),
        max_length=256,
        description="Environment variables of the app.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    env_from: tuple[EnvFrom, ...] = Field(
        (), max_length=64, description="ConfigMaps and Secrets whose keys become environment variables, as in a pod."
    )
    command: tuple[Argument, ...] = Field((), max_length=64, description="Replaces the image's entry point.")
    args: tuple[Argument, ...] = Field((), max_length=256, description="Replaces the image's arguments.")
    resources: Resources = Field(default_factory=Resources, description="CPU and memory of each pod.")
    security_context: SecurityContext = Field(
        default_factory=SecurityContext, description="User and group of the app, and where it may write."
    )
    service_account_name: Name | None = Field(
        None,
        description="Service account of the pods, for an identity with a cloud provider or a mesh. Its token is not "
        "mounted unless podTemplate sets automountServiceAccountToken. The operator may be set up to refuse it "
        "(SCALABLEAPP_POD_TEMPLATE).",
    )
    image_pull_secrets: tuple[PullSecret, ...] = Field(
        (),
        max_length=16,
        description="Secrets for the registry of the image.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    mounts: tuple[Mount, ...] = Field(
        (),
        max_length=32,
        description="ConfigMaps, Secrets and empty folders as folders of the app.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["path"]},
    )
    pod_template: PodTemplate | None = Field(
        None,
        description="Any further field of the pods, merged onto what the operator makes: sidecars, init containers, "
        "node selectors, volumes. Prefer the fields above where there is one.",
    )
    replicas: int | None = Field(
        None,
        ge=0,
        le=MOST_REPLICAS,
        description="Pins the replicas, as `kubectl scale sapp` does; no horizontal scaling while it is set.",
    )
    health: Health = Field(default_factory=Health, description="Liveness and readiness.")
    ingress: Ingress | None = Field(None, description="Ingress for the app; created if it has a host.")
    route: Route | None = Field(
        None,
        description="Exposes the app through a Gateway instead of an Ingress; needs the Gateway API in the cluster.",
    )
    cache: Cache = Field(default_factory=Cache, description="The app's cache.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="The app's metrics.")
    scaling: Scaling = Field(default_factory=Scaling, description="How the app is scaled.")

    @field_validator("env")
    @classmethod
    def _each_variable_once(cls, env: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
        names = [variable.name for variable in env]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} appears twice; keep one of each name")
        return env

    @field_validator("mounts")
    @classmethod
    def _each_path_once(cls, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
        paths = [mount.path for mount in mounts]
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"{', '.join(twice)} is mounted twice; keep one of each path")
        return mounts

    @model_validator(mode="after")
    def _no_way_in_without_a_port(self) -> Self:
        if self.port == 0 and (self.route or (self.ingress and self.ingress.enabled)):
            raise ValueError(
                "port is 0, so the app serves no HTTP, but ingress or route exposes it; set port, or remove them"
            )
        return self

    @model_validator(mode="after")
    def _image_or_target(self) -> Self:
        if (self.image is None) == (self.target_ref is None):
            both, verb = ("both set", "keep") if self.image else ("both missing", "add")
            raise ValueError(
                f"image and targetRef are {both}; {verb} image to deploy an app, or targetRef to scale a workload that "
                "exists"
            )
        return self

    @model_validator(mode="after")
    def _target_alone(self) -> Self:
        if self.target_ref is None:
            return self
        stated = [to_camel(name) for name in type(self).model_fields if name in self.model_fields_set]
        stated += [f"monitoring.{name}" for name in sorted(self.monitoring.model_fields_set & OF_SCRAPING)]
        if meaningless := [name for name in stated if name in OF_AN_IMAGE or "." in name]:
            raise ValueError(
                f"{', '.join(meaningless)} cannot be set beside targetRef, whose pods the operator does not change; "
                "remove it"
            )
        if self.target_ref.is_scalable_app:
            raise ValueError("targetRef is a ScalableApp, which scales itself; name another workload")
        if self.scaling.mode is not Mode.HORIZONTAL:
            raise ValueError(
                f"scaling.mode {self.scaling.mode} changes the size of pods, and those of a targetRef keep theirs; use "
                "mode: Horizontal"
            )
        return self

    @model_validator(mode="after")
    def _of_containers(self) -> Self:
        for metric in self.scaling.horizontal.metrics if self.target_ref is None else ():
            if metric.percent is not None:
                raise ValueError(
                    f"scaling.horizontal.metrics: target {metric.target} is a percentage, which is for targetRef only; "
                    "write an amount such as 300m"
                )
            if metric.container is not None:
                raise ValueError("scaling.horizontal.metrics: container is for targetRef only; remove it")
        return self

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.route and self.ingress and self.ingress.enabled:
            raise ValueError(
                "ingress and route are both set, and an app is exposed by one of them; "
                "remove ingress to use the Gateway, or route to use the Ingress"
            )
        return self

    @model_validator(mode="after")
    def _something_to_scale_on(self) -> Self:
        unmeasured = not self.scaling.horizontal.metrics and self.scaling.mode is not Mode.VERTICAL
        if unmeasured and self.image is not None and "cpu" not in self.resources.requests:
            raise ValueError(
                "scaling.horizontal.metrics is empty and resources.requests.cpu is not set; "
                "add a metric, or a CPU request to derive one from"
            )
        return self

    @cached_property
    def entry_point(self) -> Ingress | Route | None:
        """What exposes the app: nothing, unless the spec says where it is to be found.

        An Ingress without a host would answer for every host that nobody else has, so it takes a host to get one.
        """
        if self.route:
            return self.route
        return self.ingress if self.ingress and self.ingress.enabled and self.ingress.host else None

    @property
    def during_rollout(self) -> DuringRollout:
        """What happens to the replicas during a rollout: as stated, or by the kind of the workload."""
        usual = DuringRollout.UP_ONLY if self.target_ref and self.target_ref.is_argo_rollout else DuringRollout.HOLD
        return self.scaling.during_rollout or usual

    @property
    def shapes_pods(self) -> bool:
        """Whether the spec has parts that the API server alone can judge."""
        return self.pod_template is not None or self.mounts != ()

    @property
    def objective(self) -> LatencyObjective | None:
        """The app's latency goal; None in mode Vertical, which leaves replicas alone."""
        return None if self.scaling.mode is Mode.VERTICAL else self.scaling.horizontal.objective

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics to scale on: the user's, or HPA's default of 80 % of the CPU request.

        The default is taken from the spec's request once and is absolute, so that a later change of
        the pods' requests does not move the signal. None in mode Vertical, which leaves replicas alone.
        """
        if self.scaling.mode is Mode.VERTICAL:
            return ()
        if self.scaling.horizontal.metrics:
            return self.scaling.horizontal.metrics
        cores = 0.8 * parse_quantity(canonical_quantity(self.resources.requests["cpu"]))
        return (Metric(type=MetricType.CPU, target=f"{max(1, round(cores * 1000))}m"),)


# What else a target cannot have: it all says how an app is deployed.
OF_AN_IMAGE = frozenset(
    to_camel(name)
    for name in ScalableAppSpec.model_fields
    if name not in ("image", "target_ref", "replicas", "monitoring", "scaling")
)
# Of spec.monitoring, how pods are annotated.
OF_SCRAPING = frozenset({"scrape", "path"})
# Their defaults are the operator's: the API server could not tell one from a field stated beside targetRef.
WITHOUT_DEFAULTS = OF_AN_IMAGE | {"monitoring"}


def parse_spec(raw: Mapping[str, Any]) -> ScalableAppSpec:
    """The spec of a ScalableApp as the API server holds it.

    Raises SpecError that names every wrong field and how to fix it.
    """
    if problem := size_problem(raw):
        raise SpecError((problem,))
    try:
        spec = ScalableAppSpec.model_validate(raw)
    except ValidationError as error:
        raise SpecError(tuple(_problem(entry) for entry in error.errors(include_url=False)[:_MOST_PROBLEMS])) from error
    if halves := tuple(_half_characters(raw, "spec")):
        raise SpecError(halves)
    return spec


_SURROGATE = re.compile("[\ud800-\udfff]")


def _half_characters(value: object, path: str) -> Iterator[FieldProblem]:
    """Texts with half of a surrogate pair: JSON can escape one, but nothing that is written in UTF-8 can hold it."""
    if isinstance(value, str) and _SURROGATE.search(value):
        yield FieldProblem(path, f"{_short(value)} has half of a surrogate pair, which is no character", "remove it")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _half_characters(name, path)
            yield from _half_characters(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _half_characters(inner, f"{path}[{index}]")


_FIXES = {
    "missing": "add it",
    "extra_forbidden": "remove it or correct its name",
}


# What authors write may stand in messages.
_LONGEST, _MOST_PROBLEMS = 500, 10


def _problem(entry: Any) -> FieldProblem:
    location = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in entry["loc"])
    message = entry["msg"].removeprefix("Value error, ")
    problem, _, fix = (message if len(message) <= _LONGEST else f"{message[:_LONGEST]}...").partition("; ")
    given = "" if entry["type"] in ("missing", "value_error") else f" (it is {_short(entry['input'])})"
    return FieldProblem(
        f"spec{location}",
        f"{problem}{given}",
        fix or _FIXES.get(entry["type"], "correct it: kubectl explain sapp.spec"),
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
