"""Real load that jumps, and an operator that starts anew while it lasts."""

from itertools import pairwise
from typing import Any

import pytest

from cluster.kube import kubectl
from cluster.settings import CONTEXT
from demo.kube import api_client
from demo.live import line
from demo.plan import Plan, five_stages
from demo.recording import Recording
from demo.report import summary
from demo.run import App, run
from demo.verdict import judge

# Seconds count here, and other tests' load takes them.
pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.alone]

RPS = {"type": "RequestsPerSecond", "target": "5"}
# The window of scaleUp is longer than the run: only a burst passes it.
BURST: dict[str, Any] = {
    "minReplicas": 1,
    "maxReplicas": 6,
    "metrics": [RPS],
    "burst": {},
    "behavior": {
        "scaleUp": {"stabilizationWindowSeconds": 600},
        "scaleDown": {"stabilizationWindowSeconds": 30},
    },
}
SHORT_WINDOW: dict[str, Any] = {
    "minReplicas": 1,
    "maxReplicas": 6,
    "metrics": [RPS],
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 45}},
}
# The last stage is an upper bound: on a busy machine an operator takes a minute to start.
JUMP = five_stages(calm=2.5, high=16, seconds=(10, 2, 35, 2, 240))
RESTART_AFTER_FALL_SECONDS = 5.0


def seen_under_load(app: App, plan: Plan, restart_at: float | None = None) -> Recording:
    """What was seen of the app under the plan's load, in which the operator's pod is deleted at a moment."""
    restarted: list[float] = []

    def show(recording: Recording, at: float) -> None:
        if round(at) % 10 == 0:
            print(line(recording, plan, at))  # noqa: T201 - shown when the test fails
        if restart_at is not None and at >= restart_at and not restarted:
            restarted.append(at)
            pods = ("--namespace", "scalableapp-system", "--selector", "app.kubernetes.io/name=scalableapp-operator")
            kubectl("delete", "pods", *pods, "--wait=false")

    recording = run(app, plan, api_client(CONTEXT), show)
    verdict = judge(recording, plan)
    print(summary(verdict))  # noqa: T201 - shown when the test fails
    assert verdict.problems == ()
    assert restart_at is None or restarted
    return recording


@pytest.mark.parametrize("app", [BURST], indirect=True, ids=["burst"])
def test_a_jump_of_the_load_is_met_by_the_short_window(app: App) -> None:
    recording = seen_under_load(app, JUMP)
    ups = [decision for decision in recording.changes() if decision.replicas_to > decision.replicas_from]
    assert {decision.reason for decision in ups} == {"Burst"}
    assert "requests/s in the last 10 s, " in ups[0].message


@pytest.mark.parametrize("app", [SHORT_WINDOW], indirect=True, ids=["short window"])
def test_an_operator_that_starts_anew_within_a_stabilisation_window_costs_no_request_and_no_replica(app: App) -> None:
    """The load has just fallen: the replicas wait for the window, and the operator that knows of it is deleted."""
    fallen = JUMP.span(JUMP.fall).end
    recording = seen_under_load(app, JUMP, fallen + RESTART_AFTER_FALL_SECONDS)
    window_ends = JUMP.span(JUMP.hold).end + SHORT_WINDOW["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    replicas = [state.replicas for state in recording.timeline() if state.at < window_ends]
    assert all(after >= before for before, after in pairwise(replicas)), replicas
    assert recording.state.replicas == 1
