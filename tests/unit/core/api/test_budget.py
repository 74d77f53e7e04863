"""How large the spec of an app, and those of all apps together, may be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.budget import MOST_SPEC_BYTES, SHARE_OF_MEMORY, Budget, size_of, size_problem
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.model import AppKey
from scalableapp.errors import SpecError
from tests.spec_cases import app


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        (app(args=["x" * 1_300_000]), "1,300,004 are in args"),
        (app(command=["é" * 40_000]), "are in command"),
        (app(env=[{"name": f"A{number}", "value": "x" * 32_768} for number in range(3)]), "are in env"),
        (app(ingress={"annotations": {"a": "x" * 70_000}}), "are in ingress"),
        (app(**{"y" * 70_000: 1}), "at most 65,536 are allowed"),
    ],
    ids=["one argument", "two bytes a character", "many variables", "annotations", "the name of a field"],
)
def test_a_spec_that_is_too_large_is_refused_and_its_largest_field_named(spec: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(spec)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_spec_of_the_largest_size_is_taken() -> None:
    spec = app(args=["x" * 16_000] * 4)
    spec["args"].append("x" * (MOST_SPEC_BYTES - size_of(spec) - 3))
    assert size_of(spec) == MOST_SPEC_BYTES
    assert parse_spec(spec).args[0] == "x" * 16_000


@pytest.mark.parametrize("depth", [100, 100_000])
def test_a_spec_that_is_nested_deeply_is_refused(depth: int) -> None:
    with pytest.raises(SpecError):
        parse_spec(app(env=[{"name": "A", "valueFrom": nested(depth)}]))


def test_an_error_never_repeats_what_is_long() -> None:
    spec = app(**{f"{'y' * 500}{number}": "x" * 1000 for number in range(40)}, image="a b" * 300)
    with pytest.raises(SpecError) as caught:
        parse_spec(spec)
    assert len(caught.value.problems) == 10
    assert len(str(caught.value)) < 3000


def key(namespace: str, name: str = "web") -> AppKey:
    return AppKey(namespace, name)


def sized(size: int) -> dict[str, str]:
    return {"a": "x" * (size - 8)}


def test_the_namespace_that_has_most_is_refused_more_and_the_others_are_not() -> None:
    budget = Budget(most=1000, each=0)
    assert size_of(sized(100)) == 100
    accepted = [budget.take(key("loud", str(number)), sized(100)) is None for number in range(12)]
    assert accepted == [True] * 10 + [False] * 2
    assert [budget.take(key("quiet", str(number)), sized(100)) is None for number in range(6)] == [True] * 5 + [False]


def test_a_refusal_names_the_namespace_and_what_to_do() -> None:
    budget = Budget(most=2 * 2**20, each=0)
    for number in range(40):
        problem = budget.take(key("loud", str(number)), sized(60_000))
    assert str(problem) == (
        "spec: all ScalableApps take 2 MiB of the operator's memory, of which 2.0 MiB would be for namespace loud, and "
        "there are 2 MiB; "
        "delete or shorten some of this namespace, then change this one so that it is read again"
    )


def test_what_is_gone_or_changed_makes_room() -> None:
    budget = Budget(most=1000, each=0)
    budget.take(key("shop"), sized(900))
    assert budget.take(key("shop", "api"), sized(200))
    assert budget.take(key("shop"), sized(700)) is None
    assert budget.take(key("shop", "api"), sized(200)) is None
    budget.release(key("shop"))
    assert budget.take(key("shop", "new"), sized(800)) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(8, 400)), max_size=60))
def test_all_together_never_hold_more_than_twice_the_budget(steps: list[tuple[int, int, int]]) -> None:
    budget, held = Budget(most=1000, each=0), dict[AppKey, int]()
    for namespace, name, size in steps:
        changed = key(str(namespace), str(name))
        held.pop(changed, None)
        if budget.take(changed, sized(size)) is None:
            held[changed] = size
    assert budget._total == sum(held.values()) <= 2 * 1000


def test_one_that_is_too_large_by_itself_counts_nothing() -> None:
    budget = Budget(most=1000, each=0)
    assert size_problem(sized(70_000)) == budget.take(key("shop"), sized(70_000))
    assert budget._total == 0


def test_many_small_apps_count_too() -> None:
    budget = Budget(most=10 * 1024, each=1000)
    accepted = [budget.take(key("loud", str(number)), sized(24)) is None for number in range(11)]
    assert accepted == [True] * 10 + [False]


def test_the_memory_of_the_manifest_is_enough_for_5000_ordinary_apps() -> None:
    budget = Budget(int(256 * 2**20 * SHARE_OF_MEMORY))
    raw = parse_spec(app()).model_dump(mode="json", by_alias=True)
    refused = [number for number in range(5000) if budget.take(key(f"team-{number % 100}", str(number)), raw)]
    assert refused == []
