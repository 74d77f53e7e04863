"""Everything that is applied, whoever applies it: valid for the oldest and the newest Kubernetes, and restricted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml

from scalableapp.core.api.crd import crd
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.model import AppKey
from tests.pod_security import violations
from tests.rendering import MANIFESTS, SYSTEM, Manifest, charted, combined, kustomized, named, pod_of

# The oldest that everything is for, and the newest whose schemas there are.
VERSIONS = ("1.31", "1.37")
# Kinds of others, which bring their schemas themselves where they are installed.
FOREIGN_GROUPS = {"monitoring.coreos.com", "gateway.networking.k8s.io"}

# What an object cannot do without. Envoy is the node's port 80 and 443, as kind maps them.
NEEDED = {"envoy": ["envoy: Host Ports"]}

OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())
SAMPLES = sorted(path.name for path in (MANIFESTS / "samples").glob("*.yaml"))
CHART_VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "all namespaces of a few": {"namespaces": ["team-a", "team-b"]},
    "everything on": {
        "networkPolicy": {"enabled": True},
        "monitoring": {"enabled": True},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "placed": {"nodeSelector": {"kubernetes.io/os": "linux"}, "affinity": {"nodeAffinity": {}}, "tolerations": []},
}

SPECS: dict[str, dict[str, Any]] = {
    "image alone": {"image": "a:1"},
    "redis": {"image": "a:1", "cache": {"backend": "Redis"}},
    "sleeping": {"image": "a:1", "replicas": 0, "ingress": {"enabled": False}},
    "every field": {
        "image": "a:1",
        "port": 9000,
        "command": ["python3"],
        "args": ["-m", "http.server"],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "envFrom": [{"configMapRef": {"name": "x", "optional": True}}],
        "resources": {"requests": {"cpu": 0.5, "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1.5Gi"}},
        "ingress": {"host": "a.example", "path": "/x", "className": "contour", "tlsSecretName": "t"},
    },
}


def schema_errors(manifest: Manifest, version: str) -> str:
    """What Kubernetes of that version, strict on unknown fields, has against a manifest; "" when nothing."""
    group = manifest["apiVersion"].rpartition("/")[0]
    if group in FOREIGN_GROUPS:
        return ""
    try:
        if group == "scalableapp.io":
            APP_SCHEMA.validate(manifest)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        return f"{manifest['kind']} {manifest['metadata']['name']}: {error.json_path}: {error.message}"
    return ""


def closed(schema: Any) -> Any:
    """A structural schema as the API server enforces it: a field that it does not name is an error."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        result["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string", "number"]
    return result


