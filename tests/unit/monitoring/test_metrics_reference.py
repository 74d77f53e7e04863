"""The reference of metrics, and the conventions that their names keep."""

from pathlib import Path

import pytest
import requests
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from scalableapp.adapters.endpoints import Endpoints, metrics
from tools import metrics_reference

PAGE = Path("docs/metrics.md").read_text()
FAMILIES = {metrics_reference.shown_name(family): family for family in metrics_reference.families()}
# What is counted in things, told by a state, or in the unit of somebody's target, has no unit in its name.
UNITLESS = {"scalableapp_lease_held", "scalableapp_work_queue_depth", "scalableapp_apps", "scalableapp_condition"}
UNITLESS |= {"scalableapp_metric_value", "scalableapp_metric_target", "scalableapp_waiting_for"}
UNITLESS |= {"scalableapp_waiting_for_namespaces"}


def test_the_page_is_what_the_metrics_say() -> None:
    assert metrics_reference.rendered() == PAGE


def test_a_use_is_documented_for_every_metric_and_for_no_other() -> None:
    names = {name.removeprefix("scalableapp_").removesuffix("_info") for name in FAMILIES}
    assert names == set(metrics_reference.USES)


def test_every_metric_of_the_page_is_on_the_operators_real_page_and_has_help() -> None:
    endpoints = Endpoints([(0, {"/metrics": metrics(metrics_reference.exercised().registry)})])
    try:
        text = requests.get(f"http://127.0.0.1:{endpoints.ports[0]}/metrics", timeout=5).text
    finally:
        endpoints.close()
    shown = {family.name: family for family in text_string_to_metric_families(text)}
    for name, family in FAMILIES.items():
        assert f"| `{name}` |" in PAGE
        assert shown[family.name if family.type != "info" else name].documentation == family.documentation


@pytest.mark.parametrize(("name", "family"), FAMILIES.items(), ids=FAMILIES)
def test_a_name_ends_in_a_base_unit_and_its_help_is_a_sentence(name: str, family: Metric) -> None:
    endings = {"counter": ("_total",), "info": ("_info",), "histogram": ("_seconds",)}
    assert name in UNITLESS or name.endswith(
        endings.get(family.type, ("_seconds", "_ratio", "_replicas", "_cores", "_bytes"))
    )
    assert family.documentation[0].isupper() or family.documentation[0].isdigit()
    assert family.documentation.endswith(".")


def test_what_is_reported_of_an_app_names_its_namespace_too() -> None:
    labels = [sample.labels for family in FAMILIES.values() for sample in family.samples]
    assert all(("namespace" in label) == ("app" in label) for label in labels)
