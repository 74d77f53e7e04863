"""What only machines with internet run, as far as an API server can check it: it accepts every object."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.shop import kubectl

pytestmark = pytest.mark.cluster

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
COMPONENT = MANIFESTS / "components" / "ingress-controller"


def elsewhere(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under another name, since an IngressClass `nginx` is there already, and in another namespace."""
    metadata = document["metadata"]
    if "namespace" in metadata:
        return document | {"metadata": metadata | {"namespace": name}}
    return document | {"metadata": metadata | {"name": name}}


def test_the_api_server_accepts_upstreams_ingress_controller(tmp_path: Path) -> None:
    namespace = f"upstream-{secrets.token_hex(3)}"
    documents = list(yaml.safe_load_all(kubectl("kustomize", str(COMPONENT))))
    bundle = tmp_path / "bundle.json"
    items = [elsewhere(document, namespace) for document in documents if document["kind"] != "Namespace"]
    bundle.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    kubectl("create", "namespace", namespace)
    try:
        accepted = kubectl("create", "--dry-run=server", "--output=name", "--filename", str(bundle)).split()
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")
    assert len(accepted) == len(items)
    assert "daemonset.apps/nginx-ingress" in accepted


def test_the_overlay_for_upstreams_nodes_pulls_all_but_the_operator() -> None:
    documents = list(yaml.safe_load_all(kubectl("kustomize", str(MANIFESTS / "overlays" / "kind-upstream"))))
    pods = [document["spec"]["template"]["spec"] for document in documents if "template" in document.get("spec", {})]
    images = {container["image"] for pod in pods for container in pod["containers"]}
    assert {image.partition(":")[0] for image in images} == {
        "scalableapp-operator",
        "nginx/nginx-ingress",
        "prom/prometheus",
    }
    (crd,) = (document for document in documents if document["kind"] == "CustomResourceDefinition")
    assert "x-kubernetes-validations" in json.dumps(crd)
