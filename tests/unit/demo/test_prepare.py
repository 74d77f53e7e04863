import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.console import ClusterError
from demo import prepare
from demo.errors import DemoError
from demo.prepare import answer_lacks, app_of, deployment_lacks, metrics_lack
from demo.run import App

APP = App("team", "shop", "http://127.0.0.1:1", None)
SCALABLE_APP = {"spec": {"scaling": {"horizontal": {"minReplicas": 2}}}}


def deployment(wanted: int = 2, ready: int = 2, observed: int = 3, **status: int) -> dict[str, Any]:
    counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "observedGeneration": observed}
    return {"metadata": {"generation": 3}, "spec": {"replicas": wanted}, "status": counts | status}


def test_an_app_with_its_fewest_replicas_ready_is_at_its_start() -> None:
    assert deployment_lacks(SCALABLE_APP, deployment()) == ""


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(deployment(wanted=5, ready=5), id="still scaled up"),
        pytest.param(deployment(ready=1), id="not ready"),
        pytest.param(deployment(observed=2), id="controller has not seen it"),
        pytest.param(deployment(replicas=3), id="an old pod is left"),
        pytest.param(deployment(updatedReplicas=1), id="a rollout is under way"),
    ],
)
def test_an_app_that_is_not_at_its_start_says_how_far_it_is(found: dict[str, Any]) -> None:
    assert "initially 2" in deployment_lacks(SCALABLE_APP, found)


def test_an_app_without_a_deployment_says_whose_turn_it_is() -> None:
    assert deployment_lacks(SCALABLE_APP, {}) == "the operator has not created it yet"


def condition(status: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "MetricsAvailable", "status": status, "message": "no sample yet"}]}}


def test_metrics_lack_nothing_when_the_operator_sees_them() -> None:
    assert metrics_lack(condition("True")) == ""


def test_metrics_that_the_operator_does_not_see_come_with_its_message() -> None:
    assert metrics_lack(condition("False")) == "MetricsAvailable is False: no sample yet"
    assert "not set" in metrics_lack({})


def test_an_ingress_that_does_not_answer_is_named() -> None:
    assert answer_lacks(APP).startswith("http://127.0.0.1:1 does not answer for the app:")


def test_the_app_is_read_from_its_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "app.yaml"
    manifest.write_text("metadata: {name: shop, namespace: team}\nspec: {image: x, ingress: {host: shop.local}}\n")

    app = app_of(manifest)

    assert (app.namespace, app.name, app.host) == ("team", "shop", "shop.local")


def test_the_sample_is_an_app_of_the_default_namespace() -> None:
    app = app_of(prepare.REPOSITORY / "manifests" / "samples" / "sample-app.yaml")

    assert (app.namespace, app.name, app.host) == ("default", "sample-app", None)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str | Exception]], list[str]]:
    """Puts a table of answers in kubectl's place: first words of the arguments -> output or error."""

    def answer(answers: dict[str, str | Exception]) -> list[str]:
        asked: list[str] = []

        def kubectl(*arguments: str, timeout: float = 60.0) -> str:
            asked.append(" ".join(arguments))
            for asked_for, said in answers.items():
                if asked_for in asked[-1]:
                    if isinstance(said, Exception):
                        raise said
                    return said
            return ""

        monkeypatch.setattr(prepare, "kubectl", kubectl)
        return asked

    return answer


APPLIED = json.dumps({"items": [{"kind": "Deployment", "metadata": {"namespace": "system", "name": "operator"}}]})


def test_every_deployment_that_was_applied_is_waited_for(cluster: Any) -> None:
    asked = cluster({"apply": APPLIED})

    prepare.operator_up()

    assert any("rollout status deployment/operator" in command for command in asked)


def test_an_operator_that_does_not_start_is_reported_with_pods_warnings_and_log(cluster: Any) -> None:
    cluster(
        {
            "apply": APPLIED,
            "rollout status": ClusterError("timed out"),
            "get pods": "operator-1 CrashLoopBackOff",
            "get events": "Back-off restarting",
            "logs": "Traceback: no CRD",
        }
    )

    with pytest.raises(DemoError) as raised:
        prepare.operator_up()

    for part in ("operator is not ready: timed out", "CrashLoopBackOff", "Back-off restarting", "Traceback: no CRD"):
        assert part in str(raised.value)


def test_an_app_that_never_starts_ends_the_wait_with_what_is_lacking(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = tmp_path / "app.yaml"
    manifest.write_text("metadata: {name: shop, namespace: team}\nspec: {image: x}\n")
    monkeypatch.setattr(prepare, "READY_SECONDS", -1)
    cluster(
        {
            "get scalableapp": json.dumps(SCALABLE_APP),
            "get pods": "shop-1 ImagePullBackOff",
        }
    )

    with pytest.raises(DemoError, match="team/shop did not get ready") as raised:
        prepare.app_up(manifest)

    assert "the operator has not created it yet" in str(raised.value)
    assert "ImagePullBackOff" in str(raised.value)
