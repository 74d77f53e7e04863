"""The operator in its pod on a real cluster: what a team sees of it, from `kubectl apply` to `kubectl delete`."""

import json
import re
import time
from typing import Any, TypeVar, cast

import pytest

from tests.cluster.shop import BACK_OFF_SECONDS, CHILDREN, OPERATOR, SMALL, SYSTEM, Shop, eventually, kubectl

pytestmark = pytest.mark.cluster

_T = TypeVar("_T")


def test_one_object_makes_a_whole_app(deployed: Shop) -> None:
    uid = deployed.get("sapp")["metadata"]["uid"]
    for kind in CHILDREN:
        metadata = deployed.get(kind)["metadata"]
        owner = metadata["ownerReferences"][0]
        assert (owner["uid"], owner["controller"]) == (uid, True)
        assert "scalableapp-operator" in {entry["manager"] for entry in metadata["managedFields"]}


def test_replicas_are_never_owned_by_the_apply(deployed: Shop) -> None:
    entries = deployed.get("deployment")["metadata"]["managedFields"]
    owners = {entry["manager"] for entry in entries if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})}
    assert "scalableapp-operator" not in owners


@pytest.mark.parametrize("kind", CHILDREN)
def test_a_deleted_child_comes_back(deployed: Shop, kind: str) -> None:
    before = deployed.get(kind)["metadata"]["uid"]
    deployed.kubectl("delete", kind, "web")

    def back() -> None:
        assert deployed.exists(kind)
        assert deployed.get(kind)["metadata"]["uid"] != before

    eventually(back)


