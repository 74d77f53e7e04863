"""How large a ScalableApp may be: the operator holds the specs of all tenants' apps in one memory.

The CRD bounds each field, but not their sum, and an older CRD may have let in what the present one refuses.
"""

import json
from collections.abc import Mapping
from typing import Any

from scalableapp.errors import FieldProblem

# Two of the longest values of a variable; an ordinary spec has less than 4 KiB.
MOST_SPEC_BYTES = 65_536


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
        "move long texts to a ConfigMap, and use envFrom or mount it in the image's own way",
    )
