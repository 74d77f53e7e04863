from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.proposals import Proposal, Tolerance, propose
from scalableapp.core.model import DataProblem, Observation, Reading
from tests.unit.core.build import CPU, QUEUE, QUEUE_VALUE, RPS, ago, app, observe, per_pod, pod, pods


def ask(metric: dict[str, str], observation: Observation, **tolerances: str) -> Proposal:
    behavior = {side: {"tolerance": tolerances[side]} for side in tolerances}
    spec = app(metric, behavior=behavior)
    return propose(spec.metrics[0], observation, Tolerance.of(spec.scaling.horizontal.behavior))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        pytest.param([50, 50, 50], 3, id="on target"),
        pytest.param([55, 55, 55], 3, id="upper edge of the tolerance belongs to it"),
        pytest.param([55.1, 55.1, 55.1], 4, id="just over the tolerance"),
        pytest.param([45, 45, 45], 3, id="lower edge of the tolerance belongs to it"),
        pytest.param([30, 30, 30], 2, id="below"),
        pytest.param([100, 100, 100], 6, id="twice the target doubles"),
        pytest.param([120, 20, 10], 3, id="the average over pods counts, not the hottest"),
        pytest.param([150, 20, 10], 4, id="fractions are rounded up"),
        pytest.param([0, 0, 0], 0, id="no load asks for none"),
        pytest.param([1e90, 1, 1], 2**31 - 1, id="int32 is the ceiling"),
    ],
)
def test_requests_per_pod(values: list[float], wanted: int) -> None:
    assert ask(RPS, observe(RequestsPerSecond=per_pod(*values))).replicas == wanted


def test_ratios_are_not_cut_to_whole_percents() -> None:
    # 0.904 x 10 pods is 9.04: HPA's utilisation would cut to 90 % and so keep within the tolerance of 0.1
    assert ask(RPS, observe(current=10, RequestsPerSecond=44.99)).replicas == 9


def test_binary_fractions_do_not_add_a_pod() -> None:
    assert ask(CPU | {"target": "0.1"}, observe(CPU=0.1 * 3)).replicas == 9
    assert ask(CPU, observe(CPU=0.33)).replicas == 3


def test_each_direction_has_its_own_tolerance() -> None:
    assert ask(RPS, observe(RequestsPerSecond=65), scaleUp="0.3", scaleDown="0.05").replicas == 3
    assert ask(RPS, observe(RequestsPerSecond=46), scaleUp="0.3", scaleDown="0.05").replicas == 3
    assert ask(RPS, observe(current=10, RequestsPerSecond=46), scaleUp="0.3", scaleDown="0.05").replicas == 10
    assert ask(RPS, observe(current=10, RequestsPerSecond=44), scaleUp="0.3", scaleDown="0.05").replicas == 9


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        pytest.param([90, 90, None], 4, id="idle when scaling up: 180 over 3 pods"),
        pytest.param([60, 60, None], 3, id="idle turns up into down: no change"),
        pytest.param([78, 78, None], 3, id="idle brings it into tolerance: no change"),
        pytest.param([20, 20, None], 2, id="on target when scaling down: 90 over 3 pods"),
        pytest.param([40, 45, None], 3, id="on target brings it into tolerance: no change"),
        pytest.param([50, 50, None], 3, id="exactly on target: no change"),
    ],
)
def test_a_pod_without_a_sample(values: list[float | None], wanted: int) -> None:
    assert ask(RPS, observe(RequestsPerSecond=per_pod(*values))).replicas == wanted


def test_a_pending_pod_is_idle_when_scaling_up_and_ignored_when_scaling_down() -> None:
    running = (*pods(2), pod(2, phase="Pending", ready=False))
    assert ask(RPS, observe(current=3, pods=running, RequestsPerSecond=per_pod(200, 200))).replicas == 8
    assert ask(RPS, observe(current=3, pods=running, RequestsPerSecond=per_pod(70, 70))).replicas == 3
    assert ask(RPS, observe(current=3, pods=running, RequestsPerSecond=per_pod(10, 10))).replicas == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"deleting": True}, id="deleting"),
        pytest.param({"phase": "Failed", "ready": False}, id="failed"),
        pytest.param({"phase": "Succeeded", "ready": False}, id="succeeded"),
    ],
)
def test_a_pod_that_is_gone_does_not_count(change: dict[str, Any]) -> None:
    running = (*pods(2), pod(2, **change))
    assert ask(RPS, observe(current=2, pods=running, RequestsPerSecond=per_pod(100, 100, 900))).replicas == 4