@pytest.mark.parametrize(
    ("kind", "patch", "path", "value"),
    [
        ("service", {"spec": {"ports": [{"name": "http", "port": 81}]}}, ("spec", "ports", 0, "port"), 80),
        ("service", {"spec": {"selector": {"app": "theirs"}}}, ("spec", "selector", "scalableapp.io/app"), "web"),
        ("service", {"metadata": {"labels": None}}, ("metadata", "labels", "scalableapp.io/app"), "web"),
        (
            "deployment",
            {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 30}}}},
            ("spec", "template", "spec", "terminationGracePeriodSeconds"),
            40,
        ),
        ("deployment", {"spec": {"replicas": 2}}, ("spec", "replicas"), 0),
    ],
    ids=["port", "selector", "labels taken off", "pod template", "replicas"],
)
def test_an_edited_child_is_put_right(
    deployed: Shop, kind: str, patch: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    deployed.kubectl("patch", kind, "web", "--type=merge", "-p", json.dumps(patch))

    def put_right() -> None:
        found = cast(Any, deployed.get(kind))
        for part in path:
            assert isinstance(part, int) or part in found
            found = found[part]
        assert found == value

    eventually(put_right)


def test_a_changed_spec_rolls_the_app(deployed: Shop) -> None:
    deployed.apply(image="web:next")

    def rolled() -> None:
        container = deployed.get("deployment")["spec"]["template"]["spec"]["containers"][0]
        status = deployed.get("sapp")["status"]
        assert (container["image"], status["observedGeneration"]) == ("web:next", 2)

    eventually(rolled)


def test_an_ingress_that_is_switched_off_goes_away(deployed: Shop) -> None:
    deployed.apply(ingress={"enabled": False})

    def gone() -> None:
        assert not deployed.exists("ingress.networking.k8s.io")

    eventually(gone)


def test_a_wrong_spec_is_named_and_leaves_the_app_alone(deployed: Shop) -> None:
    before = {kind: deployed.get(kind)["spec"] for kind in CHILDREN}
    # Of what the API server lets pass: its rules do not see the unit of a target.
    wrong = {"horizontal": {"metrics": [{"type": "RequestsPerSecond", "target": "250ms"}]}}
    deployed.kubectl("patch", "sapp", "web", "--type=merge", "-p", json.dumps({"spec": {"scaling": wrong}}))
    message = deployed.wait_for("Ready", "False", "InvalidSpec")
    assert "spec.scaling.horizontal.metrics[0]" in message
    assert "duration" in message
    after = {kind: deployed.get(kind)["spec"] for kind in CHILDREN}
    assert after == before
    assert len(eventually(lambda: _some(deployed.events("InvalidSpec")))) == 1


def test_kubectl_scale_pins_the_replicas(shop: Shop) -> None:
    shop.apply(replicas=None, resources=UNSCHEDULABLE)
    eventually(lambda: shop.get("deployment"))
    shop.kubectl("scale", "sapp", "web", "--replicas=3")
    shop.wait_for("Paused", "True", "Pinned")
    assert shop.get("deployment")["spec"]["replicas"] == 3


def test_the_least_replicas_are_kept_and_reported_once(shop: Shop) -> None:
    shop.apply(replicas=None, resources=UNSCHEDULABLE, scaling={"horizontal": {"minReplicas": 2}})

    def scaled() -> None:
        assert shop.get("deployment")["spec"]["replicas"] == 2

    eventually(scaled)
    (event,) = eventually(lambda: _some(shop.events("SuccessfulRescale")))
    assert event["message"].startswith("1 -> 2 replicas (TooFewReplicas)")
    time.sleep(12)
    assert [event["count"] for event in shop.events("SuccessfulRescale")] == [1]


def test_status_shows_what_runs(shop: Shop) -> None:
    shop.apply(image="sample-app:0.1.0", replicas=1, resources=SMALL, ingress={"host": "web.test", "path": "/shop"})
    shop.wait_until_deployed()
    status = shop.get("sapp")["status"]
    reported = {
        name: status[name] for name in ("replicas", "readyReplicas", "desiredReplicas", "observedGeneration", "url")
    }
    assert reported == {
        "replicas": 1,
        "readyReplicas": 1,
        "desiredReplicas": 1,
        "observedGeneration": 1,
        "url": "http://web.test/shop",
    }
    pods = json.loads(shop.kubectl("get", "pods", "-l", status["selector"], "-o", "json"))["items"]
    assert len(pods) == 1
    columns = shop.kubectl("get", "sapp", "web").splitlines()
    assert columns[0].split()[:2] == ["NAME", "MODE"]
    assert columns[1].split()[:2] == ["web", "Horizontal"]
    types = [entry["type"] for entry in status["conditions"]]
    assert types == [
        "Ready",
        "Available",
        "MetricsAvailable",
        "ScalingActive",
        "ScalingLimited",
        "Paused",
        "Conflicted",
    ]


def test_nothing_is_written_while_nothing_changes(deployed: Shop) -> None:
    def still() -> None:
        before = deployed.versions()
        time.sleep(20)
        assert deployed.versions() == before

    eventually(still)  # a controller may still be writing what it has just done


def test_a_deleted_app_takes_its_children_with_it(deployed: Shop) -> None:
    deployed.kubectl("delete", "sapp", "web")

    def gone() -> None:
        assert [kind for kind in CHILDREN if deployed.exists(kind)] == []

    eventually(gone)


def test_an_app_made_anew_under_its_name_gets_children_of_its_own(deployed: Shop) -> None:
    deployed.kubectl("delete", "sapp", "web")
    deployed.apply()
    uid = deployed.get("sapp")["metadata"]["uid"]

    def own() -> None:
        for kind in CHILDREN:
            assert deployed.exists(kind)
            assert deployed.get(kind)["metadata"]["ownerReferences"][0]["uid"] == uid

    eventually(own, BACK_OFF_SECONDS)


def test_a_deployment_of_somebody_else_is_left_alone_until_it_is_gone(shop: Shop) -> None:
    shop.kubectl("create", "deployment", "web", "--image=theirs:1", "--replicas=0")
    shop.apply()
    message = shop.wait_for("Conflicted", "True", "Conflicted")
    assert f"Deployment {shop.namespace}/web exists" in message
    theirs = shop.get("deployment")
    assert "ownerReferences" not in theirs["metadata"]
    assert theirs["spec"]["template"]["spec"]["containers"][0]["image"] == "theirs:1"
    shop.kubectl("delete", "deployment", "web")
    shop.wait_for("Conflicted", "False", "NoConflict", BACK_OFF_SECONDS)
    shop.wait_until_deployed()


def test_hands_off_while_a_horizontal_pod_autoscaler_scales_it(shop: Shop) -> None:
    shop.apply(replicas=None, resources=UNSCHEDULABLE)
    eventually(lambda: shop.get("deployment"))
    shop.kubectl("autoscale", "deployment", "web", "--min=1", "--max=3", "--cpu-percent=50")
    message = shop.wait_for("Conflicted", "True", "Conflicted")
    assert "HorizontalPodAutoscaler" in message
    shop.wait_for("ScalingActive", "False", "Conflicted")
    shop.kubectl("delete", "hpa", "web")
    shop.wait_for("Conflicted", "False", "NoConflict")


def test_a_name_that_cannot_name_a_service_is_refused_with_a_message(shop: Shop) -> None:
    with pytest.raises(AssertionError, match=r"metadata\.name"):
        shop.apply("web.shop")


@pytest.mark.alone
def test_200_apps_at_once(shop: Shop) -> None:
    count = 200
    apps = [
        {
            "apiVersion": "scalableapp.io/v1alpha1",
            "kind": "ScalableApp",
            "metadata": {"name": f"app-{number}"},
            "spec": {"image": "web:none", "replicas": 0, "resources": UNSCHEDULABLE},
        }
        for number in range(count)
    ]
    shop.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": apps}))

    def all_ready() -> None:
        path = "{range .items[*]}{.status.conditions[?(@.type=='Ready')].status}{end}"
        assert shop.kubectl("get", "sapp", "-o", f"jsonpath={path}").count("True") == count

    eventually(all_ready, 240)
    assert len(shop.kubectl("get", "deployments", "-o", "name").split()) == count
    everything = ("get", "sapp,deployments,services,ingresses.networking.k8s.io", "-o")

    def still() -> None:
        before = shop.kubectl(*everything, "jsonpath={.items[*].metadata.resourceVersion}")
        time.sleep(15)
        assert shop.kubectl(*everything, "jsonpath={.items[*].metadata.resourceVersion}") == before

    eventually(still, 120)


@pytest.mark.alone
def test_a_restart_of_the_operator_changes_nothing(deployed: Shop) -> None:
    time.sleep(6)
    before = deployed.versions()
    kubectl("rollout", "restart", OPERATOR, "-n", SYSTEM)
    kubectl("rollout", "status", OPERATOR, "-n", SYSTEM, "--timeout=150s")
    deployed.kubectl("delete", "service", "web")
    eventually(lambda: deployed.get("service"))
    time.sleep(10)
    after = deployed.versions()
    assert {kind for kind, version in after.items() if version != before[kind]} == {"service"}


def test_the_operators_own_rights_suffice(operator: str) -> None:
    log = kubectl("logs", OPERATOR, "-n", SYSTEM, "--tail=-1")
    telling = [line for line in log.splitlines() if re.search(r" cannot \w+ resource |Traceback", line)]
    assert telling == []


def _some(found: _T) -> _T:
    assert found
    return found


# No node takes such a pod, so it costs nothing.
UNSCHEDULABLE = {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}}
