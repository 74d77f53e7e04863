"""Upgrade, removal and installation anew, with the commands of docs/install.md, on the one real CRD.

By its name it comes last of the cluster's tests. It needs the cluster without anybody else's ScalableApps, and leaves
the operator as `make test` has deployed it. The tests build on each other: an app is upgraded, left behind, made anew
and removed.
"""

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.shop import CHILDREN, CONTEXT, OPERATOR, SMALL, SYSTEM, Shop, eventually, kubectl
from tests.rendering import CHART, MANIFESTS, ROOT, kustomized, output, program

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

CRD = "scalableapps.scalableapp.io"
OVERLAY = str(MANIFESTS / "overlays" / "kind")
OLD_CRDS = ROOT / "tests" / "data" / "crds"
RUN = secrets.token_hex(3)
HELM_NAMESPACE = f"helm-{RUN}"
RUNNING: dict[str, Any] = {"image": "sample-app:0.1.0", "replicas": 1, "resources": SMALL}


@pytest.fixture(scope="module")
def alone(operator: str) -> Iterator[Shop]:
    """A namespace that holds all ScalableApps there are; the operator is deployed again in the end."""
    if others := eventually(apps_that_stay):
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(f"these would be removed, and are not this test's: {others}; delete them first")
    namespace = f"removal-{RUN}"
    kubectl("create", "namespace", namespace)
    yield Shop(namespace)
    kubectl("delete", "namespace", namespace, HELM_NAMESPACE, "--ignore-not-found", "--wait=false")
    install()


def apps_that_stay() -> list[str]:
    """ScalableApps that are not on their way out, by namespace; those of the tests before go with theirs."""
    path = "jsonpath={.items[*].metadata.namespace}"
    found = set(kubectl("get", "scalableapps", "--all-namespaces", "-o", path).split())
    active = "jsonpath={.items[?(@.status.phase=='Active')].metadata.name}"
    staying = sorted(found & set(kubectl("get", "namespaces", "-o", active).split()))
    assert staying or not found
    return staying


def install() -> None:
    kubectl("apply", "-k", OVERLAY)
    kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")
    for deployment in ("scalableapp-operator", "prometheus"):
        kubectl("rollout", "status", f"deployment/{deployment}", "-n", SYSTEM, "--timeout=150s")


def crd_exists() -> bool:
    return bool(kubectl("get", "crd", CRD, "--ignore-not-found", "-o", "name"))


def installed() -> set[str]:
    """Names of the ClusterRoles that are ours, and of those that are bound for the whole cluster."""
    names = kubectl("get", "clusterroles,clusterrolebindings", "-o", "jsonpath={.items[*].metadata.name}").split()
    return {name for name in names if name.startswith("scalableapp") and name != "scalableapp-prometheus"}


def none(found: Iterable[str]) -> None:
    assert list(found) == []


def running(shop: Shop) -> dict[str, Any]:
    """What must stay as it is: pods and their restarts, and the children, by uid and generation."""
    pods = json.loads(shop.kubectl("get", "pods", "-l", "scalableapp.io/app=web", "-o", "json"))["items"]
    states = [(pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in pods]
    assert len(states) == 1
    metadata = {kind: shop.get(kind)["metadata"] for kind in CHILDREN}
    return {"pods": states} | {kind: (found["uid"], found.get("generation")) for kind, found in metadata.items()}


def holds(found: Any, before: Any) -> bool:
    """Whether all is there that was there before; newer fields may have come."""
    if isinstance(before, dict):
        return all(name in found and holds(found[name], value) for name, value in before.items())
    return bool(found == before)


def puts_right(shop: Shop) -> None:
    """The operator is at work: what is deleted comes back."""
    shop.kubectl("delete", "service", "web")
    eventually(lambda: shop.get("service"))


def test_an_upgraded_crd_keeps_objects_and_apps_and_the_operator_goes_on(alone: Shop) -> None:
    """From the first CRD there was, which prunes what it does not name, by the last one without rules."""
    kubectl("apply", "-f", str(OLD_CRDS / "first.yaml"))
    alone.apply(**RUNNING)
    alone.wait_until_deployed()
    alone.kubectl("rollout", "status", "deployment/web", "--timeout=150s")
    before, app = running(alone), alone.get("sapp")
    assert "vertical" not in app["spec"]["scaling"]

    kubectl("apply", "-f", str(OLD_CRDS / "without-rules.yaml"))

    def upgraded() -> dict[str, Any]:
        found = alone.get("sapp")
        assert "vertical" in found["spec"]["scaling"]
        return found

    eventually(upgraded)
    puts_right(alone)
    kubectl("apply", "-f", str(ROOT / "crds"))
    after = upgraded()
    assert after["metadata"]["uid"] == app["metadata"]["uid"]
    assert all(holds(after["spec"][name], value) for name, value in app["spec"].items() if name != "scaling")
    puts_right(alone)
    prices = {"cpuCoreHour": "0.04", "memoryGibibyteHour": "0.005"}
    eventually(lambda: alone.apply(**RUNNING, scaling={"prices": prices}))  # kubectl's schema follows a little later

    def followed() -> None:
        found = alone.get("sapp")
        assert "prices" in found["spec"]["scaling"]
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]

    eventually(followed)
    now = running(alone)
    assert {name: now[name] for name in now if name != "service"} == {
        name: before[name] for name in before if name != "service"
    }


