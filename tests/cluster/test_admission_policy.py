"""The components `admission` and `admission-hosts`: what the operator may write, and which hosts an app may have."""

import copy
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import API_VERSION, KIND, ClusterFeatures, Template, children
from scalableapp.core.model import AppKey
from tests.cluster.shop import answer, eventually, kubectl
from tests.rendering import MANIFESTS

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

POLICIES = str(MANIFESTS / "components" / "admission" / "policies.yaml")
HOSTS = str(MANIFESTS / "components" / "admission-hosts" / "policy.yaml")
OPERATOR = "scalableapp-system:scalableapp-operator"
AS_OPERATOR = ("--as", f"system:serviceaccount:{OPERATOR}")
APPLY = ("apply", "--server-side", "--field-manager", "scalableapp-operator", "--force-conflicts", "-f", "-")

Manifest = dict[str, Any]
Edit = Callable[[Manifest], object]

SPECS: dict[str, dict[str, Any]] = {
    "an image alone": {},
    "an Ingress": {"ingress": {"host": "a.test"}},
    "a Redis": {"cache": {"backend": "Redis"}},
    "a user of its own that writes": {
        "securityContext": {"runAsUser": 1000, "fsGroup": 1000, "readOnlyRootFilesystem": False}
    },
}


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"admission-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    # kubectl reads what it patches, which the operator does not.
    kubectl("create", "role", "read", "-n", name, "--verb", "get", "--resource", "deployments/scale")
    kubectl("create", "rolebinding", "read", "-n", name, "--role", "read", "--serviceaccount", OPERATOR)
    try:
        kubectl("apply", "-f", POLICIES)
        eventually(lambda: _assert_in("whose controller is a ScalableApp", refusal(name, ownerless)))
        eventually(lambda: _assert_in("hostNetwork", refusal(name, pod(hostNetwork=True))))
        foreign(name)
        eventually(lambda: _assert_in("scalableapp.io/app", _changed_replica_set(name)))
        yield name
    finally:
        kubectl("delete", "-f", POLICIES)
        kubectl("delete", "namespace", name, "--wait=false")


def made(namespace: str, template: Template = Template(), **spec: Any) -> dict[str, Manifest]:  # noqa: B008 - immutable
    key = AppKey(namespace, "web")
    objects = children(key, "uid-1", parse_spec({"image": "a:1"} | spec), ClusterFeatures(), template)
    return {f"{found['kind']} {found['metadata']['name']}": found for found in objects}


def refusal(namespace: str, edit: Edit, kind: str = "Deployment web") -> str:
    """What the operator is told when it makes an object of its own that somebody has edited; "" when it may."""
    manifest = copy.deepcopy(made(namespace)[kind])
    edit(manifest)
    return answer(*APPLY, "--dry-run=server", *AS_OPERATOR, text=json.dumps(manifest)).stderr


def ownerless(manifest: Manifest) -> None:
    del manifest["metadata"]["ownerReferences"]


def owned_by_another_kind(manifest: Manifest) -> None:
    manifest["metadata"]["ownerReferences"][0] |= {"kind": "Deployment", "apiVersion": "apps/v1"}


def pod(**fields: Any) -> Edit:
    return lambda manifest: manifest["spec"]["template"]["spec"].update(fields)


def container(**fields: Any) -> Edit:
    return lambda manifest: manifest["spec"]["template"]["spec"]["containers"][0].update(fields)


def secured(**fields: Any) -> Edit:
    return lambda manifest: manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"].update(fields)


def mounting(**source: Any) -> Edit:
    return lambda manifest: manifest["spec"]["template"]["spec"]["volumes"].append({"name": "more", **source})


def foreign(namespace: str) -> tuple[str, ...]:
    """A Deployment that is no app's: how kubectl names it."""
    answer("create", "deployment", "theirs", "-n", namespace, "--image", "a:1", "--replicas", "0")
    return ("-n", namespace, "deployment/theirs")


def _changed_replica_set(namespace: str) -> str:
    """What is said when the operator changes the ReplicaSet of a Deployment that is not its own."""
    change = ("annotate", "replicasets", "-n", namespace, "-l", "app=theirs", "--overwrite", "a=b", "--dry-run=server")
    return answer(*change, *AS_OPERATOR).stderr


