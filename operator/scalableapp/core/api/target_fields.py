"""`spec.targetRef`: an existing workload that is scaled, in place of an image that the operator deploys."""

from typing import Annotated

from pydantic import Field

from scalableapp.core.api.fields import Model

ApiVersion = Annotated[
    str, Field(min_length=2, max_length=317, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+$")
]
Kind = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
_OUR_KIND, _ARGO_GROUP = "ScalableApp", "argoproj.io"


class TargetRef(Model):
    """An existing workload in the namespace of the ScalableApp, of any kind that has a scale subresource."""

    api_version: ApiVersion = Field(description="API version of the workload, such as apps/v1.")
    kind: Kind = Field(description="Kind of the workload, such as Deployment or StatefulSet.")
    name: ObjectName = Field(description="Name of the workload.")

    @property
    def group(self) -> str:
        """The API group; "" for the core's."""
        return self.api_version.rpartition("/")[0]

    @property
    def is_scalable_app(self) -> bool:
        """Whether it is a ScalableApp, which scales itself."""
        return self.kind == _OUR_KIND

    @property
    def is_stateful_set(self) -> bool:
        """Whether its pods have names and volumes of their own."""
        return (self.group, self.kind) == ("apps", "StatefulSet")

    @property
    def is_argo_rollout(self) -> bool:
        """Whether it is a Rollout of Argo Rollouts, whose canaries may last for hours."""
        return (self.group, self.kind) == (_ARGO_GROUP, "Rollout")

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
