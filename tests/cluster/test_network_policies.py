"""What gets through with the NetworkPolicies that we offer, and what does not. kube-router enforces them.

Rules are written some seconds after a policy or a pod, so each test waits for what it expects.
"""

import json
import secrets
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.probe_pods import PORT, ProbePod, address, probe_pod
from tests.cluster.shop import OPERATOR, SMALL, SYSTEM, Shop, eventually, kubectl
from tests.cluster.steady_load import steady_load_on
from tests.rendering import MANIFESTS, combined

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

PROMETHEUS = f"prometheus.{SYSTEM}.svc"
API_SERVER = "kubernetes.default.svc"
SAMPLE = MANIFESTS / "samples" / "network-policy.yaml"
METRICS, HEALTH, QUERIES, REDIS, KUBELET = 8080, 8081, 9090, 6379, 10250
# kube-router answers for its own health on every node's address: a port that is open to all, and none of ours.
NODES_PORT = 20244


def opens(place: ProbePod, host: str, port: int) -> None:
    """Waits until a connection is let through."""

    def through() -> None:
        assert place.reaches(host, port)

    eventually(through)


def closes(place: ProbePod, host: str, port: int) -> None:
    """Waits until a connection is refused."""

    def refused() -> None:
        assert not place.reaches(host, port)

    eventually(refused)


@pytest.fixture(scope="module")
def enforced() -> None:
    """That somebody enforces NetworkPolicies here."""
    found = kubectl("get", "daemonset", "-n", "kube-system", "kube-router", "--ignore-not-found", "-o", "name")
    if not found:
        pytest.fail("nobody enforces NetworkPolicies here; python -m cluster.test_parts")
    kubectl("rollout", "status", "-n", "kube-system", "daemonset/kube-router", "--timeout=150s")


@pytest.fixture(scope="module")
def namespace(enforced: None) -> Iterator[str]:
    """Of strangers, and of whoever may read metrics (while it bears the label)."""
    name = f"strangers-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def stranger(namespace: str) -> ProbePod:
    """A pod that nobody knows."""
    return probe_pod(namespace, "stranger")


@pytest.fixture(scope="module")
def reader(namespace: str) -> Iterator[ProbePod]:
    """A pod in a namespace that may read metrics."""
    name = f"{namespace}-metrics"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "metrics=enabled")
    yield probe_pod(name, "reader")
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def scraper(namespace: str) -> Iterator[ProbePod]:
    """A pod that the policies take for Prometheus, whose own image has no program to connect with."""
    found = probe_pod(SYSTEM, namespace, {"app.kubernetes.io/name": "prometheus"})
    yield found
    kubectl("delete", "pod", "-n", SYSTEM, namespace, "--wait=false")


@pytest.fixture(scope="module")
def operators_address(operator: str) -> str:
    return kubectl("get", "-n", SYSTEM, operator, "-o", "jsonpath={.status.podIP}")


@pytest.fixture(scope="module")
def node_address() -> str:
    """Of a node that runs no pod of ours."""
    path = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}'
    selector = ("-l", "node-role.kubernetes.io/control-plane")
    return kubectl("get", "nodes", *selector, "-o", f"jsonpath={path}")


