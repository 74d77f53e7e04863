from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import DataProblem, Decision, History, Reading
from tests.unit.core.build import CPU, QUEUE, RPS, app, free, observe

DOWN = Reading(problem=DataProblem.UNREACHABLE, message="Prometheus does not answer")


def three(
    combine: str, wishes: tuple[int | None, int | None, int | None], *, weights: tuple[str, ...] = ()
) -> Decision:
    """The decision on 4 replicas, where requests, CPU and the queue ask for `wishes`; None is a metric that fails."""
    metrics: list[dict[str, Any]] = [dict(metric) for metric in (RPS, CPU, QUEUE)]
    for metric, weight in zip(metrics, weights, strict=False):
        metric["weight"] = weight
    requests, cores, queue = wishes
    seen = observe(
        current=4,
        RequestsPerSecond=DOWN if requests is None else 50 * requests / 4,
        CPU=DOWN if cores is None else 0.3 * cores / 4,
        queue=DOWN if queue is None else Reading(total=10.0 * queue),
    )
    return decide(app(*metrics, combine=combine, behavior=free()), seen, History())


@pytest.mark.parametrize(
    ("combine", "wishes", "to"),
    [
        pytest.param("Max", (6, 2, 9), 9, id="largest"),
        pytest.param("Min", (6, 2, 9), 2, id="smallest"),
        pytest.param("Min", (6, 7, 9), 6, id="all agree on more"),
        pytest.param("Weighted", (6, 2, 9), 6, id="average 5.67, rounded up"),
        pytest.param("Weighted", (6, 2, 7), 5, id="average 5"),
    ],
)
def test_proposals_become_one_number(combine: str, wishes: tuple[int, int, int], to: int) -> None:
    decision = three(combine, wishes)
    assert decision.replicas_to == to
    assert [report.proposed_replicas for report in decision.metrics] == list(wishes)
    assert decision.steps[-1].value == to


def test_weights_count_and_are_reported() -> None:
    decision = three("Weighted", (8, 2, 2), weights=("3", "0.5", "0.5"))
    assert decision.replicas_to == 7
    assert decision.message.endswith(
        "weighted average (RequestsPerSecond 8 x 3, CPU 2 x 0.5, queue 2 x 0.5): needs 7 replicas"
    )
    assert [step.rule for step in decision.steps] == ["RequestsPerSecond", "CPU", "queue", "Weighted"]


@pytest.mark.parametrize(
    ("combine", "values"), [("Max", [6, 6, 9]), ("Min", [6, 6, 2]), ("Weighted", [6, 2, 9, 6])], ids=str
)
def test_each_step_has_the_number_so_far(combine: str, values: list[int]) -> None:
    assert [step.value for step in three(combine, (6, 2, 9)).steps] == values


@pytest.mark.parametrize("combine", ["Max", "Min", "Weighted"])
@pytest.mark.parametrize(
    ("wishes", "to"),
    [
        pytest.param((2, None, 3), 4, id="down is refused"),
        pytest.param((6, None, 6), 6, id="up is allowed"),
        pytest.param((None, None, None), 4, id="all failing"),
    ],
)
def test_a_failing_metric_forbids_less_however_they_are_combined(
    combine: str, wishes: tuple[int | None, int | None, int | None], to: int
) -> None:
    decision = three(combine, wishes)
    assert decision.replicas_to == to
    assert decision.data_problem is DataProblem.UNREACHABLE


recommended = st.integers(1, 60)


@given(st.tuples(recommended, recommended, recommended), st.tuples(*[st.sampled_from(["0.1", "1", "2.5"])] * 3))
def test_the_average_lies_between_the_smallest_and_the_largest(
    wishes: tuple[int, int, int], weights: tuple[str, ...]
) -> None:
    small, large = three("Min", wishes).replicas_to, three("Max", wishes).replicas_to
    assert small <= three("Weighted", wishes, weights=weights).replicas_to <= large