def _scaled(deployment: tuple[str, ...]) -> str:
    patch = ("--subresource", "scale", "--type", "merge", "--patch", '{"spec":{"replicas":0}}')
    return answer("patch", *deployment, *patch, *AS_OPERATOR).stderr


def _assert_in(part: str, text: str) -> None:
    assert part in text


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("template", [Template(), Template(canary=True)], ids=["all at once", "one pod first"])
def test_all_that_the_operator_makes_of_an_app_is_taken(
    namespace: str, spec: dict[str, Any], template: Template
) -> None:
    for manifest in made(namespace, template, **spec).values():
        kubectl(*APPLY, "--dry-run=server", *AS_OPERATOR, text=json.dumps(manifest))


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        pytest.param(ownerless, "whose controller is a ScalableApp", id="no owner"),
        pytest.param(owned_by_another_kind, "whose controller is a ScalableApp", id="another owner"),
        pytest.param(pod(serviceAccountName="admin"), "serviceAccountName admin", id="another service account"),
        pytest.param(pod(automountServiceAccountToken=True), "automountServiceAccountToken", id="a token"),
        pytest.param(pod(hostNetwork=True), "hostNetwork", id="the host's network"),
        pytest.param(pod(hostPID=True), "hostPID", id="the host's processes"),
        pytest.param(pod(nodeName="control-plane"), "nodeName", id="a node of its choice"),
        pytest.param(pod(priorityClassName="system-node-critical"), "priorityClassName", id="before the system"),
        pytest.param(pod(securityContext={}), "securityContext", id="root"),
        pytest.param(mounting(hostPath={"path": "/"}), "volume more", id="the node's files"),
        pytest.param(
            mounting(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
            "volume more",
            id="a token's file",
        ),
        pytest.param(secured(privileged=True, allowPrivilegeEscalation=True), "container app", id="privileged"),
        pytest.param(secured(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "container app", id="a capability"),
        pytest.param(secured(runAsNonRoot=False), "container app", id="root in a container"),
        pytest.param(secured(seccompProfile={"type": "Unconfined"}), "container app", id="no seccomp"),
        pytest.param(
            container(ports=[{"name": "http", "containerPort": 8000, "hostPort": 80}]),
            "container app",
            id="a host's port",
        ),
        pytest.param(pod(initContainers=[{"name": "first", "image": "b"}]), "container first", id="an init container"),
    ],
)
def test_what_goes_beyond_is_refused_by_name(namespace: str, edit: Edit, named: str) -> None:
    assert named in refusal(namespace, edit)


@pytest.mark.parametrize(
    "source",
    [{"secret": {"secretName": "s"}}, {"configMap": {"name": "c"}}, {"persistentVolumeClaim": {"claimName": "c"}}],
    ids=["a Secret's files", "a ConfigMap's files", "a claim"],
)
def test_volumes_that_give_no_rights_are_taken(namespace: str, source: dict[str, Any]) -> None:
    assert refusal(namespace, mounting(**source)) == ""


@pytest.mark.parametrize("kind", ["Service web", "PodDisruptionBudget web"])
def test_no_object_is_made_without_an_owner(namespace: str, kind: str) -> None:
    assert "whose controller is a ScalableApp" in refusal(namespace, ownerless, kind)


@pytest.mark.parametrize(
    "fields", [{"type": "LoadBalancer"}, {"externalIPs": ["10.1.2.3"]}], ids=["a load balancer", "others' addresses"]
)
def test_a_service_takes_no_address_from_outside(namespace: str, fields: dict[str, Any]) -> None:
    assert "ClusterIP" in refusal(namespace, lambda manifest: manifest["spec"].update(fields), "Service web")


def test_objects_of_others_are_scaled_and_neither_changed_nor_deleted(namespace: str) -> None:
    theirs = foreign(namespace)
    taken = made(namespace)["Deployment web"]["metadata"] | {"name": "theirs"}
    adopted = {"metadata": {"ownerReferences": taken["ownerReferences"]}}
    for command in (
        ("patch", *theirs, "--type", "merge", "--patch", json.dumps(adopted)),
        ("delete", *theirs),
    ):
        assert "whose controller is a ScalableApp" in answer(*command, "--dry-run=server", *AS_OPERATOR).stderr
    assert "with the label scalableapp.io/app" in _changed_replica_set(namespace)
    assert _scaled(theirs) == ""


