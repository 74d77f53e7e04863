"""Typed fields in the words of each ingress controller. The keys are those of the controllers' documentation."""

from typing import Any

import pytest

from scalableapp.core.api.routing_fields import AnnotationProfile, Ingress
from scalableapp.core.children.annotations import annotations


def written(**ingress: Any) -> dict[str, str]:
    return annotations(Ingress.model_validate(ingress))


NGINX = {
    "nginx.org/lb-method": "least_conn",
    "nginx.org/keepalive": "32",
    "nginx.org/proxy-next-upstream": "error timeout",
    "nginx.org/proxy-next-upstream-tries": "3",
}


@pytest.mark.parametrize(
    ("ingress", "profile"),
    [
        ({}, "NGINX"),
        ({"className": "nginx-internal"}, "NGINX"),
        ({"className": "haproxy-external"}, "HAProxy"),
        ({"className": "contour"}, "Contour"),
        ({"className": "edge-contour"}, "Contour"),
        ({"className": "edge"}, "None"),
        ({"className": "contour", "annotationProfile": "NGINX"}, "NGINX"),
        ({"className": "edge", "annotationProfile": "Contour"}, "Contour"),
        ({"className": "nginx", "annotationProfile": "None"}, "None"),
    ],
    ids=str,
)
def test_the_profile_goes_by_the_class_unless_it_is_named(ingress: dict[str, Any], profile: str) -> None:
    assert Ingress.model_validate(ingress).profile is AnnotationProfile(profile)


def test_a_bare_ingress_gets_what_is_good_for_a_scaled_app() -> None:
    assert written() == NGINX
    assert written(className="haproxy") == {"haproxy.org/load-balance": "leastconn"}
    assert written(className="contour") == {
        "projectcontour.io/retry-on": "connect-failure,refused-stream,reset-before-request",
        "projectcontour.io/num-retries": "3",
        "projectcontour.io/response-timeout": "infinity",
    }
    assert written(className="edge") == {}


@pytest.mark.parametrize(
    ("ingress", "expected"),
    [
        ({"loadBalancing": "RoundRobin"}, {"nginx.org/lb-method": "round_robin"}),
        ({"loadBalancing": "RoundRobin", "className": "haproxy"}, {"haproxy.org/load-balance": "roundrobin"}),
        ({"keepalive": 0}, {"nginx.org/keepalive": "0"}),
        ({"tlsSecretName": "cert"}, {"nginx.org/ssl-redirect": "true"}),
        ({"tlsSecretName": "cert", "httpsRedirect": False}, {"nginx.org/ssl-redirect": "false"}),
        (
            {"tlsSecretName": "cert", "className": "contour", "host": "a.io"},
            {"ingress.kubernetes.io/force-ssl-redirect": "true"},
        ),
        (
            {"tlsSecretName": "cert", "className": "contour", "host": "a.io", "httpsRedirect": False},
            {"ingress.kubernetes.io/force-ssl-redirect": "false"},
        ),
        (
            {"tlsSecretName": "cert", "className": "haproxy"},
            {
                "haproxy.org/ssl-redirect": "true",
                "haproxy.org/ssl-redirect-code": "301",
                "haproxy.org/ssl-redirect-port": "443",
            },
        ),
    ],
    ids=str,
)
def test_a_field_is_said_in_the_controllers_terms(ingress: dict[str, Any], expected: dict[str, str]) -> None:
    assert expected.items() <= written(**ingress).items()


def test_contour_never_sends_again_what_a_pod_may_have_had() -> None:
    """Other conditions of Envoy, such as reset, 5xx or gateway-error, would: it does not look at the method."""
    never_sent = {"connect-failure", "refused-stream", "reset-before-request"}
    assert set(written(className="contour")["projectcontour.io/retry-on"].split(",")) == never_sent


def test_nginx_gets_a_rate_limit_with_a_seconds_worth_of_burst() -> None:
    said = written(rateLimit={"requestsPerSecond": 20})
    assert {key.removeprefix("nginx.org/limit-req-"): said[key] for key in said.keys() - NGINX.keys()} == {
        "rate": "20r/s",
        "key": "${binary_remote_addr}",
        "burst": "20",
        "no-delay": "true",
        "reject-code": "429",
    }


def test_a_rate_limit_may_have_no_burst_and_be_divided() -> None:
    said = written(rateLimit={"requestsPerSecond": 20, "burst": 0, "divideByIngressPods": True})
    assert "nginx.org/limit-req-burst" not in said
    assert said["nginx.org/limit-req-scale"] == "true"


def test_haproxy_gets_a_rate_limit_per_second() -> None:
    said = written(className="haproxy", rateLimit={"requestsPerSecond": 20})
    assert {key: value for key, value in said.items() if "rate" in key} == {
        "haproxy.org/rate-limit-requests": "20",
        "haproxy.org/rate-limit-period": "1s",
        "haproxy.org/rate-limit-status-code": "429",
    }


@pytest.mark.parametrize("class_name", [None, "haproxy", "contour", "edge"], ids=str)
def test_the_users_annotations_win(class_name: str | None) -> None:
    mine = {
        "nginx.org/keepalive": "8",
        "haproxy.org/load-balance": "random",
        "projectcontour.io/response-timeout": "30s",
        "team": "shop",
    }
    assert mine.items() <= written(className=class_name, annotations=mine).items()


def test_nothing_is_ever_said_by_a_snippet() -> None:
    everything = {"host": "a.io", "tlsSecretName": "c"}
    limit = {"rateLimit": {"requestsPerSecond": 1}}
    said = [written(className=name, **everything, **limit) for name in ("nginx", "haproxy")]
    said.append(written(className="contour", **everything))
    assert not [key for each in said for key in each if "snippet" in key]
