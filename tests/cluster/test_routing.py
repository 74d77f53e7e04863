"""The ways to an app on the real cluster: rate limits at the ingress, and HTTPRoutes of the Gateway API.

No implementation of the Gateway API runs there: the tests themselves write what a Gateway's controller would into the
status of the HTTPRoute, of which only the kind is installed, and only for them.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.shop import SMALL, Shop, eventually, kubectl
from tests.gateway_api import CRD, installable, parent

pytestmark = pytest.mark.cluster

INGRESS = "http://127.0.0.1:8080/"
HTTP_ROUTE = "httproute.gateway.networking.k8s.io"
CRD_NAME = CRD["metadata"]["name"]
ROUTE: dict[str, Any] = {"parentRefs": [{"name": "public", "namespace": "infra"}], "hostnames": ["shop.test"]}


def statuses(host: str, count: int) -> list[int]:
    """How the ingress answers requests one after the other."""
    return [_status(host) for _ in range(count)]


def _status(host: str) -> int:
    request = urllib.request.Request(INGRESS, headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0  # the ingress itself is being replaced


def test_a_client_beyond_the_rate_limit_gets_429_and_others_of_the_app_are_served(shop: Shop) -> None:
    host = f"web.{shop.namespace}.test"
    limit = {"requestsPerSecond": 1, "burst": 3}
    ingress = {"host": host, "className": "nginx", "rateLimit": limit}
    shop.apply(image="sample-app:0.1.0", replicas=1, resources=SMALL, ingress=ingress)

    def served() -> None:
        assert _status(host) == 200

    eventually(served)

    def limited() -> None:
        assert {200, 429} == set(statuses(host, 20))

    eventually(limited)
    eventually(served)
    shop.apply(image="sample-app:0.1.0", replicas=1, resources=SMALL, ingress={"host": host, "className": "nginx"})

    def unlimited() -> None:
        assert set(statuses(host, 20)) == {200}

    eventually(unlimited)


def test_a_profile_that_cannot_say_it_is_told(shop: Shop) -> None:
    shop.apply(ingress={"className": "contour", "rateLimit": {"requestsPerSecond": 1}})
    assert "annotationProfile" in shop.wait_for("Ready", "False", "InvalidSpec")


@pytest.fixture
def no_gateway_api() -> Iterator[None]:
    """The cluster without the kind, before and after."""
    kubectl("delete", "crd", CRD_NAME, "--ignore-not-found", "--timeout=60s")
    yield
    kubectl("delete", "crd", CRD_NAME, "--ignore-not-found", "--timeout=60s")


def answer(shop: Shop, **conditions: str) -> None:
    """What the Gateway's controller would write."""

    def written() -> None:
        route = shop.get(HTTP_ROUTE)
        reference = {"namespace": "infra"}
        route["status"] = {"parents": [parent("public", reference=reference, **conditions)]}
        path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{shop.namespace}/httproutes/web/status"
        shop.kubectl("replace", "--raw", path, "-f", "-", text=json.dumps(route))

    eventually(written)


def gone(shop: Shop, kind: str) -> None:
    def look() -> None:
        assert not shop.exists(kind)

    eventually(look)


def test_an_app_goes_from_its_ingress_to_a_gateway_and_back(shop: Shop, no_gateway_api: None) -> None:
    shop.apply()
    shop.wait_until_deployed()
    shop.apply(ingress=None, route=ROUTE)
    message = shop.wait_for("Ready", "False", "GatewayAPIMissing")
    assert "install the Gateway API's CRDs" in message
    assert shop.exists("ingress.networking.k8s.io"), "nothing else leads to the app yet"

    kubectl("create", "--validate=false", "-f", "-", text=json.dumps(installable()))
    shop.wait_for("Exposed", "False", "RoutePending")
    answer(shop, Accepted="NotAllowedByListeners")
    assert "Gateway infra/public does not accept" in shop.wait_for("Ready", "False", "RouteNotAccepted")
    answer(shop, Accepted="True", ResolvedRefs="True")
    shop.wait_for("Exposed", "True", "Accepted")
    shop.wait_for("Ready", "True", "InLine")
    assert shop.get("sapp")["status"]["url"] == "http://shop.test/"
    gone(shop, "ingress.networking.k8s.io")

    edited = {"spec": {"hostnames": ["theirs.test"]}}
    shop.kubectl("patch", HTTP_ROUTE, "web", "--type=merge", "-p", json.dumps(edited))

    def put_right() -> None:
        assert shop.get(HTTP_ROUTE)["spec"]["hostnames"] == ["shop.test"]

    eventually(put_right)
    shop.kubectl("delete", HTTP_ROUTE, "web")
    eventually(lambda: shop.get(HTTP_ROUTE))

    shop.apply(ingress={"host": "shop.test"}, route=None)
    gone(shop, HTTP_ROUTE)
    assert shop.exists("ingress.networking.k8s.io")
    shop.wait_until_deployed()
