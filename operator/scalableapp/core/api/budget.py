"""How large a ScalableApp may be: the operator holds the specs of all tenants' apps in one memory.

The CRD bounds each field, but not their sum, and an older CRD may have let in what the present one refuses.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalableapp.core.model import AppKey
from scalableapp.errors import FieldProblem

# Two of the longest values of a variable; an ordinary spec has less than 4 KiB.
MOST_SPEC_BYTES = 65_536
# What is held of an app beside its spec: children, three pods, history (benchmarks/memory.py).
APP_BYTES = 16_384
# The process itself takes 76 MiB, and answers of Prometheus need room: with 256 MiB 6,000 apps are counted as fitting.
SHARE_OF_MEMORY = 0.4


def size_of(value: object) -> int:
    """Bytes of a value as JSON. Raises RecursionError when it is nested too deeply."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass"))


def size_problem(raw: Mapping[str, Any]) -> FieldProblem | None:
    """What makes a spec too large to be held, if it is; the largest field is named."""
    try:
        size = size_of(raw)
    except RecursionError:
        return FieldProblem("spec", "it is nested too deeply to be read", "see kubectl explain sapp.spec")
    if size <= MOST_SPEC_BYTES:
        return None
    sizes = {field[:64]: size_of(value) for field, value in raw.items()}
    largest = max(sizes, key=lambda field: sizes[field])
    return FieldProblem(
        "spec",
        f"it has {size:,} bytes as JSON, of which {sizes[largest]:,} are in {largest}, and at most {MOST_SPEC_BYTES:,} "
        "are allowed",
        "move long texts to a ConfigMap and read them with envFrom, or into the image",
    )


@dataclass(slots=True)
class Budget:
    """The memory of all apps together in bytes, shared by namespace: of each its spec as JSON, and `each` for the rest.

    Once `most` is reached, only namespaces with less than an equal share of it may have more; so all of them never have
    more than twice as much.
    """

    most: int
    each: int = APP_BYTES
    _apps: dict[AppKey, int] = field(default_factory=dict)
    _namespaces: Counter[str] = field(default_factory=Counter)
    _total: int = 0

    def take(self, key: AppKey, raw: Mapping[str, Any]) -> FieldProblem | None:
        """Count the spec of an app in place of its former one, or say why it cannot be held."""
        self.release(key)
        if problem := size_problem(raw):
            return problem
        size = size_of(raw) + self.each
        held = self._namespaces[key.namespace] + size
        if self._total + size > self.most and held > self.most // len(self._namespaces.keys() | {key.namespace}):
            return FieldProblem(
                "spec",
                f"all ScalableApps take {self._total / 2**20:.0f} MiB of the operator's memory, of which "
                f"{held / 2**20:.1f} MiB would be for namespace {key.namespace}, and there are "
                f"{self.most / 2**20:.0f} MiB",
                "delete or shorten some of this namespace, then change this one so that it is read again",
            )
        self._apps[key] = size
        self._namespaces[key.namespace] += size
        self._total += size
        return None

    def release(self, key: AppKey) -> None:
        """The app is gone, or has another spec."""
        size = self._apps.pop(key, 0)
        self._total -= size
        self._namespaces[key.namespace] -= size
        if not self._namespaces[key.namespace]:
            del self._namespaces[key.namespace]
