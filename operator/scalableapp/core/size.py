"""The size of a pod: requests and limits of its app container. CPU in cores (float), memory in bytes (int)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from scalableapp.core.quantity import canonical_quantity, format_cpu, parse_quantity

MEBIBYTE = 2**20
# What people read: sizes are multiples of these.
CPU_STEP = 0.01
MEMORY_STEP = MEBIBYTE


class Resource(StrEnum):
    """What vertical scaling sizes."""

    CPU = "cpu"
    MEMORY = "memory"


class Resize(StrEnum):
    """Where the resize of a pod in place stands: nothing left to do, under way, waiting for room, or refused."""

    DONE = "Done"
    IN_PROGRESS = "InProgress"
    DEFERRED = "Deferred"
    INFEASIBLE = "Infeasible"
    FAILED = "Error"


class Amount(NamedTuple):
    """Request and limit of one resource; None where none is set."""

    request: float | None = None
    limit: float | None = None


_NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class Size:
    """Requests and limits of the app's container."""

    cpu: Amount = _NOTHING
    memory: Amount = _NOTHING

    def of(self, resource: Resource) -> Amount:
        """The amount of one resource."""
        return self.cpu if resource is Resource.CPU else self.memory

    def having(self, resource: Resource, amount: Amount) -> "Size":
        """This size with another amount of one resource."""
        return replace(self, cpu=amount) if resource is Resource.CPU else replace(self, memory=amount)

    def __str__(self) -> str:
        return ", ".join(amount_text(resource, self.of(resource)) for resource in Resource)

    @property
    def guaranteed(self) -> bool:
        """Whether a pod of this size has the QoS class Guaranteed."""
        return all(amount.request is not None and amount.request == amount.limit for amount in (self.cpu, self.memory))


class SizeConflict(NamedTuple):
    """What else sets these resources of the app's container, and the message."""

    resources: frozenset[Resource]
    message: str


class SizeStep(NamedTuple):
    """One rule in a decision on the size: its name, and its message."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Sizing:
    """The size to have, and the chain that led there.

    `recommended` is what bounds and policies would allow at once. `limited` says whether a bound cut the need, `bound`
    which one keeps pods from what they need ("" for none), `active` whether the usage is used at all.
    """

    size_from: Size
    size_to: Size
    recommended: Size
    reason: str
    message: str
    steps: tuple[SizeStep, ...] = ()
    active: bool = True
    limited: bool = False
    bound: str = ""

    @property
    def changes(self) -> bool:
        """Whether the size changes."""
        return self.size_to != self.size_from

    @property
    def raises(self) -> bool:
        """Whether a request grows."""
        return self._moved(1)

    @property
    def cuts(self) -> bool:
        """Whether a request shrinks."""
        return self._moved(-1)

    def _moved(self, sign: int) -> bool:
        return any(
            sign * ((self.size_to.of(resource).request or 0) - (self.size_from.of(resource).request or 0)) > 0
            for resource in Resource
        )


def read_size(resources: Mapping[str, Any] | None) -> Size:
    """The size that `resources` of a container state; a limit without a request is the request, as the server has it.

    Raises ValueError when a quantity cannot be read.
    """
    stated = resources or {}
    requests, limits = stated.get("requests") or {}, stated.get("limits") or {}
    return Size(*(_read(resource, requests, limits) for resource in Resource))


def summed(sizes: Iterable[Size]) -> Size:
    """Of several containers; a resource that none states is none."""
    total = Size()
    for size in sizes:
        for resource in Resource:
            both = zip(total.of(resource), size.of(resource), strict=True)
            total = total.having(resource, Amount(*(a if b is None else (a or 0.0) + b for a, b in both)))
    return total


def _read(resource: Resource, requests: Mapping[str, Any], limits: Mapping[str, Any]) -> Amount:
    request, limit = requests.get(resource.value), limits.get(resource.value)
    parsed = Amount(*(None if text is None else parse_amount(resource, text) for text in (request, limit)))
    return parsed if parsed.request is not None else Amount(parsed.limit, parsed.limit)


def parse_amount(resource: Resource, text: str | float) -> float:
    """Cores, or whole bytes. Raises ValueError when `text` is no quantity."""
    value = parse_quantity(text)
    return value if resource is Resource.CPU else math.ceil(value)


def write_size(size: Size) -> dict[str, dict[str, str]]:
    """The size as `resources` of a container, in the server's own spelling; empty maps are left out."""
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for resource in Resource:
        for field, value in zip(("requests", "limits"), size.of(resource), strict=True):
            if value is not None:
                found[field][resource.value] = format_amount(resource, value)
    return {field: values for field, values in found.items() if values}


def size_fields(size: Size) -> dict[str, dict[str, str]]:
    """The size as status and `scalableapp decide` report it: {"cpu": {"request": "250m", "limit": "1"}, ...}."""
    found = {
        resource.value: {
            field: format_amount(resource, value)
            for field, value in zip(("request", "limit"), size.of(resource), strict=True)
            if value is not None
        }
        for resource in Resource
    }
    return {resource: values for resource, values in found.items() if values}


def size_from(fields: Mapping[str, Mapping[str, Any]]) -> Size:
    """The size in the form of `size_fields`. Raises ValueError when a quantity cannot be read."""
    kinds = ("request", "limit")
    maps = {f"{kind}s": {r: values[kind] for r, values in fields.items() if values.get(kind)} for kind in kinds}
    return read_size(maps)


@lru_cache(maxsize=4096)
def format_amount(resource: Resource, value: float) -> str:
    """Cores or bytes as the API server writes them back: "250m", "153Mi"."""
    if resource is Resource.CPU:
        return format_cpu(value)
    whole = math.ceil(value)
    return canonical_quantity(f"{whole // MEBIBYTE}Mi" if whole % MEBIBYTE == 0 else str(whole))


def amount_text(resource: Resource, amount: Amount) -> str:
    """An amount as text: "cpu 250m (limit 1)"."""
    request = "none" if amount.request is None else format_amount(resource, amount.request)
    limit = "no limit" if amount.limit is None else f"limit {format_amount(resource, amount.limit)}"
    return f"{resource.value} {request} ({limit})"


def rounded_up(resource: Resource, value: float) -> float:
    """The next multiple of 10m or 1Mi."""
    if resource is Resource.CPU:
        return round(math.ceil(round(value / CPU_STEP, 6)) * CPU_STEP, 3)
    return math.ceil(round(value / MEMORY_STEP, 6)) * MEMORY_STEP


def rounded_up_limit(resource: Resource, value: float) -> float:
    """The next multiple of 1m or 1Mi: limits keep their ratio to small requests better than steps of 10m do."""
    return (
        round(math.ceil(round(value * 1000, 6)) / 1000, 3) if resource is Resource.CPU else rounded_up(resource, value)
    )


def rounded_down(resource: Resource, value: float) -> float:
    """The multiple of 10m or 1Mi below, or the value itself where it is less than one of them."""
    if resource is Resource.CPU:
        return round(math.floor(round(value / CPU_STEP, 6)) * CPU_STEP, 3) or value
    return math.floor(value / MEMORY_STEP) * MEMORY_STEP or value
