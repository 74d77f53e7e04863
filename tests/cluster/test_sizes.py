"""Sizes of pods on the real cluster: by rollout everywhere, in place where the cluster serves it."""

import json
from typing import Any

import pytest

from tests.cluster.shop import Shop, eventually, is_ready, kubectl, pods
from tests.cluster.steady_load import steady_load_on

pytestmark = [pytest.mark.cluster, pytest.mark.long]

# A web server whose memory grows by that many MiB at a number of seconds after its start.
GROWING = """
import http.server, os, threading, time
def grow():
    time.sleep(float(os.environ["GROW_AFTER"]))
    global held
    held = bytearray(int(os.environ["GROW_MIB"]) * 2**20)
    for place in range(0, len(held), 4096): held[place] = 1
threading.Thread(target=grow, daemon=True).start()
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *args): pass
import signal
server = http.server.ThreadingHTTPServer(("", 8000), Answer)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
VERTICAL: dict[str, Any] = {"mode": "Vertical", "horizontal": {"minReplicas": 2, "maxReplicas": 3}}


def growing(mib: int, after: float, memory: str, limit: str, **spec: Any) -> dict[str, Any]:
    return {
        "image": "sample-app:0.1.0",
        "replicas": None,
        "command": ["python", "-c", GROWING],
        "env": [{"name": "GROW_MIB", "value": str(mib)}, {"name": "GROW_AFTER", "value": str(after)}],
        "resources": {"requests": {"cpu": "50m", "memory": memory}, "limits": {"cpu": "500m", "memory": limit}},
        "monitoring": {"scrape": False},
        "scaling": VERTICAL,
        **spec,
    }


def requests_of(shop: Shop) -> dict[str, str]:
    """What the Deployment's template requests."""
    (container,) = shop.get("deployment")["spec"]["template"]["spec"]["containers"]
    found: dict[str, str] = container["resources"]["requests"]
    return found


def mebibytes(text: str) -> float:
    return float(text.removesuffix("Mi")) if text.endswith("Mi") else float(text.removesuffix("Gi")) * 1024


def wait_until_serving(shop: Shop, count: int) -> None:
    def check() -> None:
        assert sum(map(is_ready, pods(shop))) == count

    eventually(check)


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_step_of_memory_is_answered_and_no_request_fails(shop: Shop, replicas: int) -> None:
    scaling = VERTICAL | {"horizontal": {"minReplicas": replicas, "maxReplicas": 3}}
    ingress = {"className": "contour", "host": f"web.{shop.namespace}.test"}
    shop.apply(**growing(100, after=20, memory="64Mi", limit="256Mi", scaling=scaling, ingress=ingress))
    wait_until_serving(shop, replicas)
    with steady_load_on(shop) as load:

        def grown() -> None:
            assert mebibytes(requests_of(shop)["memory"]) > 115

        eventually(grown, 240)

        def all_new() -> None:
            assert shop.condition("Sized")[:2] == ("True", "InSync")
            sizes = [pod["spec"]["containers"][0]["resources"]["requests"]["memory"] for pod in pods(shop)]
            assert [mebibytes(size) > 115 for size in sizes] == [True] * replicas

        eventually(all_new, 240)
    assert load.failed == []
    assert load.answered > 500
    resources = shop.get("sapp")["status"]["resources"]
    assert mebibytes(resources["current"]["memory"]["request"]) > 115
    shop.wait_for_event("Resized")


def test_an_app_that_is_killed_for_its_memory_recovers(shop: Shop) -> None:
    shop.apply(**growing(150, after=3, memory="64Mi", limit="128Mi"))

    def raised() -> None:
        assert mebibytes(requests_of(shop)["memory"]) > 64

    eventually(raised)
    wait_until_serving(shop, 2)

    def calm() -> None:
        assert shop.condition("Sized")[:2] == ("True", "InSync")
        assert all(is_ready(pod) for pod in pods(shop))
        sizes = [pod["spec"]["containers"][0]["resources"]["requests"]["memory"] for pod in pods(shop)]
        assert all(mebibytes(size) > 64 for size in sizes)

    eventually(calm, 240)
    assert any("OOMKilled" in event["message"] for event in shop.events("Resizing"))


def test_a_size_that_no_new_pod_can_have_is_rolled_back(shop: Shop) -> None:
    """By rollout; a quota that lets its first pod in nowhere stands for nodes that are full."""
    scaling = VERTICAL | {"vertical": {"updateStrategy": "Rollout"}}
    shop.apply(**growing(100, after=20, memory="64Mi", limit="256Mi", scaling=scaling))
    wait_until_serving(shop, 2)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "full"},
        "spec": {"hard": {"pods": "2"}},
    }
    shop.kubectl("apply", "-f", "-", text=json.dumps(quota))

    assert "is rolled back to cpu" in shop.wait_for_event("ResizeRolledBack", 20 + 120 + 240)

    def as_before() -> None:
        assert requests_of(shop)["memory"] == "64Mi"
        assert all(map(is_ready, pods(shop)))
        assert shop.condition("Sized")[:2] == ("False", "ResizeRolledBack")

    eventually(as_before)  # the Event comes first


def serves_resize() -> bool:
    resources = json.loads(kubectl("get", "--raw", "/api/v1"))["resources"]
    return any(entry["name"] == "pods/resize" for entry in resources)


def test_in_place_pods_grow_without_a_restart_and_later_ones_come_in_the_new_size(shop: Shop) -> None:
    if not serves_resize():
        pytest.skip("this cluster does not serve pods/resize (Kubernetes 1.33 and later do)")
    shop.apply(**growing(100, after=20, memory="64Mi", limit="256Mi"))
    wait_until_serving(shop, 2)
    before = {pod["metadata"]["uid"] for pod in pods(shop)}

    def grown() -> None:
        assert shop.condition("Sized")[:2] == ("True", "InSync")
        assert mebibytes(requests_of(shop)["memory"]) > 115

    eventually(grown, 20 + 300)
    after = pods(shop)
    assert {pod["metadata"]["uid"] for pod in after} == before
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in after)
    shop.apply(**growing(100, after=20, memory="64Mi", limit="256Mi", replicas=3))
    wait_until_serving(shop, 3)
    sizes = [pod["spec"]["containers"][0]["resources"]["requests"]["memory"] for pod in pods(shop)]
    assert all(mebibytes(size) > 115 for size in sizes)
    assert {pod["metadata"]["uid"] for pod in pods(shop)} > before


def test_what_is_recommended_is_reported_in_a_dry_run_and_nothing_changes(shop: Shop) -> None:
    dry = VERTICAL | {"dryRun": True, "horizontal": {"minReplicas": 1, "maxReplicas": 3}}
    shop.apply(**growing(100, after=5, memory="64Mi", limit="256Mi", scaling=dry))
    wait_until_serving(shop, 1)

    def recommended() -> None:
        resources = shop.get("sapp")["status"].get("resources", {})
        assert mebibytes(resources.get("recommended", {}).get("memory", {}).get("request", "0Mi")) > 115

    eventually(recommended, 240)
    assert requests_of(shop)["memory"] == "64Mi"
