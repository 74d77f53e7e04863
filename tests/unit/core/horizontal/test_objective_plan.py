"""Objective mode in a decision: the plan, what stands beside it, and when the metrics decide instead."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide, record_scale, remember
from scalableapp.core.horizontal.objective_plan import (
    _sample,
    _slow_share,
    _whole_load,
    plan_objective,
    replay_objective,
)
from scalableapp.core.learning.idle import Surplus
from scalableapp.core.learning.objective import Sample
from scalableapp.core.model import DataProblem, Decision, History, Observation, Reading, ServiceLevel, Startups
from tests.unit.core.build import CPU, NOW, RPS, ago, observe, per_pod, pod, pods

OBJECTIVE = {"latency": {"quantile": 0.95, "seconds": 0.25}, "badMinutesPercent": 0.5}
GOOD, BAD = 0.004, 0.3
UNREACHABLE = Reading(problem=DataProblem.UNREACHABLE, message="Prometheus does not answer")
NO_LATENCY = Reading(problem=DataProblem.EMPTY, message="no histogram")


def app(*metrics: dict[str, Any], **horizontal: Any) -> ScalableAppSpec:
    scaling = {"horizontal": {"minReplicas": 1, "maxReplicas": 50, "metrics": [*metrics], **horizontal}}
    return parse_spec({"image": "app:1", "scaling": scaling} | {})


def seen(
    load: float | Reading = 80.0, slow: float | Reading = GOOD, cpu: float | None = None, **changes: Any
) -> Observation:
    """An app at NOW whose pods use `cpu` cores each."""
    moment = observe(**changes)
    level = ServiceLevel(
        load if isinstance(load, Reading) else Reading(load),
        slow if isinstance(slow, Reading) else Reading(slow),
        Reading() if cpu is None else per_pod(*[cpu] * len(moment.pods)),
    )
    return replace(moment, service_level=level)


def taught(
    per_pod: float = 20.0, replicas: int = 4, seconds: int = 3600, slow: float | None = GOOD, spec: Any = None
) -> History:
    """An app that has carried so much per pod, steadily, until a moment ago."""
    now = NOW.timestamp()
    steps = (Sample(now - age, per_pod * replicas, replicas, slow) for age in range(seconds, 0, -5))
    return History(learned=replay_objective(spec or app(objective=OBJECTIVE), steps, Startups()))


def ask(spec: ScalableAppSpec, observation: Observation, history: History | None = None) -> Decision:
    return decide(spec, observation, taught() if history is None else history)


def test_steady_load_keeps_the_pods_that_carry_it() -> None:
    decision = ask(app(objective=OBJECTIVE), seen(current=4))
    assert (decision.replicas_to, decision.active, decision.data_problem) == (4, True, None)
    assert [report.name for report in decision.metrics] == ["Objective"]
    assert decision.metrics[0].current == "0.004"


def test_more_load_than_the_pods_can_carry_gets_more_pods_at_once() -> None:
    decision = ask(app(objective=OBJECTIVE), seen(load=200.0, current=4))
    assert decision.replicas_to == 8  # behavior.scaleUp: twice in 15 s
    assert decision.steps[0].value == 8


def test_the_words_say_what_was_measured_what_a_pod_carries_and_the_risk() -> None:
    message = ask(app(objective=OBJECTIVE), seen(load=120.0, current=4)).message
    assert message.startswith("120 requests/s on 4 ready pods, 0.4 % slower than 0.25 s or failed in the last minute")
    assert "a pod handles 26.8 requests/s within the objective, so the load needs 5 pods" in message
    assert (
        "with 5 the risk of overload within 20 s, before new pods are ready, is 2.46 %, and a bad minute is worth"
        in message
    )
    assert message.endswith(": needs 5 replicas")


def test_a_cold_start_trusts_pods_with_what_they_carry_well() -> None:
    decision = ask(app(objective=OBJECTIVE), seen(load=80.0, current=4), History())
    assert 4 <= decision.replicas_to <= 6


def test_a_cold_start_in_overload_asks_for_more_than_there_are() -> None:
    decision = ask(app(objective=OBJECTIVE), seen(load=120.0, slow=0.9, cpu=0.9, current=4), History())
    assert decision.replicas_to >= 6


def test_an_idle_app_with_unknown_capacity_goes_down_to_its_minimum() -> None:
    spec, history, current, moment = app(objective=OBJECTIVE), History(), 10, NOW
    for _ in range(120):
        observation = replace(seen(load=1.0, slow=0.0, current=current), now=moment)
        decision = decide(spec, observation, history)
        history = remember(history, decision, spec)
        if decision.changes:
            history = record_scale(history, moment, decision.replicas_to - current, spec)
        current, moment = decision.replicas_to, moment + timedelta(seconds=5)
    assert current == 1


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        pytest.param(NO_LATENCY, "no histogram", id="no latency metric"),
        pytest.param(1.7, "response times are not available", id="a share that is none"),
    ],
)
def test_without_a_measured_latency_the_metrics_decide(slow: Any, expected: str) -> None:
    decision = ask(app(RPS, objective=OBJECTIVE), seen(slow=slow, current=2, RequestsPerSecond=200.0), History())
    assert decision.replicas_to == 6  # HPA's 8, at most four pods in 15 s
    assert any(expected in step.message and "the metrics decide" in step.message for step in decision.steps)


def test_without_stated_metrics_the_cpu_request_stands_in() -> None:
    decision = ask(app(objective=OBJECTIVE), seen(slow=NO_LATENCY, current=2, CPU=0.16), History())
    assert decision.replicas_to == 4
    assert [report.name for report in decision.metrics] == ["Objective", "CPU"]


def test_with_a_plan_no_metric_is_made_up() -> None:
    assert ask(app(objective=OBJECTIVE), seen(current=4, CPU=5.0)).replicas_to == 4


@pytest.mark.parametrize(
    ("rate", "replicas"),
    [pytest.param(100.0, 8, id="asks for more"), pytest.param(10.0, 4, id="asks for less")],
)
def test_a_metric_beside_the_objective_may_only_ask_for_more(rate: float, replicas: int) -> None:
    decision = ask(app(RPS, objective=OBJECTIVE), seen(current=4, RequestsPerSecond=rate))
    assert decision.replicas_to == replicas


def test_a_failing_metric_beside_the_objective_forbids_less() -> None:
    idle = seen(load=20.0, current=4, RequestsPerSecond=UNREACHABLE)
    history = replace(taught(), surplus=Surplus(590.0, 1))
    decision = ask(app(RPS, objective=OBJECTIVE), idle, history)
    assert decision.replicas_to == 4


def test_requests_that_cannot_be_read_forbid_less_whatever_the_metrics_say() -> None:
    decision = ask(app(CPU, objective=OBJECTIVE), seen(load=UNREACHABLE, current=4, CPU=0.01))
    assert (decision.replicas_to, decision.reason) == (4, "PrometheusUnreachable")
    assert decision.data_problem is DataProblem.UNREACHABLE


def test_when_nothing_can_be_read_the_outage_begins() -> None:
    decision = ask(app(objective=OBJECTIVE), seen(load=UNREACHABLE, slow=UNREACHABLE, current=4, CPU=UNREACHABLE))
    assert decision.replicas_to == 4
    assert decision.outage is not None


def test_a_capacity_is_not_believed_for_ever() -> None:
    history = taught()
    late = replace(seen(slow=NO_LATENCY, current=4), now=NOW + timedelta(seconds=200))
    later = replace(seen(slow=NO_LATENCY, current=4), now=NOW + timedelta(seconds=400))
    spec = app(objective=OBJECTIVE)
    assert decide(spec, late, history).steps[0].rule == "Objective"
    assert "the metrics decide" in decide(spec, later, history).message


def test_no_ready_pod_is_no_reason_to_go_down() -> None:
    unready = [replace(pod, ready=False) for pod in pods(4)]
    decision = ask(app(objective=OBJECTIVE), seen(load=0.0, slow=NO_LATENCY, current=4, pods=unready))
    assert (decision.replicas_to, decision.reason) == (4, "NoReadyPods")


def test_pods_that_missed_a_scrape_carry_what_the_others_do() -> None:
    whole, half = per_pod(20.0, 20.0, 20.0, 20.0), per_pod(20.0, 20.0, None, None)
    spec = app(objective=OBJECTIVE)
    plans = [plan_objective(spec, seen(load=load, current=4), taught(), Startups()) for load in (whole, half)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].plan == plans[1].plan


def test_a_rollout_teaches_nothing() -> None:
    history = taught()
    decision = ask(app(objective=OBJECTIVE), seen(slow=BAD, current=4, rollout=True), history)
    assert decision.learned == history.learned
    assert decision.reason == "RolloutInProgress"


def test_pods_that_are_too_many_go_when_they_have_idled_for_600_seconds_together() -> None:
    spec = app(objective=OBJECTIVE)
    waiting = ask(spec, seen(load=22.0, current=4))
    wanted = waiting.steps[0].value
    assert (waiting.replicas_to, waiting.reason) == (4, "ScaleDownStabilized")
    assert f"held at 4 until 12:09:50 UTC, then {wanted} unless more are needed" in waiting.message
    assert waiting.surplus.pod_seconds == pytest.approx(5.0 * (4 - wanted))
    young, ripe = (replace(taught(), surplus=Surplus(599.0, wanted, idle)) for idle in (5.0, 300.0))
    assert ask(spec, seen(load=22.0, current=4), young).replicas_to == 4  # a new pod would take a minute
    assert ask(spec, seen(load=22.0, current=4), ripe).replicas_to == wanted


def test_a_stated_window_takes_the_place_of_the_idle_time() -> None:
    spec = app(objective=OBJECTIVE, behavior={"scaleDown": {"stabilizationWindowSeconds": 0}})
    assert ask(spec, seen(load=22.0, current=4)).replicas_to < 4


def test_at_the_minimum_nothing_waits() -> None:
    decision = ask(app(objective=OBJECTIVE, minReplicas=4), seen(load=2.0, current=4))
    assert (decision.replicas_to, decision.surplus) == (4, Surplus())
    assert "held" not in decision.message


def test_an_app_nobody_has_asked_anything_yet_needs_one_pod_and_lacks_no_metric() -> None:
    decision = ask(app(objective=OBJECTIVE), seen(load=0.0, slow=NO_LATENCY, current=1), History())
    assert (decision.replicas_to, decision.message) == (1, "no requests on 1 ready pod: needs 1 replica")
    assert [(report.current, report.proposed_replicas) for report in decision.metrics] == [("0", 1)]


def test_cpu_that_is_nearly_used_up_caps_what_a_pod_is_trusted_with() -> None:
    spec = app(objective=OBJECTIVE)  # 1 core at most
    calm, hot = (capacity(spec, share) for share in (0.1, 0.9))
    assert calm > 20
    assert hot == pytest.approx(20 * 0.85 / 0.9, rel=0.01)


def test_cpu_of_a_pod_that_has_only_just_started_is_its_start_and_no_load() -> None:
    spec = app(objective=OBJECTIVE)  # 1 core at most
    young = [pod(0, readiness_changed_at=ago(59)), pod(1, readiness_changed_at=ago(20))]
    grown = [pod(0, readiness_changed_at=ago(60)), pod(1, readiness_changed_at=ago(60))]
    idle, full = (
        ask(spec, seen(load=2.0, slow=0.0, cpu=1.0, current=2, pods=ready), History()) for ready in (young, grown)
    )
    assert "Saturation" not in [step.rule for step in idle.steps]
    assert [step.value for step in full.steps if step.rule == "Saturation"] == [3]


def capacity(spec: ScalableAppSpec, share: float) -> float:
    now = NOW.timestamp()
    steps = (Sample(now - age, 80.0, 4, GOOD, share) for age in range(600, 0, -5))
    history = History(learned=replay_objective(spec, steps, Startups()))
    objective_plan = plan_objective(spec, seen(current=4, cpu=share), history, Startups())
    assert objective_plan is not None
    assert objective_plan.plan is not None
    return objective_plan.plan.capacity


@pytest.mark.parametrize("cores", [pytest.param(4.0, id="beyond its limit"), pytest.param(None, id="not measured")])
def test_cpu_that_says_nothing_of_the_limit_is_no_opinion(cores: float | None) -> None:
    spec = app(objective=OBJECTIVE)
    assert ask(spec, seen(current=4, cpu=cores)).replicas_to == 4


def test_a_forecast_counts_in_what_a_pod_carries() -> None:
    spec = app(objective=OBJECTIVE, prediction={"enabled": True})
    decision = ask(spec, seen(current=4))
    assert any(step.message.startswith("prediction is not used") for step in decision.steps)


@given(
    load=st.floats(0, 1e5),
    slow=st.floats(0, 1) | st.none(),
    current=st.integers(1, 50),
    minutes=st.integers(0, 20),
)
def test_a_plan_keeps_the_bounds_and_carries_the_load_it_knows(
    load: float, slow: float | None, current: int, minutes: int
) -> None:
    spec = app(objective=OBJECTIVE, minReplicas=1)
    moment = seen(load=load, slow=NO_LATENCY if slow is None else slow, current=current)
    decision = decide(spec, moment, taught(seconds=60 * minutes + 5))
    assert 1 <= decision.replicas_to <= 50
    objective_plan = plan_objective(spec, moment, taught(seconds=60 * minutes + 5), Startups())
    assert objective_plan
    if objective_plan.plan and objective_plan.plan.needed > current:
        assert decision.replicas_to > min(current, 49)


@pytest.mark.parametrize(
    ("seen", "known"),
    [
        pytest.param(4, True, id="of all pods"),
        pytest.param(2, True, id="of half of them"),
        pytest.param(1, False, id="of a quarter"),
    ],
)
def test_how_fast_a_few_of_the_busy_pods_answer_says_nothing_of_the_app(seen: int, known: bool) -> None:
    load = per_pod(10, 10, 10, 10, 0, 0, 0)
    level = ServiceLevel(load, Reading(0.01, pods=frozenset(f"pod-{number}" for number in range(seen))))
    assert (_slow_share(level) is not None) == known


def test_pods_whose_scrapes_were_missed_carry_what_the_others_do() -> None:
    load = per_pod(10, 10, 10, 1)
    observation = observe(current=4)
    assert _whole_load(load, observation) == 31
    assert _whole_load(replace(load, overdue=frozenset({"pod-3"})), observation) == 40


def test_pods_that_leave_are_added_to_the_load_and_stand_for_no_others() -> None:
    gone = tuple(pod(number, deleting=True, ready=False) for number in (4, 5))
    observation = observe(current=4, pods=(*pods(4), *gone))
    load = per_pod(10, 10, 10, None, 2, 2)
    assert _whole_load(load, observation) == 44
    assert _whole_load(replace(load, overdue=frozenset({"pod-2"})), observation) == 44


def test_pods_that_are_gone_need_no_histogram() -> None:
    level = ServiceLevel(per_pod(10, 10, 5, 5, 5), Reading(0.01, pods=frozenset({"pod-0", "pod-1"})))
    gone = tuple(pod(number, deleting=True, ready=False) for number in (2, 3, 4))
    assert _sample(app(objective=OBJECTIVE), replace(observe(pods=(*pods(2), *gone)), service_level=level)).slow_share


def test_with_rare_scrapes_an_objective_s_way_down_waits_for_their_window() -> None:
    load = replace(per_pod(*[5] * 8), window_seconds=120.0)
    spec = app(objective=OBJECTIVE, behavior={"scaleDown": {"stabilizationWindowSeconds": 0}})
    for age, held in ((110, True), (121, False)):
        history = record_scale(taught(), ago(age), -2, spec)
        decision = ask(spec, seen(load=load, current=8), history)
        assert (decision.reason == Reason.LOAD_SETTLING) == held
        assert (decision.replicas_to == 8) == held
