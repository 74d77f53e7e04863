"""`kubectl scalableapp render`: by itself, and beside what runs on a real API server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.commands import cli
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.model import AppKey
from tests.control_plane import TOKEN, ControlPlane
from tests.unit.pod_template.workloads import WORKLOADS

APPS = "/apis/scalableapp.io/v1alpha1/namespaces/default/scalableapps"


def app(folder: Path, name: str = "web", **spec: Any) -> Path:
    manifest = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": name}}
    file = folder / "app.yaml"
    file.write_text(yaml.safe_dump(manifest | {"spec": {"image": "web:1"} | spec}))
    return file


@pytest.mark.parametrize("file", WORKLOADS.values(), ids=WORKLOADS)
async def test_what_is_rendered_is_what_the_api_server_takes(
    file: Path, cluster: KubeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(cli.main, ["render", str(file)]) == 0
    manifests = list(yaml.safe_load_all(capsys.readouterr().out))
    assert manifests[0]["kind"] == "Deployment"
    for manifest in manifests:
        await cluster.check(manifest)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"port": -1}, "spec.port"),
        ({"podTemplate": {"spec": {"replicas": 3}}}, "use spec.replicas or spec.scaling"),
        (
            {"podTemplate": {"spec": {"containers": [{"name": "app", "ports": [{"$patch": "replace"}]}]}}},
            "no port is named http",
        ),
    ],
    ids=["a wrong field", "a field that is not a pod's", "pods that the Service would not find"],
)
def test_what_the_operator_would_refuse_is_refused_in_its_words(
    spec: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["render", str(app(tmp_path, **spec))]) == 1
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""


@pytest.fixture
def kubeconfig(plane: ControlPlane, tmp_path: Path) -> Path:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": plane.url, "certificate-authority": plane.certificate}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


async def test_a_diff_shows_what_would_come_and_go_and_nothing_of_what_others_added(
    plane: ControlPlane, cluster: KubeClient, kubeconfig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def diff(**spec: Any) -> list[str]:
        command = ["render", "--diff", "--kubeconfig", str(kubeconfig), str(app(tmp_path, "diffed", **spec))]
        assert await asyncio.to_thread(cli.main, command) == 0
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if line[:1] in "+-" and not line.startswith(("+++", "---"))]

    sidecar = {"podTemplate": {"spec": {"containers": [{"name": "nginx", "image": "nginx:1"}]}}}
    new = await diff()
    assert all(line.startswith("+") for line in new)
    assert "+kind: Deployment" in new

    metadata = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": "diffed"}}
    stored = plane.ask("POST", APPS, metadata | {"spec": {"image": "web:1"} | sidecar})
    spec = parse_spec(stored["spec"])
    for manifest in children(AppKey("default", "diffed"), stored["metadata"]["uid"], spec, ClusterFeatures()):
        await cluster.apply(manifest)
    theirs = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}}
    path = "/apis/apps/v1/namespaces/default/deployments/diffed"
    plane.ask("PATCH", path, theirs, "application/merge-patch+json")

    assert await diff(**sidecar) == []
    changes = await diff(image="web:2", serviceAccountName="shop")
    told = {" ".join(line.split()) for line in changes if "image" in line or "serviceAccountName" in line}
    assert told == {"- image: web:1", "+ image: web:2", "- - image: nginx:1", "+ serviceAccountName: shop"}
    assert "disk" not in "".join(changes)
    gone = await diff(port=0, **sidecar)
    assert "-kind: Service" in gone