def test_requests_of_a_pod_that_just_lost_readiness_are_still_load() -> None:
    running = (*pods(2), pod(2, ready=False, readiness_changed_at=ago(5)))
    assert ask(RPS, observe(current=3, pods=running, RequestsPerSecond=per_pod(100, 100, 100))).replicas == 6


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        pytest.param(
            {"ready": True, "readiness_changed_at": ago(200)}, True, id="ready for longer than the rate's window"
        ),
        pytest.param({"ready": True, "readiness_changed_at": ago(59)}, False, id="the rate still contains its start"),
        pytest.param({"ready": False, "readiness_changed_at": ago(200)}, False, id="not ready while starting"),
        pytest.param({"ready": False, "readiness_changed_at": None}, False, id="never was ready"),
        pytest.param(
            {"started_at": ago(301), "ready": False, "readiness_changed_at": ago(200)},
            True,
            id="lost readiness after the initialisation period",
        ),
        pytest.param(
            {"started_at": ago(301), "ready": False, "readiness_changed_at": ago(290)},
            False,
            id="old, but unready since its first seconds",
        ),
        pytest.param({"started_at": ago(301), "readiness_changed_at": ago(5)}, True, id="old and just ready again"),
    ],
)
def test_cpu_of_a_starting_pod(change: dict[str, Any], counts: bool) -> None:
    running = (*pods(2), pod(2, **{"started_at": ago(210)} | change))
    # With the third pod's 1.2 cores the average is 0.6 (6 replicas for 3 pods); without, 0.3 is on target.
    wanted = ask(CPU, observe(current=3, pods=running, CPU=per_pod(0.3, 0.3, 1.2))).replicas
    assert wanted == (6 if counts else 3)


def test_cpu_of_pods_that_all_just_became_ready_is_waited_for() -> None:
    starting = [pod(0, started_at=ago(50), readiness_changed_at=ago(40))]
    failure = ask(CPU, observe(current=1, pods=starting, CPU=9.0)).failure
    assert failure is not None
    assert (failure.reason, failure.problem) == (Reason.AWAITING_SAMPLES, None)


@pytest.mark.parametrize(
    ("total", "wanted"),
    [
        pytest.param(30, 3, id="on target"),
        pytest.param(33, 3, id="within tolerance"),
        pytest.param(34, 4, id="above"),
        pytest.param(95, 10, id="far above"),
        pytest.param(0, 0, id="an empty queue asks for none"),
    ],
)
def test_average_value_of_a_query(total: float, wanted: int) -> None:
    assert ask(QUEUE, observe(queue=Reading(total=total))).replicas == wanted


def test_average_value_may_scale_up_without_any_ready_pod_but_not_down() -> None:
    unready = [pod(number, ready=False) for number in range(3)]
    assert ask(QUEUE, observe(current=3, pods=unready, queue=Reading(total=100))).replicas == 10
    failure = ask(QUEUE, observe(current=3, pods=unready, queue=Reading(total=0))).failure
    assert failure is not None
    assert failure.reason == Reason.NO_READY_PODS


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        pytest.param(10, 5, id="on target"),
        pytest.param(11, 5, id="within tolerance: current replicas, not the ready pods"),
        pytest.param(15, 6, id="ratio times the 4 ready pods"),
        pytest.param(5, 2, id="below"),
    ],
)
def test_value_of_a_query_follows_the_ready_pods(value: float, wanted: int) -> None:
    running = (*pods(4), pod(4, ready=False))
    assert ask(QUEUE_VALUE, observe(current=5, pods=running, queue=Reading(total=value))).replicas == wanted


def test_an_app_at_0_replicas_has_no_average_to_tolerate() -> None:
    assert ask(QUEUE, observe(current=0, queue=Reading(total=10.5))).replicas == 2


@pytest.mark.parametrize(
    ("target", "seconds", "wanted", "expected"),
    [
        pytest.param("250ms", 0.5, 6, "500ms at quantile 0.95", id="twice too slow"),
        pytest.param("0.25", 0.5, 6, "0.5 s at quantile 0.95", id="a target in seconds"),
        pytest.param("250ms", 0.26, 3, "260ms", id="within tolerance"),
        pytest.param("2s", 0.5, 1, "0.5s at quantile 0.95", id="fast"),
    ],
)
def test_a_latency_follows_the_ready_pods(target: str, seconds: float, wanted: int, expected: str) -> None:
    proposal = ask({"type": "Latency", "target": target}, observe(Latency=Reading(seconds)))
    assert proposal.replicas == wanted
    assert expected in proposal.message


def test_memory_is_per_pod_and_reported_in_the_unit_of_its_target() -> None:
    memory = {"type": "Memory", "target": "200Mi"}
    proposal = ask(memory, observe(Memory=per_pod(300 * 2**20, 300 * 2**20, 300 * 2**20)))
    assert proposal.replicas == 5
    assert proposal.message.startswith("Memory is 300Mi per pod on 3 pods")


def test_value_without_a_ready_pod_says_so() -> None:
    failure = ask(QUEUE_VALUE, observe(current=1, pods=[pod(0, ready=False)], queue=Reading(total=99))).failure
    assert failure is not None
    assert failure.reason == Reason.NO_READY_PODS


def test_requests_known_only_in_total_are_spread_over_the_replicas() -> None:
    assert ask(RPS, observe(RequestsPerSecond=Reading(total=400))).replicas == 8


def test_the_report_is_in_the_unit_of_the_target() -> None:
    report = ask(CPU, observe(CPU=0.4125)).report
    assert (report.current, report.target, report.proposed_replicas) == ("412m", "300m", 5)
    memory = QUEUE | {"target": "100Mi"}
    assert ask(memory, observe(queue=Reading(total=3 * 150 * 2**20))).report.current == "150Mi"


