import json
from typing import Any

import pytest

from cluster import kube


def deployment(name: str, *images: str) -> dict[str, Any]:
    containers = [{"image": image} for image in images]
    return {
        "metadata": {"namespace": "team", "name": name},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which Deployments of a cluster with three were restarted."""
    found = [deployment("shop", "shop:1"), deployment("sidecar", "other:1", "shop:1"), deployment("other", "other:1")]
    names: list[str] = []

    def kubectl(*arguments: str) -> str:
        if "restart" in arguments:
            names.append(arguments[-1])
        return json.dumps({"items": found})

    monkeypatch.setattr(kube, "kubectl", kubectl)
    return names


def test_deployments_whose_image_is_new_are_restarted_and_no_others(restarted: list[str]) -> None:
    kube.restart_users_of(["shop:1"])

    assert restarted == ["deployment/shop", "deployment/sidecar"]


def test_without_a_new_image_nothing_is_restarted(restarted: list[str]) -> None:
    kube.restart_users_of([])

    assert restarted == []
