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

from scalableapp.core.api.budget import size_problem
from scalableapp.core.api.env_fields import EnvFrom, EnvVar
from scalableapp.core.api.fields import MOST_REPLICAS, Model, Path, ResourceMap
from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.objective_fields import LatencyObjective
from scalableapp.core.api.routing_fields import Ingress, Route
from scalableapp.core.api.scaling import Mode, Scaling
from scalableapp.core.quantity import canonical_quantity, parse_quantity
from scalableapp.core.size import Amount
from scalableapp.errors import FieldProblem, SpecError

Argument = Annotated[str, Field(max_length=16384)]
# User and group IDs, as the API server takes them.
MOST_ID = 2**31 - 1


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


class Health(Model):
    """Paths of the kubelet's liveness and readiness probes."""

    liveness_path: Path = Field("/healthz", description="HTTP path that answers 200 while the process works.")
    readiness_path: Path = Field("/readyz", description="HTTP path that answers 200 while the pod can serve requests.")


class SecurityContext(Model):
    """The user that the app runs as. Pods always meet the restricted Pod Security Standard: it is never root."""

    run_as_user: int | None = Field(
        None,
        ge=1,
        le=MOST_ID,
        description="User ID. Defaults to the image's own. Needed if the image names its user or has none: the kubelet "
        "cannot verify that a named user is not root, and does not start it (CreateContainerConfigError).",
    )
    run_as_group: int | None = Field(None, ge=0, le=MOST_ID, description="Group ID. Defaults to the image's own.")
    fs_group: int | None = Field(
        None, ge=0, le=MOST_ID, description="Group that owns volumes, so that the user may write to them."
    )
    read_only_root_filesystem: bool = Field(
        True, description="Whether the app may write to /tmp only. Set it to false for an image that writes elsewhere."
    )


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
    """What you write: an image and how to scale it."""

    image: str = Field(min_length=1, max_length=1024, pattern=r"^\S+$", description="Container image of the app.")
    port: int = Field(8000, ge=1, le=65535, description="TCP port on which the app serves HTTP.")
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
        if unmeasured and "cpu" not in self.resources.requests:
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
