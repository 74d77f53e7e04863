"""The cluster's zone: what is answered to which question."""

from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_dns.__main__ import cluster_domain
from cluster_dns.zone import Zone, build_zone


def service(name: str, *, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def endpoints(name: str, *addresses: dict[str, Any], namespace: str = "shop", **subset: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "subsets": [{"addresses": list(addresses), "ports": [{"name": "http", "port": 8000}], **subset}],
    }


HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
SERVICES = [
    service("web", clusterIP="10.96.0.7", ports=[HTTP]),
    service("dual", clusterIP="10.96.0.8", clusterIPs=["10.96.0.8", "fd00::8"], ports=[{"port": 80}]),
    service("db", clusterIP="None"),
    service("idle", clusterIP="None"),
    service("mail", type="ExternalName", externalName="mail.example.org"),
    service("alias", type="ExternalName", externalName="web.shop.svc.cluster.local"),
    service("pending"),
]
ENDPOINTS = [
    endpoints(
        "db",
        {"ip": "10.244.0.5", "hostname": "db-0"},
        {"ip": "10.244.0.6"},
        notReadyAddresses=[{"ip": "10.244.0.7", "hostname": "db-2"}],
    ),
    endpoints("web", {"ip": "10.244.0.9"}),
]


@pytest.fixture(scope="module")
def zone() -> Zone:
    return build_zone("cluster.local", SERVICES, ENDPOINTS)


def ask(zone: Zone, name: str, kind: str = "A") -> dns.message.Message:
    answer = zone.answer(dns.message.make_query(name, kind))
    assert answer is not None
    return answer


def texts(message: dns.message.Message) -> list[str]:
    return sorted(record.to_text() for rrset in message.answer for record in rrset)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        pytest.param("web.shop.svc.cluster.local", "A", ["10.96.0.7"], id="cluster-ip"),
        pytest.param("WEB.Shop.svc.Cluster.LOCAL", "A", ["10.96.0.7"], id="any-case"),
        pytest.param("dual.shop.svc.cluster.local", "AAAA", ["fd00::8"], id="second-family"),
        pytest.param("db.shop.svc.cluster.local", "A", ["10.244.0.5", "10.244.0.6"], id="headless-ready-pods-only"),
        pytest.param("db-0.db.shop.svc.cluster.local", "A", ["10.244.0.5"], id="pod-by-host-name"),
        pytest.param("10-244-0-6.db.shop.svc.cluster.local", "A", ["10.244.0.6"], id="pod-by-address"),
        pytest.param(
            "_http._tcp.web.shop.svc.cluster.local", "SRV", ["0 100 80 web.shop.svc.cluster.local."], id="srv"
        ),
        pytest.param(
            "_http._tcp.db.shop.svc.cluster.local",
            "SRV",
            [
                "0 100 8000 10-244-0-6.db.shop.svc.cluster.local.",
                "0 100 8000 db-0.db.shop.svc.cluster.local.",
            ],
            id="srv-of-headless-names-pods",
        ),
        pytest.param("mail.shop.svc.cluster.local", "A", ["mail.example.org."], id="external-name"),
        pytest.param(
            "alias.shop.svc.cluster.local", "A", ["10.96.0.7", "web.shop.svc.cluster.local."], id="alias-inside"
        ),
        pytest.param("7.0.96.10.in-addr.arpa", "PTR", ["web.shop.svc.cluster.local."], id="reverse"),
    ],
)
def test_a_question_about_the_cluster_is_answered(zone: Zone, name: str, kind: str, expected: list[str]) -> None:
    answer = ask(zone, name, kind)
    assert texts(answer) == expected
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("web.shop.svc.cluster.local", "AAAA", id="other-family"),
        pytest.param("idle.shop.svc.cluster.local", "A", id="headless-without-ready-pods"),
        pytest.param("pending.shop.svc.cluster.local", "A", id="service-without-address-yet"),
        pytest.param("shop.svc.cluster.local", "A", id="namespace"),
        pytest.param("_tcp.web.shop.svc.cluster.local", "A", id="inside-srv-name"),
        pytest.param("svc.cluster.local", "A", id="above-namespaces"),
        pytest.param("cluster.local", "A", id="apex"),
    ],
)
def test_a_name_that_exists_without_the_asked_type_is_no_data(zone: Zone, name: str, kind: str) -> None:
    answer = ask(zone, name, kind)
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.answer
    assert "SOA" in answer.authority[0].to_text()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("gone.shop.svc.cluster.local", id="no-such-service"),
        pytest.param("web.other.svc.cluster.local", id="no-such-namespace"),
        pytest.param("web.shop.svc.cluster.local.shop.svc.cluster.local", id="search-domain-appended"),
        pytest.param("db-2.db.shop.svc.cluster.local", id="pod-that-is-not-ready"),
    ],
)
def test_a_name_that_does_not_exist_is_nxdomain_with_the_zones_authority(zone: Zone, name: str) -> None:
    answer = ask(zone, name)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert "SOA" in answer.authority[0].to_text()


@pytest.mark.parametrize("name", ["example.org", "notcluster.local", "1.2.3.4.in-addr.arpa", "."])
def test_a_name_outside_the_cluster_is_left_to_others(zone: Zone, name: str) -> None:
    assert zone.answer(dns.message.make_query(name, "A")) is None


def test_one_broken_service_costs_the_others_nothing() -> None:
    broken = [service("bad", type="ExternalName", externalName="a" * 64), service("worse", clusterIP="10.96.0.300")]
    zone = build_zone("cluster.local", [*broken, *SERVICES], ENDPOINTS)
    assert texts(ask(zone, "web.shop.svc.cluster.local")) == ["10.96.0.7"]
    assert ask(zone, "bad.shop.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN


@settings(deadline=None)
@given(st.lists(st.ip_addresses(v=4), min_size=1, max_size=50, unique=True))
def test_every_ready_pod_of_a_headless_service_is_in_the_answer(addresses: list[Any]) -> None:
    pods = [{"ip": str(address)} for address in addresses]
    zone = build_zone("cluster.local", [service("db", clusterIP="None")], [endpoints("db", *pods)])
    assert texts(ask(zone, "db.shop.svc.cluster.local")) == sorted(map(str, addresses))


@pytest.mark.parametrize(
    ("corefile", "domain"),
    [
        pytest.param(".:53 {\n  kubernetes cluster.local in-addr.arpa {\n  }\n}", "cluster.local", id="kubeadm"),
        pytest.param(".:53 {\n    kubernetes my.corp in-addr.arpa\n}", "my.corp", id="other-domain"),
        pytest.param(".:53 {\n  forward . 1.1.1.1\n}", "cluster.local", id="none-named"),
    ],
)
def test_the_domain_is_read_from_the_corefile(corefile: str, domain: str) -> None:
    assert cluster_domain(corefile) == domain
