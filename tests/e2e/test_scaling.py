"""One app on the real cluster, scaled by real load through the ingress: the demonstration's code, a shorter plan."""

import json
from typing import Any

import pytest

from cluster.kube import kubectl
from cluster.settings import CONTEXT
from demo.kube import api_client
from demo.live import line
from demo.plan import five_stages
from demo.recording import Recording
from demo.report import summary
from demo.run import App, run
from demo.verdict import judge

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.long]

# The last stage is an upper bound, for a busy machine.
PLAN = five_stages(calm=10, high=50, seconds=(15, 5, 45, 5, 180))


def test_an_app_follows_its_load_up_and_down_without_losing_a_request(app: App) -> None:
    def show(recording: Recording, at: float) -> None:
        if round(at) % 10 == 0:
            print(line(recording, PLAN, at))  # noqa: T201 - shown when the test fails

    recording = run(app, PLAN, api_client(CONTEXT), show)

    verdict = judge(recording, PLAN)
    print(summary(verdict))  # noqa: T201 - shown when the test fails
    assert verdict.problems == ()
    assert all(decision.message for decision in recording.changes())
    assert reasons_of_events(app) >= {"SuccessfulRescale"}


def reasons_of_events(app: App) -> set[str]:
    """Why the operator wrote Events about the app."""
    events: dict[str, Any] = json.loads(kubectl("--namespace", app.namespace, "get", "events", "--output", "json"))
    return {event["reason"] for event in events["items"] if event["involvedObject"]["kind"] == "ScalableApp"}
