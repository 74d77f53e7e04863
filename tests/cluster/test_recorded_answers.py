"""The recorded answers that unit tests of in-place resizes go by are those of this cluster, in all that is read."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scalableapp.core.quantity import parse_quantity
from tests.cluster.shop import Shop, eventually, kubectl, refusal

pytestmark = pytest.mark.cluster

RECORDED = Path(__file__).parents[1] / "unit" / "adapters" / "kubernetes-1.36"
# Sizes as they were recorded.
FIRST = {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"cpu": "200m", "memory": "192Mi"}}
RAISED = {"requests": {"cpu": "150m", "memory": "128Mi"}, "limits": {"cpu": "400m", "memory": "256Mi"}}
HELD_CORES = 1.0


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def test_discovery_names_the_subresource_in_the_same_way() -> None:
    live = json.loads(kubectl("get", "--raw", "/api/v1"))["resources"]
    text = (RECORDED / "discovery-v1-pods.json").read_text()
    (before,) = (entry for entry in json.loads(text) if entry["name"] == "pods/resize")
    assert before in live


def pod(name: str, resources: dict[str, Any], node: str = "") -> dict[str, Any]:
    """A pod that does nothing, by the name that the operator gives to its container."""
    container = {
        "name": "app",
        "image": "sample-app:0.1.0",
        "command": ["python", "-c", "import time; time.sleep(3600)"],
        "resources": resources,
    }
    where = {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **where}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Resized:
    """A pod whose size is changed in place."""

    def __init__(self, shop: Shop, name: str, node: str = "") -> None:
        self.shop, self.name = shop, name
        shop.kubectl("create", "-f", "-", text=json.dumps(pod(name, FIRST, node)))
        shop.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=150s")

    def ask(self, resources: dict[str, Any]) -> tuple[str, ...]:
        """The command that asks for another size."""
        body = {"spec": {"containers": [{"name": "app", "resources": resources}]}}
        patch = ("patch", "pod", self.name, "--subresource=resize", "--type=strategic", "-p", json.dumps(body))
        return ("-n", self.shop.namespace, *patch, "-o", "json")

    def until(self, before: dict[str, Any]) -> None:
        """Wait for the pod to be as another one was recorded to be."""

        def alike() -> None:
            assert relevant(self.shop.get("pod", self.name)) == relevant(before)

        eventually(alike)


@pytest.fixture
def resized(shop: Shop) -> Resized:
    return Resized(shop, "web")


def relevant(found: dict[str, Any]) -> dict[str, Any]:
    """What the adapter reads of a pod."""
    status = found["status"]
    (container,) = (entry for entry in found["spec"]["containers"] if entry["name"] == "app")
    (seen,) = (entry for entry in status["containerStatuses"] if entry["name"] == "app")
    return {
        "wanted": container["resources"],
        "actual": seen["resources"],
        "restarts": seen["restartCount"],
        "taken up": status["observedGeneration"] == found["metadata"]["generation"],
        "resizing": [
            (entry["type"], entry["status"], entry.get("reason", ""), worded(entry.get("message", "")))
            for entry in status["conditions"]
            if entry["type"].startswith("PodResize")
        ],
    }


def worded(message: str) -> str:
    """A message without names and numbers."""
    return re.sub(r"\d+", "0", re.sub(r'"[a-z0-9-]+"', '"pod"', message))


def test_a_raise_is_accepted_and_carried_out(resized: Resized) -> None:
    answered = json.loads(kubectl(*resized.ask(RAISED)))
    assert relevant(answered) == relevant(recorded("raise.response"))
    resized.until(recorded("raise.pod-later"))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("infeasible", {"requests": {"cpu": "64"}, "limits": {"cpu": "64"}}),
        ("qos-change", {"requests": RAISED["limits"], "limits": RAISED["limits"]}),
    ],
)
def test_a_refusal_has_the_same_reason_and_message(resized: Resized, name: str, asked: dict[str, Any]) -> None:
    said = refusal(*resized.ask(asked))
    assert worded(recorded(f"{name}.response")["message"]).casefold() in worded(said).casefold()


def test_what_the_node_has_no_room_for_now_is_deferred_and_done_when_there_is(shop: Shop) -> None:
    cores = f"{HELD_CORES:g}"
    held = {"requests": {"cpu": cores, "memory": "32Mi"}, "limits": {"cpu": cores, "memory": "64Mi"}}
    shop.kubectl("create", "-f", "-", text=json.dumps(pod("holder", held)))
    shop.kubectl("wait", "pod/holder", "--for=condition=Ready", "--timeout=150s")
    node = shop.get("pod", "holder")["spec"]["nodeName"]
    resized = Resized(shop, "web", node)
    allocatable = parse_quantity(json.loads(kubectl("get", "node", node, "-o", "json"))["status"]["allocatable"]["cpu"])
    wanted = f"{(allocatable - HELD_CORES / 2) * 1000:.0f}m"
    kubectl(*resized.ask({"requests": {"cpu": wanted}, "limits": {"cpu": wanted}}))

    def deferred() -> None:
        live, before = relevant(shop.get("pod", "web")), relevant(recorded("deferred.pod-later"))
        assert live["resizing"] == before["resizing"]
        assert (live["taken up"], live["restarts"], live["actual"]) == (before["taken up"], 0, FIRST)

    eventually(deferred)
    shop.kubectl("delete", "pod", "holder")

    def done() -> None:
        live = relevant(shop.get("pod", "web"))
        assert live["resizing"] == relevant(recorded("deferred-then-room.pod"))["resizing"] == []
        assert live["wanted"] == live["actual"]
        assert live["restarts"] == 0

    eventually(done)