def _of_an_app(namespace: str, **spec: Any) -> str:
    """A Deployment whose owner exists, as else the cluster would delete it."""
    app = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "owner", "namespace": namespace}}
    owner = json.loads(kubectl("apply", "-o", "json", "-f", "-", text=json.dumps(app | {"spec": {"image": "a:1"}})))
    deployment = made(namespace, **spec)["Deployment web"]
    deployment["metadata"]["ownerReferences"][0] |= {"name": "owner", "uid": owner["metadata"]["uid"]}
    return json.dumps(deployment)


def test_an_apps_deployment_is_changed_scaled_and_deleted_with_what_others_have_added(namespace: str) -> None:
    kubectl(*APPLY, *AS_OPERATOR, text=_of_an_app(namespace))
    added = {"spec": {"template": {"spec": {"serviceAccountName": "shop"}}}}
    web = ("-n", namespace, "deployment/web")
    kubectl("patch", *web, "--type", "merge", "--patch", json.dumps(added))
    kubectl(*APPLY, *AS_OPERATOR, text=_of_an_app(namespace, image="a:2"))
    assert "serviceAccountName" in kubectl("get", *web, "-o", "yaml")
    assert _scaled(web) == ""
    kubectl("delete", *web, *AS_OPERATOR)


def test_what_others_write_is_none_of_the_policies_business(namespace: str) -> None:
    manifest = made(namespace)["Deployment web"]
    pod(hostNetwork=True)(manifest)
    ownerless(manifest)
    kubectl(*APPLY, "--dry-run=server", text=json.dumps(manifest))


@pytest.fixture(scope="module")
def owner_of_hosts() -> Iterator[str]:
    """A namespace that has been given hosts."""
    name = f"hosts-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    kubectl("annotate", "namespace", name, "scalableapp.io/hosts=shop.test,*.shop.test")
    try:
        kubectl("apply", "-f", HOSTS)
        eventually(lambda: _assert_in("is not given the host bank.test", exposed(name, ingress={"host": "bank.test"})))
        yield name
    finally:
        kubectl("delete", "-f", HOSTS)
        kubectl("delete", "namespace", name, "--wait=false")


def exposed(namespace: str, **spec: Any) -> str:
    """What the author of an app is told; "" when the app is taken."""
    app = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": "web"}}
    text = json.dumps(app | {"spec": {"image": "a:1"} | spec})
    return answer("create", "-n", namespace, "--dry-run=server", "-f", "-", text=text).stderr


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        pytest.param({}, "", id="not exposed"),
        pytest.param({"ingress": {"host": "shop.test"}}, "", id="its own"),
        pytest.param({"ingress": {"host": "a.shop.test"}}, "", id="below its own"),
        pytest.param({"ingress": {"host": "bank.test"}}, "bank.test", id="another's"),
        pytest.param({"ingress": {"host": "bankshop.test"}}, "bankshop.test", id="one that ends alike"),
        pytest.param({"ingress": {"host": "*"}}, "*", id="every host"),
        pytest.param({"ingress": {"host": "*", "enabled": False}}, "", id="switched off"),
        pytest.param({"route": {"parentRefs": [{"name": "g"}], "hostnames": ["shop.test"]}}, "", id="a route"),
        pytest.param(
            {"route": {"parentRefs": [{"name": "g"}], "hostnames": ["shop.test", "bank.test"]}},
            "bank.test",
            id="a route to another's",
        ),
        pytest.param({"route": {"parentRefs": [{"name": "g"}]}}, "*", id="a route to all of a Gateway"),
    ],
)
def test_an_app_has_only_hosts_that_its_namespace_is_given(
    owner_of_hosts: str, spec: dict[str, Any], refused: str
) -> None:
    said = exposed(owner_of_hosts, **spec)
    assert f"is not given the host {refused};" in said if refused else said == ""
