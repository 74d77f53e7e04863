"""`kubectl scalableapp check` for somebody who may see little, through the Kubernetes API."""

import time
from typing import Any

import pytest

from scalableapp import __version__
from tests.unit.adapters.canned import Asked, Refusal, vector
from tests.unit.commands.plugin.conftest import SHOP, Terminal, app

FORBIDDEN = Refusal(403, 'User "u" cannot do that at the cluster scope')
PROXY = "/api/v1/namespaces/scalableapp-system/services/prometheus:9090/proxy/api/v1"


@pytest.fixture
def seen(terminal: Terminal) -> Terminal:
    """The group of the CRD, an app, and Prometheus behind the API server; nothing else may be read."""
    reviewed = {"status": {"allowed": True}}
    terminal.known |= {
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scalableapps.scalableapp.io": FORBIDDEN,
        "/apis/scalableapp.io/v1alpha1": {"resources": []},
        "/apis/apps/v1/deployments": FORBIDDEN,
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": reviewed,
        SHOP: {"items": [app(ingress={"host": "web.test"})], "metadata": {}},
        "/apis/networking.k8s.io/v1/ingressclasses": FORBIDDEN,
        f"{PROXY}/query": lambda _: vector(({"pod": "web-1", "job": "pods"}, "20"), at=time.time()),
        f"{PROXY}/status/buildinfo": {"status": "success", "data": {"version": "3.16.0"}},
    }
    return terminal


async def test_what_may_not_be_seen_is_no_failure(seen: Terminal) -> None:
    status, out, err = await seen.run("check")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert [line.split()[1] for line in lines if line.startswith("?")] == ["CRD", "operator", "IngressClass"]
    assert "     kubectl auth can-i list deployments --all-namespaces" in lines
    assert "answers (version 3.16.0), and its clock agrees" in out
    assert lines[-1].endswith("checks passed; 3 could not be made.")


async def test_rights_that_the_caller_lacks_are_named(seen: Terminal) -> None:
    def review(asked: Asked) -> Any:
        return {"status": {"allowed": asked.body["spec"]["resourceAttributes"]["verb"] == "list"}}

    seen.known["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"] = review
    status, out, _ = await seen.run("check")
    assert status == 1
    assert "in namespace shop you may not update scalableapps" in out
    assert "kubectl -n shop create rolebinding NAME --clusterrole=edit --user=YOU" in out


async def test_an_operator_elsewhere_with_a_connection_file_is_asked_where_it_is(seen: Terminal) -> None:
    variables = [{"name": "SCALABLEAPP_PROMETHEUS_CONFIG", "value": "/etc/prometheus.yaml"}]
    spec = {"containers": [{"image": f"op:{__version__}", "env": variables}]}
    operator = {"metadata": {"namespace": "ops", "name": "auto"}, "spec": {"template": {"spec": spec}}}
    seen.known |= {
        "/apis/apps/v1/deployments": {"items": [operator | {"status": {"readyReplicas": 1}}]},
        "/apis/apps/v1/namespaces/ops/deployments/auto": operator,
    }
    status, out, _ = await seen.run("check")
    assert status == 1
    assert "ops/auto is ready" in out
    assert "ops/scalableapp-operator does not exist: the operator has never been active" in out
    assert "the operator connects to Prometheus as /etc/prometheus.yaml in its pod states" in out
    assert "pass such a file with --prometheus-config" in out


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        pytest.param({}, "scraped every 15 s, but they serve no http_requests_total", id="none"),
        pytest.param({"source": "spring"}, "their requests are known from the source spring", id="another"),
    ],
)
async def test_requests_of_another_source_are_not_missed(
    seen: Terminal, requests: dict[str, str], expected: str
) -> None:
    def answer(asked: Asked) -> Any:
        nothing = "http_requests_total" in asked.query["query"]
        return vector(*([] if nothing else [({"pod": "web-1", "job": "pods"}, "20")]), at=time.time())

    held = app(scaling={"horizontal": {"metrics": [{"type": "RequestsPerSecond", "target": "10"}]}})
    held["status"]["requests"] = requests
    seen.known |= {SHOP: {"items": [held], "metadata": {}}, f"{PROXY}/query": answer}
    _, out, _ = await seen.run("check")
    assert expected in out


async def test_an_app_that_the_operator_has_not_seen_or_that_is_not_ready_is_told(seen: Terminal) -> None:
    unseen, broken = app("new"), app("broken")
    unseen["status"] = {}
    ready = {"type": "Ready", "status": "False", "reason": "InvalidSpec", "message": "image is missing"}
    broken["status"]["conditions"] = [ready]
    seen.known[SHOP] = {"items": [unseen, broken], "metadata": {}}
    _, out, _ = await seen.run("check")
    assert "the operator has not looked at it yet" in out
    assert "not ready, InvalidSpec: image is missing" in out
    assert "     kubectl scalableapp explain shop/broken" in out