def app_schema() -> jsonschema.Draft4Validator:
    """OpenAPI 3.0, which CRDs are written in, has draft 4's exclusiveMinimum."""
    schema: dict[str, Any] = closed(crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    schema["properties"]["metadata"].pop("additionalProperties", None)
    return jsonschema.Draft4Validator(schema)


APP_SCHEMA = app_schema()


def assert_in_order(objects: Sequence[Manifest]) -> None:
    assert objects
    errors = [error for found in objects for version in VERSIONS if (error := schema_errors(found, version))]
    assert errors == []
    assert {found["metadata"]["name"]: violations(pod) for found in objects if (pod := pod_of(found))} == {
        found["metadata"]["name"]: NEEDED.get(found["metadata"]["name"], []) for found in objects if pod_of(found)
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay(overlay: str) -> None:
    assert_in_order(kustomized(MANIFESTS / "overlays" / overlay))


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_on_the_base(component: str, tmp_path: Path) -> None:
    assert_in_order(combined(tmp_path, "base", component))


@pytest.mark.parametrize("values", CHART_VALUES.values(), ids=CHART_VALUES.keys())
def test_the_chart(values: dict[str, Any]) -> None:
    assert_in_order(charted(values))


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample(sample: str) -> None:
    documents = list(yaml.safe_load_all((MANIFESTS / "samples" / sample).read_text()))
    assert_in_order(documents)
    for document in documents:
        if document["kind"] == "ScalableApp":
            assert_in_order(children(AppKey("shop", "web"), "uid-1", parse_spec(document["spec"]), ClusterFeatures()))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_what_the_operator_makes_of_an_app(spec: dict[str, Any]) -> None:
    made = children(AppKey("shop", "web"), "uid-1", parse_spec(spec), ClusterFeatures())
    assert_in_order(json.loads(json.dumps(made)))


def test_the_base_has_a_pod_and_a_namespace_that_takes_restricted_pods_only() -> None:
    objects = kustomized(MANIFESTS / "base")
    assert any(pod_of(found) for found in objects)
    (namespace,) = (found for found in objects if found["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_in_a_few_namespaces_the_operator_has_roles_alone() -> None:
    objects = named(kustomized(MANIFESTS / "overlays" / "namespaced"))
    subject = {"kind": "ServiceAccount", "name": "scalableapp-operator", "namespace": SYSTEM}
    bindings = {name: found for name, found in objects.items() if subject in found.get("subjects", ())}
    assert bindings.keys() == {
        f"RoleBinding {SYSTEM}/scalableapp-operator-lease",
        "RoleBinding team-a/scalableapp-operator",
    }
    assert not any(found["kind"] == "ClusterRoleBinding" for found in objects.values())
    everywhere = named(kustomized(MANIFESTS / "base"))["ClusterRole /scalableapp-operator"]["rules"]
    in_a_namespace = [rule for rule in everywhere if rule["resources"] != ["nodes"]]
    assert objects["Role team-a/scalableapp-operator"]["rules"] == in_a_namespace
    assert len(in_a_namespace) == len(everywhere) - 1


def test_the_network_policy_is_about_the_operators_pod_its_metrics_and_its_prometheus() -> None:
    objects = named(kustomized(MANIFESTS / "overlays" / "production"))
    policy = objects[f"NetworkPolicy {SYSTEM}/scalableapp-operator"]["spec"]
    template = objects[f"Deployment {SYSTEM}/scalableapp-operator"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    (let_in,) = policy["ingress"]
    assert let_in["from"] == [
        {"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}},
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}},
    ]
    assert [port["port"] for port in let_in["ports"]] == [container["ports"][0]["name"]]
    url = next(it["value"] for it in container["env"] if it["name"] == "SCALABLEAPP_PROMETHEUS_URL")
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 6443, urlsplit(url).port}


GOOD = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
}


@pytest.mark.parametrize(
    ("path", "value", "control"),
    [
        ("hostNetwork", True, "Host Namespaces"),
        ("hostPID", True, "Host Namespaces"),
        ("volumes", [{"name": "v", "hostPath": {"path": "/"}}], "Volume Types"),
        ("securityContext.sysctls", [{"name": "kernel.msgmax"}], "Sysctls"),
        ("securityContext.appArmorProfile", {"type": "Unconfined"}, "AppArmor"),
        ("securityContext.seLinuxOptions", {"type": "spc_t"}, "SELinux"),
        ("securityContext.runAsUser", 0, "Running as Non-root user"),
        ("securityContext.runAsNonRoot", None, "c: Running as Non-root"),
        ("securityContext.seccompProfile", None, "c: Seccomp"),
        ("containers.0.securityContext.runAsNonRoot", False, "c: Running as Non-root"),
        ("containers.0.securityContext.runAsUser", 0, "c: Running as Non-root user"),
        ("containers.0.securityContext.seccompProfile", {"type": "Unconfined"}, "c: Seccomp"),
        ("containers.0.securityContext.privileged", True, "c: Privileged Containers"),
        ("containers.0.securityContext.procMount", "Unmasked", "c: /proc Mount Type"),
        ("containers.0.securityContext.allowPrivilegeEscalation", None, "c: Privilege Escalation"),
        ("containers.0.securityContext.capabilities", {"drop": ["NET_RAW"]}, "c: Capabilities"),
        ("containers.0.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_TIME"]}, "c: Capabilities"),
        ("containers.0.ports", [{"containerPort": 80, "hostPort": 80}], "c: Host Ports"),
        ("containers.0.livenessProbe", {"tcpSocket": {"host": "x", "port": 1}}, "c: Host Probes / Lifecycle Hooks"),
    ],
)
def test_a_pod_that_breaks_one_control_is_reported_by_its_name(path: str, value: Any, control: str) -> None:
    pod: Any = json.loads(json.dumps(GOOD))
    assert violations(pod) == []
    *parents, last = path.split(".")
    holder = pod
    for part in parents:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    holder[last] = value
    assert violations(pod) == [control]


@pytest.mark.parametrize("field", ["replica", "template"])
def test_a_field_that_kubernetes_does_not_know_is_an_error(field: str) -> None:
    (deployment,) = (found for found in kustomized(MANIFESTS / "base") if found["kind"] == "Deployment")
    deployment["spec"][field] = 1
    assert field in schema_errors(deployment, VERSIONS[-1])


def test_a_field_that_a_scalableapp_does_not_have_is_an_error() -> None:
    (sample,) = yaml.safe_load_all((MANIFESTS / "samples" / "sample-app.yaml").read_text())
    sample["spec"]["scaling"]["horizontal"]["maxReplica"] = 3
    assert "maxReplica" in schema_errors(sample, VERSIONS[-1])
