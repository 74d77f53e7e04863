from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.children.drift import ANNOTATION_SPEC_HASH, in_sync, owned_by, with_spec_hash

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_everything_is_in_sync_with_itself(value: Any) -> None:
    named_twice = not in_sync(value, value)
    # Only a list that holds two maps of the same name may be out of line with itself; Kubernetes allows none.
    assert not named_twice or "'name'" in str(value)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4), st.text(max_size=5), json_values)
def test_a_field_of_somebody_else_does_not_matter(desired: dict[str, Any], key: str, value: Any) -> None:
    if in_sync(desired, desired) and key not in desired:
        assert in_sync(desired | {key: value}, desired)


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        pytest.param({"a": 2}, {"a": 1}, id="another value"),
        pytest.param({}, {"a": 1}, id="a missing key"),
        pytest.param({"a": True}, {"a": 1}, id="true is not one"),
        pytest.param({"a": "1"}, {"a": 1}, id="text is not a number"),
        pytest.param(None, {"a": 1}, id="nothing there"),
        pytest.param([1, 2], [1], id="a longer list of values"),
        pytest.param(["a", "b"], ["b", "a"], id="another order of values"),
        pytest.param([{"name": "x", "v": 1}], [{"name": "x", "v": 2}], id="a named item that differs"),
        pytest.param([{"name": "y"}], [{"name": "x"}], id="a named item that is missing"),
        pytest.param([{"path": "/b"}], [{"path": "/a"}], id="an unnamed item that differs"),
        pytest.param({"name": "x"}, [{"name": "x"}], id="a map for a list"),
    ],
)
def test_drift_is_seen(live: Any, desired: Any) -> None:
    assert not in_sync(live, desired)


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        pytest.param([{"name": "side"}, {"name": "app", "x": 1}], [{"name": "app"}], id="a side-car is let be"),
        pytest.param([{"name": "b"}, {"name": "a"}], [{"name": "a"}, {"name": "b"}], id="named items in any order"),
        pytest.param([{"uid": "1", "new": 0}], [{"uid": "1"}], id="a defaulted field in an unnamed item"),
    ],
)
def test_what_others_added_is_no_drift(live: Any, desired: Any) -> None:
    assert in_sync(live, desired)


def test_a_key_that_is_no_longer_wanted_is_drift_through_the_seal() -> None:
    before = with_spec_hash({"metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}})
    after = with_spec_hash({"metadata": {"name": "x"}, "spec": {"a": 1}})
    assert not in_sync(before, after)


def test_the_seal_does_not_depend_on_the_order_of_keys() -> None:
    assert with_spec_hash({"metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}}) == with_spec_hash(
        {"spec": {"b": 2, "a": 1}, "metadata": {"name": "x"}}
    )


def test_sealing_leaves_the_original_alone_and_keeps_its_annotations() -> None:
    manifest = {"metadata": {"annotations": {"mine": "1"}}}
    assert with_spec_hash(manifest)["metadata"]["annotations"].keys() == {"mine", ANNOTATION_SPEC_HASH}
    assert manifest == {"metadata": {"annotations": {"mine": "1"}}}


@pytest.mark.parametrize(
    ("owners", "ours"),
    [
        pytest.param([{"uid": "u1", "controller": True}], True, id="we control it"),
        pytest.param([{"uid": "u1"}], False, id="owned but not controlled"),
        pytest.param([{"uid": "u2", "controller": True}], False, id="the controller is an older app of the same name"),
        pytest.param([], False, id="made by hand"),
        pytest.param(None, False, id="no owner field"),
    ],
)
def test_ownership_is_the_controller_reference(owners: Any, ours: bool) -> None:
    assert owned_by({"metadata": {"ownerReferences": owners}}, "u1") is ours
