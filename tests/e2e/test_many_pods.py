"""Two pods become ten and two again while requests come in: nobody notices."""

import json
import time
import urllib.request
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest

from cluster.kube import kubectl
from demo.load import load
from demo.plan import five_stages
from demo.recording import LoadSample, latencies
from demo.run import App

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.long]

# The replicas are pinned, so that it is the pods that are tried and not what decides how many there are.
PINNED: dict[str, Any] = {
    "minReplicas": 2,
    "maxReplicas": 10,
    "metrics": [{"type": "RequestsPerSecond", "target": "50"}],
}
# Ten pods that start leave two cores room for this much; longer than the test takes.
LOAD = five_stages(calm=15, high=15, seconds=(200, 100, 100, 100, 400))
# Ten pods start on a busy machine.
PATIENCE_SECONDS = 240
CALM_SECONDS = 10


@pytest.mark.parametrize("app", [PINNED], indirect=True, ids=["pinned"])
def test_two_pods_become_ten_and_two_again_and_no_request_is_lost(app: App) -> None:
    seen: Queue[LoadSample] = Queue()
    with load(app.url, app.host, LOAD, seen) as sending:
        time.sleep(CALM_SECONDS)
        _scale(app, 10)
        _eventually(lambda: len(_answering(app, asked=60)) == 10, "all ten pods answer through the ingress")
        _scale(app, 2)
        _eventually(lambda: len(_pods(app)) == 2, "eight pods have gone")
        time.sleep(CALM_SECONDS)
        assert sending.running
    samples = list(seen.queue)
    answered, anew = len(latencies(samples)), sum(sample.retries for sample in samples)
    print(f"{answered} requests answered in {len(samples)} s, {anew} of them retried")  # noqa: T201 - the figure to tell
    assert {reason: count for sample in samples for reason, count in sample.failures.items()} == {}
    # A request without an answer counts as a failure after 10 s; here is only to see that there was load all the time.
    assert all(latencies(samples[second : second + 10]) for second in range(len(samples) - 10))
    assert len(_answering(app, asked=20)) == 2


def _scale(app: App, replicas: int) -> None:
    kubectl("--namespace", app.namespace, "scale", "sapp", app.name, f"--replicas={replicas}")
    _eventually(lambda: _ready(app) == (replicas, replicas), f"{replicas} replicas are ready")


def _ready(app: App) -> tuple[int, int]:
    """Replicas that the Deployment asks for, and those that are ready."""
    deployment = json.loads(kubectl("--namespace", app.namespace, "get", "deployment", app.name, "--output", "json"))
    return deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)


def _pods(app: App) -> set[str]:
    """Names of the app's pods, those that are stopping included."""
    found = kubectl("--namespace", app.namespace, "get", "pods", "--output", "name")
    return {name for name in found.split() if f"/{app.name}-" in name}


def _answering(app: App, asked: int) -> set[str]:
    """The pods that have answered so many requests through the ingress."""
    request = urllib.request.Request(app.url, headers={"Host": app.host} if app.host else {})

    def pod() -> str:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers["X-Served-By"]).partition("/")[0]

    return {pod() for _ in range(asked)}


def _eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(1)
