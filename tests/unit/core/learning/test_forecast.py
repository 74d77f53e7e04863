import math
import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.learning.buckets import MOST_BUCKETS, Buckets
from scalableapp.core.learning.forecast import MODELS, LoadHistory, Sample, learn, pinball_loss
from tests.unit.core.build import NOW

Load = Callable[[float], float]


def watched(load: Load, *, hours: float = 1.5, step: float = 15, horizon: float = 60, start: float = 0) -> LoadHistory:
    """What is known after `hours` of a load given as a function of seconds."""
    history = LoadHistory()
    for number in range(int(hours * 3600 / step) + 1):
        second = start + number * step
        history = learn(history, Sample(NOW + timedelta(seconds=second), load(second)), horizon)
    return history


def noisy(load: Load, share: float = 0.05) -> Load:
    noise = random.Random(7)  # noqa: S311 - a repeatable load, no secret
    return lambda second: load(second) * (1 + noise.gauss(0, share))


def flat(_: float) -> float:
    return 300.0


def sawtooth(second: float) -> float:
    return 200 + 3600 * (second % 1800) / 1800


@pytest.mark.parametrize(
    ("load", "model"),
    [
        pytest.param(noisy(sawtooth, 0.01), "trend", id="a long ramp"),
        pytest.param(flat, None, id="no change at all: nothing to be better at"),
        pytest.param(noisy(lambda _: 0.0), None, id="no load"),
    ],
)
def test_a_model_is_used_only_where_it_is_better_than_expecting_the_load_of_now(load: Load, model: str | None) -> None:
    history = watched(load, hours=0.9)
    assert history.verdict.model == model
    assert (history.forecast is None) == (model is None)


def test_a_ramp_is_expected_to_go_on() -> None:
    history = watched(lambda second: 100 + second / 10, horizon=60)
    assert history.verdict.model == "trend"
    assert history.forecast == pytest.approx(100 + 5400 / 10 + 6)


def test_noise_is_not_taken_for_a_trend() -> None:
    history = watched(noisy(flat))
    assert history.forecast is None or history.forecast == pytest.approx(300, rel=0.1)


def test_a_season_is_learnt_from_coarse_samples_of_the_past_days() -> None:
    def rush(second: float) -> float:  # every day the same steep quarters of an hour
        return 400 + 300 * math.sin(second % 86400 / 900 * 2 * math.pi) if second % 86400 < 14400 else 400.0

    history = LoadHistory()
    for second in range(0, 3 * 86400, 300):
        history = learn(history, Sample(NOW + timedelta(seconds=second), rush(second)), 120)
    for second in range(3 * 86400, 3 * 86400 + 5400, 15):
        history = learn(history, Sample(NOW + timedelta(seconds=second), rush(second)), 120)
    assert history.pending[-1].expected[tuple(MODELS).index("daily")] is not None
    assert history.verdict.model in ("hourly", "daily")


def test_before_there_is_enough_to_judge_by_it_says_so() -> None:
    assert LoadHistory().verdict.message == "no load has been measured yet"
    assert (
        watched(flat, hours=0.05).verdict.message
        == "9 of the 40 forecasts needed to judge a model are complete, 7 m 45 s left"
    )
    assert "of the error of predicting no change" in watched(noisy(flat)).verdict.message


def test_forecasts_over_a_gap_in_the_data_are_not_judged() -> None:
    before = watched(sawtooth, hours=0.5)
    after = learn(before, Sample(before.recent[-1].at + timedelta(seconds=46), 5000.0), 60)
    assert after.errors == before.errors


def test_only_one_sample_a_step_counts() -> None:
    history = watched(flat, hours=0.1)
    last = history.recent[-1].at
    assert learn(history, Sample(last + timedelta(seconds=5), 900.0), 60) is history
    assert learn(history, Sample(last - timedelta(seconds=60), 900.0), 60) is history
    assert learn(history, Sample(last + timedelta(seconds=14.7), 900.0), 60) is not history


def test_what_is_kept_stays_small() -> None:
    history = watched(noisy(sawtooth), hours=3)
    assert (len(history.recent), len(history.errors)) == (21, 240)
    assert len(history.pending) == 4


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=80), st.floats(15, 600))
def test_no_model_expects_less_than_nothing(loads: list[float], horizon: float) -> None:
    history = LoadHistory()
    for number, load in enumerate(loads):
        history = learn(history, Sample(NOW + timedelta(seconds=15 * number), load), horizon)
    assert all(value is None or 0 <= value < math.inf for value in history.pending[-1].expected)


@pytest.mark.parametrize(
    ("errors", "loss"),
    [
        pytest.param([0.0] * 9 + [10.0], 0.9, id="too little"),
        pytest.param([0.0] * 9 + [-10.0], 0.1, id="too much costs a ninth"),
        pytest.param([10.0, -10.0], 5, id="both"),
    ],
)
def test_pinball_loss(errors: list[float], loss: float) -> None:
    assert pinball_loss(errors) == pytest.approx(loss)


def test_a_bucket_is_the_mean_of_its_samples_and_between_two_middles_lies_a_line() -> None:
    buckets, start = Buckets(), NOW.replace(minute=0, second=0)
    for minute, load in ((0, 10), (2, 30), (5, 40), (11, 70), (31, 1)):
        buckets = buckets.add(start + timedelta(minutes=minute), load)
    middle = start + timedelta(seconds=150)
    assert buckets.at(middle) == 20
    assert buckets.at(middle + timedelta(seconds=150)) == 30
    assert buckets.at(middle + timedelta(minutes=5)) == 40
    assert buckets.at(middle - timedelta(seconds=1)) is None
    assert buckets.at(middle + timedelta(minutes=12)) is None  # nothing was seen from 0:15 to 0:30
    assert buckets.at(middle + timedelta(minutes=30)) is None  # still open


def test_buckets_of_more_than_8_days_ago_are_forgotten() -> None:
    buckets = Buckets()
    for number in range(MOST_BUCKETS + 10):
        buckets = buckets.add(NOW + timedelta(minutes=5 * number), number)
    assert len(buckets.means) == MOST_BUCKETS
    assert buckets.means[-1] == MOST_BUCKETS + 8
    later = buckets.add(NOW + timedelta(days=365), 1.0)
    assert len(later.means) == MOST_BUCKETS
    assert math.isnan(later.means[-1])
