"""One app on the real cluster, scaled by real load through the ingress: the demonstration's code, a shorter plan."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from cluster.kube import kubectl
from cluster.settings import CONTEXT
from demo import prepare
from demo.kube import api_client
from demo.live import line
from demo.plan import five_stages
from demo.recording import Recording
from demo.report import summary
from demo.run import App, run
from demo.verdict import judge

pytestmark = [pytest.mark.cluster, pytest.mark.e2e]

PLAN = five_stages(calm=10, high=50, seconds=(15, 5, 45, 5, 90))
SAMPLE = prepare.REPOSITORY / "manifests" / "samples" / "sample-app.yaml"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """The sample app under a name, a namespace and a host of its own, at its start."""
    namespace = f"e2e-{uuid4().hex[:8]}"
    content = yaml.safe_load(SAMPLE.read_text())
    content["metadata"] = {"name": "scaled", "namespace": namespace}
    content["spec"]["ingress"]["host"] = f"{namespace}.test"
    manifest = tmp_path / "app.yaml"
    manifest.write_text(yaml.safe_dump(content))
    prepare.operator_up()
    kubectl("create", "namespace", namespace)
    try:
        yield prepare.app_up(manifest)
    finally:
        kubectl("delete", "namespace", namespace, "--timeout=120s", timeout=130)


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
