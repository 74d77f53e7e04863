"""What others may demand of an app: admission policies, Pod Security, finalizers."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.shop import BACK_OFF_SECONDS, CHILDREN, SMALL, Shop, eventually, is_ready, kubectl, pods, refusal

pytestmark = pytest.mark.cluster

IMAGE = "sample-app:0.1.0"
ADMISSION = "admissionregistration.k8s.io/v1"


@contextmanager
def policy(namespace: str, group: str, resource: str, expression: str, message: str) -> Iterator[None]:
    """A ValidatingAdmissionPolicy that holds in one namespace."""
    name = f"test-{secrets.token_hex(3)}"
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    specs: dict[str, dict[str, Any]] = {
        "ValidatingAdmissionPolicy": {
            "failurePolicy": "Fail",
            "matchConstraints": where | {"resourceRules": [rule]},
            "validations": [{"expression": expression, "message": message}],
        },
        "ValidatingAdmissionPolicyBinding": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": where,
        },
    }
    for kind, spec in specs.items():
        manifest = {"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        kubectl("create", "-f", "-", text=json.dumps(manifest))
    try:
        yield
    finally:
        kubectl("delete", ",".join(kind.lower() for kind in specs), name)


def test_a_policy_on_scalableapps_refuses_what_a_team_may_not_ask_for(shop: Shop) -> None:
    expression = "object.spec.scaling.horizontal.maxReplicas <= 5"
    message = "this namespace has room for 5 replicas"
    with policy(shop.namespace, "scalableapp.io", "scalableapps", expression, message):

        def in_force() -> None:
            shop.apply(scaling={"horizontal": {"maxReplicas": 5}})
            patch = json.dumps({"spec": {"scaling": {"horizontal": {"maxReplicas": 6}}}})
            said = refusal(
                "-n", shop.namespace, "patch", "sapp", "web", "--type=merge", "--dry-run=server", "-p", patch
            )
            assert message in said

        eventually(in_force)
        shop.wait_until_deployed()  # the operator's writes of the status are let through
    assert shop.get("sapp")["spec"]["scaling"]["horizontal"]["maxReplicas"] == 5


def test_what_a_policy_in_the_apps_namespace_refuses_is_reported_and_comes_right_by_itself(shop: Shop) -> None:
    expression = "has(object.metadata.labels) && 'costs' in object.metadata.labels"
    message = "every Service here says who pays for it"
    with policy(shop.namespace, "", "services", expression, message):
        create = ("-n", shop.namespace, "create", "service", "clusterip", "x", "--tcp=80", "--dry-run=server")

        def in_force() -> None:
            assert message in refusal(*create)

        eventually(in_force)
        shop.apply()

        def reported() -> str:
            status, _, said = shop.condition("Ready")
            assert status == "False"
            assert message in said
            return said

        assert "Service" in eventually(reported)
        eventually(lambda: shop.get("deployment"))
    shop.wait_for("Ready", "True", "InSync", BACK_OFF_SECONDS)


def test_an_app_runs_where_only_restricted_pods_are_let_in(shop: Shop) -> None:
    levels = ("enforce", "audit", "warn")
    labels = [f"pod-security.kubernetes.io/{level}=restricted" for level in levels]
    kubectl("label", "namespace", shop.namespace, *labels)
    root = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "c", "image": IMAGE}]},
    }
    said = refusal("-n", shop.namespace, "create", "--dry-run=server", "-f", "-", text=json.dumps(root))
    assert 'violates PodSecurity "restricted' in said
    shop.apply(image=IMAGE, replicas=2, resources=SMALL, cache={"backend": "Redis"})

    def running() -> None:
        listed = json.loads(shop.kubectl("get", "pods", "-o", "json"))["items"]
        assert len(listed) == 3
        assert all(map(is_ready, listed))

    eventually(running)
    shop.wait_until_deployed()
    shop.kubectl("scale", "sapp/web", "--replicas=3")

    def scaled() -> None:
        assert sum(map(is_ready, pods(shop))) == 3

    eventually(scaled)
    assert "violates PodSecurity" not in shop.kubectl("get", "events", "-o", "json")


def test_an_app_that_somebodys_finalizer_keeps_is_left_alone_and_goes_with_all_that_is_its_own(deployed: Shop) -> None:
    keep = json.dumps({"metadata": {"finalizers": ["example.com/backup"]}})
    deployed.kubectl("patch", "sapp", "web", "--type=merge", "-p", keep)
    deployed.kubectl("delete", "sapp", "web", "--wait=false")
    deployed.kubectl("delete", "service", "web")
    deployed.kubectl("annotate", "sapp", "web", "seen=yes")
    deployed.apply("later")
    deployed.wait_until_deployed("later")  # so that the operator has had its turn
    assert not deployed.exists("service")
    assert all(deployed.exists(kind) for kind in CHILDREN if kind != "service")
    deployed.kubectl("patch", "sapp", "web", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))

    def gone() -> None:
        assert not deployed.exists("sapp")
        assert not any(deployed.exists(kind) for kind in CHILDREN)

    eventually(gone)
    deployed.apply()
    deployed.wait_until_deployed()
