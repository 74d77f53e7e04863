"""What kills and throttling teach, and what of it is kept: each resource for itself, and within a multiple of usage."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from scalableapp.core.api.scaling import SelectPolicy
from scalableapp.core.model import History, Recommendation
from scalableapp.core.size import Resource, Size
from scalableapp.core.vertical.backoff import FailedResize, failed
from scalableapp.core.vertical.combined import carried_out, decide_both
from scalableapp.core.vertical.pressure import LARGEST_MULTIPLE
from scalableapp.core.vertical.usage import SizeHistory
from tests.unit.core.build import NOW, ago, observe
from tests.unit.core.sizes import MI, known, size, sized_app, usage_now

CPU, MEMORY = Resource.CPU, Resource.MEMORY
CALM = History(recommendations=(Recommendation(ago(0), 1),))
SPEC = sized_app()
RULES = SPEC.scaling.vertical


def after(sizes: SizeHistory, now: Size, minutes: int = 1, **seen: object) -> tuple[Size, str, SizeHistory]:
    """The size, the reason and what is remembered after looks of a minute each."""
    reason = ""
    for minute in range(minutes):
        observation = replace(observe(current=1, RequestsPerSecond=1), now=NOW + timedelta(minutes=minute))
        usage = usage_now(now, **seen)
        decision, sizes = decide_both(SPEC, observation, CALM, usage, sizes)
        assert decision.sizing
        sizes, now, reason = carried_out(sizes, decision), decision.sizing.size_to, decision.sizing.reason
    return now, reason, sizes


FAILURE = FailedResize(size(cpu="800m/1600m"), size(), ago(60), "its pod fits no node", times=9)


def test_a_raise_of_cpu_in_back_off_does_not_hold_the_answer_to_a_kill() -> None:
    sizes = replace(known(RULES, 5.0, 220 * MI), failures=(FAILURE,))
    now, reason, _ = after(sizes, size(), oom_kills=1)
    assert (now.cpu, reason) == (size().cpu, "OOMKilled")
    assert now.memory == (308 * MI, 616 * MI)


def test_a_cut_of_memory_in_back_off_does_not_hold_a_raise_of_cpu() -> None:
    cut = FailedResize(size(memory="64Mi/128Mi"), size(), ago(60), "pod a was OOM-killed", times=9)
    now, _, _ = after(replace(known(RULES, 0.6, 220 * MI), failures=(cut,)), size())
    assert (now.cpu.request or 0) > 0.6
    assert now.memory == size().memory


def test_a_kill_is_answered_though_more_memory_failed_before_it() -> None:
    more = FailedResize(size(memory="300Mi/600Mi"), size(), ago(60), "fits no node", times=9)
    now, _, _ = after(replace(known(RULES, 0.18, 220 * MI), failures=(more,)), size(), oom_kills=1)
    assert now.memory == (308 * MI, 616 * MI)


@pytest.mark.parametrize(
    ("why", "held"),
    [
        ("pod a was OOM-killed", {MEMORY}),
        ("0/3 nodes are available: 3 Insufficient cpu", {CPU}),
        ("0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory", {CPU, MEMORY}),
        ("no pod of this size was ready within 2 m 30 s", {CPU, MEMORY}),
    ],
)
def test_of_a_failed_change_of_both_what_the_failure_tells_is_held(why: str, held: set[Resource]) -> None:
    (failure,) = failed((), size("400m/800m", "128Mi/256Mi"), size(), NOW, why)
    assert failure.resources == held


def test_failures_of_both_resources_are_remembered_beside_each_other() -> None:
    cpu, memory = size(cpu="800m/1600m"), size(memory="64Mi/128Mi")
    failures = failed((), cpu, size(), ago(60), "Insufficient cpu")
    failures = failed(failures, memory, size(), ago(30), "was OOM-killed")
    assert [failure.resources for failure in failures] == [{MEMORY}, {CPU}]
    assert [failure.times for failure in failed(failures, cpu, size(), NOW, "Insufficient cpu")] == [2, 1]


def test_a_raise_that_did_not_reduce_throttling_stops() -> None:
    now, _, _ = after(known(RULES, 0.02, 220 * MI), size("20m/40m"), 30, throttled=0.5, per_pod={CPU: (0.02,)})
    assert now.cpu == (0.03, 0.06)


def test_for_throttling_no_request_exceeds_the_stated_multiple_of_the_usage() -> None:
    now, sizes, throttled = size("20m/40m"), known(RULES, 0.02, 220 * MI), 1.0
    for minute in range(30):
        throttled *= 0.85  # each raise helps
        shifted = datetime.fromtimestamp(NOW.timestamp() + 61 * minute, NOW.tzinfo)
        observation = replace(observe(current=1, RequestsPerSecond=1), now=shifted)
        seen = usage_now(now, throttled=max(0.3, throttled), per_pod={CPU: (0.02,)})
        decision, sizes = decide_both(SPEC, observation, CALM, seen, sizes)
        assert decision.sizing
        sizes, now = carried_out(sizes, decision), decision.sizing.size_to
    assert 0.03 < (now.cpu.request or 0) <= 0.02 * LARGEST_MULTIPLE


def test_pods_that_are_throttled_all_the_time_are_raised_at_once_whatever_their_usage_requires() -> None:
    sizes = replace(known(RULES, 0.4, 220 * MI, seconds=30), changed_at=ago(90))
    now, reason, _ = after(sizes, size("200m/400m"), throttled=0.95, per_pod={CPU: (0.4,)})
    assert reason == "CPUPressure"
    assert (now.cpu.request or 0) >= 0.4


def test_killed_again_soon_the_request_doubles_and_is_given_back_after_an_hour() -> None:
    first, _, sizes = after(known(RULES, 0.18, 220 * MI), size(), oom_kills=1)
    observation = replace(observe(current=1, RequestsPerSecond=1), now=NOW + timedelta(seconds=30))
    decision, sizes = decide_both(SPEC, observation, CALM, usage_now(first, oom_kills=2), sizes)
    assert decision.sizing
    assert decision.sizing.size_to.memory == (616 * MI, 1232 * MI)
    week = replace(observation, now=NOW + timedelta(days=7))
    later = replace(sizes, changed_at=None)
    decision, _ = decide_both(SPEC, week, CALM, usage_now(decision.sizing.size_to, oom_kills=2), later)
    assert decision.sizing
    assert decision.sizing.recommended.memory.request == pytest.approx(
        370 * MI, rel=0.01
    )  # what was too little, + 20 %


@pytest.mark.parametrize("minutes", [30, 59])
def test_a_new_idle_app_is_not_cut_in_its_first_hour(minutes: int) -> None:
    sizes = known(RULES, 0.01, 40 * MI, seconds=minutes * 60)
    assert after(sizes, size())[0] == size()


@pytest.mark.parametrize(("hours", "kept"), [(1, True), (190, True), (200, False)])
def test_a_peak_of_memory_is_remembered_for_a_week_and_a_day(hours: int, kept: bool) -> None:
    sizes = known(RULES, 0.18, lambda age: 440.0 * MI if age == 60.0 * 60 * hours else 100.0 * MI, hours * 3600 + 7200)
    now, _, _ = after(sizes, size(memory="512Mi/1Gi"), in_place=False)
    assert (now.memory == size(memory="512Mi/1Gi").memory) is kept


@pytest.mark.parametrize(("in_place", "hours", "kept"), [(True, 0.7, True), (True, 3, False), (False, 24, True)])
def test_cpu_is_kept_up_longer_where_each_change_replaces_the_pods(in_place: bool, hours: float, kept: bool) -> None:
    def busy(age: float) -> float:
        return 0.9 if hours * 3600 <= age <= hours * 3600 + 600 else 0.1

    now, _, _ = after(known(RULES, busy, 220 * MI, hours * 3600 + 7200), size("1/2"), in_place=in_place)
    assert (now.cpu == size("1/2").cpu) is kept


@pytest.mark.parametrize(("usage", "value"), [((0.0,), 0.0), ((), None)], ids=["nothing used", "nothing known"])
def test_usage_of_zero_is_a_value(usage: tuple[float, ...], value: float | None) -> None:
    _, _, sizes = after(SizeHistory.blank(RULES), size(), per_pod={CPU: usage})
    recent = sizes.learned[CPU].recent
    assert (recent[-1].value if recent else None) == value


@pytest.mark.parametrize(("rps", "grows"), [(800, True), (4, False)], ids=["more are needed", "fewer are"])
def test_where_replicas_are_not_allowed_to_move_sizes_do(rps: float, grows: bool) -> None:
    disabled = {"scaleUp": {"selectPolicy": SelectPolicy.DISABLED}, "scaleDown": {"selectPolicy": "Disabled"}}
    spec = sized_app("Combined", behavior=disabled)
    sizes = known(spec.scaling.vertical, 3.2 if grows else 0.1, 220 * MI)
    decision, _ = decide_both(spec, observe(current=4, RequestsPerSecond=rps / 4), CALM, usage_now(), sizes)
    assert decision.replicas_to == 4
    assert decision.sizing
    assert (decision.sizing.raises, decision.sizing.cuts) == (grows, not grows)


@pytest.mark.parametrize("ratio", [1.05, 1.5, 3.0])
def test_limits_in_proportion_keep_the_ratio_of_the_spec_however_small_the_request_becomes(ratio: float) -> None:
    now = size(f"200m/{200 * ratio:.0f}m", "256Mi/512Mi")
    for cores in (0.001, 0.05, 0.02, 0.3, 0.007, 0.4):
        found, _, _ = after(known(RULES, cores, 220 * MI), now, ratios={CPU: ratio})
        now = found
        request, limit = now.cpu
        assert request
        assert limit
        assert request * ratio <= limit + 1e-9 <= request * ratio + 0.001 + 1e-6
