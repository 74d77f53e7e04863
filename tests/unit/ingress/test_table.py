"""The routing table: which Ingress objects give which routes, and what is said about the bad ones."""

import base64
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingress_controller.table import Cluster, Routing, build_routing

ROOT = Path(__file__).parents[3]
SERVICE = {
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]},
}
LONE = {"metadata": {"name": "lone", "namespace": "shop"}, "spec": {"ports": [{"port": 8080}]}}
ENDPOINTS = {
    "metadata": {"name": "web", "namespace": "shop"},
    "subsets": [
        {
            "addresses": [{"ip": "10.244.0.6"}, {"ip": "10.244.0.5"}],
            "notReadyAddresses": [{"ip": "10.244.0.7"}],
            "ports": [{"name": "http", "port": 8000}, {"name": "admin", "port": 9000}],
        }
    ],
}
LONE_ENDPOINTS = {
    "metadata": {"name": "lone", "namespace": "shop"},
    "subsets": [{"addresses": [{"ip": "10.244.0.9"}], "ports": [{"port": 8000}]}],
}


def backend(service: str = "web", **port: Any) -> dict[str, Any]:
    return {"service": {"name": service, "port": port or {"number": 80}}}


def path(text: str = "/", kind: str = "Prefix", to: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"path": text, "pathType": kind, "backend": to or backend()}


def ingress(
    name: str = "web", *paths: dict[str, Any], host: str = "a.test", created: int = 0, **changes: Any
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "shop",
        "creationTimestamp": f"2026-01-01T00:00:{created:02d}Z",
        "annotations": changes.pop("annotations", {}),
    }
    rules = [{"host": host, "http": {"paths": list(paths or [path()])}}]
    return {"metadata": metadata, "spec": {"ingressClassName": "nginx", "rules": rules, **changes}}


def tls_secret(name: str = "cert", certificate: str = "CERT", key: str = "KEY") -> dict[str, Any]:
    data = {"tls.crt": certificate, "tls.key": key}
    encoded = {entry: base64.b64encode(text.encode()).decode() for entry, text in data.items()}
    return {"metadata": {"name": name, "namespace": "shop"}, "data": encoded}


def route(*ingresses: dict[str, Any], secrets: list[dict[str, Any]] | None = None, bad_pem: str = "") -> Routing:
    cluster = Cluster(ingresses, [SERVICE, LONE], [ENDPOINTS, LONE_ENDPOINTS], secrets or [])
    return build_routing(cluster, lambda certificate, _key: "it is bad" if certificate == bad_pem else None)


