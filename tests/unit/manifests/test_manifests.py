"""The manifests as files: what kustomize would put together is checked on the real cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.images import IMAGES
from scalableapp import __version__
from scalableapp.core.api.spec import parse_spec
from scalableapp.settings import Settings

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / path).read_text()))


def of_kind(path: str, kind: str) -> dict[str, Any]:
    return next(document for document in documents(path) if document["kind"] == kind)


@pytest.mark.parametrize("path", sorted((MANIFESTS / "samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sample_is_a_good_spec(path: Path) -> None:
    for sample in documents(str(path)):
        if sample["kind"] == "ScalableApp":
            parse_spec(sample["spec"])


def test_the_sample_has_room_to_scale() -> None:
    (sample,) = documents("samples/sample-app.yaml")
    assert parse_spec(sample["spec"]).scaling.horizontal.max_replicas == 8


def test_the_operator_may_do_nothing_by_wildcard_and_read_no_secrets() -> None:
    paths = ("base/rbac.yaml", "base/cluster-role/cluster-role.yaml")
    granted = [rule for path in paths for document in documents(path) for rule in document.get("rules", [])]
    assert granted
    for rule in granted:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]


def pods() -> dict[str, dict[str, Any]]:
    paths = {"operator": "base/deployment.yaml", "prometheus": "components/prometheus/deployment.yaml"}
    return {name: of_kind(path, "Deployment")["spec"]["template"]["spec"] for name, path in paths.items()}


@pytest.mark.parametrize("name", pods().keys())
def test_our_own_pods_write_nowhere_but_in_their_volumes(name: str) -> None:
    for container in pods()[name]["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_deployment_sets_only_variables_that_the_operator_reads() -> None:
    known = {f"SCALABLEAPP_{name.upper()}" for name in Settings.model_fields}
    assert {variable["name"] for variable in pods()["operator"]["containers"][0]["env"]} <= known


def test_on_kind_redis_comes_from_an_image_that_is_loaded() -> None:
    (overlay,) = documents("overlays/kind/kustomization.yaml")
    (added,) = yaml.safe_load(overlay["patches"][0]["patch"])
    assert added["value"]["name"] == "SCALABLEAPP_REDIS_IMAGE"
    assert added["value"]["value"] in {image.reference for image in IMAGES}


def test_the_ports_are_those_of_the_settings() -> None:
    ports = {port["name"]: port["containerPort"] for port in pods()["operator"]["containers"][0]["ports"]}
    fields = Settings.model_fields
    assert ports == {"metrics": fields["metrics_port"].default, "health": fields["liveness_port"].default}


def test_the_image_has_the_version_of_the_package() -> None:
    (base,) = documents("base/kustomization.yaml")
    assert base["images"] == [{"name": "scalableapp-operator", "newTag": __version__}]
