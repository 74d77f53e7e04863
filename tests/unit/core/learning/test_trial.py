"""Do pods help? What is seen before and after, and what is concluded from it."""

import pytest

from scalableapp.core.learning.trial import Before, Now, Trial, advanced
from scalableapp.core.learning.verdict import Verdict

TWO_PODS = Before(pods=2, load=8.0, slow_share=0.3, requests=480, served=5.6)
ALL_SLOW = Before(pods=2, load=8.0, slow_share=1.0, requests=480, served=8.0)


def compared(before: Before, load: float, slow_share: float, served: float) -> Trial:
    """The trial two minutes after a third pod began to serve, compared three times."""
    trial = Trial(before=before)
    for at in range(0, 300, 5):
        verdict = Verdict(float(at), 60 * load, slow_share, 0.05, load / 3)
        trial = advanced(trial, Now(float(at), 3, load, served, 0.1), verdict)
    return trial


@pytest.mark.parametrize(
    ("before", "load", "slow_share", "served", "helped"),
    [
        pytest.param(TWO_PODS, 8, 0.1, 7.2, True, id="fewer are slow"),
        pytest.param(TWO_PODS, 8, 0.3, 5.6, False, id="as many are slow"),
        pytest.param(TWO_PODS, 10, 0.3, 7.0, False, id="more came, of a faulty route as many fail"),
        pytest.param(ALL_SLOW, 11, 1.0, 11.0, True, id="all are slow, and more of them are answered"),
        pytest.param(ALL_SLOW, 8, 1.0, 8.0, False, id="all are slow, and no more are answered"),
    ],
)
def test_pods_help_where_fewer_are_slow_or_more_that_queued_are_answered(
    before: Before, load: float, slow_share: float, served: float, helped: bool
) -> None:
    trial = compared(before, load, slow_share, served)
    assert (trial.before is None or trial.before != before) is helped


def test_pods_that_did_not_help_are_tried_again_without_more_of_them() -> None:
    vain = compared(TWO_PODS, 8, 0.3, 5.6)
    assert vain.until is not None
    again = advanced(vain, Now(vain.until, 3, 9.5, 6.6, 0.1), Verdict(vain.until, 570, 0.3, 0.05, 3.2))
    assert again.until is None
    assert again.asked == 3


def test_good_and_bad_minutes_that_take_turns_are_reason_enough() -> None:
    trial, begun = Trial(), []
    for at in range(0, 600, 5):
        share = 0.08 if at % 120 < 60 else 0.03
        trial = advanced(trial, Now(float(at), 4, 100, 100, 0.5), Verdict(float(at), 6000, share, 0.05, 25))
        begun += [at] if trial.before else []
    assert begun[0] == 120


def test_a_single_bad_minute_is_no_reason() -> None:
    trial = Trial()
    for at in range(0, 600, 5):
        share = 0.08 if at < 60 else 0.03
        trial = advanced(trial, Now(float(at), 4, 100, 100, 0.5), Verdict(float(at), 6000, share, 0.05, 25))
    assert trial == Trial()
