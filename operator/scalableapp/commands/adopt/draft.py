"""What is converted of a workload's autoscalers, and what is not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError

from scalableapp.core.api.metrics import Metric

Fields = dict[str, Any]
_LONGEST_VALUE = 80


class Left(NamedTuple):
    """A field that has no counterpart, its value, and why it has none or what to do instead."""

    field: str
    value: str
    why: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= _LONGEST_VALUE else f"{self.value[: _LONGEST_VALUE - 3]}..."
        return f"{self.field} {value}: {self.why}" if value else f"{self.field}: {self.why}"


@dataclass
class Draft:
    """A ScalableApp in the making. `source` is the object that it comes from: "hpa/web".

    `scaling` holds fields of spec.scaling, `horizontal` those of spec.scaling.horizontal; `pinned` is spec.replicas.
    """

    source: str = ""
    scaling: Fields = field(default_factory=dict)
    horizontal: Fields = field(default_factory=dict)
    metrics: list[Fields] = field(default_factory=list)
    schedules: list[Fields] = field(default_factory=list)
    pinned: int | None = None
    left: list[Left] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave(self, path: str, value: object, why: str) -> None:
        """Name a field of the source that has no counterpart."""
        self.left.append(Left(f"{self.source} {path}", one_line(value), why))

    def add_metric(self, path: str, value: object, metric: Mapping[str, Any]) -> None:
        """Take a metric over, under a name of its own, or name the field that it comes from where it is not valid."""
        fields = dict(metric)
        label = fields.get("name") or fields["type"]
        taken = {other.get("name") or other["type"] for other in self.metrics}
        if label in taken:
            fields["name"] = next(name for n in range(2, 99) if (name := f"{label}-{n}") not in taken)
        try:
            taken_over = Metric.model_validate(fields)
        except ValidationError as error:
            self.leave(path, value, problem_of(error))
        else:
            self.metrics.append(taken_over.model_dump(mode="json", by_alias=True, exclude_unset=True))


def problem_of(error: ValueError) -> str:
    """What is wrong, in the words of the spec's own rules."""
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return str(error)


def one_line(value: object) -> str:
    """A value without line breaks."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())
