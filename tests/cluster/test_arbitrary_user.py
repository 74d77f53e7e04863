"""The images under a user ID that they don't know, as OpenShift gives one to every namespace, and group 0."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.shop import OPERATOR, SMALL, SYSTEM, Shop, eventually, kubectl

pytestmark = pytest.mark.cluster

SOMEBODY = {
    "runAsNonRoot": True,
    "runAsUser": 1000650000,
    "runAsGroup": 0,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@contextmanager
def pod_of(deployment: str, namespace: str) -> Iterator[str]:
    """A pod like the Deployment's, but somebody's; belongs to nobody and gets no traffic."""
    name = f"somebody-{secrets.token_hex(3)}"
    spec: dict[str, Any] = json.loads(kubectl("get", deployment, "-n", namespace, "-o", "json"))["spec"]["template"][
        "spec"
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": spec | {"securityContext": SOMEBODY},
    }
    kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(pod))
    try:
        yield name
    finally:
        kubectl("delete", "pod", name, "-n", namespace, "--grace-period=1")


def test_the_apps_pod_serves(shop: Shop) -> None:
    shop.apply(image="sample-app:0.1.0", resources=SMALL)
    shop.wait_until_deployed()
    with pod_of("deployment/web", shop.namespace) as pod:
        shop.kubectl("wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=150s")
        assert shop.kubectl("exec", pod, "--", "id", "-u").strip() == "1000650000"
        written = shop.kubectl("exec", pod, "--", "sh", "-c", "touch /app/x 2>&1 || true")
    assert "Read-only file system" in written


def test_the_operators_pod_reaches_the_cluster_and_waits_for_its_turn(operator: str) -> None:
    with pod_of(OPERATOR, SYSTEM) as pod:

        def waits() -> None:
            assert "is held by" in kubectl("logs", pod, "-n", SYSTEM, check=False)

        eventually(waits)
