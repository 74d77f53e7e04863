"""Objective mode in a closed loop: decisions change the pods, and the pods what is measured next."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalableapp.core.horizontal.decide import decide, record_scale, remember
from scalableapp.core.horizontal.replay import Moment, replay_history
from scalableapp.core.learning.objective import restored
from scalableapp.core.model import (
    DataProblem,
    Decision,
    History,
    Observation,
    PodState,
    Reading,
    ServiceLevel,
    Startups,
)
from scalableapp.core.status.learned_status import read_learned, write_learned
from tests.unit.core.build import NOW, app, observe, per_pod
from tests.unit.core.horizontal.test_objective_plan import OBJECTIVE

FEW = settings(max_examples=4)
SPEC = app(metrics=[], objective=OBJECTIVE, minReplicas=1, maxReplicas=200)
EARLIER = NOW - timedelta(hours=24)


@dataclass
class World:
    """`share` and `cpu` follow from requests per second and pod; at most `most` of them are answered."""

    load: float
    share: Callable[[float], float]
    cpu: Callable[[float], float]
    replicas: int = 4
    most: float = 1e9
    now: datetime = EARLIER
    history: History = field(default_factory=History)
    slow: Reading | None = None

    def observe(self) -> Observation:
        offered = self.load / self.replicas
        answered = min(offered, self.most)
        level = ServiceLevel(
            Reading(answered * self.replicas),
            Reading(self.share(offered)) if self.slow is None else self.slow,
            per_pod(*[self.cpu(answered)] * self.replicas),
        )
        return replace(observe(current=self.replicas), now=self.now, service_level=level, pods=self._pods())

    def _pods(self) -> tuple[PodState, ...]:
        return tuple(
            replace(pod, started_at=EARLIER - timedelta(hours=1), readiness_changed_at=EARLIER - timedelta(hours=1))
            for pod in observe(current=self.replicas).pods
        )

    def tick(self) -> Decision:
        decision = decide(SPEC, self.observe(), self.history)
        self.history = remember(self.history, decision, SPEC)
        if decision.changes:
            change = decision.replicas_to - decision.replicas_from
            self.history = record_scale(self.history, self.now, change, SPEC)
        self.replicas, self.now = decision.replicas_to, self.now + timedelta(seconds=5)
        return decision

    def minutes(self, number: float) -> list[int]:
        return [self.tick().replicas_to for _ in range(round(12 * number))]


def queue(capacity: float) -> Callable[[float], float]:
    """The slow share of pods of which more than the capacity is too much."""
    return lambda load: min(1.0, 0.05 * (load / capacity) ** 8)


@FEW
@given(
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    cpu=st.floats(0, 1),
    load=st.floats(1, 300),
    minutes=st.integers(1, 10),
    growth=st.floats(0.5, 2),
)
def test_a_larger_slow_share_never_asks_for_fewer_pods(
    shares: tuple[float, float], cpu: float, load: float, minutes: int, growth: float
) -> None:
    world = World(load, queue(25), lambda answered: answered / 40)
    world.minutes(minutes)
    world.load *= growth
    world.cpu = lambda _: cpu
    found = []
    for share in sorted(shares):
        world.share = lambda _, share=share: share  # type: ignore[misc]
        found.append(decide(SPEC, world.observe(), world.history).replicas_to)
    assert found[0] <= found[1]


@FEW
@given(times=st.floats(1.1, 12), replicas=st.integers(1, 8), rate=st.floats(10, 100))
def test_full_pods_that_are_too_slow_get_more_until_they_are_not(times: float, replicas: int, rate: float) -> None:
    world = World(
        times * replicas * rate, queue(0.75 * rate), lambda answered: min(1.0, answered / rate), replicas, most=rate
    )
    numbers = world.minutes(15)
    assert numbers == sorted(numbers) or world.share(world.load / world.replicas) <= 0.05
    assert world.share(world.load / world.replicas) <= 0.05


@FEW
@given(share=st.floats(0, 1), load=st.floats(0.2, 400), cpu=st.floats(0.05, 0.5))
def test_constant_input_settles_and_stays(share: float, load: float, cpu: float) -> None:
    world = World(load, lambda _: share, lambda _: cpu)
    world.minutes(40)
    assert len(set(world.minutes(20))) == 1
    assert world.replicas <= 2 * 4


@FEW
@given(load=st.floats(1, 300), growth=st.floats(0.01, 1), minutes=st.integers(0, 20))
@pytest.mark.parametrize(
    "slow",
    [
        pytest.param(Reading(problem=DataProblem.EMPTY, message="no histogram"), id="a vanished histogram"),
        pytest.param(Reading(problem=DataProblem.PARTIAL, message="1 of 4"), id="partial"),
        pytest.param(Reading(1.7), id="a share that is none"),
        pytest.param(Reading(float("nan")), id="not a number"),
    ],
)
def test_data_that_cannot_be_read_takes_no_pod_away(slow: Reading, load: float, growth: float, minutes: int) -> None:
    world = World(load, queue(25), lambda answered: answered / 40)
    world.minutes(minutes)
    before, world.slow = world.replicas, slow
    world.load *= growth
    assert min(world.minutes(10)) >= before


@FEW
@given(share=st.floats(0, 1), load=st.floats(1, 300), minutes=st.integers(10, 15))
def test_a_restart_changes_the_number_by_one_pod_at_most(share: float, load: float, minutes: int) -> None:
    world = World(load, lambda offered: max(share * 0.3, queue(25)(offered)), lambda answered: answered / 40)
    moments: list[Moment] = []
    for _ in range(12 * (minutes + 1)):
        seen = world.observe().service_level
        moments.append(Moment(world.now, seen.load.total or 0.0, world.replicas, seen.slow_share.total))
        world.tick()
    past = replay_history(SPEC, moments, Startups()).learned
    learned = restored(past, read_learned(write_learned(world.history.learned)))
    lived = decide(SPEC, world.observe(), world.history).replicas_to
    assert abs(decide(SPEC, world.observe(), replace(world.history, learned=learned)).replicas_to - lived) <= 1
