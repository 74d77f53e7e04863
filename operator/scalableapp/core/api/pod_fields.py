"""Fields of the spec for what pods are allowed, mount and answer: each stands for a few lines of spec.podTemplate."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from scalableapp.core.api.fields import Model, Path, PositiveQuantity

# User and group IDs, as the API server takes them.
MOST_ID = 2**31 - 1
# Names of objects, as the API server bounds them.
Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Probes(StrEnum):
    """How the kubelet asks the app."""

    HTTP = "HTTP"
    NONE = "None"


class Scheme(StrEnum):
    """Scheme of the kubelet's requests."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class Header(Model):
    """A header of the kubelet's requests."""

    name: str = Field(max_length=256, pattern=r"^[-A-Za-z0-9_]+$", description="Name of the header, such as Host.")
    value: str = Field(max_length=1024, description="Its value.")


class Health(Model):
    """The kubelet's probes: start-up, liveness and readiness."""

    type: Probes = Field(
        Probes.HTTP,
        description="HTTP: the kubelet sends GET requests. None: the app has no probes, and its pods count as ready "
        "once their process runs.",
    )
    liveness: Probes = Field(
        Probes.HTTP, description="None: the kubelet never restarts an app that has started but no longer answers."
    )
    liveness_path: Path = Field("/healthz", description="HTTP path that answers 200 while the process works.")
    readiness_path: Path = Field("/readyz", description="HTTP path that answers 200 while the pod can serve requests.")
    port: Port | None = Field(
        None, description="Port of the probes, such as 8081 for Spring's management port. Defaults to spec.port."
    )
    scheme: Scheme = Field(Scheme.HTTP, description="HTTP or HTTPS; the certificate is not verified.")
    headers: tuple[Header, ...] = Field(
        (),
        max_length=16,
        description="Headers of the requests. Without a header Host, they name the pod's IP address as their host, "
        "which Django's ALLOWED_HOSTS and Rails' hosts refuse.",
    )
    startup_seconds: int = Field(
        120, ge=1, le=3600, description="Seconds that the app may take to start before the kubelet restarts it."
    )


class SecurityContext(Model):
    """The user that the app runs as."""

    run_as_user: int | None = Field(
        None,
        ge=1,
        le=MOST_ID,
        description="User ID. Defaults to the image's own. Needed if the image names its user or has none: the kubelet "
        "cannot verify that a named user is not root, and does not start it (CreateContainerConfigError).",
    )
    run_as_group: int | None = Field(None, ge=0, le=MOST_ID, description="Group ID. Defaults to the image's own.")
    run_as_non_root: bool = Field(
        True,
        description="Whether the kubelet refuses to start an image whose user is root. Pods with false do not meet the "
        "restricted Pod Security Standard, only baseline.",
    )
    fs_group: int | None = Field(
        None, ge=0, le=MOST_ID, description="Group that owns volumes, so that the user may write to them."
    )
    read_only_root_filesystem: bool = Field(
        True,
        description="Whether the app may write to /tmp and mounts only. Set it to false for an image that writes "
        "elsewhere.",
    )


class PullSecret(Model):
    """A Secret for a registry that requires a login."""

    name: Name = Field(description="Name of the Secret, of type kubernetes.io/dockerconfigjson.")


class EmptyDir(Model):
    """An empty folder of the pod's own, that ends with the pod."""

    size_limit: PositiveQuantity | None = Field(
        None, description="Maximum size; a pod that exceeds it is evicted. Without it, the node's disk is the limit."
    )


class Mount(Model):
    """A folder in the app's container."""

    path: str = Field(max_length=512, pattern=r"^/[^:\s]*$", description="Path of the folder.")
    config_map: Name | None = Field(
        None, description="Name of a ConfigMap whose keys become files. A change of its content starts a rollout."
    )
    secret: Name | None = Field(
        None,
        description="Name of a Secret whose keys become files. A change of it starts a rollout if the operator may "
        "list Secrets, which it may not by default (component rollout-on-secrets); else running pods get the new files "
        "within minutes, and nothing is restarted.",
    )
    empty_dir: EmptyDir | None = Field(
        None, description="An empty folder that ends with the pod. At /tmp, it replaces the one of 128Mi."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [source for source in (self.config_map, self.secret, self.empty_dir) if source is not None]
        if len(given) != 1:
            raise ValueError(f"{self.path} has {len(given)} sources; set exactly one of configMap, secret and emptyDir")
        return self
