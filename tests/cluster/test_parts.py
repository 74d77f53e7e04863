"""Every part of the cluster runs the version that cluster/go and the manifests name."""

import json
import re
from collections.abc import Iterator

import pytest

from cluster import modules
from tests.cluster.shop import CONTEXT, SYSTEM, kubectl
from tests.unit.cluster.test_versions import PUBLISHED

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(CONTEXT != "kind-scalableapp", reason="the cluster is another one, with parts of its own"),
]


def test_every_kubernetes_program_has_the_version_that_was_asked_for(operator: str) -> None:
    server = json.loads(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    versions = {server, *(node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes)}
    assert {_minor(version) for version in versions} == {_minor(modules.kubernetes())}
    if not published():
        assert versions == {modules.kubernetes()}


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


def published() -> bool:
    """Whether the nodes are kind's published image, of which there is not one for each patch release."""
    return any("kindnet" in name for name in kubectl("get", "pods", "-n", "kube-system", "-o", "name").split())


def running() -> Iterator[tuple[str, str]]:
    """Name and tag of each container's image, as the pods' specs have them."""
    for pod in json.loads(kubectl("get", "pods", "--all-namespaces", "-o", "json"))["items"]:
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            name, _, tag = container["image"].partition("@")[0].rpartition(":")
            yield name, tag


@pytest.mark.parametrize(("name", "version"), PUBLISHED.items(), ids=PUBLISHED)
def test_a_part_runs_under_its_published_name_and_version(name: str, version: str, operator: str) -> None:
    tags = {tag for found, tag in running() if found == name}
    assert tags == {version}, f"of {name} (parts that only tests need: python -m cluster.test_parts)"


def asked(path: str) -> str:
    """What the API server's proxy answers."""
    return kubectl("get", "--raw", path)


def test_prometheus_says_its_version(operator: str) -> None:
    found = json.loads(asked(f"/api/v1/namespaces/{SYSTEM}/services/prometheus:http/proxy/api/v1/status/buildinfo"))
    assert found["data"]["version"] == modules.prometheus()


def test_metrics_server_serves_what_the_kubelets_measure(operator: str) -> None:
    found = json.loads(asked("/apis/metrics.k8s.io/v1beta1/nodes"))["items"]
    assert len(found) == len(json.loads(kubectl("get", "nodes", "-o", "json"))["items"])
    assert all(re.fullmatch(r"\d+[nmuKMGi]*", node["usage"]["cpu"]) for node in found)
