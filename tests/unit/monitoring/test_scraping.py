"""Who is scraped, and whose word on namespaces is taken."""

from typing import Any

import pytest
import yaml

from scalableapp.core.api.spec import parse_spec
from scalableapp.core.children.resources import AS_SPECIFIED, ClusterFeatures, children
from scalableapp.core.model import AppKey
from tools import monitoring

MANIFESTS = monitoring.ROOT / "manifests"
PLAIN = yaml.safe_load((MANIFESTS / "components/prometheus/prometheus.yml").read_text())
JOBS: dict[str, dict[str, Any]] = {job["job_name"]: job for job in PLAIN["scrape_configs"]}
MONITORS: dict[str, dict[str, Any]] = {
    monitor["metadata"]["name"]: monitor["spec"]
    for monitor in yaml.safe_load_all((monitoring.COMPONENT / "pod-monitors.yaml").read_text())
}
OPERATOR = yaml.safe_load((MANIFESTS / "base/deployment.yaml").read_text())["spec"]["template"]
(APP,) = [
    child["spec"]["template"]
    for child in children(AppKey("shop", "web"), "uid", parse_spec({"image": "web:1"}), ClusterFeatures(), AS_SPECIFIED)
    if child["kind"] == "Deployment"
]


def test_only_the_operator_is_believed_about_namespaces() -> None:
    assert {name for name, job in JOBS.items() if job.get("honor_labels")} == {"scalableapp-operator"}
    honoured = {
        name: [end.get("honorLabels") for end in spec["podMetricsEndpoints"]] for name, spec in MONITORS.items()
    }
    assert honoured == {"scalableapp-operator": [True], "scalableapp-apps": [None]}
    assert JOBS["scalableapp-operator"]["kubernetes_sd_configs"][0]["namespaces"] == {"names": ["scalableapp-system"]}


def test_the_plain_prometheus_scrapes_the_operator_once_and_loads_the_rules_beside_it() -> None:
    drops = [rule for rule in JOBS["pods"]["relabel_configs"] if rule.get("action") == "drop"]
    assert "scalableapp-system;scalableapp-operator" in {rule["regex"] for rule in drops}
    component = yaml.safe_load((MANIFESTS / "components/prometheus/kustomization.yaml").read_text())
    (generated,) = component["configMapGenerator"]
    assert PLAIN["rule_files"] == [monitoring.RULES.name]
    assert {"prometheus.yml", monitoring.RULES.name} == set(generated["files"])


@pytest.mark.parametrize(
    ("monitor", "template"), [("scalableapp-operator", OPERATOR), ("scalableapp-apps", APP)], ids=["operator", "apps"]
)
def test_a_pod_monitor_finds_the_pods_and_a_port_that_they_have(monitor: str, template: dict[str, Any]) -> None:
    selector, labels = MONITORS[monitor]["selector"], template["metadata"]["labels"]
    assert selector.get("matchLabels", {}).items() <= labels.items()
    assert {entry["key"] for entry in selector.get("matchExpressions", ())} <= labels.keys()
    (end,) = MONITORS[monitor]["podMetricsEndpoints"]
    assert end["port"] in {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}


def test_an_apps_pods_say_whether_and_where_they_are_scraped() -> None:
    asked = {
        label
        for rule in MONITORS["scalableapp-apps"]["podMetricsEndpoints"][0]["relabelings"]
        for label in rule["sourceLabels"]
    }
    annotations = {f"__meta_kubernetes_pod_annotation_{_plain(name)}" for name in APP["metadata"]["annotations"]}
    labels = {f"__meta_kubernetes_pod_label_{_plain(name)}" for name in APP["metadata"]["labels"]}
    assert asked <= annotations | labels


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
