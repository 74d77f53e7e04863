"""The ways to an app on the real cluster: Contour with Envoy, asked by an Ingress and by an HTTPRoute.

Two answers of a Gateway are not to be had here on demand, and are tried in tests/unit/engine/test_route.py: that the
cluster lacks the Gateway API, and that a Gateway accepts a route but finds no Service.
"""

import http.client
import json
import socket
import ssl
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.shop import ENTRY_POINTS, GATEWAY, SMALL, Shop, entry_point, eventually, is_ready, kubectl, pods
from tests.cluster.steady_load import INGRESS, request_once, steady_load_on

pytestmark = pytest.mark.cluster

HTTP_ROUTE = "httproute.gateway.networking.k8s.io"
HTTPS_PORT = 8443
SERVING: dict[str, Any] = {"image": "sample-app:0.1.0", "replicas": 1, "resources": SMALL}


def scaling(target: str, most: int) -> dict[str, Any]:
    metric = {"type": "RequestsPerSecond", "target": target}
    return {"horizontal": {"minReplicas": 1, "maxReplicas": most, "metrics": [metric]}}


def all_ready(shop: Shop, count: int, env: str = "") -> None:
    """So many pods are ready and none is left over; with `env`, all of them have that variable."""
    found = pods(shop)
    assert [is_ready(pod) for pod in found] == [True] * count
    assert len(shop.kubectl("get", "pods", "-o", "name").split()) == count
    assert all(env in str(pod["spec"]["containers"][0].get("env", "")) for pod in found)


def answering(host: str, count: int) -> None:
    assert len({request_once(host) for _ in range(20)}) == count


@pytest.mark.long
@pytest.mark.parametrize("kind", ENTRY_POINTS)
def test_an_app_scales_with_its_requests_and_loses_none_when_pods_come_are_replaced_and_go(
    shop: Shop, kind: str
) -> None:
    spec = SERVING | entry_point(kind, shop) | {"replicas": None, "scaling": scaling("1", 3)}
    shop.apply(**spec)
    with steady_load_on(shop) as load:
        eventually(lambda: all_ready(shop, 3))
        eventually(lambda: answering(f"web.{shop.namespace}.test", 3))
        shop.apply(**spec, env=[{"name": "ROLLED", "value": "1"}])
        eventually(lambda: all_ready(shop, 3, env="ROLLED"))
        shop.kubectl("scale", "sapp", "web", "--replicas=1")
        eventually(lambda: all_ready(shop, 1))
    assert load.failed == []
    assert load.answered > 100


@pytest.fixture
def closed_port(shop: Shop) -> Iterator[None]:
    """An address of the app's Service where nothing listens, as a lost pod's is until it is missed."""
    address = kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-lost", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 1, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
    shop.kubectl("apply", "-f", "-", text=json.dumps(endpoints))
    yield
    shop.kubectl("delete", "endpointslice", "web-lost")


@pytest.mark.usefixtures("closed_port")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_could_not_be_sent_to_a_pod_is_sent_to_another_whatever_the_method(shop: Shop, method: str) -> None:
    host = f"web.{shop.namespace}.test"
    shop.apply(**SERVING, **entry_point("Ingress", shop))
    eventually(lambda: all_ready(shop, 1))
    eventually(lambda: answering(host, 1))
    # The sample app answers a POST to its page by 405, Envoy one that reached no pod by 503.
    expected = {"GET": 200, "POST": 405}[method]
    assert {answer(host, method)[0] for _ in range(20)} == {expected}


def answer(host: str, method: str = "GET") -> tuple[int, str]:
    """The status and the Location that the way in answers; redirects are not followed."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(INGRESS).netloc, timeout=10)
    try:
        connection.request(method, "/", headers={"Host": host})
        found = connection.getresponse()
        return found.status, found.headers["Location"] or ""
    finally:
        connection.close()


@pytest.fixture
def certificate(shop: Shop, tmp_path: Path) -> Path:
    """A certificate for the app's host, in the TLS Secret `cert`."""
    host = f"web.{shop.namespace}.test"
    files = {"key": tmp_path / "key.pem", "cert": tmp_path / "cert.pem"}
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}")
    names = ("-addext", f"subjectAltName=DNS:{host}")
    command = ["openssl", *request, *names, "-keyout", str(files["key"]), "-out", str(files["cert"])]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    shop.kubectl("create", "secret", "tls", "cert", *(f"--{name}={path}" for name, path in files.items()))
    return files["cert"]


