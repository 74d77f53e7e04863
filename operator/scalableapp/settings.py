"""Settings of the operator's process: read once from the environment, typed, frozen."""

from typing import Annotated, Literal

from pydantic import Field, HttpUrl, UrlConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scalableapp.core.address import address, printable_address
from scalableapp.core.api.presets import AUTO
from scalableapp.core.children.redis import IMAGE
from scalableapp.errors import SettingsError

_PREFIX = "SCALABLEAPP_"

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """Settings of the operator's process, each an environment variable SCALABLEAPP_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    prometheus_url: Annotated[HttpUrl, UrlConstraints(max_length=2048)] = Field(
        HttpUrl("http://prometheus.scalableapp-system.svc:9090"),
        description="URL of the Prometheus that has the apps' metrics. A path and parameters are kept; a password is "
        "rejected.",
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
    log_format: Literal["json", "plain"] = Field("json", description="Format of the log: json or plain.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Minimum log level.")

    @field_validator("prometheus_url", mode="before")
    @classmethod
    def _is_an_address(cls, value: object) -> object:
        if isinstance(value, str):
            address(value)
        return value

    @field_validator("namespaces", mode="before")
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
