import dataclasses

import pytest

from demo.plan import Plan
from demo.recording import AppState, LoadSample, Recording
from demo.verdict import judge, settled


def with_replicas(run: Recording, *changes: tuple[float, int, int]) -> Recording:
    """The run with other states: (at, replicas, ready)."""
    states = [AppState(at, wanted, ready, "RequestsPerSecond", 15.0, 16.0) for at, wanted, ready in changes]
    return dataclasses.replace(run, states=states)


def test_a_run_in_which_replicas_followed_the_load_passes(good_run: Recording, plan: Plan) -> None:
    verdict = judge(good_run, plan)

    assert verdict.passed
    assert verdict.replicas == (1, 5, 1)
    assert (verdict.calm_rate, verdict.high_rate) == (15, 75)


def test_times_count_from_where_the_load_begins_to_move(good_run: Recording, plan: Plan) -> None:
    verdict = judge(good_run, plan)

    assert verdict.patched_after == pytest.approx(28 - 20)
    assert verdict.ready_after == pytest.approx(39 - 20)
    assert verdict.back_after == pytest.approx(115 - 70)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param([(0, 1, 1)], "did not rise", id="never moved"),
        pytest.param([(0, 5, 5)], "did not rise", id="high all the time"),
        pytest.param([(0, 1, 1), (30, 5, 3), (115, 1, 1)], "never reached", id="pods never ready"),
        pytest.param([(0, 1, 1), (30, 2, 2), (115, 1, 1)], "5 ready pods were needed", id="rose too little"),
        pytest.param([(0, 1, 1), (30, 5, 1), (80, 5, 5), (115, 1, 1)], "never reached", id="ready when load was gone"),
        pytest.param([(0, 1, 1), (30, 5, 5)], "did not fall", id="stayed up"),
        pytest.param([(0, 1, 1), (30, 5, 5), (115, 2, 2)], "2 are left of 5", id="fell too little"),
        pytest.param([(0, 1, 1), (30, 5, 5), (115, 1, 1), (130, 4, 1)], "did not fall", id="came up again"),
    ],
)
def test_replicas_that_do_not_follow_fail_the_run(
    good_run: Recording, plan: Plan, changes: list[tuple[float, int, int]], problem: str
) -> None:
    verdict = judge(with_replicas(good_run, *changes), plan)

    assert not verdict.passed
    assert problem in " ".join(verdict.problems)


def test_a_single_failed_request_fails_the_run_and_keeps_its_reason(good_run: Recording, plan: Plan) -> None:
    good_run.load[10] = dataclasses.replace(good_run.load[10], failures={"502 Bad Gateway": 1})

    verdict = judge(good_run, plan)

    assert verdict.problems == ("1 requests failed",)
    assert verdict.failures["502 Bad Gateway"] == 1


def test_a_request_sent_anew_is_reported_but_is_no_failure(good_run: Recording, plan: Plan) -> None:
    good_run.load[10] = dataclasses.replace(good_run.load[10], retries=3)

    verdict = judge(good_run, plan)

    assert verdict.passed
    assert verdict.retries == 3


def test_a_load_of_which_most_was_not_answered_fails_the_run(good_run: Recording, plan: Plan) -> None:
    third = [dataclasses.replace(sample, latencies_ms=sample.latencies_ms[::3]) for sample in good_run.load]

    verdict = judge(dataclasses.replace(good_run, load=third), plan)

    assert "only 25 of 75 requests/s were answered" in verdict.problems[0]


def test_replicas_need_not_rise_above_what_the_app_allows(good_run: Recording, plan: Plan) -> None:
    run = with_replicas(good_run, (0, 1, 1), (30, 3, 3), (115, 1, 1))

    assert judge(dataclasses.replace(run, bounds=(1, 3)), plan).passed


def test_an_app_without_a_metric_fails_the_run(good_run: Recording, plan: Plan) -> None:
    states = [dataclasses.replace(state, target=None) for state in good_run.states]

    verdict = judge(dataclasses.replace(good_run, states=states), plan)

    assert "no metric" in " ".join(verdict.problems)


def test_a_run_of_which_nothing_was_seen_fails(plan: Plan) -> None:
    verdict = judge(Recording(), plan)

    assert not verdict.passed
    assert verdict.patched_after is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(60, False, id="load is high"),
        pytest.param(124, False, id="back for 9 s"),
        pytest.param(125, True, id="back for 10 s"),
    ],
)
def test_a_run_is_settled_when_replicas_have_been_back_for_a_while(
    good_run: Recording, plan: Plan, at: float, expected: bool
) -> None:
    seen = dataclasses.replace(
        good_run,
        load=[sample for sample in good_run.load if sample.at <= at],
        states=[state for state in good_run.states if state.at <= at],
    )

    assert settled(seen, plan, at) is expected


def test_replicas_that_never_rose_do_not_settle_the_run_before_the_load_has_fallen(
    good_run: Recording, plan: Plan
) -> None:
    run = with_replicas(good_run, (0, 1, 1))

    assert not settled(run, plan, 60)
    assert judge(run, plan).back_after is None


def test_a_sample_without_requests_does_not_break_the_verdict(plan: Plan) -> None:
    assert judge(Recording(load=[LoadSample(1.0, 0)]), plan).p95_ms is None
