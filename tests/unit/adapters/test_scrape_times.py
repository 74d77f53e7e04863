"""How the interval of scrapes is measured."""

import math

import pytest

from scalableapp.adapters.per_pod import inspection_answer, pod_answer
from scalableapp.adapters.prometheus_answers import Answer, Sample
from scalableapp.adapters.prometheus_queries import KINDS, NEWEST, PART, SAMPLES
from scalableapp.adapters.scrape_times import ScrapeTimes
from scalableapp.core.api.metrics import MetricType

POD = "shop", "web-1"
COPY, OTHER = (*POD, "job-a"), (*POD, "job-b")


def watched(every: float, looks: int, tick: float = 5.0, first: float = 2.0) -> ScrapeTimes:
    """A rhythm that has seen a pod scraped `every` so many seconds, at each tick."""
    clock = [1000.0]
    scrape_times = ScrapeTimes(lambda: clock[0])
    for _ in range(looks):
        scrapes = (clock[0] - 1000.0 - first) // every
        if scrapes >= 0:
            scrape_times.seen({COPY: 1000.0 + first + scrapes * every})
        else:
            scrape_times.seen({})
        clock[0] += tick
    return scrape_times


@pytest.mark.parametrize("every", [5, 10, 15, 30, 60, 120])
def test_an_interval_is_known_after_two_scrapes(every: int) -> None:
    assert watched(every, looks=2 * every // 5 + 2).interval_of(POD) == every


def test_after_one_scrape_it_is_not_known() -> None:
    assert watched(30, looks=6).interval_of(POD) is None


@pytest.mark.parametrize(("tick", "longest"), [(30, 30), (300, 60)])
def test_queries_that_are_rarer_than_scrapes_find_none_too_rare(tick: float, longest: float) -> None:
    scrape_times = watched(5, looks=4, tick=tick)
    assert scrape_times.interval_of(POD) == longest
    scrape_times.counted({COPY: 5.0})
    assert scrape_times.interval_of(POD) == 5


def test_after_a_start_the_number_of_samples_shows_it() -> None:
    scrape_times = ScrapeTimes()
    scrape_times.counted({COPY: 30.0})
    assert scrape_times.interval_of(POD) == 30


def test_a_new_interval_counts_after_two_scrapes_though_the_mean_is_still_the_old_one() -> None:
    clock = [0.0]
    scrape_times = ScrapeTimes(lambda: clock[0])
    for second in range(0, 180, 5):
        clock[0] = float(second)
        scrape_times.seen({COPY: float(second if second < 60 else 60 + (second - 60) // 30 * 30)})
    scrape_times.counted({COPY: 8.0})
    assert scrape_times.interval_of(POD) == 30


def test_a_gap_is_exacter_than_a_mean_of_few_samples() -> None:
    scrape_times = watched(120, looks=60)
    scrape_times.counted({COPY: 150.0})
    assert scrape_times.interval_of(POD) == 120


def test_a_pod_seen_by_two_jobs_has_the_longer_interval_unless_it_is_of_no_use() -> None:
    scrape_times = ScrapeTimes()
    scrape_times.counted({COPY: 15.0, OTHER: 30.0})
    assert scrape_times.interval_of(POD) == 30
    scrape_times.counted({COPY: 15.0, OTHER: 150.0})
    assert scrape_times.interval_of(POD) == 15


def test_a_new_pod_takes_the_longest_interval_of_its_namespace() -> None:
    scrape_times = ScrapeTimes()
    scrape_times.counted({COPY: 30.0, ("shop", "web-2", ""): 15.0, ("other", "x", ""): 60.0})
    assert scrape_times.interval_of(("shop", "web-3")) == 30
    assert scrape_times.interval_of(("nowhere", "x")) is None


def test_pods_that_are_gone_are_forgotten() -> None:
    scrape_times = watched(5, looks=4)
    scrape_times.seen({})
    assert scrape_times.interval_of(POD) is None


def test_two_prometheis_that_answer_in_turn_do_not_shorten_the_interval() -> None:
    clock = [0.0]
    scrape_times = ScrapeTimes(lambda: clock[0])
    scrape_times.counted({COPY: 30.0})
    for query in range(40):
        clock[0] = 5.0 * query
        phase = 10.0 * (query % 2)
        scrape_times.seen({COPY: phase + (clock[0] - phase) // 30 * 30})
    assert scrape_times.interval_of(POD) == 30


def test_a_pod_that_is_gone_keeps_the_interval_that_was_counted() -> None:
    scrape_times = ScrapeTimes()
    scrape_times.counted({COPY: 30.0, ("shop", "web-2", ""): 5.0})
    scrape_times.counted({("shop", "web-2", ""): 5.0}, ended={COPY})
    assert scrape_times.interval_of(POD) == 30
    scrape_times.counted({("shop", "web-2", ""): 5.0})
    assert scrape_times.interval_of(POD) == 5  # of its namespace


@pytest.mark.parametrize(
    ("stopped_for", "every"), [(0, 30), (100, 30), (150, 30), (200, 30), (100, 5), (200, 60)], ids=str
)
def test_scrapes_that_have_stopped_make_neither_interval_nor_window_longer(stopped_for: float, every: float) -> None:
    """As of containers: their samples end without a mark, and Prometheus shows the last for 5 minutes."""
    now, (namespace, pod) = 100_000.0, POD
    newest, samples = now - stopped_for, math.ceil((300 - stopped_for) / every)
    scrape_times = ScrapeTimes()
    labels = {"namespace": namespace, "pod": pod}
    last, count = Sample(newest, labels | {PART: NEWEST}), Sample(samples, labels | {PART: SAMPLES})
    inspection_answer(Answer((count, last), at=now), (), scrape_times)
    cpu = Answer((Sample(0.1, labels), last), at=now)
    scrape = pod_answer(cpu, KINDS[MetricType.CPU], scrape_times, {}, with_newest=True).scrapes[POD]
    assert scrape.interval == pytest.approx(every, rel=0.25)
    assert scrape.window == max(60, 4 * every)
    assert scrape.overdue == (stopped_for > 2.5 * every)
