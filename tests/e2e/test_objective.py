"""An objective instead of a target, under real load: what a pod carries is nowhere stated."""

from typing import Any

import pytest

from cluster.settings import CONTEXT
from demo.kube import api_client
from demo.plan import five_stages
from demo.run import App, run

# Latency decides here, and other tests' load would be seen in it.
pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.alone]

# On a small and busy machine half a second is what an app with a pod to spare keeps.
OBJECTIVE: dict[str, Any] = {
    "minReplicas": 1,
    "maxReplicas": 10,
    "objective": {"latency": {"quantile": 0.9, "seconds": 1.0}, "badMinutesPercent": 1},
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
}
# The calm is long enough to learn from, and for the pods of a cautious first guess to go again.
PLAN = five_stages(calm=5, high=40, seconds=(75, 5, 60, 5, 5))


@pytest.mark.parametrize("app", [OBJECTIVE], indirect=True, ids=["objective"])
def test_replicas_follow_the_load_by_what_pods_turn_out_to_carry(app: App) -> None:
    recording = run(app, PLAN, api_client(CONTEXT), lambda _recording, _at: None)
    most = max(state.replicas for state in recording.states if state.at <= PLAN.span(PLAN.hold).end)
    messages = [decision.message for decision in recording.changes()]
    # Not more than in the calm: on a slow machine the first minutes of a new app are answered with every pod.
    assert most > OBJECTIVE["minReplicas"], messages
    assert recording.state.metric == "Objective"
    assert all("slower than 1 s or failed in the last minute (limit 10 %); " in each for each in messages)
    assert any("; a pod handles" in each for each in messages)
    assert sum(sample.failed for sample in recording.load) == 0