def table(*ingresses: dict[str, Any], **more: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(route(*ingresses, **more).table)
    return content


def reasons(*ingresses: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    return [(problem.ingress, problem.reason) for problem in route(*ingresses, **more).problems]


def test_a_path_leads_to_the_ready_pods_of_its_service() -> None:
    content = table(ingress())
    (prefix, found) = content["hosts"]["a.test"]["prefixes"][0]
    assert prefix == ""
    assert found == {"ingress": "shop/web", "backend": "shop/web:80", "method": "round_robin"}
    assert content["backends"] == {"shop/web:80": [["10.244.0.5", 8000], ["10.244.0.6", 8000]]}


@pytest.mark.parametrize(
    ("to", "pods"),
    [
        pytest.param(backend(name="http"), [["10.244.0.5", 8000], ["10.244.0.6", 8000]], id="port-by-name"),
        pytest.param(backend(number=81), [["10.244.0.5", 9000], ["10.244.0.6", 9000]], id="second-port"),
        pytest.param(backend("lone", number=8080), [["10.244.0.9", 8000]], id="port-without-name"),
    ],
)
def test_a_services_port_is_found(to: dict[str, Any], pods: list[Any]) -> None:
    assert list(table(ingress("web", path(to=to)))["backends"].values()) == [pods]


@pytest.mark.parametrize(
    "to",
    [
        pytest.param(backend("gone"), id="no-such-service"),
        pytest.param(backend(number=82), id="no-such-port"),
        pytest.param(backend(name="grpc"), id="no-such-port-name"),
        pytest.param({"service": {"name": "web"}}, id="no-port"),
        pytest.param({"resource": {"kind": "Bucket", "name": "static"}}, id="not-a-service"),
    ],
)
def test_a_backend_that_cannot_be_found_has_no_pods_and_is_reported(to: dict[str, Any]) -> None:
    broken, healthy = ingress("broken", path(to=to)), ingress("healthy", host="b.test")
    content = table(broken, healthy)
    found = content["hosts"]["a.test"]["prefixes"][0][1]["backend"]
    assert not content["backends"].get(found)
    assert content["backends"]["shop/web:80"]
    assert reasons(broken, healthy) == [("broken", "BadBackend")]


@pytest.mark.parametrize(
    ("annotations", "spec", "served"),
    [
        pytest.param({}, {"ingressClassName": "nginx"}, True, id="class-name"),
        pytest.param({"kubernetes.io/ingress.class": "nginx"}, {"ingressClassName": None}, True, id="old-annotation"),
        pytest.param({"kubernetes.io/ingress.class": "nginx"}, {"ingressClassName": "other"}, False, id="name-wins"),
        pytest.param({}, {"ingressClassName": "other"}, False, id="other-class"),
        pytest.param({}, {"ingressClassName": None}, False, id="no-class"),
    ],
)
def test_only_ingresses_of_class_nginx_are_served(
    annotations: dict[str, str], spec: dict[str, Any], served: bool
) -> None:
    routing = route(ingress(annotations=annotations, **spec))
    assert len(routing.served) == served
    assert bool(json.loads(routing.table)["hosts"]) == served


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_of_two_claims_to_the_same_path_the_older_has_it(order: tuple[int, ...]) -> None:
    claims = [
        ingress("older", created=1),
        ingress("younger", created=2),
        ingress("elsewhere", path("/x"), created=3),
    ]
    shuffled = [claims[index] for index in order]
    owners = {prefix: found["ingress"] for prefix, found in table(*shuffled)["hosts"]["a.test"]["prefixes"]}
    assert owners == {"": "shop/older", "/x": "shop/elsewhere"}
    assert reasons(*shuffled) == [("younger", "Conflict")]


def test_prefix_and_exact_may_claim_the_same_text() -> None:
    host = table(ingress("web", path("/a"), path("/a", "Exact")))["hosts"]["a.test"]
    assert (len(host["prefixes"]), list(host["exact"])) == (1, ["/a"])


def test_a_closing_slash_makes_no_other_prefix() -> None:
    assert reasons(ingress("web", path("/a/"), path("/a", "ImplementationSpecific"))) == [("web", "Conflict")]


PATHS = st.lists(st.sampled_from(["/a", "/b", "/cc"]), min_size=1, max_size=4).map("".join)


@given(st.lists(PATHS, unique=True, min_size=1, max_size=20))
@settings(deadline=None)
def test_longer_prefixes_come_first(paths: list[str]) -> None:
    found = [prefix for prefix, _ in table(ingress("web", *map(path, paths)))["hosts"]["a.test"]["prefixes"]]
    assert sorted(found) == sorted(paths)
    assert [len(prefix) for prefix in found] == sorted(map(len, found), reverse=True)


@pytest.mark.parametrize(
    ("annotation", "method", "problems"),
    [
        pytest.param("least_conn", "least_conn", [], id="least-conn"),
        pytest.param("round_robin", "round_robin", [], id="round-robin"),
        pytest.param("ip_hash", "round_robin", [("web", "BadAnnotation")], id="unknown"),
    ],
)
def test_the_balancing_method_is_an_annotation(annotation: str, method: str, problems: list[Any]) -> None:
    chosen = ingress(annotations={"nginx.org/lb-method": annotation})
    assert table(chosen)["hosts"]["a.test"]["prefixes"][0][1]["method"] == method
    assert reasons(chosen) == problems


LIMIT = {"nginx.org/limit-req-rate": "10r/s"}


@pytest.mark.parametrize(
    ("annotations", "limit"),
    [
        pytest.param({}, {"rate": 10, "burst": 0, "delay": 0, "code": 429}, id="rate-alone"),
        pytest.param({"rate": "30r/m"}, {"rate": 0.5}, id="per-minute"),
        pytest.param({"burst": "20", "no-delay": "true"}, {"burst": 20, "delay": 20}, id="burst-at-once"),
        pytest.param({"burst": "20", "delay": "5"}, {"burst": 20, "delay": 5}, id="burst-in-part-at-once"),
        pytest.param({"reject-code": "503"}, {"code": 503}, id="code"),
        pytest.param({"key": "${binary_remote_addr}", "scale": "true", "zone-size": "1m"}, {}, id="as-it-is-here"),
    ],
)
def test_a_rate_limit_is_read_from_annotations(annotations: dict[str, str], limit: dict[str, Any]) -> None:
    limited = ingress(annotations=LIMIT | {f"nginx.org/limit-req-{name}": value for name, value in annotations.items()})
    found = table(limited)["hosts"]["a.test"]["prefixes"][0][1]["limit"]
    assert found["zone"] == "shop/web"
    assert limit.items() <= found.items()
    assert reasons(limited) == []


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param({"rate": "10"}, id="rate"),
        pytest.param({"rate": "0r/s"}, id="no-rate"),
        pytest.param({"burst": "-1"}, id="burst"),
        pytest.param({"no-delay": "yes"}, id="no-delay"),
        pytest.param({"reject-code": "200"}, id="code"),
        pytest.param({"key": "${http_x_user}"}, id="key"),
        pytest.param({"dry-run": "true"}, id="not-known"),
    ],
)
def test_a_rate_limit_that_cannot_be_done_is_told(annotations: dict[str, str]) -> None:
    limited = ingress(annotations=LIMIT | {f"nginx.org/limit-req-{name}": value for name, value in annotations.items()})
    assert table(limited)["backends"]["shop/web:80"], "the rest of it is served"
    assert reasons(limited) == [("web", "BadAnnotation")]


