import pytest

from demo.plan import DEMO, Plan


@pytest.mark.parametrize(
    ("at", "rate"),
    [
        pytest.param(0, 15, id="calm from the start"),
        pytest.param(20, 15, id="rise begins where calm ends"),
        pytest.param(25, 45, id="half-way up"),
        pytest.param(30, 75, id="held"),
        pytest.param(75, 45, id="half-way down"),
        pytest.param(139, 15, id="calm again"),
        pytest.param(140, None, id="over"),
    ],
)
def test_the_rate_goes_in_straight_lines_from_stage_to_stage(plan: Plan, at: float, rate: float | None) -> None:
    assert plan.rate_at(at) == rate


def test_stages_follow_one_another_without_a_gap(plan: Plan) -> None:
    spans = list(plan.spans())

    assert [span.begin for span in spans] == [0, *(span.end for span in spans[:-1])]
    assert spans[-1].end == plan.seconds


def test_a_moment_after_the_end_belongs_to_the_last_stage(plan: Plan) -> None:
    assert plan.stage_at(10_000) == "calm again"


def test_the_demonstration_rises_fivefold_and_fits_in_five_minutes() -> None:
    assert DEMO.hold.rate == 5 * DEMO.calm.rate
    assert DEMO.seconds <= 240
