"""The operator in its pod on a real cluster: what a team sees of it, from `kubectl apply` to `kubectl delete`."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import pytest

pytestmark = pytest.mark.cluster

_T = TypeVar("_T")

CONTEXT = os.environ.get("SCALABLEAPP_TEST_CONTEXT", "kind-scalableapp")
SYSTEM = "scalableapp-system"
OPERATOR = "deployment/scalableapp-operator"
CHILDREN = ("deployment.apps", "service", "ingress.networking.k8s.io", "poddisruptionbudget.policy")
# Long, for a busy machine; what is waited for takes a second or two.
PATIENCE_SECONDS = 60.0
# A failed try comes again within a minute at the latest.
BACK_OFF_SECONDS = 90.0


def kubectl(*arguments: str, text: str | None = None, check: bool = True) -> str:
    """Output of kubectl; raises AssertionError with its complaint."""
    command = ["kubectl", "--context", CONTEXT, "--request-timeout=30s", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=180, check=False)
    assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
    return done.stdout


def eventually(look: Callable[[], _T], seconds: float = PATIENCE_SECONDS) -> _T:
    """What `look` returns, as soon as it raises no AssertionError any more."""
    end = time.monotonic() + seconds
    while True:
        try:
            return look()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


@pytest.fixture(scope="session")
def operator() -> str:
    """Name of the operator's pod, which is ready."""
    if subprocess.run(
        ["kubectl", "--context", CONTEXT, "version"], capture_output=True, timeout=30, check=False
    ).returncode:
        pytest.skip(f"no cluster answers as {CONTEXT}; make cluster-up")
    if "scalableapp-operator" not in kubectl("get", "deployments", "-n", SYSTEM, "-o", "name"):
        pytest.skip(f"the operator is not deployed in {CONTEXT}; kubectl apply -k manifests/overlays/kind")
    kubectl("rollout", "status", OPERATOR, "-n", SYSTEM, "--timeout=150s")
    return kubectl(
        "get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=scalableapp-operator", "-o", "name"
    ).strip()


class Shop:
    """A namespace of a test, and the app `web` in it."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        return kubectl("-n", self.namespace, *arguments, text=text, check=check)

    def apply(self, name: str = "web", **spec: Any) -> None:
        """Apply a ScalableApp; unless told otherwise, with 0 replicas so that it costs nothing."""
        app = {
            "apiVersion": "scalableapp.io/v1alpha1",
            "kind": "ScalableApp",
            "metadata": {"name": name},
            "spec": {"image": "web:none", "replicas": 0, "ingress": {"host": f"{name}.{self.namespace}.test"}, **spec},
        }
        self.kubectl("apply", "-f", "-", text=json.dumps(app))

    def get(self, kind: str, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json", "--show-managed-fields"))
        return found

    def exists(self, kind: str) -> bool:
        return bool(self.kubectl("get", kind, "web", "--ignore-not-found", "-o", "name"))

    def condition(self, type_: str) -> tuple[str, str, str]:
        """Status, reason and message."""
        for entry in self.get("sapp").get("status", {}).get("conditions", ()):
            if entry["type"] == type_:
                return entry["status"], entry["reason"], entry["message"]
        raise AssertionError(f"no condition {type_} yet")

    def wait_for(self, type_: str, status: str, reason: str, seconds: float = PATIENCE_SECONDS) -> str:
        """The message of a condition, once it has that status and reason."""

        def look() -> str:
            found = self.condition(type_)
            assert found[:2] == (status, reason), found
            return found[2]

        return eventually(look, seconds)

    def wait_until_deployed(self) -> None:
        self.wait_for("Ready", "True", "InLine")

    def events(self, reason: str) -> list[dict[str, Any]]:
        selector = f"involvedObject.kind=ScalableApp,reason={reason}"
        listed = json.loads(self.kubectl("get", "events", "--field-selector", selector, "-o", "json"))
        return list(listed["items"])

    def versions(self) -> dict[str, str]:
        """resourceVersion of the app and of its children."""
        return {kind: self.get(kind)["metadata"]["resourceVersion"] for kind in ("sapp", *CHILDREN)}


@pytest.fixture
def shop(operator: str) -> Iterator[Shop]:
    namespace = f"shop-{secrets.token_hex(3)}"
    kubectl("create", "namespace", namespace)
    yield Shop(namespace)
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def deployed(shop: Shop) -> Shop:
    """With the app `web`, scaled to 0, and everything in line."""
    shop.apply()
    shop.wait_until_deployed()
    return shop


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
            {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}},
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
    before = {kind: deployed.get(kind)["metadata"]["resourceVersion"] for kind in CHILDREN}
    crossed = {"horizontal": {"minReplicas": 5, "maxReplicas": 2}}
    deployed.kubectl("patch", "sapp", "web", "--type=merge", "-p", json.dumps({"spec": {"scaling": crossed}}))
    message = deployed.wait_for("Ready", "False", "InvalidSpec")
    assert "spec.scaling.horizontal" in message
    assert "maxReplicas" in message
    after = {kind: deployed.get(kind)["metadata"]["resourceVersion"] for kind in CHILDREN}
    assert after == before
    assert len(eventually(lambda: _some(deployed.events("InvalidSpec")))) == 1


def test_kubectl_scale_pins_the_replicas(shop: Shop) -> None:
    shop.apply(replicas=None, resources=UNSCHEDULABLE)
    eventually(lambda: shop.get("deployment"))
    shop.kubectl("scale", "sapp", "web", "--replicas=3")
    shop.wait_for("Paused", "True", "Pinned")
    assert shop.get("deployment")["spec"]["replicas"] == 3


def test_the_least_replicas_are_kept_and_told_once(shop: Shop) -> None:
    shop.apply(replicas=None, resources=UNSCHEDULABLE, scaling={"horizontal": {"minReplicas": 2}})

    def scaled() -> None:
        assert shop.get("deployment")["spec"]["replicas"] == 2

    eventually(scaled)
    (event,) = eventually(lambda: _some(shop.events("SuccessfulRescale")))
    assert event["message"].startswith("1 -> 2 replicas (TooFewReplicas)")
    time.sleep(12)
    assert [event["count"] for event in shop.events("SuccessfulRescale")] == [1]


def test_status_tells_what_runs(shop: Shop) -> None:
    shop.apply(image="sample-app:0.1.0", replicas=1, resources=SMALL, ingress={"host": "web.test", "path": "/shop"})
    shop.wait_until_deployed()
    status = shop.get("sapp")["status"]
    told = {
        name: status[name] for name in ("replicas", "readyReplicas", "desiredReplicas", "observedGeneration", "url")
    }
    assert told == {
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
    time.sleep(6)
    before = deployed.versions()
    time.sleep(20)
    assert deployed.versions() == before


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


def test_a_name_that_cannot_name_a_service_is_refused_in_words(shop: Shop) -> None:
    with pytest.raises(AssertionError, match=r"metadata\.name"):
        shop.apply("web.shop")


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
    telling = [line for line in log.splitlines() if " cannot " in line or "Traceback" in line]
    assert telling == []


def _some(found: _T) -> _T:
    assert found
    return found


SMALL = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"cpu": "500m", "memory": "192Mi"}}
# No node takes such a pod, so it costs nothing.
UNSCHEDULABLE = {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}}
