from typing import Any

import pytest
import yaml

from cluster import custom_resources, ingress
from cluster.console import ClusterError


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What kubectl is called with, in order; nothing is applied anywhere."""
    made: list[tuple[str, ...]] = []

    def kubectl(*arguments: str, **_: Any) -> str:
        made.append(arguments)
        return ""

    monkeypatch.setattr(ingress, "kubectl", kubectl)
    monkeypatch.setattr(custom_resources, "kubectl", kubectl)
    monkeypatch.setattr(custom_resources, "definitions", lambda source: source.path)
    return made


def test_definitions_come_before_what_uses_them_and_both_workloads_are_waited_for(calls: list[tuple[str, ...]]) -> None:
    ingress.ensure()
    assert [call[:2] for call in calls] == [
        ("apply", "--server-side"),
        ("wait", "--for=condition=Established"),
        ("apply", "--kustomize"),
        ("--namespace", "projectcontour"),
        ("--namespace", "projectcontour"),
    ]
    assert [call[4] for call in calls if "rollout" in call] == list(ingress.WORKLOADS)


def test_what_is_waited_for_is_in_the_component() -> None:
    objects = [found for file in ingress.COMPONENT.glob("*.yaml") for found in yaml.safe_load_all(file.read_text())]
    named = {f"{found['kind'].lower()}/{found['metadata']['name']}" for found in objects if "metadata" in found}
    assert set(ingress.WORKLOADS) <= named


def test_a_failing_step_is_passed_on(calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: str, **__: Any) -> str:
        raise ClusterError("the API server does not answer")

    monkeypatch.setattr(ingress, "kubectl", refused)
    with pytest.raises(ClusterError, match="does not answer"):
        ingress.ensure()
