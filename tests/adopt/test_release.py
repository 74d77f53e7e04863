"""`adopt --release-replicas`, with real kubectl on a real API server: replicas may leave the manifest afterwards."""

import asyncio
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from benchmarks.faults.proxy import Fault
from cluster import gobuild
from scalableapp.adapters.kube_api import KubeApi
from scalableapp.adapters.kubeconfig import access
from scalableapp.commands.adopt.release import FIELD_MANAGER, release
from scalableapp.commands.adopt.workload import Workload
from tests.adopt.conftest import Terminal
from tests.control_plane import ControlPlane, FaultProxy

pytestmark = pytest.mark.process

_numbers = count(1)
_SERVER_SIDE = ("--server-side",)
_WAYS = {"kubectl apply": (), "kubectl apply --server-side": _SERVER_SIDE}


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    name = f"release-{next(_numbers)}"
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def manifest(**spec: Any) -> dict[str, Any]:
    """A Deployment as it stands in Git."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def kubectl(terminal: Terminal, namespace: str, body: dict[str, Any], *options: str) -> None:
    """Apply it, as a user or a pipeline does."""
    program = str(gobuild.ensure("kubernetes") / "kubectl")
    command = [program, "--kubeconfig", str(terminal.file), "-n", namespace, "apply", *options, "-f", "-"]
    subprocess.run(command, input=yaml.safe_dump(body).encode(), check=True, capture_output=True, timeout=60)


def live(plane: ControlPlane, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = plane.ask("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    return found


@pytest.mark.parametrize("options", _WAYS.values(), ids=_WAYS.keys())
def test_without_it_a_manifest_without_replicas_drops_to_one_pod(
    plane: ControlPlane, terminal: Terminal, namespace: str, options: tuple[str, ...]
) -> None:
    kubectl(terminal, namespace, manifest(replicas=3), *options)
    kubectl(terminal, namespace, manifest(), *options)
    assert live(plane, namespace)["spec"]["replicas"] == 1


@pytest.mark.parametrize("options", _WAYS.values(), ids=_WAYS.keys())
def test_after_it_a_manifest_without_replicas_keeps_them(
    plane: ControlPlane, terminal: Terminal, namespace: str, options: tuple[str, ...]
) -> None:
    kubectl(terminal, namespace, manifest(replicas=3), *options)
    answer = terminal.adopt("-n", namespace, "deployment/web", "--release-replicas")
    assert answer.status == 0
    assert f"Deployment {namespace}/web keeps its 3 replicas: {FIELD_MANAGER} owns spec.replicas now" in answer.out
    kubectl(terminal, namespace, manifest(), *options)
    assert live(plane, namespace)["spec"]["replicas"] == 3


def test_after_it_server_side_apply_may_begin_with_the_manifest_that_has_none(
    plane: ControlPlane, terminal: Terminal, namespace: str
) -> None:
    kubectl(terminal, namespace, manifest(replicas=3))
    terminal.adopt("-n", namespace, "deployment/web", "--release-replicas")
    kubectl(terminal, namespace, manifest(), *_SERVER_SIDE, "--force-conflicts")
    assert live(plane, namespace)["spec"]["replicas"] == 3


def test_it_changes_nothing_but_who_owns_the_replicas(plane: ControlPlane, terminal: Terminal, namespace: str) -> None:
    kubectl(terminal, namespace, manifest(replicas=3))
    before = live(plane, namespace)
    for _ in range(2):
        assert terminal.adopt("-n", namespace, "deployment/web", "--release-replicas").status == 0
    after = live(plane, namespace)
    assert after["spec"] == before["spec"]
    entries = [entry for entry in after["metadata"]["managedFields"] if entry["manager"] == FIELD_MANAGER]
    assert [entry["fieldsV1"] for entry in entries if entry["operation"] == "Apply"] == [{"f:spec": {"f:replicas": {}}}]


async def test_what_is_owned_is_what_is_there_when_somebody_was_faster(
    plane: ControlPlane, terminal: Terminal, namespace: str
) -> None:
    await asyncio.to_thread(kubectl, terminal, namespace, manifest(replicas=3))
    seen = Workload("apps/v1", await asyncio.to_thread(live, plane, namespace), "deployments")
    await asyncio.to_thread(kubectl, terminal, namespace, manifest(replicas=7))
    api = KubeApi((await access(str(terminal.file), None)).configuration)
    try:
        released = await release(api, seen)
    finally:
        await api.close()
    assert released.replicas == 7
    assert (await asyncio.to_thread(live, plane, namespace))["spec"]["replicas"] == 7


def test_without_the_right_it_names_the_rule(
    plane: ControlPlane, terminal: Terminal, namespace: str, tmp_path: Path
) -> None:
    kubectl(terminal, namespace, manifest(replicas=3))

    async def no_patches(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PATCH":
            return None
        message = 'deployments.apps "web" is forbidden: User "u" cannot patch resource "deployments"'
        return web.json_response({"kind": "Status", "message": message, "code": 403}, status=403)

    with FaultProxy(plane) as proxy, proxy.fault(Fault(no_patches)):
        answer = terminal.through(proxy.url).adopt("-n", namespace, "deployment/web", "--release-replicas")
    assert (answer.status, answer.out) == (1, "")
    assert "apiGroups: [apps], resources: [deployments], verbs: [get, patch]" in answer.err
    assert "grant the operator's role" not in answer.err


def test_an_object_without_replicas_is_refused(plane: ControlPlane, terminal: Terminal, namespace: str) -> None:
    body = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": manifest()["spec"]["template"]},
    }
    plane.ask("POST", f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts", body)
    answer = terminal.adopt("-n", namespace, "rollout/web", "--release-replicas")
    assert answer.status == 1
    assert "Rollout web has no spec.replicas, so there is nothing to release" in answer.err