def test_all_can_be_removed_but_the_apps_that_run(alone: Shop) -> None:
    before = running(alone)
    kubectl("delete", "-n", SYSTEM, OPERATOR)
    kubectl("delete", "scalableapps", "--all", "--all-namespaces", "--cascade=orphan")
    kubectl("delete", "crd", CRD)
    assert not crd_exists()
    for kind in CHILDREN:
        assert "ownerReferences" not in alone.get(kind)["metadata"]
    assert running(alone) == before


def test_an_app_left_behind_is_not_taken_over_until_its_objects_are_gone(alone: Shop) -> None:
    install()
    alone.apply(**RUNNING)
    message = alone.wait_for("Conflicted", "True", "Conflicted")
    assert "was not created by this ScalableApp" in message
    alone.kubectl("delete", ",".join(CHILDREN), "-l", "scalableapp.io/app=web")
    alone.apply(**{**RUNNING, "port": 8000, "env": [{"name": "AGAIN", "value": "1"}]})  # a change is looked at at once
    alone.wait_for("Conflicted", "False", "NoConflict")
    eventually(lambda: alone.get("deployment")["metadata"]["ownerReferences"])


def test_everything_can_be_removed(alone: Shop) -> None:
    kubectl("delete", "scalableapps", "--all", "--all-namespaces")
    eventually(lambda: none(kind for kind in CHILDREN if alone.exists(kind)))
    # As `kubectl delete -k`, but for the namespace and Prometheus, whose pods' ends would take minutes here.
    ours = [found for found in kustomized(MANIFESTS / "base") if found["kind"] != "Namespace"]
    kubectl("delete", "-f", "-", text=yaml.safe_dump_all(ours))
    assert not crd_exists()
    assert installed() == set()


def test_helm_installs_it_for_one_namespace_with_roles_alone_and_leaves_apps_when_it_goes(alone: Shop) -> None:
    values = {"namespaces": [alone.namespace]}
    upgrade = ("upgrade", "--install", "scalableapp", str(CHART), "--create-namespace", "--values", "-")
    helm(*upgrade, text=json.dumps(values))
    kubectl("rollout", "status", OPERATOR, "-n", HELM_NAMESPACE, "--timeout=150s")
    assert installed() == {"scalableapp-view", "scalableapp-edit", "scalableapp-admin"}
    alone.apply(replicas=0, scaling={"mode": "Combined"})
    alone.wait_until_deployed()
    puts_right(alone)
    log = kubectl("logs", OPERATOR, "-n", HELM_NAMESPACE, "--tail=-1")
    assert [line for line in log.splitlines() if re.search(r" cannot \w+ resource |Traceback", line)] == []
    deployment = alone.get("deployment")["metadata"]["uid"]

    helm("uninstall", "scalableapp")
    assert crd_exists()
    assert alone.get("deployment")["metadata"]["uid"] == deployment
    assert alone.get("sapp")


def test_deleting_the_crd_takes_every_app_with_it(alone: Shop) -> None:
    assert alone.exists("deployment.apps")
    kubectl("delete", "crd", CRD)
    eventually(lambda: none(kind for kind in CHILDREN if alone.exists(kind)))


def helm(*arguments: str, text: str | None = None) -> str:
    return output(program("helm"), "--kube-context", CONTEXT, "--namespace", HELM_NAMESPACE, *arguments, text=text)
