"""Upstream's ingress controller as we apply it: pinned, as restricted as it goes, and in step with itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPONENTS = Path(__file__).resolve().parents[3] / "manifests" / "components"
FOLDER = COMPONENTS / "ingress-controller"
OBJECTS = [found for file in sorted(FOLDER.glob("*.yaml")) for found in yaml.safe_load_all(file.read_text())]


def one(kind: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = (item for item in OBJECTS if item["kind"] == kind)
    return found


POD = one("DaemonSet")["spec"]["template"]["spec"]
CONTAINERS = [*POD["initContainers"], *POD["containers"]]
ARGS = POD["containers"][0]["args"]


def test_every_file_is_named_in_the_kustomization() -> None:
    files = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(one("Component")["resources"]) == files


@pytest.mark.parametrize("component", ["ingress-controller", "prometheus"])
def test_an_image_that_is_pulled_has_a_fixed_version(component: str) -> None:
    (image,) = yaml.safe_load((COMPONENTS / component / "kustomization.yaml").read_text())["images"]
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", image["newTag"])


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container["name"])
def test_a_container_is_restricted_as_far_as_its_ports_allow(container: dict[str, Any]) -> None:
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"]["drop"] == ["ALL"]
    allowed = ["NET_BIND_SERVICE"] if container["name"] == "nginx-ingress" else []
    assert security["capabilities"].get("add", []) == allowed
    assert container["resources"]["limits"]["memory"]


def test_the_pod_runs_as_a_user_without_rights() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] == 101
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(
    "argument",
    ["-enable-custom-resources=false", "-enable-snippets=false", "-enable-telemetry-reporting=false"],
)
def test_what_is_not_needed_is_off(argument: str) -> None:
    assert argument in ARGS
    assert "k8s.nginx.org" not in yaml.safe_dump(one("ClusterRole"))


def test_ingresses_get_their_address_from_the_settings() -> None:
    """-report-ingress-status does nothing without a Service or this key."""
    config = one("ConfigMap")
    assert "-report-ingress-status" in ARGS
    assert f"-nginx-configmaps=$(POD_NAMESPACE)/{config['metadata']['name']}" in ARGS
    assert config["data"]["external-status-address"]


def test_its_class_is_the_default_and_its_own() -> None:
    ingress_class = one("IngressClass")
    assert ingress_class["spec"]["controller"] == "nginx.org/ingress-controller"
    assert ingress_class["metadata"]["annotations"]["ingressclass.kubernetes.io/is-default-class"] == "true"
    assert (
        ingress_class["metadata"]["name"] == "nginx"
    )  # its -ingress-class by default; with another it would not start


def test_metrics_are_served_where_the_annotation_says() -> None:
    annotations = one("DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    ports = {port["name"]: port["containerPort"] for port in POD["containers"][0]["ports"]}
    assert annotations["prometheus.io/port"] == str(ports["metrics"])
    assert {"-enable-prometheus-metrics", "-enable-latency-metrics"} <= set(ARGS)
