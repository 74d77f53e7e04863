import copy
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.crd import crd, spec_schema, status_schema
from scalableapp.core.api.spec import WITHOUT_DEFAULTS, parse_spec
from scalableapp.core.quantity import parse_quantity, percent_of

ROOT = Path(__file__).resolve().parents[4]
UNTYPED = "x-kubernetes-preserve-unknown-fields"


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")


ALL = [*nodes(spec_schema(), "spec"), *nodes(status_schema(), "status")]


def defaulted(value: Any, schema: dict[str, Any]) -> Any:
    """What the API server stores: defaults filled in from the parents downwards."""
    if isinstance(value, dict) and "properties" in schema:
        filled = copy.deepcopy({k: p["default"] for k, p in schema["properties"].items() if "default" in p}) | value
        return {name: defaulted(item, schema["properties"].get(name, {})) for name, item in filled.items()}
    if isinstance(value, list):
        return [defaulted(item, schema.get("items", {})) for item in value]
    return value


def test_the_committed_crd_is_current() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "generate_crd.py"))
    for path, text in tool["rendered"]().items():
        assert path.read_text() == text, "run `make crds` and commit the result"


def test_the_names_are_the_fixed_ones() -> None:
    names = crd()["spec"]["names"]
    assert crd()["metadata"]["name"] == "scalableapps.scalableapp.io"
    assert (names["kind"], names["plural"], names["shortNames"]) == ("ScalableApp", "scalableapps", ["sapp"])
    assert [version["name"] for version in crd()["spec"]["versions"]] == ["v1alpha1"]


@pytest.mark.parametrize(
    ("path", "schema"),
    [(path, node) for path, node in ALL if not path.endswith((".*", "[]"))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_field_is_described(path: str, schema: dict[str, Any]) -> None:
    assert re.match(r"^[A-Z].+\.$", schema.get("description", "")), path


def test_every_node_is_structural() -> None:
    for path, schema in ALL:
        assert not {"$ref", "anyOf", "allOf", "const", "title"} & schema.keys(), path
        assert ("type" in schema) or schema.get(UNTYPED), path
        assert not {"properties", "additionalProperties"} <= schema.keys(), path
        assert schema.get("default", 0) is not None, path


def test_the_defaults_of_an_image_alone_are_those_of_the_models() -> None:
    stored = defaulted({"image": "app:1"}, spec_schema())
    made = parse_spec({"image": "app:1"}).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert stored == {name: value for name, value in made.items() if name not in WITHOUT_DEFAULTS}


def test_a_metric_gets_its_defaults_inside_a_list() -> None:
    metrics = [{"type": "CPU", "target": "300m"}]
    stored = defaulted({"image": "a", "scaling": {"horizontal": {"metrics": metrics}}}, spec_schema())
    assert stored["scaling"]["horizontal"]["metrics"][0]["targetType"] == "AverageValue"
    assert stored["scaling"]["horizontal"]["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_whole_numbers_have_bounds() -> None:
    unbounded = [
        path
        for path, schema in nodes(spec_schema(), "spec")
        if schema.get("type") == "integer" and not {"minimum", "maximum"} <= schema.keys()
    ]
    assert unbounded == []


def test_lists_maps_and_texts_have_a_largest_size() -> None:
    endless = [
        path
        for path, schema in nodes(spec_schema(), "spec")
        if "enum" not in schema and not _bounds_of(schema) <= schema.keys()
    ]
    assert endless == []


def _bounds_of(schema: dict[str, Any]) -> set[str]:
    """The fields that bound what a node may hold; all where it has no type."""
    if schema.get(UNTYPED) and "type" not in schema:
        return {"maxItems", "maxProperties", "maxLength"}
    bounds = {"array": {"maxItems"}, "string": {"maxLength"}}
    if {"additionalProperties", UNTYPED} & schema.keys():
        return {"maxProperties"}
    return bounds.get(schema.get("type", ""), set())


def test_nothing_may_be_nested_without_end() -> None:
    """A pod's fields may be, and are bounded by the operator."""
    nested = [path for path, schema in nodes(spec_schema(), "spec") if schema.get(UNTYPED) and "type" in schema]
    assert nested == ["spec.podTemplate.spec"]


def quantity_node(*path: str) -> dict[str, Any]:
    node = spec_schema()
    for name in path:
        node = node["items"] if name == "[]" else node["properties"][name]
    return node


TARGET = quantity_node("scaling", "horizontal", "metrics", "[]", "target")
TOLERANCE = quantity_node("scaling", "horizontal", "behavior", "scaleUp", "tolerance")


@pytest.mark.parametrize("text", ["50", "0.5", ".5", "5.", "300m", "1e3", "1E3", "200Mi", "2G", "+1", "1n", "2u"])
def test_a_quantity_as_text_is_accepted(text: str) -> None:
    assert re.search(TARGET["pattern"], text)
    assert parse_quantity(text) > 0


@pytest.mark.parametrize(
    "text", ["", "fast", "%", "5 %", "1 Gi", "-1", "5KI", "1e", "1mi", "0x10", "1,5", "1Gi\n", "Inf"]
)
def test_what_is_no_positive_quantity_is_refused_as_text(text: str) -> None:
    assert not re.fullmatch(TARGET["pattern"].removesuffix("$"), text)


@pytest.mark.parametrize("text", ["60%", "7.5%", "120%"])
def test_a_target_may_be_a_percentage_and_no_other_quantity_may(text: str) -> None:
    assert re.search(TARGET["pattern"], text)
    assert not re.search(TOLERANCE["pattern"], text)
    assert percent_of(text) == float(text[:-1])


@given(st.from_regex(re.compile(TOLERANCE["pattern"].removesuffix("$"), re.ASCII), fullmatch=True))
def test_the_operator_reads_every_quantity_that_the_crd_lets_pass_and_kubernetes_can_hold(text: str) -> None:
    try:
        parse_quantity(text)
    except ValueError as error:
        assert len(text) > 64 or "is outside of what a quantity can hold" in str(error)  # noqa: PT017 - either will do


@given(st.text("0123456789.eE+-numkMGTPi", max_size=8))
def test_the_crd_lets_every_quantity_pass_that_the_operator_reads(text: str) -> None:
    try:
        parse_quantity(text)
    except ValueError:
        return
    assert re.search(TOLERANCE["pattern"], text)


def test_a_quantity_may_be_a_bare_number_because_yaml_has_no_quotes_there() -> None:
    assert "type" not in TARGET
    assert TARGET[UNTYPED] is True
    assert (TARGET["minimum"], TARGET["exclusiveMinimum"]) == (0, True)


def test_the_scale_subresource_points_at_fields_that_exist() -> None:
    scale = crd()["spec"]["versions"][0]["subresources"]["scale"]
    properties = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for path in scale.values():
        _, section, field = path.split(".")
        assert field in properties[section]["properties"]


def test_the_columns_are_the_promised_ones_in_order() -> None:
    columns = crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    usual = [column["name"] for column in columns if column["priority"] == 0]
    assert usual == ["Mode", "Replicas", "Desired", "Min", "Max", "Metric", "Target", "Ready", "Reason", "Age"]
    assert [column["name"] for column in columns if column["priority"] == 1] == ["CPU", "Memory", "URL", "Decision"]