def test_no_connection_is_kept_where_that_is_asked_for() -> None:
    routes = [
        table(ingress(annotations={"nginx.org/keepalive": number}))["hosts"]["a.test"]["prefixes"][0][1]
        for number in ("0", "32")
    ]
    assert ["close" in found for found in routes] == [True, False]


@pytest.mark.parametrize(
    ("annotations", "tls", "redirected"),
    [
        pytest.param({}, [{"hosts": ["A.test"], "secretName": "cert"}], True, id="by-default"),
        pytest.param(
            {"nginx.org/ssl-redirect": "false"}, [{"hosts": ["a.test"], "secretName": "cert"}], False, id="off"
        ),
        pytest.param({}, [{"hosts": ["b.test"], "secretName": "cert"}], False, id="another-host"),
        pytest.param({}, [{"hosts": ["a.test"], "secretName": "gone"}], False, id="no-certificate"),
        pytest.param({"nginx.org/ssl-redirect": "true"}, [], False, id="no-tls"),
    ],
)
def test_plain_http_is_redirected_where_there_is_a_certificate(
    annotations: dict[str, str], tls: list[Any], redirected: bool
) -> None:
    content = table(ingress(annotations=annotations, tls=tls), secrets=[tls_secret()])
    assert content["hosts"]["a.test"]["prefixes"][0][1].get("redirect", False) is redirected


def test_a_default_backend_takes_what_no_rule_does() -> None:
    fallback = ingress("fallback", rules=[], defaultBackend=backend("lone", number=8080))
    everywhere = ingress("web", path("/app"), host="")
    prefixes = table(everywhere, fallback)["hosts"][""]["prefixes"]
    assert [(prefix, found["ingress"]) for prefix, found in prefixes] == [("/app", "shop/web"), ("", "shop/fallback")]


def test_a_tls_secret_gives_its_hosts_a_certificate() -> None:
    secured = ingress(tls=[{"hosts": ["a.test", "B.test"], "secretName": "cert"}])
    pair = {"certificate": "CERT", "key": "KEY"}
    assert table(secured, secrets=[tls_secret()])["certificates"] == {"a.test": pair, "b.test": pair}


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param([], id="no-such-secret"),
        pytest.param([tls_secret(certificate="BAD")], id="refused-certificate"),
        pytest.param([{"metadata": {"name": "cert", "namespace": "other"}, "data": {}}], id="other-namespace"),
    ],
)
def test_a_bad_secret_leaves_the_host_served_without_certificate(secrets: list[Any]) -> None:
    secured = ingress(tls=[{"hosts": ["a.test"], "secretName": "cert"}])
    content = table(secured, secrets=secrets, bad_pem="BAD")
    assert content["certificates"] == {}
    assert content["hosts"]["a.test"]["prefixes"]
    assert reasons(secured, secrets=secrets, bad_pem="BAD") == [("web", "BadSecret")]


def test_bytes_that_are_no_base64_are_judged_as_an_empty_certificate() -> None:
    secret = {"metadata": {"name": "cert", "namespace": "shop"}, "data": {"tls.crt": "?", "tls.key": "/w=="}}
    secured = ingress(tls=[{"hosts": ["a.test"], "secretName": "cert"}])
    assert reasons(secured, secrets=[secret], bad_pem="") == [("web", "BadSecret")]


def test_the_same_objects_in_any_order_give_the_same_text() -> None:
    several = [ingress(f"i{number}", host=f"h{number}.test", created=number) for number in range(5)]
    assert route(*several).table == route(*reversed(several)).table


def test_an_ingress_without_paths_disturbs_nobody() -> None:
    assert table(ingress("bare", rules=[{"host": "bare.test"}]), ingress())["hosts"]["a.test"]["prefixes"]


def test_both_images_hold_the_same_client_of_the_kubernetes_api() -> None:
    copies = [ROOT / "cluster" / "dns" / "cluster_dns", ROOT / "cluster" / "ingress" / "ingress_controller"]
    assert len({(folder / "kube.py").read_text() for folder in copies}) == 1
