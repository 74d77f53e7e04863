"""The operator in its pod, and a namespace of one's own to try it in."""

import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.shop import CONTEXT, OPERATOR, SYSTEM, Shop, kubectl


@pytest.fixture(scope="session")
def operator() -> str:
    """Name of the operator's pod, which is ready."""
    if subprocess.run(
        ["kubectl", "--context", CONTEXT, "version"], capture_output=True, timeout=30, check=False
    ).returncode:
        pytest.fail(f"no cluster answers as {CONTEXT}; make cluster-up")
    if "scalableapp-operator" not in kubectl("get", "deployments", "-n", SYSTEM, "-o", "name"):
        pytest.fail(f"the operator is not deployed in {CONTEXT}; kubectl apply -k manifests/overlays/kind")
    kubectl("rollout", "status", OPERATOR, "-n", SYSTEM, "--timeout=150s")
    return kubectl(
        "get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=scalableapp-operator", "-o", "name"
    ).strip()


@pytest.fixture
def shop(operator: str) -> Iterator[Shop]:
    namespace = f"shop-{secrets.token_hex(3)}"
    kubectl("create", "namespace", namespace)
    yield Shop(namespace)
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def deployed(shop: Shop) -> Shop:
    """With the app `web`, scaled to 0, and everything in line."""
    shop.apply()
    shop.wait_until_deployed()
    return shop
