"""The CRD's rules across fields, by another implementation of CEL; tests/cluster/test_crd.py asks the API server."""

import re
from collections.abc import Iterator
from typing import Any

import cel
import pytest

from scalableapp.core.api.crd import crd
from scalableapp.core.api.crd_rules import RULES
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import cache_name_problem
from scalableapp.core.model import AppKey
from scalableapp.errors import SpecError
from tests.spec_cases import BAD, GOOD, Spec, app
from tests.unit.core.api.test_crd import defaulted, nodes

ROOT = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def at(value: Any, path: str) -> Iterator[Any]:
    """What there is in an object at the path of a rule."""
    name, _, rest = path.partition(".")
    field = name.removesuffix("[]")
    if not path:
        yield value
    elif field in value:
        for item in value[field] if name.endswith("[]") else [value[field]]:
            yield from at(item, rest)


def broken(spec: Spec, name: str = "web") -> list[str]:
    """Messages of the rules that an app with this spec breaks."""
    stored = defaulted({"metadata": {"name": name}, "spec": spec}, ROOT)
    return [
        rule.message
        for path, rules in RULES.items()
        for found in at(stored, path)
        for rule in rules
        if not cel.evaluate(rule.holds, {"self": found})
    ]


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_passes_the_cluster_and_the_operator(spec: Spec) -> None:
    assert broken(spec) == []
    parse_spec(spec)


@pytest.mark.parametrize(("spec", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_refused_by_the_cluster_and_the_operator(spec: Spec, message: str) -> None:
    (found,) = broken(spec)
    assert found.startswith(message)
    with pytest.raises(SpecError):
        parse_spec(spec)


@pytest.mark.parametrize(
    ("backend", "length", "message"),
    [("Redis", 57, []), ("Redis", 58, ["the name is too long for an app with a Redis"]), ("Memory", 63, [])],
)
def test_an_app_with_a_redis_leaves_room_for_its_name(backend: str, length: int, message: list[str]) -> None:
    spec = app(cache={"backend": backend})
    assert [found.partition(";")[0] for found in broken(spec, "a" * length)] == message
    problem = cache_name_problem(AppKey("shop", "a" * length), parse_spec(spec))
    assert bool(problem) == bool(message)


MESSAGES = [rule.message for rules in RULES.values() for rule in rules]


@pytest.mark.parametrize("message", MESSAGES)
def test_every_rule_has_a_case_that_breaks_it_and_says_what_to_do(message: str) -> None:
    starts = [start for _, start in BAD.values()] + ["the name is too long"]
    assert any(message.startswith(start) for start in starts)
    assert ";" in message


SCHEMAS = dict(nodes(ROOT, ""))


def unsure_fields(path: str, holds: str) -> Iterator[str]:
    """What a rule reads although an object may be without it when its defaults are filled in."""
    places = {"self": f".{path}" if path else ""}
    lists = re.findall(r"self\.(\w+(?:\.\w+)*)\.\w+\((\w+), ", holds)
    places |= {item: f"{places['self']}.{each}[]" for each, item in lists}
    for start, fields in re.findall(r"\b(\w+)\)?((?:\.\w+\b(?!\())+)", holds):
        place = places[start]
        for field in fields.split(".")[1:] if not fields.startswith(".metadata.") else ():
            holder, place = SCHEMAS[place], f"{place}.{field}"
            if "default" not in SCHEMAS[place] and field not in holder.get("required", ()):
                yield field


@pytest.mark.parametrize(
    ("path", "holds"), [(path, rule.holds) for path, rules in RULES.items() for rule in rules], ids=MESSAGES
)
def test_a_rule_asks_first_whether_there_is_what_may_be_absent(path: str, holds: str) -> None:
    for field in unsure_fields(path, holds):
        assert re.search(rf"has\([\w.()]+\.{field}\)", holds), field
