"""Traces made into load."""

import numpy as np
import pytest

from scalableapp.backtest.load import Interpolation, Noise, Trace, arrivals, scaled


def trace(*rates: float) -> Trace:
    return Trace("test", np.arange(len(rates), dtype=np.float64) * 60.0, np.asarray(rates, dtype=np.float64))


def test_between_two_samples_load_changes_along_a_line_or_not_at_all() -> None:
    line, held = trace(0, 60).per_second(), trace(0, 60).per_second(Interpolation.HOLD)
    assert list(line[:3]) == pytest.approx([0, 1, 2])
    assert list(held[58:62]) == [0, 0, 60, 60]


def test_the_last_sample_lasts_as_long_as_the_others() -> None:
    assert trace(1, 2, 3).duration == 180


def test_scaling_moves_the_high_load_and_cuts_what_is_far_beyond() -> None:
    rates = np.concatenate([np.linspace(0, 1, 1000), [50.0]])
    result = scaled(rates, 600.0)
    assert np.percentile(result, 99) == pytest.approx(600, rel=0.02)
    assert result.max() == pytest.approx(1800)


def test_chance_keeps_the_mean_and_is_the_same_for_the_same_seed() -> None:
    rates = np.full(20_000, 100.0)
    first, again, other = (arrivals(rates, Noise(seed=seed)) for seed in (1, 1, 2))
    assert first.mean() == pytest.approx(100, rel=0.02)
    assert first.std() == pytest.approx(np.sqrt(100 + 25), rel=0.1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
