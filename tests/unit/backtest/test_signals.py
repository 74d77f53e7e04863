"""What scrapes show of the simulated app."""

import pytest

from scalableapp.backtest.signals import Scraping
from tests.unit.backtest.build import signals


@pytest.mark.parametrize(
    ("now", "expected"), [(0, 0), (4, 2), (7, 7), (11, 7)], ids=["before the first", "between", "at once", "later"]
)
def test_only_the_last_scrape_is_known(now: int, expected: int) -> None:
    assert Scraping(seconds=5, phase=2).last(now) == expected


def test_in_a_gap_the_scrape_before_it_is_the_last() -> None:
    scraping = Scraping(seconds=5, gaps=((20, 60),))
    assert [scraping.last(now) for now in (19, 24, 59, 61)] == [15, 15, 15, 60]


def test_a_rate_is_taken_over_the_whole_scrape_intervals_of_its_window() -> None:
    seen = signals([0] * 30 + [100] * 30, 9, scrape=15)
    assert seen.rate(60) == pytest.approx(100 * 30 / 45)
    assert seen.rate(30) == pytest.approx(100)


def test_before_two_scrapes_there_is_no_rate() -> None:
    assert signals([10] * 4, 1).rate(30) is None


def test_an_app_in_overload_counts_what_it_serves_and_a_proxy_what_comes() -> None:
    seen = signals([100] * 60, 1)
    assert seen.rate(30) == pytest.approx(40)
    assert seen.arrival_rate(30) == pytest.approx(100)
    assert seen.utilisation(15) == pytest.approx(1)
    assert seen.slow_share(60) == pytest.approx(1)


def test_calm_pods_have_few_slow_requests() -> None:
    share = signals([20] * 60, 1).slow_share(60)
    assert share == pytest.approx(0.0032, abs=1e-4)


def test_the_pods_of_an_app_share_its_load() -> None:
    rates = signals([80] * 60, 4).per_pod(30)
    assert rates == pytest.approx(dict.fromkeys(range(4), 20.0))


def test_a_pod_that_was_not_scraped_twice_has_no_rate() -> None:
    assert set(signals([80] * 60, 4, new=1).per_pod(30)) == {0, 1, 2}
