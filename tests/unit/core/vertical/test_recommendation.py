"""How large pods shall be: need, bounds, policies, pace, and what is told of them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scalableapp.core.api.vertical_fields import Vertical
from scalableapp.core.model import DataProblem
from scalableapp.core.size import Resource, Size, Sizing
from scalableapp.core.vertical.backoff import FailedResize, repeats
from scalableapp.core.vertical.pressure import learn
from scalableapp.core.vertical.recommendation import recommend
from scalableapp.core.vertical.usage import ClusterLimits, SizeHistory, Usage
from tests.unit.core.build import NOW, ago
from tests.unit.core.sizes import MI, known, size, usage_now, vertical

IDLE = {"cpu": 0.18, "memory": 220 * MI}  # what fits the usual size


def sized(
    rules: Vertical | None = None, seen: Usage | None = None, history: SizeHistory | None = None, planned: int = 1
) -> Sizing:
    rules, seen = rules or vertical(), seen or usage_now()
    history = learn(history or known(rules, **IDLE), seen, rules, NOW)
    return recommend(rules, seen, history, NOW, planned)


def step_of(cpu: float) -> Any:
    """CPU that has been at 0.18 cores, and for the last five minutes at this."""
    return lambda age: cpu if age <= 300 else 0.18


def test_a_size_that_fits_is_left_alone() -> None:
    sizing = sized()
    assert not sizing.changes
    assert sizing.reason == "SizeKept"


def test_a_sustained_rise_of_cpu_is_answered_with_its_margin_and_a_limit_in_proportion() -> None:
    rules = vertical()
    sizing = sized(rules, history=known(rules, step_of(0.5), 220 * MI))
    assert sizing.size_to.cpu.request == pytest.approx(0.5 * 1.15 * 1.025, rel=0.03)
    assert sizing.size_to.cpu.limit == pytest.approx(2 * (sizing.size_to.cpu.request or 0))
    assert sizing.reason == "RequestsRaised"
    assert "cpu 200m (limit 400m) should become" in sizing.message


def test_a_spike_of_cpu_is_none() -> None:
    rules = vertical()
    assert not sized(rules, history=known(rules, lambda age: 3.0 if age == 60 else 0.18, 220 * MI)).changes


def test_a_peak_of_memory_counts_at_once() -> None:
    rules = vertical()
    history = known(rules, 0.18, lambda age: 400.0 * MI if age == 0 else 220.0 * MI)
    assert (sized(rules, history=history).size_to.memory.request or 0) >= 460 * MI


def test_one_change_is_bounded() -> None:
    rules = vertical()
    sizing = sized(rules, usage_now(in_place=False), known(rules, 5.0, 10 * MI))
    assert sizing.size_to.cpu == (0.8, 1.6)
    assert sizing.size_to.memory == (128 * MI, 256 * MI)
    assert sizing.recommended.cpu.request == pytest.approx(5.9, rel=0.03)
    assert "times as much in one step" in sizing.message


def test_cpu_is_shared_by_the_planned_pods_and_memory_is_not() -> None:
    rules = vertical()
    history = known(rules, 2.0, 220 * MI)
    four, eight = (sized(rules, history=history, planned=n).recommended for n in (4, 8))
    assert (four.cpu.request or 0) == pytest.approx(2 * (eight.cpu.request or 0), rel=0.04)
    assert four.memory == eight.memory


LIMITS = [
    ("in proportion", "Proportional", size(), 0.5, (0.59, 1.18)),
    ("of none there is none", "Proportional", size(cpu="200m"), 0.5, (0.59, None)),
    ("left, and binding", "RequestsOnly", size(), 0.5, (0.4, 0.4)),
    ("taken away", "None", size(), 0.5, (0.59, None)),
    ("taken away though requests fit", "None", size(), 0.17, (0.2, None)),
]


@pytest.mark.parametrize(("policy", "now", "cpu", "expected"), [row[1:] for row in LIMITS], ids=[r[0] for r in LIMITS])
def test_limits_follow_their_policy(policy: str, now: Size, cpu: float, expected: tuple[float, float | None]) -> None:
    rules = vertical(limits=policy)
    sizing = sized(rules, usage_now(now), known(rules, cpu, 220 * MI))
    request, limit = expected
    assert sizing.size_to.cpu.request == pytest.approx(request, abs=0.021)
    assert sizing.size_to.cpu.limit == (None if limit is None else pytest.approx(limit, abs=0.041))


def test_a_kill_for_memory_raises_it_at_once_whatever_the_pace() -> None:
    rules = vertical()
    history = replace(known(rules, **IDLE), changed_at=ago(5))
    sizing = sized(rules, usage_now(oom_kills=1), history)
    assert sizing.reason == "OOMKilled"
    assert sizing.size_to.memory == (308 * MI, 616 * MI)  # the limit grows by a fifth, and by 100 MiB at least


def test_a_kill_is_answered_without_any_usage_and_while_pods_restart() -> None:
    rules = vertical()
    seen = usage_now(oom_kills=1, unsettled="pods restart", problem=DataProblem.EMPTY, message="no usage")
    assert sized(rules, seen, SizeHistory.blank(rules)).size_to.memory.limit == 616 * MI


def test_the_same_kills_are_answered_once() -> None:
    rules = vertical()
    history = learn(known(rules, **IDLE), usage_now(oom_kills=1), rules, NOW)
    larger = size(memory="308Mi/616Mi")
    again = sized(rules, usage_now(larger, oom_kills=1), history)
    assert not again.changes


def test_kills_at_the_bound_do_not_run_away() -> None:
    rules = vertical(maxAllowed={"memory": "300Mi"})
    sizing = sized(rules, usage_now(size(memory="300Mi/600Mi"), oom_kills=7))
    assert not sizing.changes
    assert sizing.limited
    assert "memory limited to 300Mi by maxAllowed.memory" in [step.message for step in sizing.steps]


def test_throttled_pods_get_more_cpu_though_their_usage_is_low() -> None:
    sizing = sized(seen=usage_now(throttled=0.6))
    assert sizing.reason == "CPUPressure"
    assert sizing.size_to.cpu == (0.32, 0.64)


def test_throttling_is_remembered_so_that_the_size_is_not_cut_again_at_once() -> None:
    rules = vertical()
    history = learn(known(rules, **IDLE), usage_now(throttled=0.6), rules, NOW)
    assert not sized(rules, usage_now(size(cpu="320m/640m")), history).changes


@pytest.mark.parametrize(
    ("why", "seen", "reason"),
    [
        ("bad data", usage_now(problem=DataProblem.STALE, message="old"), "StaleData"),
        ("restarts", usage_now(unsettled="2 of 3 pods are not ready"), "PodsUnsettled"),
    ],
    ids=["bad data", "restarts"],
)
def test_usage_changes_nothing_while_it_cannot_be_trusted(why: str, seen: Usage, reason: str) -> None:
    rules = vertical()
    sizing = sized(rules, seen, known(rules, 5.0, 10 * MI))
    assert not sizing.changes
    assert sizing.reason == reason


@pytest.mark.parametrize(("seconds", "changes"), [(0, False), (60, True)])
def test_thin_data_raises_nothing(seconds: float, changes: bool) -> None:
    rules = vertical()
    assert sized(rules, history=known(rules, 1.0, 220 * MI, seconds)).changes is changes


@pytest.mark.parametrize(("seconds", "changes"), [(300, False), (900, False), (3600, True)])
def test_the_thinner_the_data_the_larger_what_is_cut(seconds: float, changes: bool) -> None:
    rules = vertical()
    assert sized(rules, history=known(rules, 0.11, 220 * MI, seconds)).changes is changes


@pytest.mark.parametrize(("since", "raises", "cuts"), [(30, False, False), (90, True, False), (601, True, True)])
def test_raises_come_sooner_after_a_change_than_cuts(since: float, raises: bool, cuts: bool) -> None:
    rules = vertical()
    for cpu, expected in ((1.0, raises), (0.05, cuts)):
        history = replace(known(rules, cpu, 220 * MI), changed_at=ago(since))
        assert sized(rules, history=history).changes is expected


CLUSTER_LIMITS = [
    ("node", ClusterLimits(most=0.25, whose="the largest node"), (0.25, 0.5), "limited to 250m by the largest node"),
    ("range", ClusterLimits(least=0.8, whose="LimitRange l"), (0.8, 1.6), "raised to 800m by LimitRange l"),
    ("limit", ClusterLimits(most_limit=0.5, whose="LimitRange l"), (0.5, 0.5), ""),
    ("ratio", ClusterLimits(ratio=1.5, whose="LimitRange l"), (0.59, 0.88), ""),
]


@pytest.mark.parametrize(
    ("limits", "expected", "message"), [row[1:] for row in CLUSTER_LIMITS], ids=[row[0] for row in CLUSTER_LIMITS]
)
def test_the_cluster_bounds_sizes(limits: ClusterLimits, expected: tuple[float, float], message: str) -> None:
    rules = vertical()
    sizing = sized(rules, usage_now(cluster_limits={Resource.CPU: limits}), known(rules, 0.5, 220 * MI))
    assert sizing.size_to.cpu == pytest.approx(expected, abs=0.025)
    assert message in " ".join(step.message for step in sizing.steps)


def test_only_the_named_resources_are_sized() -> None:
    rules = vertical(resources=["memory"])
    sizing = sized(rules, usage_now(throttled=1), known(rules, 5.0, 400 * MI))
    assert sizing.size_to.cpu == size().cpu
    assert sizing.size_to.memory != size().memory


def test_sizes_are_what_people_read() -> None:
    rules = vertical()
    wished = sized(rules, history=known(rules, 0.123456, 123456789)).recommended
    assert round((wished.cpu.request or 0) * 1000) % 10 == 0
    assert (wished.memory.request or 0) % MI == 0


FAILED = FailedResize(size(memory="64Mi/128Mi"), size(), ago(60), "its pod was killed", times=1)


@pytest.mark.parametrize(
    ("tried", "times", "age", "repeated"),
    [
        (size(memory="64Mi/128Mi"), 1, 60, True),
        (size(memory="50Mi/100Mi"), 1, 60, True),
        (size(memory="128Mi/256Mi"), 1, 60, False),
        (size(memory="64Mi/128Mi"), 1, 301, False),
        (size(memory="64Mi/128Mi"), 2, 301, True),
        (size(memory="64Mi/128Mi"), 50, 86399, True),
        (size(memory="64Mi/128Mi"), 50, 86401, False),
    ],
    ids=["the same", "worse", "less", "later", "twice", "for a day", "for a day at most"],
)
def test_a_failed_resize_is_not_repeated_for_a_growing_time(
    tried: Size, times: int, age: float, repeated: bool
) -> None:
    failed_resize = FAILED._replace(times=times, at=NOW - timedelta(seconds=age))
    assert bool(repeats([failed_resize], tried, Resource.MEMORY, NOW)) is repeated


def test_pods_that_have_just_become_ready_are_taken_for_as_busy_as_the_others() -> None:
    rules = vertical()
    blank = SizeHistory.blank(rules)
    seen = usage_now(per_pod={Resource.CPU: (0.5,)}, serving=2)
    assert learn(blank, seen, rules, NOW).learned[Resource.CPU].recent[-1].value == 1.0


@pytest.mark.parametrize(
    ("usage", "history", "why"),
    [
        pytest.param({}, {}, "", id="all is known"),
        pytest.param({"thin": "1 of 5 pods has no sample"}, {}, "1 of 5 pods has no sample", id="a pod has no sample"),
        pytest.param(
            {}, {"resumed_at": ago(30)}, "because the operator started at", id="the operator has just started"
        ),
        pytest.param({}, {"resumed_at": ago(601)}, "", id="it started a while ago"),
        pytest.param({}, {"changed_at": ago(-30)}, "because the last change was at", id="the clock was put back"),
    ],
)
def test_no_request_is_lowered_on_less_than_all(usage: dict[str, Any], history: dict[str, Any], why: str) -> None:
    rules = vertical()
    past = replace(known(rules, 0.02, 2.0**26), **history)
    found = recommend(rules, usage_now(size("400m", "512Mi"), **usage), past, NOW, 1)
    assert (found.size_to == found.size_from) == bool(why)
    assert why in found.message
