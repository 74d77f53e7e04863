"""Specs share their equal parts, and say the same as before."""

import gc

import pytest

from scalableapp.core.api import sharing
from scalableapp.core.api.sharing import share_parts
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from tests.spec_cases import GOOD, Spec, app, horizontal


def shared(raw: Spec) -> ScalableAppSpec:
    spec = parse_spec(raw)
    share_parts(spec)
    return spec


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD)
def test_a_spec_with_shared_parts_says_what_it_said(raw: Spec) -> None:
    others = [shared(other) for other in GOOD.values()]
    spec = shared(raw)
    assert spec == parse_spec(raw)
    assert spec.metrics == parse_spec(raw).metrics
    assert len(others) == len(GOOD)


def test_equal_parts_are_the_same_and_different_ones_are_not() -> None:
    one, other = shared(app(args=["a"])), shared(app(args=["b"], port=8001))
    assert one.scaling is other.scaling
    assert one.args != other.args
    busy = shared(horizontal(maxReplicas=20))
    assert busy.scaling is not one.scaling
    assert busy.scaling.horizontal.behavior is one.scaling.horizontal.behavior


def test_what_nobody_uses_any_more_is_forgotten() -> None:
    spec = shared(horizontal(maxReplicas=77))
    known = len(sharing._KNOWN)
    assert spec.scaling.horizontal.max_replicas == 77
    del spec
    gc.collect()
    assert len(sharing._KNOWN) < known