def test_https_has_the_apps_certificate_and_plain_http_is_redirected_to_it(shop: Shop, certificate: Path) -> None:
    host = f"web.{shop.namespace}.test"
    ingress = {"className": "contour", "host": host, "tlsSecretName": "cert"}
    shop.apply(**SERVING, ingress=ingress)
    eventually(lambda: secured(host, certificate))
    assert answer(host) == (301, f"https://{host}/")

    def told() -> None:
        assert shop.get("sapp")["status"]["url"] == f"https://{host}/"

    eventually(told)
    shop.apply(**SERVING, ingress={**ingress, "httpsRedirect": False})
    eventually(lambda: visited(host))
    secured(host, certificate)


def secured(host: str, certificate: Path) -> None:
    """The app answers over HTTPS, by this certificate."""
    trusting = ssl.create_default_context(cafile=str(certificate))
    try:
        with (
            socket.create_connection(("127.0.0.1", HTTPS_PORT), timeout=10) as plain,
            trusting.wrap_socket(plain, server_hostname=host) as secure,
        ):
            connection = http.client.HTTPConnection(host)
            connection.sock = secure
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
    except OSError as error:
        raise AssertionError(str(error)) from error


def visited(host: str) -> None:
    assert answer(host)[0] == 200


@pytest.mark.parametrize(
    ("parent", "reason", "said"),
    [
        pytest.param({**GATEWAY, "name": "nobody"}, "RoutePending", "has not reported", id="no such Gateway"),
        pytest.param({**GATEWAY, "sectionName": "none"}, "RouteNotAccepted", "NoMatchingParent", id="no such listener"),
        pytest.param(
            {**GATEWAY, "sectionName": "https-ingress"},
            "RouteNotAccepted",
            "NotAllowedByListeners",
            id="a listener that takes none",
        ),
    ],
)
def test_a_gateway_that_does_not_lead_to_the_app_is_reported(
    shop: Shop, parent: dict[str, Any], reason: str, said: str
) -> None:
    shop.apply(ingress=None, route={"parentRefs": [parent], "hostnames": ["shop.test"]})
    assert said in shop.wait_for("Exposed", "False", reason)
    assert said in shop.wait_for("Ready", "False", reason)
    assert "url" not in shop.get("sapp")["status"]
    shop.apply(**entry_point("HTTPRoute", shop))
    shop.wait_for("Exposed", "True", "Accepted")
    shop.wait_until_deployed()


def gone(shop: Shop, kind: str) -> None:
    def check() -> None:
        assert not shop.exists(kind)

    eventually(check)


def test_an_app_goes_from_its_ingress_to_a_gateway_and_back_and_no_request_is_lost(shop: Shop) -> None:
    shop.apply(**SERVING, **entry_point("Ingress", shop))
    with steady_load_on(shop) as load:
        shop.apply(**SERVING, **entry_point("HTTPRoute", shop))
        shop.wait_for("Exposed", "True", "Accepted")
        gone(shop, "ingress.networking.k8s.io")
        assert shop.get("sapp")["status"]["url"] == f"http://web.{shop.namespace}.test/"
        shop.apply(**SERVING, **entry_point("Ingress", shop))
        gone(shop, HTTP_ROUTE)
        shop.wait_until_deployed()
    assert load.failed == []
    assert load.answered


def test_a_route_that_somebody_edits_or_deletes_is_put_right(shop: Shop) -> None:
    shop.apply(**entry_point("HTTPRoute", shop))
    shop.wait_for("Exposed", "True", "Accepted")
    edited = {"spec": {"hostnames": ["theirs.test"]}}
    shop.kubectl("patch", HTTP_ROUTE, "web", "--type=merge", "-p", json.dumps(edited))

    def put_right() -> None:
        assert shop.get(HTTP_ROUTE)["spec"]["hostnames"] == [f"web.{shop.namespace}.test"]

    eventually(put_right)
    shop.kubectl("delete", HTTP_ROUTE, "web")
    eventually(put_right)
