"""`kubectl scalableapp check` on installations that lack something, with a real API server and a real Prometheus."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalableapp import __version__
from scalableapp.commands import cli
from tests import prometheus_servers
from tests.control_plane import TOKEN, ControlPlane, control_plane
from tests.prometheus_proxy import Proxy
from tests.prometheus_servers import write_past

pytestmark = [pytest.mark.process, pytest.mark.alone]

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ops/leases"
DEPLOYMENTS = "/apis/apps/v1/namespaces/ops/deployments"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses"
APPS = "/apis/scalableapp.io/v1alpha1/namespaces/shop/scalableapps"
CPU = "container_cpu_usage_seconds_total"
# App: how its pod is scraped.
PAST: dict[str, dict[str, Any]] = {
    "whole": {"jobs": {"pods": 15}, "serves": True, "cadvisor": ("kubelet",)},
    "unscraped": {"jobs": {}, "serves": False, "cadvisor": ("kubelet",)},
    "mute": {"jobs": {"pods": 30}, "serves": False, "cadvisor": ("kubelet",)},
    "young": {"jobs": {"pods": 15}, "serves": True, "cadvisor": ("kubelet",), "seconds": 60},
    "down": {"jobs": {"pods": 15}, "serves": True, "cadvisor": ("kubelet",), "up": 0},
    "rare": {"jobs": {"pods": 120}, "serves": True, "cadvisor": ()},
    "twice": {"jobs": {"a": 15, "b": 15}, "serves": True, "cadvisor": ("kubelet", "cadvisor")},
}


def samples() -> Iterator[str]:
    now = int(time.time())
    lines: dict[str, list[str]] = {"up": [], "http_requests_total": [], CPU: []}
    for app, past in PAST.items():
        labels = f'namespace="shop",pod="{app}-7c6d4f9b75-bb2kq"'
        for job, interval in past["jobs"].items():
            for at in range(now - past.get("seconds", 900), now + 301, interval):
                lines["up"].append(f'up{{{labels},job="{job}"}} {past.get("up", 1)} {at}')
                if past["serves"]:
                    lines["http_requests_total"].append(f'http_requests_total{{{labels},job="{job}"}} {at} {at}')
        for job in past["cadvisor"]:
            lines[CPU] += [
                f'{CPU}{{{labels},job="{job}",container="app"}} {at} {at}' for at in range(now - 900, now + 301, 15)
            ]
    for name, of_name in lines.items():
        yield f"# TYPE {name} unknown"
        yield from of_name
    yield "# EOF"


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    write_past(samples(), folder)
    with prometheus_servers.program(prometheus_servers.NAMES[0]).running(folder) as url:
        yield url


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as plane:
        for name in ("shop", "ops"):
            plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        yield plane


@pytest.fixture(scope="module")
def installed(bare: ControlPlane) -> ControlPlane:
    bare.install_crd()
    bare.ask("POST", CLASSES, {"metadata": {"name": "contour"}, "spec": {"controller": "x/y"}})
    labels = {"app.kubernetes.io/name": "scalableapp-operator"}
    container = {"name": "operator", "image": f"r.example:5000/op:{__version__}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    bare.ask("POST", DEPLOYMENTS, {"metadata": {"name": "autoscaler", "labels": labels}, "spec": spec})
    bare.ask("POST", LEASES, {"metadata": {"name": "scalableapp-operator"}, "spec": {}})
    return bare


def merge(plane: ControlPlane, path: str, body: Any) -> None:
    plane.ask("PATCH", path, body, "application/merge-patch+json")


def operator_is(plane: ControlPlane, ready: int, seconds_ago: float, tag: str = __version__) -> None:
    """The operator as it stands, and when it renewed its Lease."""
    container = {"name": "operator", "image": f"r.example:5000/op:{tag}"}
    merge(plane, f"{DEPLOYMENTS}/autoscaler", {"spec": {"template": {"spec": {"containers": [container]}}}})
    status = {"replicas": 1, "readyReplicas": ready, "observedGeneration": 1}
    merge(plane, f"{DEPLOYMENTS}/autoscaler/status", {"status": status})
    renewed = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    held = {"holderIdentity": "autoscaler-1_x", "leaseDurationSeconds": 15, "renewTime": renewed}
    merge(plane, f"{LEASES}/scalableapp-operator", {"spec": held})


@pytest.fixture
def app(installed: ControlPlane) -> Iterator[Callable[..., None]]:
    """Makes an app with one ready pod."""
    made: list[str] = []

    def make(name: str, **spec: Any) -> None:
        metrics = [{"type": "RequestsPerSecond", "target": "10"}, {"type": "CPU", "target": "300m"}]
        scaling = {"horizontal": {"minReplicas": 1, "maxReplicas": 3, "metrics": metrics}}
        body = {"apiVersion": "scalableapp.io/v1alpha1", "kind": "ScalableApp", "metadata": {"name": name}}
        installed.ask("POST", APPS, body | {"spec": {"image": "web:1", "scaling": scaling, **spec}})
        made.append(name)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "reason": "InSync", "message": "m", "lastTransitionTime": now}
        merge(installed, f"{APPS}/{name}/status", {"status": {"readyReplicas": 1, "conditions": [ready]}})

    yield make
    for name in made:
        installed.ask("DELETE", f"{APPS}/{name}")


Check = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture
def check(bare: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """Runs the command: its exit status and findings."""
    cluster = {"server": bare.url, "certificate-authority": bare.certificate}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))

    def run(*arguments: str) -> tuple[int, list[dict[str, str]]]:
        status = cli.main(["check", "--kubeconfig", str(tmp_path / "config"), "-o", "json", *arguments])
        return status, json.loads(capsys.readouterr().out)["items"]

    return run


def wrong(findings: list[dict[str, str]]) -> dict[str, str]:
    """What is bad, with how to mend it."""
    return {each["subject"]: f"{each['message']}; {each['fix']}" for each in findings if each["state"] == "Bad"}


def test_where_nothing_is_installed_the_crd_the_operator_and_prometheus_are_missed(check: Check) -> None:
    status, findings = check("--prometheus", "http://127.0.0.1:9")
    assert status == 1
    found = wrong(findings)
    assert found["CRD"] == "the ScalableApp CRD is not installed; kubectl apply --server-side -f crds/"
    assert found["operator"].startswith("no Deployment with the label app.kubernetes.io/name=scalableapp-operator")
    assert "no connection" in found["Prometheus"]


def test_a_whole_installation_passes(
    installed: ControlPlane, app: Callable[..., None], check: Check, prometheus_url: str
) -> None:
    operator_is(installed, 1, 0)
    app("whole", ingress={"className": "contour"})
    backend = {"service": {"name": "whole", "port": {"number": 80}}}
    installed.ask("POST", INGRESSES, {"metadata": {"name": "whole"}, "spec": {"defaultBackend": backend}})
    merge(installed, f"{INGRESSES}/whole/status", {"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}})
    status, findings = check("--prometheus", prometheus_url)
    assert wrong(findings) == {}
    assert status == 0
    told = {each["subject"]: each["message"] for each in findings if each["state"] == "Good"}
    assert told["CRD"] == f"installed, as of version {__version__}"
    assert told["operator"] == "ops/autoscaler is ready"
    assert told["Lease"] == "held by autoscaler-1"
    assert told["Ingress of shop/whole"] == "an ingress controller serves it"
    assert told["pods of shop/whole"] == "scraped every 15 s by job pods"
    assert told["containers of shop/whole"] == "cAdvisor is scraped by job kubelet"
    assert "version 3" in told["Prometheus"]


def test_an_operator_of_another_version_that_does_not_run_is_told(
    installed: ControlPlane, check: Check, prometheus_url: str
) -> None:
    operator_is(installed, 0, 300, tag="0.0.1")
    found = wrong(check("--prometheus", prometheus_url)[1])
    assert found["operator"].startswith("ops/autoscaler has no ready pod; kubectl -n ops describe pods -l")
    assert found["version"].startswith(f"ops/autoscaler is of version 0.0.1, this command of {__version__}; install")
    assert "autoscaler-1_x has not renewed it for 5 m" in found["Lease"]


def test_an_ingress_class_that_does_not_exist_is_told_with_those_that_do(
    installed: ControlPlane, app: Callable[..., None], check: Check, prometheus_url: str
) -> None:
    operator_is(installed, 1, 0)
    app("whole", ingress={"className": "ngnix"})
    found = wrong(check("--prometheus", prometheus_url)[1])
    assert found == {
        "Ingress of shop/whole": "there is no IngressClass ngnix; the cluster has contour; set "
        "spec.ingress.className to one of them, or install an ingress controller"
    }


def test_a_prometheus_that_wants_a_tenant_is_told_and_reached_by_the_file(
    installed: ControlPlane, check: Check, prometheus_url: str, tmp_path: Path
) -> None:
    operator_is(installed, 1, 0)
    proxy, file = Proxy(prometheus_url, tenant="a"), tmp_path / "prometheus.yaml"
    with proxy.running() as url:
        assert "'no org id' (HTTP 401)" in wrong(check("--prometheus", url)[1])["Prometheus"]
        stated = {"url": url, "http_headers": {"X-Scope-OrgID": {"values": ["a"]}}, "matchers": 'cluster="none"'}
        file.write_text(yaml.safe_dump(stated))
        found = wrong(check("--prometheus-config", str(file))[1])
        assert found == {"targets": 'no target has cluster="none"; correct `matchers` in the connection file'}
    file.write_text("url: x")
    assert "url: has no scheme" in wrong(check("--prometheus-config", str(file))[1])["Prometheus"]


SCRAPED = {
    "unscraped": ("pods of shop/unscraped", "Prometheus does not scrape them; add its pods to a PodMonitor"),
    "mute": ("pods of shop/mute", "scraped every 30 s, but they serve no http_requests_total"),
    "down": ("pods of shop/down", "the scrape of 1 fails (down-7c6d4f9b75-bb2kq): wrong port or path"),
    "rare": ("pods of shop/rare", "scraped every 1"),
    "rare, too": ("containers of shop/rare", f"Prometheus has no {CPU} of them; let Prometheus scrape each kubelet"),
    "twice": ("containers of shop/twice", "cAdvisor is scraped by 2 jobs (cadvisor, kubelet); one is enough"),
}


def test_what_prometheus_lacks_of_each_app_is_told(
    installed: ControlPlane, app: Callable[..., None], check: Check, prometheus_url: str
) -> None:
    operator_is(installed, 1, 0)
    for name in PAST:
        app(name)
    status, findings = check("--prometheus", prometheus_url)
    found = wrong(findings)
    assert status == 1
    assert found.keys() == {subject for subject, _ in SCRAPED.values()}
    for subject, message in SCRAPED.values():
        assert found[subject].startswith(message)
    told = {each["subject"]: each["message"] for each in findings}
    assert told["pods of shop/young"] == "scraped for less than 5 minutes by job pods"
    assert told["pods of shop/twice"] == "scraped every 15 s by 2 jobs (a, b), each request counts once"
