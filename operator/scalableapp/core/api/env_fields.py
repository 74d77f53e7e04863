"""Fields of the spec for environment variables, as in a pod (core/v1), each with a largest size."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from scalableapp.core.api.fields import Model, QualifiedName, Quantity

# Names of objects and keys in them, as the API server bounds them.
_Name = Annotated[str, Field(max_length=253)]


class KeyRef(Model):
    """A key of a ConfigMap or Secret in the app's namespace."""

    name: _Name | None = Field(None, description="Name of the object.")
    key: _Name = Field(description="Key in it.")
    optional: bool | None = Field(None, description="Whether pods start without the object or the key.")


class FieldRef(Model):
    """A field of the pod."""

    api_version: str | None = Field(None, max_length=63, description="Version of the field's schema. Defaults to v1.")
    field_path: str = Field(max_length=512, description="Path of the field, such as metadata.name.")


class ResourceFieldRef(Model):
    """A request or limit of a container."""

    container_name: str | None = Field(None, max_length=63, description="Name of the container.")
    resource: QualifiedName = Field(description="Resource, such as limits.cpu.")
    divisor: Quantity | None = Field(None, description="Unit of the value. Defaults to 1.")


class ValueFrom(Model):
    """Where a variable's value comes from: one of these."""

    config_map_key_ref: KeyRef | None = Field(None, description="A key of a ConfigMap.")
    secret_key_ref: KeyRef | None = Field(None, description="A key of a Secret.")
    field_ref: FieldRef | None = Field(None, description="A field of the pod.")
    resource_field_ref: ResourceFieldRef | None = Field(None, description="A request or limit of a container.")


class EnvVar(Model):
    """One environment variable of the app's container."""

    name: str = Field(min_length=1, max_length=256, description="Name of the variable.")
    value: str | None = Field(None, max_length=32768, description="Its value as plain text.")
    value_from: ValueFrom | None = Field(None, description="Source of the value, as in a pod.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError(f"{self.name} has both value and valueFrom; keep one of them")
        return self


class ObjectRef(Model):
    """A ConfigMap or Secret in the app's namespace."""

    name: _Name | None = Field(None, description="Name of the object.")
    optional: bool | None = Field(None, description="Whether pods start without the object.")


class EnvFrom(Model):
    """A ConfigMap or Secret whose keys become environment variables."""

    prefix: str | None = Field(None, max_length=256, description="Text in front of each key.")
    config_map_ref: ObjectRef | None = Field(None, description="The ConfigMap.")
    secret_ref: ObjectRef | None = Field(None, description="The Secret.")


def as_in_a_pod(field: Model) -> dict[str, Any]:
    """The field as it stands in the spec of a pod."""
    return field.model_dump(by_alias=True, exclude_none=True)
