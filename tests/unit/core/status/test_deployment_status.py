"""What the Deployment's controller says is told in its words."""

from typing import Any

import pytest

from scalableapp.core.status.conditions import AppProblem, AppState, conditions
from scalableapp.core.status.deployment_status import deployment_problem

QUOTA = 'pods "web-5d8f7c-x2x9l" is forbidden: exceeded quota: small, requested: pods=1, used: pods=6, limited: pods=6'
STUCK = 'ReplicaSet "web-5d8f7c" has timed out progressing.'


def entry(type_: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("entries", "reason", "message"),
    [
        (
            [entry("ReplicaFailure", "True", "FailedCreate", QUOTA)],
            "ReplicaFailure",
            "pods cannot be created: exceeded quota: small, requested: pods=1, used: pods=6, limited: pods=6",
        ),
        (
            [entry("ReplicaFailure", "True", "FailedCreate", 'admission webhook "p.io" denied the request:\nno')],
            "ReplicaFailure",
            'pods cannot be created: admission webhook "p.io" denied the request: no',
        ),
        (
            [entry("Progressing", "False", "ReplicaSetCreateError", 'failed to create new replica set "web": no')],
            "ReplicaFailure",
            'the rollout cannot begin: failed to create new replica set "web": no',
        ),
        (
            [entry("Progressing", "False", "ProgressDeadlineExceeded", STUCK)],
            "ProgressDeadlineExceeded",
            f"the rollout has made no progress for too long: {STUCK}",
        ),
        (
            [
                entry("Progressing", "False", "ProgressDeadlineExceeded", STUCK),
                entry("ReplicaFailure", "True", "FailedCreate", "no"),
            ],
            "ReplicaFailure",
            "pods cannot be created: no",
        ),
        ([entry("ReplicaFailure", "True", "FailedCreate")], "ReplicaFailure", "pods cannot be created: FailedCreate"),
    ],
    ids=["a quota", "a webhook", "no ReplicaSet", "no progress", "the cause comes first", "no message"],
)
def test_what_keeps_pods_from_being_made_is_named(entries: list[dict[str, Any]], reason: str, message: str) -> None:
    assert deployment_problem({"conditions": entries}) == AppProblem(reason, message, holds=False)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry("ReplicaFailure", "False", "FailedCreate", QUOTA)],
        [entry("Available", "False", "MinimumReplicasUnavailable"), entry("Progressing", "True", "ReplicaSetUpdated")],
        [entry("Progressing", "Unknown", "DeploymentPaused")],
    ],
    ids=["nothing", "over", "starting", "paused"],
)
def test_what_is_on_its_way_is_no_problem(entries: list[dict[str, Any]]) -> None:
    assert deployment_problem({"conditions": entries}) is None


def test_a_long_refusal_keeps_its_beginning() -> None:
    found = deployment_problem({"conditions": [entry("ReplicaFailure", "True", "FailedCreate", "no way " * 1000)]})
    assert found
    assert found.message.startswith("pods cannot be created: no way")
    assert len(found.message) < 600


REFUSED = AppProblem("ReplicaFailure", "pods cannot be created: exceeded quota", holds=False)


@pytest.mark.parametrize(
    ("state", "ready", "available"),
    [
        (
            AppState(1, 10, 6, 10, deployment_problem=REFUSED),
            ("ReplicaFailure", "6 of 10 pods are ready; pods cannot be created: exceeded quota"),
            ("True", "PodsReady"),
        ),
        (
            AppState(1, 0, 0, 2, deployment_problem=REFUSED),
            ("ReplicaFailure", "0 of 2 pods are ready; pods cannot be created: exceeded quota"),
            ("False", "ReplicaFailure"),
        ),
        (
            AppState(1, 3, 2, 2, deployment_problem=REFUSED, pod_message="pod web-1: Error"),
            ("ReplicaFailure", "2 of 2 pods are ready; pods cannot be created: exceeded quota; pod web-1: Error"),
            ("True", "PodsReady"),
        ),
        (
            AppState(1, 2, 0, 2, deployment_problem=REFUSED, pod_message="pod web-1: Error"),
            ("PodsFailing", "0 of 2 pods are ready; pods cannot be created: exceeded quota; pod web-1: Error"),
            ("False", "PodsFailing"),
        ),
    ],
    ids=["some serve", "none serves", "all of before serve", "those there fail, too"],
)
def test_such_an_app_is_not_deployed_as_specified(
    state: AppState, ready: tuple[str, str], available: tuple[str, str]
) -> None:
    found = {condition.type: condition for condition in conditions(state)}
    assert (found["Ready"].status, found["Ready"].reason, found["Ready"].message) == ("False", *ready)
    assert (found["Available"].status, found["Available"].reason) == available