@pytest.fixture(scope="module")
def policies(
    stranger: ProbePod,
    reader: ProbePod,
    scraper: ProbePod,
    operators_address: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """The policy of the overlay `production`, and that of Prometheus, in force."""
    for place in (stranger, reader, scraper):
        address(place)
    assert stranger.reaches(operators_address, METRICS)
    assert stranger.reaches(PROMETHEUS, QUERIES)
    rendered = combined(tmp_path_factory.mktemp("policies"), "overlays/production", "networkpolicy-prometheus")
    found = [manifest for manifest in rendered if manifest["kind"] == "NetworkPolicy"]
    assert len(found) == 2
    text = yaml.safe_dump_all(found)
    kubectl("apply", "-f", "-", text=text)
    yield
    kubectl("delete", "-f", "-", text=text)
    opens(stranger, operators_address, METRICS)


def test_the_operators_metrics_are_read_by_prometheus_and_from_labelled_namespaces_alone(
    policies: None, stranger: ProbePod, reader: ProbePod, scraper: ProbePod, operators_address: str
) -> None:
    closes(stranger, operators_address, METRICS)
    opens(reader, operators_address, METRICS)
    opens(scraper, operators_address, METRICS)
    assert "scalableapp_build_info" in reader.fetch(f"http://{operators_address}:{METRICS}/metrics")


def test_the_operators_health_is_the_kubelets_alone(
    policies: None, stranger: ProbePod, reader: ProbePod, operators_address: str, operator: str
) -> None:
    for place in (stranger, reader):
        closes(place, operators_address, HEALTH)
    kubectl("wait", "-n", SYSTEM, operator, "--for=condition=Ready", "--timeout=30s")


def test_the_operator_reaches_dns_the_api_server_and_prometheus_and_nobody_else(
    policies: None, stranger: ProbePod, operator: str, node_address: str
) -> None:
    here = ProbePod(SYSTEM, OPERATOR, "/venv/bin/python")
    opens(here, API_SERVER, 443)  # by its name, which takes DNS
    opens(here, PROMETHEUS, QUERIES)
    closes(here, address(stranger), PORT)
    closes(here, node_address, NODES_PORT)
    assert stranger.reaches(node_address, NODES_PORT)


def test_the_operator_deploys_and_decides_behind_its_policy(policies: None, shop: Shop) -> None:
    shop.apply(image="sample-app:0.1.0", replicas=None, resources=SMALL)
    shop.wait_until_deployed()
    shop.wait_for("MetricsAvailable", "True", "MetricsRead")


def test_prometheus_is_asked_by_the_operator_and_from_labelled_namespaces_alone(
    policies: None, stranger: ProbePod, reader: ProbePod
) -> None:
    closes(stranger, PROMETHEUS, QUERIES)
    opens(reader, PROMETHEUS, QUERIES)


def test_prometheus_goes_on_scraping_behind_its_policy(policies: None, reader: ProbePod) -> None:
    query = "min by (job) (min_over_time(up[15s]))"

    def scraped() -> None:
        url = f"http://{PROMETHEUS}:{QUERIES}/api/v1/query?query={query.replace(' ', '%20')}"
        found = json.loads(reader.fetch(url))["data"]["result"]
        jobs = {sample["metric"]["job"]: sample["value"][1] for sample in found}
        assert jobs.keys() >= {"scalableapp-operator", "cadvisor"}
        assert jobs["scalableapp-operator"] == jobs["cadvisor"] == "1"

    eventually(scraped)


def test_prometheus_reaches_pods_kubelets_and_the_api_server_and_nothing_else_of_a_node(
    policies: None, stranger: ProbePod, scraper: ProbePod, node_address: str
) -> None:
    opens(scraper, address(stranger), PORT)
    opens(scraper, node_address, KUBELET)
    opens(scraper, API_SERVER, 443)
    closes(scraper, node_address, NODES_PORT)


@pytest.fixture
def web(enforced: None, shop: Shop) -> Shop:
    """The app `web` with a pod and a Redis."""
    shop.apply(image="sample-app:0.1.0", replicas=1, resources=SMALL, cache={"backend": "Redis"})
    shop.wait_until_deployed()
    eventually(lambda: shop.kubectl("get", "deployment", "web-cache"))
    for deployment in ("web-cache", "web"):
        shop.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=150s")
    return shop


def test_an_apps_redis_is_reached_by_its_own_pods_alone_and_reaches_nobody(web: Shop, stranger: ProbePod) -> None:
    redis = f"web-cache.{web.namespace}.svc"
    neighbour = probe_pod(
        web.namespace, "neighbour", {"app.kubernetes.io/name": "other", "scalableapp.io/app": "other"}
    )
    address(neighbour)
    opens(ProbePod(web.namespace, "deployment/web"), redis, REDIS)
    for place in (neighbour, stranger):
        closes(place, redis, REDIS)
    assert "Could not connect" in pinged(web, address(stranger), PORT)
    assert pinged(web, "127.0.0.1", REDIS) == "PONG"


def pinged(web: Shop, host: str, port: int) -> str:
    """What the app's Redis gets for an answer from there, or its complaint."""
    ping = f"redis-cli -t 3 -h {host} -p {port} ping 2>&1 || true"
    return web.kubectl("exec", "deployment/web-cache", "--", "sh", "-c", ping).strip()


def test_an_apps_pods_are_reached_by_the_ingress_and_prometheus_alone_and_reach_dns_and_their_redis_alone(
    web: Shop, stranger: ProbePod, scraper: ProbePod
) -> None:
    neighbour = probe_pod(web.namespace, "neighbour")
    app = ProbePod(web.namespace, "deployment/web")
    pod = web.kubectl("get", "pods", "-l", "scalableapp.io/app=web", "-o", "jsonpath={.items[0].status.podIP}")
    for place in (stranger, neighbour):
        address(place)
        assert place.reaches(pod, PORT)
    web.kubectl("apply", "-f", str(SAMPLE))
    for place in (stranger, neighbour):
        closes(place, pod, PORT)
    opens(scraper, pod, PORT)
    with steady_load_on(web) as load:
        opens(app, f"web-cache.{web.namespace}.svc", REDIS)  # by its name, which takes DNS
        closes(app, API_SERVER, 443)
        closes(app, address(stranger), PORT)
    assert load.answered
    assert load.failed == []
