"""What must hold of sizes whatever is measured: calm, monotone, within bounds, and out of the replicas' way."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scalableapp.core.model import DataProblem, History
from scalableapp.core.size import Resource
from scalableapp.core.vertical.combined import COOL_DOWN_SECONDS, decide_both
from scalableapp.core.vertical.recommendation import recommend
from scalableapp.core.vertical.usage import ClusterLimits
from tests.unit.core.build import NOW, observe
from tests.unit.core.horizontal.test_properties import histories
from tests.unit.core.sizes import MI, Loop, known, size, sized_app, turns, usage_now, vertical

loads = st.floats(0, 400, allow_nan=False)
cores = st.floats(0, 20)
bytes_ = st.floats(0, 64 * 2**30)
sizes = st.builds(
    lambda cpu, ratio, memory: size(f"{cpu}m/{cpu * ratio}m", f"{memory}Mi/{memory * ratio}Mi"),
    st.integers(10, 4000),
    st.integers(1, 8),
    st.integers(32, 8192),
)
modes = st.sampled_from(["Vertical", "Combined"])


@settings(max_examples=15)
@given(modes, loads, sizes)
def test_a_constant_load_ends_in_calm(mode: str, load: float, start: Any) -> None:
    loop = Loop(sized_app(mode), size=start).run(load, 5 * 3600)
    calm = loop.sizes[-120:], loop.counts[-120:]
    assert [len(set(values)) for values in calm] == [1, 1], (calm[0][0], calm[0][-1])
    assert turns([float(count) for count in loop.counts]) <= 1
    assert all(turns(loop.requests(resource)) <= 2 for resource in Resource)


@given(cores, cores, bytes_, bytes_, sizes, st.integers(1, 20))
def test_more_usage_never_means_a_smaller_size(  # noqa: PLR0917 - drawn by hypothesis
    one: float, other: float, small: float, large: float, now: Any, planned: int
) -> None:
    rules, here = vertical(), usage_now(now)
    (low, high), (little, much) = sorted((one, other)), sorted((small, large))
    less = recommend(rules, here, known(rules, low, little), NOW, planned)
    more = recommend(rules, here, known(rules, high, much), NOW, planned)
    for resource in Resource:
        assert (less.size_to.of(resource).request or 0) <= (more.size_to.of(resource).request or 0)
        assert (less.recommended.of(resource).request or 0) <= (more.recommended.of(resource).request or 0)


@given(cores, bytes_, sizes, st.integers(20, 2000), st.integers(0, 4000), st.booleans())
def test_what_is_recommended_lies_within_the_bounds(  # noqa: PLR0917 - drawn by hypothesis
    cpu: float, memory: float, now: Any, least: int, more: int, crowded: bool
) -> None:
    bounds = {"minAllowed": {"cpu": f"{least}m"}, "maxAllowed": {"cpu": f"{least + more}m", "memory": "4Gi"}}
    rules = vertical(**bounds)
    cluster_limits = {Resource.MEMORY: ClusterLimits(most=512 * MI, whose="the largest node")} if crowded else {}
    seen = usage_now(now, cluster_limits=cluster_limits, oom_kills=3, throttled=0.9)
    wished = recommend(rules, seen, known(rules, cpu, memory), NOW, 1).recommended
    assert least / 1000 <= (wished.cpu.request or 0) <= (least + more) / 1000
    assert 32 * MI <= (wished.memory.request or 0) <= (512 * MI if crowded else 4096 * MI)
    for resource in Resource:
        request, limit = wished.of(resource)
        assert request is not None
        assert limit is None or request <= limit


@given(sizes, sizes, st.integers(1, 20), loads, histories())
def test_another_size_never_moves_the_replicas(one: Any, other: Any, current: int, load: float, history: Any) -> None:
    spec, seen = sized_app("Combined"), observe(current=current, RequestsPerSecond=load)
    rules = spec.scaling.vertical
    counts = {
        decide_both(spec, seen, history, usage_now(now), known(rules, 1.0, 100 * MI))[0].replicas_to
        for now in (one, other)
    }
    assert len(counts) == 1


@given(sizes, st.integers(1, 10), loads, histories(), cores, bytes_)
def test_both_change_at_once_only_where_both_raise(  # noqa: PLR0917 - drawn by hypothesis
    now: Any, current: int, load: float, history: Any, cpu: float, memory: float
) -> None:
    spec, seen = sized_app("Combined"), observe(current=current, RequestsPerSecond=load)
    decision, _ = decide_both(spec, seen, history, usage_now(now), known(spec.scaling.vertical, cpu, memory))
    assert decision.sizing
    if decision.changes and decision.sizing.changes:
        assert decision.replicas_to > current
        assert not decision.sizing.cuts


@settings(max_examples=15)
@given(st.lists(loads, min_size=2, max_size=6), sizes)
def test_within_a_cool_down_replicas_and_size_are_never_both_cut_or_crossed(steps: list[float], start: Any) -> None:
    loop = Loop(sized_app("Combined"), size=start)
    for load in steps:
        loop.run(load, 900)
    changed = [d for d in loop.decisions if d.changes or (d.sizing and d.sizing.changes)]
    for before, after in pairwise(changed):
        near = (after.at - before.at).total_seconds() < COOL_DOWN_SECONDS
        if near and before.changes and after.sizing and after.sizing.cuts:
            raise AssertionError((before.message, after.message))
        if near and before.sizing and before.sizing.changes and after.replicas_to < after.replicas_from:
            raise AssertionError((before.message, after.message))


@given(st.sampled_from(DataProblem), cores, bytes_, sizes)
def test_bad_data_changes_no_size(problem: DataProblem, cpu: float, memory: float, now: Any) -> None:
    spec, seen = sized_app(), observe(current=2, RequestsPerSecond=1)
    bad = replace(usage_now(now), problem=problem, message="scraping broke")
    decision, _ = decide_both(spec, seen, History(), bad, known(spec.scaling.vertical, cpu, memory))
    assert decision.sizing
    assert not decision.sizing.changes
    assert decision.reason == problem.value
