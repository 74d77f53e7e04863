from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.horizontal.decide import decide, remember
from scalableapp.core.horizontal.startup import MOST_SAMPLES, learn, startup_seconds
from scalableapp.core.model import History, PodState, Startups
from tests.unit.core.build import ago, app, observe, pod


def took(number: int, seconds: float) -> PodState:
    """A pod that was created 1000 s ago and took `seconds` until it was ready."""
    return pod(number, created_at=ago(1000), started_at=ago(990), readiness_changed_at=ago(1000 - seconds))


@pytest.mark.parametrize(
    ("pods", "seconds"),
    [
        pytest.param((), None, id="no pods"),
        pytest.param((took(0, 12),), 12, id="from its creation"),
        pytest.param((pod(0),), 10, id="from its start where its creation is not known"),
        pytest.param((took(0, 12), took(1, 90), took(2, 14)), 14, id="the median"),
        pytest.param((took(0, 601),), None, id="a pod that lost its readiness once"),
        pytest.param((took(0, -5),), None, id="clocks that disagree"),
        pytest.param((replace(took(0, 12), ready=False),), None, id="not ready"),
        pytest.param((replace(took(0, 12), readiness_changed_at=None),), None, id="nobody knows since when"),
    ],
)
def test_a_start_is_from_creation_to_ready(pods: tuple[PodState, ...], seconds: float | None) -> None:
    assert startup_seconds(learn(Startups(), pods)) == seconds


def test_each_start_counts_once_even_if_readiness_comes_and_goes() -> None:
    first = learn(Startups(), (took(0, 12),))
    assert learn(first, (took(0, 400),)) is first


def test_pods_that_are_gone_are_forgotten_but_not_how_long_they_took() -> None:
    later = learn(learn(Startups(), (took(0, 12), took(1, 14))), (took(2, 30),))
    assert later == Startups((12, 14, 30), frozenset({"pod-2"}))


@given(st.lists(st.integers(0, 700), max_size=60))
def test_only_the_newest_starts_are_kept(starts: list[int]) -> None:
    startups = Startups()
    for number, seconds in enumerate(starts):
        startups = learn(startups, (took(number, seconds),))
    assert startups.samples == tuple(seconds for seconds in starts if seconds <= 600)[-MOST_SAMPLES:]


def test_starts_are_remembered_from_one_decision_to_the_next() -> None:
    spec, seen = app(), observe(pods=(took(0, 12), took(1, 14), took(2, 30)), RequestsPerSecond=50)
    history = remember(History(), decide(spec, seen, History()), spec)
    assert startup_seconds(history.startups) == 14
    assert decide(spec, seen, history).startups is history.startups
