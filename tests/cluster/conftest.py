"""The operator in its pod, and a namespace of one's own to try it in."""

import secrets
import subprocess
from collections.abc import Generator, Iterator

import pytest

from tests.cluster.shop import CONTEXT, OPERATOR, SYSTEM, Shop, kubectl

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know that their test failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="module")
def operator() -> str:
    """Name of the operator's pod, which is ready. Tests of other modules may have replaced the one before."""
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
def shop(operator: str, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A namespace of the test's own. Where the test fails, what was in it is printed before it goes."""
    namespace = f"shop-{secrets.token_hex(3)}"
    kubectl("create", "namespace", namespace)
    yield Shop(namespace)
    if request.node.stash.get(_FAILED, False):
        print_evidence(namespace)
    kubectl("delete", "namespace", namespace, "--wait=false")


def print_evidence(namespace: str) -> None:
    """What somebody who was there would have looked at."""
    for command in (
        ["describe", "nodes"],
        ["get", "pods", "--all-namespaces", "--output", "wide"],
        ["-n", namespace, "get", "sapp", "--output", "yaml"],
        ["-n", namespace, "get", "events", "--sort-by", ".lastTimestamp"],
        ["-n", SYSTEM, "logs", OPERATOR, "--tail", "50"],
    ):
        print(f"$ kubectl {' '.join(command)}\n{kubectl(*command, check=False)}")  # noqa: T201 - for the test's report


@pytest.fixture
def deployed(shop: Shop) -> Shop:
    """With the app `web`, scaled to 0, and everything in line."""
    shop.apply()
    shop.wait_until_deployed()
    return shop
