"""The Ingress and the HTTPRoute: what is asked for, and what Gateways answer."""

from typing import Any

import jsonschema
import pytest

from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.drift import in_sync
from scalableapp.core.children.resources import ClusterFeatures, children, unwanted
from scalableapp.core.children.routing import Exposure, exposure_of, slim_status, url_of
from scalableapp.core.model import AppKey
from tests.gateway_api import parent, schema

KEY = AppKey("shop", "cart")
SERVED = ClusterFeatures(gateway_api=True)
ROUTE: dict[str, Any] = {"parentRefs": [{"name": "public"}], "hostnames": ["a.io"]}


def made(features: ClusterFeatures = SERVED, **spec: Any) -> dict[str, dict[str, Any]]:
    manifests = children(KEY, "uid-1", parse_spec({"image": "cart:1"} | spec), features)
    return {manifest["kind"]: manifest for manifest in manifests}


def unwanted_kinds(**spec: Any) -> list[str]:
    return [found["kind"] for found in unwanted(KEY, parse_spec({"image": "a"} | spec)) if "cache" not in str(found)]


def route_with(**fields: Any) -> Any:
    return parse_spec({"image": "a", "route": ROUTE | fields}).entry_point


def exposure(*parents: dict[str, Any], missing: str = "", **fields: Any) -> Exposure:
    found = exposure_of(KEY, route_with(**fields), {"parents": list(parents)}, missing)
    assert found
    return found


@pytest.mark.parametrize(
    ("spec", "made_kind", "unwanted_kind"),
    [
        pytest.param({}, [], ["Ingress", "HTTPRoute"], id="nothing said"),
        pytest.param({"ingress": {"host": "a.io"}}, ["Ingress"], ["HTTPRoute"], id="an Ingress"),
        pytest.param({"route": ROUTE}, ["HTTPRoute"], ["Ingress"], id="a route"),
        pytest.param({"route": ROUTE, "ingress": {"enabled": False}}, ["HTTPRoute"], ["Ingress"], id="a route alone"),
        pytest.param({"ingress": {"enabled": False}}, [], ["Ingress", "HTTPRoute"], id="neither"),
    ],
)
def test_an_app_has_one_entry_point_and_the_other_is_unwanted(
    spec: dict[str, Any], made_kind: list[str], unwanted_kind: list[str]
) -> None:
    assert [kind for kind in made(**spec) if kind in ("Ingress", "HTTPRoute")] == made_kind
    assert unwanted_kinds(**spec) == unwanted_kind


def test_where_the_gateway_api_is_not_served_no_route_is_made_and_no_ingress_in_its_place() -> None:
    assert not {"Ingress", "HTTPRoute"} & made(ClusterFeatures(), route=ROUTE).keys()


def test_the_route_asks_its_gateways_to_lead_to_the_service() -> None:
    parents: list[dict[str, Any]] = [
        {"name": "public", "namespace": "infra", "sectionName": "https"},
        {"name": "inner", "port": 8080},
    ]
    manifests = made(route={"parentRefs": parents, "hostnames": ["a.io", "*.b.io"], "path": "/x"})
    spec = manifests["HTTPRoute"]["spec"]
    gateway: dict[str, Any] = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    assert spec["parentRefs"] == [gateway | reference for reference in parents]
    assert spec["hostnames"] == ["a.io", "*.b.io"]
    (rule,) = spec["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/x"}}]
    (backend,) = rule["backendRefs"]
    assert (backend["kind"], backend["name"]) == ("Service", manifests["Service"]["metadata"]["name"])
    assert backend["port"] in {port["port"] for port in manifests["Service"]["spec"]["ports"]}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"hostnames": [], "path": "/x/y"},
        {"requestTimeoutSeconds": 3600},
        {"parentRefs": [{"name": "a", "namespace": "b", "sectionName": "c", "port": 443}, {"name": "a"}]},
    ],
    ids=["host", "path", "time-out", "parents"],
)
def test_the_route_is_valid_by_the_gateway_apis_own_schema(fields: dict[str, Any]) -> None:
    manifest = made(route=ROUTE | fields)["HTTPRoute"]
    jsonschema.validate(manifest, closed(schema()))


def test_the_schema_would_show_a_wrong_route() -> None:
    manifest = made(route=ROUTE)["HTTPRoute"]
    manifest["spec"]["rules"][0]["timeout"] = "30s"
    with pytest.raises(jsonschema.ValidationError, match="timeout"):
        jsonschema.validate(manifest, closed(schema()))


