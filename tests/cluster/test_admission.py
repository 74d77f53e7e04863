"""What the API server and the kubelet make of sizes and of pods that cannot start, compared with what is read of it."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from scalableapp.adapters.pod_messages import pod_message
from scalableapp.core.size import Resource
from scalableapp.core.vertical.limits import namespace_limits
from tests.cluster.shop import eventually, kubectl
from tests.unit.core.vertical.test_admission import refused

pytestmark = pytest.mark.cluster

LIMITS: dict[str, Any] = {
    "type": "Container",
    "min": {"cpu": "50m"},
    "max": {"cpu": "1"},
    "maxLimitRequestRatio": {"cpu": "1.5"},
}
SIZES = ["590m/885m", "590m/890m", "40m/60m", "700m/1001m", "400m", "700m", "50m/75m"]


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"limits-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def pod(**container: Any) -> str:
    spec = {"containers": [{"name": "app", "image": "sample-app:0.1.0", **container}]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})


def test_a_limit_range_refuses_what_is_held_to_be_refused(namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": [LIMITS]}}
    kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(body))
    stored = json.loads(kubectl("get", "limitrange", "small", "-n", namespace, "-o", "json"))
    item = stored["spec"]["limits"][0]
    assert item["maxLimitRequestRatio"] == {"cpu": "1500m"}
    limits = namespace_limits({}, [stored], [])
    assert (limits.unread, limits.containers[Resource.CPU].ratio) == ((), 1.5)
    for size in SIZES:
        request, _, limit = size.partition("/")
        resources = {"requests": {"cpu": request}, "limits": {"cpu": limit} if limit else {}}
        answer = kubectl(
            *("create", "-n", namespace, "--dry-run=server", "-o", "name", "-f", "-"),
            text=pod(resources=resources),
            check=False,
        )
        assert ("pod/web" in answer) is not bool(refused(resources["requests"], resources["limits"], item, "cpu")), size


def test_a_pod_that_cannot_start_says_why(namespace: str) -> None:
    kubectl(*("apply", "-n", namespace, "-f", "-"), text=pod(envFrom=[{"configMapRef": {"name": "nowhere"}}]))

    def said() -> None:
        status = json.loads(kubectl("get", "pod", "web", "-n", namespace, "-o", "json"))["status"]
        assert 'CreateContainerConfigError: configmap "nowhere" not found' in pod_message(status)

    eventually(said)
