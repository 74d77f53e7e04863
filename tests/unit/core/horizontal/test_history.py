from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide, first_seen, record_scale, remember
from scalableapp.core.horizontal.history import MOST_ENTRIES
from scalableapp.core.model import Decision, History, Recommendation
from tests.unit.core.build import NOW, ago, app, free, observe, past


def decision(replicas: int | None, seconds_ago: float = 0) -> Decision:
    at = ago(seconds_ago)
    recommended = None if replicas is None else Recommendation(at, replicas)
    return Decision(at, 3, 3, "", "", (), recommendation=recommended)


def kept(history: History) -> list[tuple[float, int]]:
    return [((NOW - entry.at).total_seconds(), entry.replicas) for entry in history.recommendations]


def test_equal_recommendations_collapse_into_the_latest() -> None:
    assert kept(remember(past({10: 5}), decision(5), app())) == [(0, 5)]


def test_a_recommendation_that_a_later_one_surpasses_is_dropped() -> None:
    assert kept(remember(past({20: 4, 10: 9}), decision(5), app())) == [(10, 9), (0, 5)]


def test_low_recommendations_are_kept_when_scale_up_has_a_window() -> None:
    spec = app(behavior=free(up={"stabilizationWindowSeconds": 60}))
    assert kept(remember(past({20: 4, 10: 9}), decision(9), spec)) == [(20, 4), (0, 9)]


def test_what_no_window_reaches_any_more_is_dropped() -> None:
    assert kept(remember(past({300: 9, 299: 8}), decision(None), app())) == [(299, 8)]


def test_nothing_new_is_the_same_history() -> None:
    history = past({10: 5}, {5: 2})
    assert remember(history, decision(None), app()) is history


def test_scale_events_live_as_long_as_the_longest_period() -> None:
    spec = app(behavior={"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 600}]}})
    history = record_scale(past(scaled={600: 1, 599: 2}), NOW, -3, spec)
    assert [event.change for event in history.scale_events] == [2, -3]
    assert (
        remember(past(scaled={600: 1, 599: 2}), decision(None), spec).scale_events == past(scaled={599: 2}).scale_events
    )


def test_history_is_bounded() -> None:
    spec = app(
        behavior=free(
            down={"stabilizationWindowSeconds": 3600},
            up={"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1800}]},
        )
    )
    history = History()
    for second in range(MOST_ENTRIES + 50, 0, -1):
        history = remember(history, decision(second, seconds_ago=second), spec)
        history = record_scale(history, ago(second), 1, spec)
    assert len(history.recommendations) == len(history.scale_events) == MOST_ENTRIES
    assert history.recommendations[-1].replicas == 1


def test_an_app_seen_for_the_first_time_waits_a_window_before_it_goes_down() -> None:
    observation = observe(current=9, RequestsPerSecond=10)
    decided = decide(app(), observation, first_seen(observation))
    assert (decided.replicas_to, decided.reason) == (9, Reason.SCALE_DOWN_STABILIZED)


@given(
    wishes=st.lists(st.tuples(st.integers(1, 120), st.integers(0, 40)), max_size=40),
    up=st.sampled_from([0, 60, 300]),
    down=st.sampled_from([0, 60, 300]),
    load=st.floats(0, 1000),
)
def test_the_pruned_history_decides_like_the_full_one(
    wishes: list[tuple[int, int]], up: int, down: int, load: float
) -> None:
    spec = app(behavior=free({"stabilizationWindowSeconds": up}, {"stabilizationWindowSeconds": down}))
    pruned, full = History(), History()
    at = NOW - timedelta(seconds=sum(gap for gap, _ in wishes))
    for gap, replicas in wishes:
        at += timedelta(seconds=gap)
        recommended = Recommendation(at, replicas)
        pruned = remember(pruned, Decision(at, 3, 3, "", "", (), recommendation=recommended), spec)
        full = History((*full.recommendations, recommended))
    observation = observe(current=10, RequestsPerSecond=load / 10)
    assert decide(spec, observation, pruned).replicas_to == decide(spec, observation, full).replicas_to
    assert len(pruned.recommendations) <= len(full.recommendations)
