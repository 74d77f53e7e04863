"""Settings of the operator's process: read once from the environment, typed, frozen."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, UrlConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scalableapp.core.address import address, printable_address
from scalableapp.core.api.presets import AUTO
from scalableapp.core.children.pod_policy import PodTemplatePolicy
from scalableapp.core.children.redis import IMAGE
from scalableapp.errors import SettingsError

_PREFIX = "SCALABLEAPP_"

Port = Annotated[int, Field(ge=1, le=65535)]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class Settings(BaseSettings):
    """Settings of the operator's process, each an environment variable SCALABLEAPP_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    prometheus_url: Annotated[HttpUrl, UrlConstraints(max_length=2048)] = Field(
        HttpUrl("http://prometheus.scalableapp-system.svc:9090"),
        description="URL of the Prometheus that has the apps' metrics. A path and parameters are kept; a password is "
        "rejected.",
    )
    prometheus_config: Path | None = Field(
        None,
        description="File that states the connection to Prometheus, with credentials, TLS and headers (see "
        "[prometheus.md](prometheus.md)). It takes the place of `SCALABLEAPP_PROMETHEUS_URL`.",
    )
    query_namespace_labels: Annotated[tuple[LabelName, ...], NoDecode] = Field(
        ("namespace",),
        min_length=1,
        description="Labels that name the namespace of a series in users' queries, comma-separated. Each selector has "
        "to match one of them with the app's namespace.",
    )
    query_scope: Literal["Namespace", "Any"] = Field(
        "Namespace", description="What users' queries may select: series of the app's namespace, or any series."
    )
    interval_seconds: float = Field(5.0, ge=1, le=300, description="Seconds between two evaluations of all apps.")
    namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Namespaces to watch, comma-separated. Empty: all."
    )
    lease_namespace: str = Field("scalableapp-system", min_length=1, description="Namespace of the operator's Lease.")
    metrics_port: Port = Field(8080, description="Port of the operator's own metrics.")
    liveness_port: Port = Field(8081, description="Port of the operator's liveness probe, /healthz.")
    workers: int = Field(8, ge=1, le=64, description="Number of apps reconciled concurrently.")
    requests: str = Field(
        AUTO,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="Request source of apps that name none in spec.monitoring.requests. auto: the one whose metrics "
        "the app's pods serve.",
    )
    redis_image: str = Field(
        IMAGE, min_length=1, pattern=r"^\S+$", description="Redis image for apps with cache.backend Redis."
    )
    pod_template: PodTemplatePolicy | None = Field(
        None,
        description="What authors may give their pods. All: whatever the API server takes. Safe: no more than the "
        "baseline Pod Security Standard, no service account but default, and no token. Off: as Safe, without "
        "spec.podTemplate. Default: Safe if namespaces is set, else All.",
    )
    log_format: Literal["json", "plain"] = Field("json", description="Format of the log: json or plain.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Minimum log level.")

    @property
    def pod_policy(self) -> PodTemplatePolicy:
        """`pod_template`, or its default. Whoever serves some namespaces only is trusted less with the cluster."""
        return self.pod_template or (PodTemplatePolicy.SAFE if self.namespaces else PodTemplatePolicy.ALL)

    @field_validator("prometheus_url", mode="before")
    @classmethod
    def _is_an_address(cls, value: object) -> object:
        if isinstance(value, str):
            address(value)
        return value

    @field_validator("prometheus_config", mode="before")
    @classmethod
    def _or_none(cls, value: object) -> object:
        return value or None

    @field_validator("namespaces", "query_namespace_labels", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def load_settings() -> Settings:
    """Settings from the environment. Raises SettingsError that names every wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"{_variable(entry['loc'])}={_shown(entry['input'])!r}: {entry['msg']}" for entry in error.errors()]
    # Outside of the block, as pydantic's error contains any password in an address.
    raise SettingsError(f"Invalid settings in the environment: {'; '.join(problems)}")


def _shown(value: object) -> object:
    return printable_address(value) if isinstance(value, str) else value


def _variable(location: tuple[int | str, ...]) -> str:
    return f"{_PREFIX}{str(location[0]).upper()}"
