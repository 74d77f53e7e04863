"""What becomes of a running Deployment when fields of its pods come and go, on a real API server."""

from typing import Any

import pytest

from scalableapp.adapters.kubernetes import KubeClient
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.drift import deviations
from scalableapp.core.children.resources import ClusterFeatures, children
from scalableapp.core.model import AppKey
from scalableapp.errors import Rejected
from tests.control_plane import ControlPlane

DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/{}"


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    return children(AppKey("default", name), "uid", parse_spec({"image": "a:1"} | spec), ClusterFeatures())[0]


def overlay(**fields: Any) -> dict[str, Any]:
    return {"podTemplate": {"spec": fields}}


SHAPES: dict[str, dict[str, Any]] = {
    "no probes": {"health": {"type": "None"}},
    "no liveness": {"health": {"liveness": "None"}},
    "probes elsewhere": {"health": {"port": 8081, "headers": [{"name": "Host", "value": "a.io"}], "scheme": "HTTPS"}},
    "no HTTP": {"port": 0},
    "an account": {"serviceAccountName": "shop", "imagePullSecrets": [{"name": "registry"}]},
    "an account by podTemplate": overlay(serviceAccountName="shop"),
    "mounts": {"mounts": [{"path": "/etc/a", "configMap": "a"}, {"path": "/data", "emptyDir": {}}]},
    "another handler": overlay(containers=[{"name": "app", "livenessProbe": {"exec": {"command": ["true"]}}}]),
    "a sidecar": overlay(
        containers=[{"name": "nginx", "image": "nginx"}], initContainers=[{"name": "i", "image": "i"}]
    ),
    "a user": {"securityContext": {"runAsUser": 5, "fsGroup": 6}},
    "placement": overlay(nodeSelector={"a": "b"}, tolerations=[{"operator": "Exists"}], hostNetwork=False),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_shape_that_comes_and_goes_leaves_nothing_behind(
    shape: dict[str, Any], plane: ControlPlane, cluster: KubeClient, request: pytest.FixtureRequest
) -> None:
    name = f"shape-{list(SHAPES.values()).index(shape)}"
    plain = await cluster.apply(deployment(name))
    shaped = await cluster.apply(deployment(name, **shape))
    assert shaped["spec"]["template"] != plain["spec"]["template"]
    again = await cluster.apply(deployment(name))
    assert again["spec"] == plain["spec"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a value that is not allowed": (overlay(restartPolicy="Never"), "restartPolicy"),
    "a field that does not exist": (overlay(nodeselector={"a": "b"}), "nodeselector"),
    "a map in place of a list": (overlay(tolerations={"a": "b"}), "tolerations"),
    "a list in place of a map": (overlay(nodeSelector=["a"]), "nodeSelector"),
    "a text in place of a number": (overlay(terminationGracePeriodSeconds="soon"), "terminationGracePeriodSeconds"),
    "a number in place of a text": (overlay(nodeSelector={"a": 1}), "nodeSelector"),
    "a list of texts for one of maps": (overlay(tolerations=["spot"]), "tolerations"),
    "a mount without its volume": (
        overlay(containers=[{"name": "app", "volumeMounts": [{"name": "no", "mountPath": "/no"}]}]),
        "volumeMounts",
    ),
    "two ports of one name": (
        overlay(containers=[{"name": "app", "ports": [{"containerPort": 9, "name": "http"}]}]),
        "Duplicate",
    ),
    "a null in a list": (overlay(tolerations=[None]), "tolerations"),
}


@pytest.mark.parametrize(("shape", "words"), REFUSED.values(), ids=REFUSED)
async def test_a_template_that_can_never_be_applied_is_rejected_in_the_api_servers_words(
    shape: dict[str, Any], words: str, plane: ControlPlane, cluster: KubeClient
) -> None:
    before = await cluster.apply(deployment("refused"))
    with pytest.raises(Rejected, match=words):
        await cluster.check(deployment("refused", **shape))
    with pytest.raises(Rejected, match=words):
        await cluster.apply(deployment("refused", **shape))
    assert plane.ask("GET", DEPLOYMENT.format("refused")) == before


async def test_a_dry_run_leaves_no_trace(plane: ControlPlane, cluster: KubeClient) -> None:
    before = await cluster.apply(deployment("checked"))
    await cluster.check(deployment("checked", image="a:2"))
    assert plane.ask("GET", DEPLOYMENT.format("checked")) == before


async def test_a_dry_run_takes_the_way_of_an_apply_where_a_lists_key_was_changed(
    plane: ControlPlane, cluster: KubeClient
) -> None:
    """Where somebody has changed a port's number, ours would be added beside it under the same name."""
    await cluster.apply(deployment("edited"))
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/ports/0/containerPort", "value": 9}]
    plane.ask("PATCH", DEPLOYMENT.format("edited"), patch, "application/json-patch+json")
    await cluster.check(deployment("edited"))
    assert plane.ask("GET", DEPLOYMENT.format("edited"))["spec"]["template"]["spec"]["containers"][0]["ports"] == [
        {"name": "http", "containerPort": 9, "protocol": "TCP"}
    ]


async def test_what_another_manager_has_added_by_server_side_apply_stays(
    plane: ControlPlane, cluster: KubeClient
) -> None:
    await cluster.apply(deployment("added"))
    pod = {
        "serviceAccountName": "theirs",
        "nodeSelector": {"disk": "ssd"},
        "imagePullSecrets": [{"name": "theirs"}],
        "initContainers": [{"name": "theirs", "image": "i:1"}],
        "volumes": [{"name": "theirs", "configMap": {"name": "c"}}],
        "containers": [{"name": "app", "volumeMounts": [{"name": "theirs", "mountPath": "/theirs"}]}],
    }
    labels = {"metadata": {"labels": {"theirs": "yes"}}}
    added = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "added"},
        "spec": {"template": labels | {"spec": pod}},
    }
    path = DEPLOYMENT.format("added") + "?fieldManager=them"
    plane.ask("PATCH", path, added, "application/apply-patch+yaml")

    with_ours = {"mounts": [{"path": "/etc/a", "configMap": "a"}], "imagePullSecrets": [{"name": "ours"}]}
    with_ours |= overlay(tolerations=[{"operator": "Exists"}])
    for spec in (with_ours, {"health": {"liveness": "None"}}, {"image": "a:2"}):
        wanted = deployment("added", **spec)
        await cluster.check(wanted)
        live = await cluster.apply(wanted)
        assert deviations(live, wanted) == frozenset()
        template = live["spec"]["template"]
        assert template["metadata"]["labels"]["theirs"] == "yes"
        assert template["spec"]["serviceAccountName"] == "theirs"
        assert template["spec"]["nodeSelector"] == {"disk": "ssd"}
        assert {"name": "theirs"} in template["spec"]["imagePullSecrets"]
        assert [container["name"] for container in template["spec"]["initContainers"]] == ["theirs"]
        mounts = template["spec"]["containers"][0]["volumeMounts"]
        assert "/theirs" in [mount["mountPath"] for mount in mounts]
        assert "theirs" in [volume["name"] for volume in template["spec"]["volumes"]]
