"""Types of fields that the models of the spec share: quantities as text, paths, and a strict base model."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from scalableapp.core.quantity import parse_quantity, parse_target, percent_of

# No number that is a size, a rate or a price needs more.
LONGEST_QUANTITY = 32


def _quantity(text: str) -> str:
    parse_quantity(text)
    return text


def _positive(text: str) -> str:
    if parse_quantity(text) <= 0:
        raise ValueError(f"{text} is not greater than 0")
    return text


def _positive_target(text: str) -> str:
    percent = percent_of(text)
    if (parse_target(text) if percent is None else percent) <= 0:
        raise ValueError(f"{text} is not greater than 0")
    return text


def _not_negative(text: str) -> str:
    if parse_quantity(text) < 0:
        raise ValueError(f"{text} is less than 0")
    return text


def _as_text(value: object) -> object:
    """YAML writes 50 and 0.5 without quotes; a quantity is text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    BeforeValidator(_as_text),
    AfterValidator(_quantity),
    Field(max_length=LONGEST_QUANTITY, json_schema_extra={"format": "quantity"}),
]
PositiveQuantity = Annotated[
    str,
    BeforeValidator(_as_text),
    AfterValidator(_positive),
    Field(max_length=LONGEST_QUANTITY, json_schema_extra={"format": "positive-quantity"}),
]
# A quantity, for a latency a duration such as 250ms, for CPU and memory of a target a percentage of the request.
Target = Annotated[
    str,
    BeforeValidator(_as_text),
    AfterValidator(_positive_target),
    Field(max_length=LONGEST_QUANTITY, json_schema_extra={"format": "target"}),
]
NonNegativeQuantity = Annotated[
    str,
    BeforeValidator(_as_text),
    AfterValidator(_not_negative),
    Field(max_length=LONGEST_QUANTITY, json_schema_extra={"format": "quantity"}),
]
# HPA's bound is that of an int32; no cluster has as many pods as this.
MOST_REPLICAS = 100_000
Path = Annotated[str, Field(pattern=r"^/[^\s?#]*$", max_length=256)]
# A qualified name: a DNS name of 253 characters, a slash, and a name of 63.
LONGEST_NAME = 317
QualifiedName = Annotated[str, Field(max_length=LONGEST_NAME)]
ResourceMap = Annotated[dict[QualifiedName, PositiveQuantity], Field(max_length=8)]


class Model(BaseModel):
    """A part of the spec: camelCase outside, no unknown fields, never changed."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def changed(self, **fields: Any) -> Self:
        """A copy with other fields, unchecked, that has worked out nothing yet of what it derives from its fields."""
        copy = self.model_copy(update=fields)
        for derived in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[derived]
        return copy
