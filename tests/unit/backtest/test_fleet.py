"""Life of simulated pods."""

from hypothesis import given
from hypothesis import strategies as st

from scalableapp.backtest.fleet import Fleet, Startup


def spans(fleet: Fleet, start: int, end: int) -> list[tuple[int, int, int]]:
    return list(fleet.pass_time(start, end))


def test_a_new_pod_is_there_at_once_and_ready_after_its_start_up() -> None:
    fleet = Fleet(2, Startup(15))
    spans(fleet, 0, 10)
    fleet.scale(10, 3)
    assert (fleet.replicas, fleet.ready) == (3, 2)
    assert spans(fleet, 10, 40) == [(10, 25, 2), (25, 40, 3)]


def test_scaling_down_takes_the_youngest_so_starting_pods_go_first() -> None:
    fleet = Fleet(2, Startup(15))
    fleet.scale(10, 4)
    fleet.scale(12, 2)
    assert (fleet.replicas, fleet.ready) == (2, 2)
    assert [name for name, _, _ in fleet.pods] == [0, 1]


def test_a_pod_is_never_named_twice() -> None:
    fleet = Fleet(1, Startup(15))
    for now, replicas in enumerate((3, 1, 3)):
        fleet.scale(now, replicas)
    assert [name for name, _, _ in fleet.pods] == [0, 3, 4]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=20), st.integers(1, 40))
def test_the_past_is_shown_as_it_happened(steps: list[tuple[int, int]], startup: int) -> None:
    fleet, now, lived = Fleet(3, Startup(startup)), 0, []
    for wait, replicas in steps:
        for start, end, ready in fleet.pass_time(now, now + wait):
            lived += [ready] * (end - start)
        now += wait
        fleet.scale(now, replicas)
    assert list(fleet.ready_over_time(now)) == lived
    replayed = [ready for start, end, ready in fleet.spans(0, now) for _ in range(end - start)]
    assert replayed == lived


def test_start_up_times_may_scatter_around_their_median() -> None:
    startup = Startup(20, spread=0.3, seed=3)
    times = sorted(startup.draw() for _ in range(999))
    assert times[0] < 15 < times[-1]
    assert 19 <= times[499] <= 21