def closed(node: Any) -> Any:
    """The same schema, with no fields but those it names, as server-side apply has it."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    named = {"additionalProperties": False} if isinstance(node.get("properties"), dict) else {}
    return {name: closed(value) for name, value in node.items()} | named


def test_what_the_api_server_adds_to_a_route_is_no_drift() -> None:
    two = made(route=ROUTE | {"parentRefs": [{"name": "a", "port": 80}, {"name": "a", "port": 443}]})["HTTPRoute"]
    live = two | {"spec": {**two["spec"], "rules": [two["spec"]["rules"][0] | {"filters": []}]}}
    assert in_sync(live, two), "two listeners of one Gateway have the same name"


@pytest.mark.parametrize(
    "change", [{"hostnames": ["b.io"]}, {"path": "/y"}, {"parentRefs": [{"name": "other"}]}], ids=str
)
def test_an_edited_route_is_drift(change: dict[str, Any]) -> None:
    live, wanted = made(route=ROUTE | change)["HTTPRoute"], made(route=ROUTE)["HTTPRoute"]
    assert not in_sync(live["spec"], wanted["spec"])


ACCEPTED = parent(Accepted="True", ResolvedRefs="True")


@pytest.mark.parametrize(
    ("parents", "reason", "message"),
    [
        pytest.param([], "RoutePending", "Gateway shop/public has not reported on HTTPRoute shop/cart", id="no answer"),
        pytest.param([ACCEPTED], "Accepted", "Gateway shop/public routes to the app", id="accepted"),
        pytest.param(
            [parent(Accepted="NotAllowedByListeners")],
            "RouteNotAccepted",
            "does not accept HTTPRoute shop/cart (NotAllowedByListeners: as the test has it)",
            id="not accepted",
        ),
        pytest.param(
            [parent(Accepted="True", ResolvedRefs="BackendNotFound")],
            "RouteNotResolved",
            "cannot resolve the references of HTTPRoute shop/cart (BackendNotFound",
            id="not resolved",
        ),
        pytest.param([parent("other", Accepted="True")], "RoutePending", "shop/public has not", id="another's answer"),
        pytest.param([parent(), ACCEPTED], "Accepted", "", id="two controllers, one has come to it"),
        pytest.param([parent(reference={"namespace": "shop"}, Accepted="True")], "Accepted", "", id="namespace told"),
    ],
)
def test_what_its_gateway_says_is_reported(parents: list[dict[str, Any]], reason: str, message: str) -> None:
    found = exposure(*parents)
    assert (found.reason, found.accepted) == (reason, reason == "Accepted")
    assert message in found.message
    assert found.accepted or "kubectl get gateway -n shop public -o yaml" in found.message


def test_each_of_several_gateways_has_to_accept() -> None:
    both = [{"name": "public"}, {"name": "inner", "namespace": "infra", "sectionName": "web"}]
    inner = {"namespace": "infra", "sectionName": "web"}
    assert exposure(ACCEPTED, parentRefs=both).message.startswith("Gateway infra/inner, listener web has not reported")
    assert exposure(ACCEPTED, parent("inner", reference=inner, Accepted="True"), parentRefs=both).accepted


def test_without_the_gateway_api_that_is_what_is_reported() -> None:
    found = exposure(ACCEPTED, missing="the cluster does not serve it; install it")
    assert (found.accepted, found.reason) == (False, "GatewayAPIMissing")
    assert found.message == "spec.route has no effect: the cluster does not serve it; install it"


def test_an_app_with_an_ingress_asks_no_gateway() -> None:
    assert (
        exposure_of(KEY, parse_spec({"image": "a", "ingress": {"host": "a.io"}}).entry_point, {}, "not served") is None
    )


@pytest.mark.parametrize(
    ("fields", "parents", "url"),
    [
        pytest.param({}, [ACCEPTED], "http://a.io/", id="host"),
        pytest.param({}, [], "", id="not answered"),
        pytest.param({}, [parent(Accepted="NoMatchingParent")], "", id="not accepted"),
        pytest.param({"hostnames": []}, [ACCEPTED], "", id="no host name"),
        pytest.param({"hostnames": ["*.a.io", "b.io"], "path": "/x"}, [ACCEPTED], "http://b.io/x", id="no wildcard"),
        pytest.param(
            {"parentRefs": [{"name": "public", "port": 443}]},
            [parent(reference={"port": 443}, Accepted="True")],
            "https://a.io/",
            id="HTTPS by its port",
        ),
        pytest.param(
            {"parentRefs": [{"name": "public", "sectionName": "https-shop", "port": 8443}]},
            [parent(reference={"sectionName": "https-shop", "port": 8443}, Accepted="True")],
            "https://a.io:8443/",
            id="HTTPS by its name, elsewhere",
        ),
        pytest.param(
            {"parentRefs": [{"name": "closed", "port": 443}, {"name": "public"}]},
            [ACCEPTED, parent("closed", reference={"port": 443}, Accepted="NotAllowedByListeners")],
            "http://a.io/",
            id="the one that leads there",
        ),
    ],
)
def test_the_url_is_by_host_name_where_a_gateway_leads(
    fields: dict[str, Any], parents: list[dict[str, Any]], url: str
) -> None:
    status = slim_status("HTTPRoute", {"status": {"parents": parents}})
    assert url_of(KEY, route_with(**fields), status) == url
