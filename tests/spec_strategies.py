"""Specs as the CRD's schema lets them through, whatever they mean. The rules across fields are not kept."""

import copy
from functools import reduce
from typing import Any

from hypothesis import strategies as st

from scalableapp.core.api.crd import spec_schema
from tests.spec_cases import GOOD, Spec, app

Schema = dict[str, Any]

UNTYPED = "x-kubernetes-preserve-unknown-fields"
TEXT = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    ["Hello 🌍", "\x00\x85\u2028", "- a: *b"]
)
NUMBERS = st.integers(0, 10**30) | st.floats(0, allow_infinity=False)
QUANTITIES = st.sampled_from(
    [
        *(
            "500u",
            "1n",
            "0.1n",
            "1e999",
            "1e-999",
            "1E999",
            "1e-9",
            "9223372036854775807",
            "9223372036854775808",
            "8Ei",
        ),
        *("7Ei", "1E", "+1", "1.", ".5", "1e3", "1E+3", "0.1u", "1n", "9" * 100, f"0.{'0' * 400}1", "1" * 5000, "0e0"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


def specs() -> st.SearchStrategy[Spec]:
    """An app that is right but for one or two of its fields, which hold anything that the schema accepts there."""
    schema = spec_schema()
    usual = st.sampled_from([*GOOD.values(), _SIZED]).map(copy.deepcopy)
    return st.tuples(usual, st.lists(_changes(schema), min_size=1, max_size=2)).map(lambda drawn: _merged(*drawn))


_SIZED = app(scaling={"mode": "Combined", "prices": {"cpuCoreHour": "0.04", "memoryGibibyteHour": "0.005"}}) | {
    "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
}


def _changes(schema: Schema) -> st.SearchStrategy[Spec]:
    """One field of the schema, at any depth, with a value."""
    leaves = list(_leaves(schema, ()))
    return st.sampled_from(leaves).flatmap(lambda leaf: values(leaf[1]).map(lambda value: _nested(leaf[0], value)))


def _leaves(schema: Schema, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Schema]]:
    if "properties" not in schema:
        return [(path, schema)]
    return [leaf for name, child in schema["properties"].items() for leaf in _leaves(child, (*path, name))]


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """What a structural schema accepts. Times of date-time are whole seconds in UTC."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if UNTYPED in schema:
        return (
            st.from_regex(schema["pattern"], fullmatch=True) | QUANTITIES | NUMBERS | JSON
            if "pattern" in schema
            else JSON
        )
    return _OF_TYPE[schema["type"]](schema)


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}Z".zfill(20))
    found = st.from_regex(schema["pattern"].replace("$", r"\Z")) if "pattern" in schema else TEXT
    return found.filter(lambda text: schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", 99999))


def _whole(schema: Schema) -> st.SearchStrategy[int]:
    least, most = schema.get("minimum"), schema.get("maximum")
    return st.integers(least, most) | st.sampled_from([bound for bound in (least, most) if bound is not None] or [0])


def _lists(schema: Schema) -> st.SearchStrategy[list[Any]]:
    items = values(schema["items"])
    return st.lists(items, min_size=schema.get("minItems", 0), max_size=min(3, schema.get("maxItems", 3)))


def _objects(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    if "additionalProperties" in schema:
        keys = st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]) | TEXT
        return st.dictionaries(keys, values(schema["additionalProperties"]), max_size=3)
    required = schema.get("required", ())
    fields = {name: values(child) for name, child in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(
        {name: value for name, value in fields.items() if name in required},
        optional={name: value for name, value in fields.items() if name not in required},
    )


_OF_TYPE = {
    "string": _texts,
    "integer": _whole,
    "number": lambda schema: st.floats(
        schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False
    ),
    "boolean": lambda _schema: st.booleans(),
    "array": _lists,
    "object": _objects,
}


def _nested(path: tuple[str, ...], value: Any) -> Any:
    return {path[0]: _nested(path[1:], value)} if path else value


def _merged(spec: Spec, changes: list[Spec]) -> Spec:
    return reduce(_overlaid, changes, spec)


def _overlaid(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{name: _overlaid(old.get(name), value) for name, value in new.items()}}