def test_the_message_says_what_was_measured_on_how_many_pods_against_which_target() -> None:
    message = ask(RPS, observe(RequestsPerSecond=per_pod(110, 110, None))).message
    assert message == (
        "RequestsPerSecond is 110 requests/s per pod on 2 of 3 pods, 146.7 % of the target 50, 1 pod without a "
        "sample counted as idle: needs 5 replicas"
    )


@pytest.mark.parametrize("problem", list(DataProblem))
def test_a_bad_reading_keeps_its_name_and_its_message(problem: DataProblem) -> None:
    proposal = ask(RPS, observe(RequestsPerSecond=Reading(problem=problem, message="what the adapter saw")))
    assert proposal.replicas is None
    assert proposal.failure is not None
    assert proposal.failure.problem is problem
    assert "what the adapter saw" in proposal.message


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param(float("nan"), DataProblem.NOT_A_NUMBER, id="nan"),
        pytest.param(float("inf"), DataProblem.INFINITE, id="infinite"),
        pytest.param(-1.0, DataProblem.NEGATIVE, id="negative"),
        pytest.param(float("-inf"), DataProblem.NEGATIVE, id="negative infinity"),
    ],
)
def test_a_value_that_is_no_load_is_named_with_its_pod(value: float, problem: DataProblem) -> None:
    for reading, whose in ((per_pod(50, value, 50), "pod-1"), (Reading(total=value), "the value")):
        failure = ask(RPS, observe(RequestsPerSecond=reading)).failure
        assert failure is not None
        assert failure.problem is problem
        assert whose in failure.message


def test_fewer_samples_than_half_of_the_ready_pods_are_partial_data() -> None:
    assert ask(RPS, observe(current=4, RequestsPerSecond=per_pod(90, 90, None, None))).failure is None
    failure = ask(RPS, observe(current=4, RequestsPerSecond=per_pod(90, None, None, None))).failure
    assert failure is not None
    assert failure.problem is DataProblem.PARTIAL
    assert "1 of 4 ready pods" in failure.message


def test_pods_that_became_ready_a_moment_ago_are_not_partial_data() -> None:
    fresh = [pod(number, readiness_changed_at=ago(10)) for number in range(1, 4)]
    assert ask(RPS, observe(current=4, pods=(pod(0), *fresh), RequestsPerSecond=per_pod(500))).replicas == 10


def test_no_samples_at_all_are_no_data_once_the_pods_have_been_ready_for_a_while() -> None:
    empty = Reading(problem=DataProblem.EMPTY)
    lost = ask(RPS, observe(RequestsPerSecond=empty)).failure
    early = ask(RPS, observe(pods=[pod(0, readiness_changed_at=ago(10))], RequestsPerSecond=empty)).failure
    none = ask(RPS, observe(pods=[pod(0, ready=False)], RequestsPerSecond=empty)).failure
    assert lost is not None
    assert early is not None
    assert none is not None
    assert [lost.reason, early.reason, none.reason] == ["NoData", "AwaitingSamples", "NoReadyPods"]
    assert [lost.problem, early.problem, none.problem] == [DataProblem.EMPTY, None, None]


def test_a_metric_that_nobody_measured_is_no_data() -> None:
    failure = ask(RPS, observe()).failure
    assert failure is not None
    assert failure.problem is DataProblem.EMPTY


@pytest.mark.parametrize(
    ("percentile", "values", "wanted"),
    [
        pytest.param("100", [20, 20, 20, 20, 120], 12, id="the hottest pod"),
        pytest.param("80", [20, 20, 20, 20, 120], 2, id="one hot pod of five is not in it"),
        pytest.param("81", [20, 20, 20, 20, 120], 12, id="just in it"),
        pytest.param("50", [10, 60, 200], 4, id="nearest rank: no value is invented"),
        pytest.param("1", [50, 90, 90, 90, 90], 5, id="the coolest pod is on target"),
        pytest.param("100", [90, 90, None, None], 8, id="a hot pod stays hot beside idle ones"),
        pytest.param("50", [90, 90, None, None], 4, id="pods without a sample turn the direction"),
        pytest.param("100", [10, 10, None, None], 4, id="a pod without a sample may be the hottest when scaling down"),
    ],
)
def test_a_percentile_stands_for_the_pods(percentile: str, values: list[float | None], wanted: int) -> None:
    metric = RPS | {"aggregate": "Percentile", "percentile": percentile}
    proposal = ask(metric, observe(current=len(values), RequestsPerSecond=per_pod(*values)))
    assert proposal.replicas == wanted


def test_a_percentile_is_reported_with_its_rank() -> None:
    metric = RPS | {"aggregate": "Percentile", "percentile": "90"}
    proposal = ask(metric, observe(RequestsPerSecond=per_pod(40, 40, 90)))
    assert proposal.message == (
        "RequestsPerSecond is 90 requests/s at percentile 90 of 3 pods, 180 % of the target 50: needs 6 replicas"
    )
    assert proposal.report.current == "90"
