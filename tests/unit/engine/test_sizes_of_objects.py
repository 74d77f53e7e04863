"""Of an object only what is used is held, whoever made it and however large."""

import copy
import json
import sys
from typing import Any

import pytest

from scalableapp.core.api.budget import MOST_SPEC_BYTES
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.model import AppKey
from scalableapp.engine.own_status import LONGEST_STATUS
from scalableapp.engine.record import LONGEST_CHILD, AppRecord
from scalableapp.engine.registry import Registry
from tests.unit.engine.world import NAMESPACE, SPEC, World, app_labels, with_spec

KEY = AppKey(NAMESPACE, "web")
MANY = "x" * 1_300_000


def held(value: object, seen: set[int] | None = None) -> int:
    """Bytes of everything that can be reached from a value."""
    seen = seen if seen is not None else set()
    if id(value) in seen or isinstance(value, type):
        return 0
    seen.add(id(value))
    inner: list[object] = []
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    else:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        inner = [getattr(value, name) for name in slots if hasattr(value, name)]
        inner.append(getattr(value, "__dict__", None))
    return sys.getsizeof(value) + sum(held(part, seen) for part in inner if part is not None)


def an_app(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    names = {"namespace": NAMESPACE, "name": "web", "uid": "u1", "generation": 1}
    return {"kind": "ScalableApp", "metadata": names | metadata, "spec": spec}


def a_service(**annotations: str) -> dict[str, Any]:
    metadata = {"namespace": NAMESPACE, "name": "web", "labels": app_labels(), "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": []}}


def record_of(*bodies: dict[str, Any]) -> AppRecord:
    registry = Registry()
    for body in bodies:
        registry.app_seen(body) if body["kind"] == "ScalableApp" else registry.child_seen(body)
    return registry._record(KEY)


@pytest.mark.parametrize(
    "body",
    [
        an_app(with_spec(args=[MANY])),
        an_app(with_spec(env=[{"name": "A", "valueFrom": {"x": [MANY]}}])),
        an_app(with_spec(resources={"requests": {MANY: "1"}})),
        an_app(with_spec(**{MANY: 1})),
        an_app(SPEC, annotations={"a": MANY}, managedFields=[{"fieldsV1": {MANY: {}}}]),
        an_app(SPEC) | {"status": {"url": MANY}},
    ],
    ids=["an argument", "any JSON", "a key", "a field", "metadata", "a status"],
)
def test_of_an_app_that_is_too_large_little_is_held(body: dict[str, Any]) -> None:
    assert held(record_of(body)) < 40_000


def test_an_app_like_others_adds_little() -> None:
    registry, seen = Registry(), set[int]()
    added = []
    for number in range(20):
        registry.app_seen(an_app(parse_spec(SPEC).model_dump(mode="json", by_alias=True), name=f"app-{number}"))
        added.append(held(registry._record(AppKey(NAMESPACE, f"app-{number}")), seen))
    assert max(added[1:]) < 8_000


def test_an_app_whose_stored_spec_is_too_large_is_told_by_name() -> None:
    record = record_of(an_app(with_spec(args=[MANY])))
    assert record.spec is None
    assert "1,300,004 are in args" in str(record.spec_error)


async def test_the_running_app_stays_as_it_is_and_its_status_says_why(world: World) -> None:
    key = await world.running()
    before = copy.deepcopy(world.cluster.objects)
    world.change(key, with_spec(args=["x" * MOST_SPEC_BYTES]))
    await world.settle()
    assert world.condition(key, "Ready") == ("False", "InvalidSpec")
    assert f"at most {MOST_SPEC_BYTES:,} are allowed" in world.message(key, "Ready")
    assert world.cluster.objects == before
    world.change(key, SPEC)
    await world.settle()
    assert world.condition(key, "Ready") == ("True", "InSync")


def test_of_a_child_with_large_annotations_little_is_held() -> None:
    record = record_of(an_app(SPEC), a_service(a=MANY))
    assert held(record) < 40_000


def test_of_children_of_no_app_nothing_is_held_once_all_apps_are_known() -> None:
    registry = Registry()
    registry.child_seen(a_service(a="x" * 4000))
    before = registry._record(KEY)
    assert [bool(child.text) for child in before.children.values()] == [True]
    registry.forget_strangers()
    registry.child_seen(a_service(a="y" * 4000))
    assert [bool(child.text) for child in registry._record(KEY).children.values()] == [False]
    assert not any(child.compared for child in registry._record(KEY).children.values())


async def test_a_child_that_is_not_held_is_applied_and_an_edit_of_it_undone(world: World) -> None:
    key = world.create(spec=with_spec(args=["x" * LONGEST_CHILD]))
    await world.settle()
    await world.run_pods(key, 50)
    await world.tick()
    deployment = copy.deepcopy(world.cluster.objects["Deployment", key])
    world.cluster.writes.clear()
    edited = copy.deepcopy(deployment)
    edited["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    edited["metadata"]["generation"] += 1
    world.cluster.put(edited)
    await world.settle()
    assert ("apply", "Deployment") in world.cluster.writes
    live = world.cluster.objects["Deployment", key]
    assert live["spec"]["template"] == deployment["spec"]["template"]


def test_what_others_have_written_into_a_status_is_not_held() -> None:
    record = AppRecord(KEY)
    record.status = {"url": "x" * LONGEST_STATUS}
    assert record.status == {}


def test_a_fault_in_reading_a_spec_costs_only_that_app(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_raw: object) -> None:
        raise RecursionError

    monkeypatch.setattr("scalableapp.engine.record.parse_spec", failing)
    record = record_of(an_app(SPEC))
    assert "internal error in the operator while reading it: RecursionError" in str(record.spec_error)
    assert json.dumps(record.status) == "{}"
