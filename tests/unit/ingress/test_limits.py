"""Real nginx on loopback: what an Ingress asks for by annotations beside its balancing."""

import threading
from collections import Counter
from typing import Any

import pytest

from ingress_controller.table import Cluster, build_routing
from scalableapp.core.model import AppKey
from scalableapp.core.resources import ClusterFeatures, children
from scalableapp.core.spec import parse_spec
from tests.unit.ingress.real_nginx import NEEDS_NGINX, WAIT_SECONDS, Pod, Proxy, wait_until

pytestmark = NEEDS_NGINX

HOURLY = 1 / 3600  # so seldom that no test is slow enough for a further request to be granted


def limit(rate: float = HOURLY, burst: int = 0, delay: int | None = None, **changes: Any) -> dict[str, Any]:
    at_once = burst if delay is None else delay
    return {"limit": {"zone": "shop/web", "rate": rate, "burst": burst, "delay": at_once, "code": 429} | changes}


def statuses(proxy: Proxy, count: int, **where: str) -> list[int]:
    return [proxy.ask(**where)[0] for _ in range(count)]


def test_requests_beyond_rate_and_burst_are_refused_and_reach_no_pod(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings=limit(burst=3))
    assert statuses(proxy, 8) == [200] * 4 + [429] * 4
    assert sum(pod.served for pod in pods) == 4


def test_without_a_burst_one_request_is_granted_at_a_time(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings=limit())
    assert statuses(proxy, 3) == [200, 429, 429]


def test_another_client_is_not_held_to_account(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings=limit())
    assert statuses(proxy, 2) == [200, 429]
    assert statuses(proxy, 2, client="127.0.0.2") == [200, 429]


def test_the_status_is_the_one_that_was_asked_for(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings=limit(code=503))
    assert statuses(proxy, 2) == [200, 503]


def test_with_time_further_requests_are_granted_and_refused_ones_do_not_count(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings=limit(rate=2))
    wait_until(lambda: 429 in statuses(proxy, 2), "two requests come less than half a second apart")
    wait_until(lambda: proxy.ask()[0] == 200, "a request is granted again, though it was asked for all the time")


def test_a_new_table_does_not_forgive_what_was_asked_before(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings=limit())
    assert statuses(proxy, 1) == [200]
    proxy.serve(pods[:1], settings=limit())
    assert statuses(proxy, 1) == [429]


def test_requests_of_a_burst_that_have_to_wait_are_answered_in_the_end(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings=limit(rate=10, burst=4, delay=0))
    answers: Counter[int] = Counter()

    def ask() -> None:
        answers[proxy.ask()[0]] += 1

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert answers == {200: 5}


@pytest.mark.parametrize(("settings", "sent"), [({}, None), ({"close": True}, "close")], ids=["kept", "closed"])
def test_connections_to_pods_are_kept_unless_that_is_switched_off(
    proxy: Proxy, pods: list[Pod], settings: dict[str, Any], sent: str | None
) -> None:
    proxy.serve(pods, settings=settings)
    assert proxy.ask()[1]["headers"].get("Connection") == sent


def test_plain_http_is_redirected_with_its_path_and_query(proxy: Proxy, pods: list[Pod]) -> None:
    proxy.serve(pods, settings={"redirect": True})
    connection = proxy.connect()
    connection.request("GET", "/x?y=%20z", headers={"Host": "a.test:8080"})
    response = connection.getresponse()
    assert (response.status, response.getheader("Location")) == (301, "https://a.test/x?y=%20z")
    connection.close()
    assert sum(pod.served for pod in pods) == 0


def test_what_the_operator_asks_for_is_done(proxy: Proxy, pods: list[Pod]) -> None:
    ingress = {
        "host": "a.test",
        "className": "nginx",
        "keepalive": 0,
        "loadBalancing": "RoundRobin",
        "rateLimit": {"requestsPerSecond": 1, "burst": 4, "divideByIngressPods": True},
    }
    spec = parse_spec({"image": "web:1", "ingress": ingress})
    made = {found["kind"]: found for found in children(AppKey("shop", "web"), "uid", spec, ClusterFeatures())}
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "http", "port": pods[0].server_port}]}]
    endpoints = {"metadata": made["Service"]["metadata"], "subsets": subsets}
    cluster = Cluster([made["Ingress"]], [made["Service"]], [endpoints])
    routing = build_routing(cluster, lambda _certificate, _key: None)
    assert routing.problems == ()
    proxy.nginx.take(routing.table)
    status, answer = proxy.ask()
    assert (status, answer["headers"]["Connection"]) == (200, "close")
    wait_until(lambda: 429 in statuses(proxy, 10), "the limit is reached")
