"""The CRD and the children against a real API server. Everything is a server-side dry run: nothing is created."""

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from scalableapp.core.api.spec import WITHOUT_DEFAULTS, parse_spec
from scalableapp.core.children.drift import in_sync
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.model import AppKey
from tests.cluster.shop import answer, kubectl

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def crd_in_place() -> None:
    kubectl("apply", "-f", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "crd/scalableapps.scalableapp.io")


def created(spec: dict[str, Any], name: str = "") -> subprocess.CompletedProcess[str]:
    manifest = {
        "apiVersion": "scalableapp.io/v1alpha1",
        "kind": "ScalableApp",
        "metadata": {"namespace": "default", "name": name or f"try-{uuid.uuid4().hex[:8]}"},
        "spec": spec,
    }
    return answer("create", "--dry-run=server", "-o", "json", "-f", "-", text=json.dumps(manifest))


def with_metric(**metric: Any) -> dict[str, Any]:
    return {"image": "a:1", "scaling": {"horizontal": {"metrics": [{"type": "CPU"} | metric]}}}


def test_an_image_alone_is_stored_with_the_defaults_of_the_models() -> None:
    stored = json.loads(created({"image": "a:1"}).stdout)["spec"]
    made = parse_spec({"image": "a:1"}).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert stored == {name: value for name, value in made.items() if name not in WITHOUT_DEFAULTS}


@pytest.mark.parametrize("target", [50, 0.5, "300m", "1e3"], ids=repr)
def test_a_target_may_be_written_with_or_without_quotes(target: Any) -> None:
    done = created(with_metric(target=target))
    assert done.returncode == 0, done.stderr
    parse_spec(json.loads(done.stdout)["spec"])


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({}, "image", id="no image"),
        pytest.param({"image": "a b"}, "spec.image", id="blank in the image"),
        pytest.param({"image": "a", "port": -1}, "spec.port", id="a port below 0"),
        pytest.param(with_metric(target=0), "target", id="target 0"),
        pytest.param(with_metric(target="fast"), "target", id="target is no quantity"),
        pytest.param(with_metric(), "target", id="no target"),
        pytest.param({"image": "a", "scaling": {"mode": "Sideways"}}, "spec.scaling.mode", id="unknown mode"),
        pytest.param({"image": "a", "scaling": {"horizontal": {"maxReplicas": 0}}}, "maxReplicas", id="no replicas"),
        pytest.param({"image": "a", "ingress": {"host": "Not A Host"}}, "spec.ingress.host", id="bad host"),
        pytest.param({"image": "a", "ingress": {"path": "x"}}, "spec.ingress.path", id="path without slash"),
        pytest.param({"image": "a", "env": [{"name": "A"}, {"name": "A"}]}, "spec.env", id="variable twice"),
        pytest.param({"image": "a", "prot": 80}, "prot", id="misspelt field"),
    ],
)
def test_a_wrong_field_is_refused_and_named(spec: dict[str, Any], field: str) -> None:
    done = created(spec)
    assert done.returncode != 0
    assert field in done.stderr


@pytest.mark.parametrize("name", ["2app", "my.app", "a" * 64], ids=["digit first", "dot", "64 letters"])
def test_a_name_that_no_service_can_bear_is_refused(name: str) -> None:
    done = created({"image": "a"}, name)
    assert done.returncode != 0
    assert "metadata.name" in done.stderr


def test_kubectl_explain_describes_scaling() -> None:
    assert "Maximum number of replicas." in kubectl("explain", "sapp.spec.scaling.horizontal")
    assert "minReplicas" in kubectl("explain", "sapp.spec.scaling", "--recursive")


FULL = {
    "image": "sample-app:0.1.0",
    "port": 9000,
    "command": ["python3"],
    "args": ["-m", "http.server"],
    "env": [
        {"name": "A", "value": "1"},
        {"name": "EMPTY", "value": ""},
        {"name": "FROM", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y", "optional": True}}},
        {"name": "PORT", "value": "1"},
    ],
    "envFrom": [{"configMapRef": {"name": "x", "optional": True}}],
    "resources": {
        "requests": {"cpu": 0.5, "memory": "1024Mi", "ephemeral-storage": "1000M"},
        "limits": {"cpu": "2000m", "memory": "1.5Gi"},
    },
    "ingress": {
        "host": "a.example.com",
        "path": "/x",
        "className": "contour",
        "tlsSecretName": "t",
        "annotations": {"a": "b"},
    },
    "cache": {"backend": "None"},
    "securityContext": {"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 2000, "readOnlyRootFilesystem": False},
}


@pytest.mark.parametrize("spec", [{"image": "a:1"}, FULL], ids=["image alone", "every field"])
def test_the_children_are_in_sync_with_what_the_api_server_makes_of_them(spec: dict[str, Any]) -> None:
    key = AppKey("default", f"try-{uuid.uuid4().hex[:8]}")
    arguments = ("apply", "--server-side", "--field-manager=scalableapp-operator", "--dry-run=server", "-o", "json")
    manifests = children(key, str(uuid.uuid4()), parse_spec(spec), ClusterFeatures())
    assert len(manifests) == (4 if "ingress" in spec else 3)
    for manifest in manifests:
        applied = json.loads(kubectl(*arguments, "-f", "-", text=json.dumps(manifest)))
        assert in_sync(applied, manifest), manifest["kind"]
