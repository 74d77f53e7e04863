"""What a pod that does not come up says of itself."""

from typing import Any

import pytest

from scalableapp.adapters.pod_messages import pod_message


def waiting(reason: str, message: str = "", **changes: Any) -> dict[str, Any]:
    state = {"reason": reason, **({"message": message} if message else {})}
    return {"containerStatuses": [{"name": "app", "state": {"waiting": state}, **changes}]}


NAMED_USER = "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root"
ENDED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "KeyError: 'DATABASE_URL'"}}
KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param({}, "", id="new"),
        pytest.param(waiting("ContainerCreating"), "", id="starting"),
        pytest.param(
            waiting("CreateContainerConfigError", NAMED_USER),
            f"container app: CreateContainerConfigError: {NAMED_USER}",
            id="user with a name",
        ),
        pytest.param(waiting("ImagePullBackOff"), "container app: ImagePullBackOff", id="image"),
        pytest.param(
            waiting("CrashLoopBackOff", "back-off 10s", lastState=ENDED),
            "container app: CrashLoopBackOff: back-off 10s; it ended with exit code 1: KeyError: 'DATABASE_URL'",
            id="crash, with the end of its log",
        ),
        pytest.param(
            {"containerStatuses": [{"name": "app", "restartCount": 3, "lastState": KILLED, "state": {"running": {}}}]},
            "container app: Restarted 3 times; it ended with exit code 137 (OOMKilled)",
            id="running once more",
        ),
        pytest.param(
            {"initContainerStatuses": [{"name": "set-up", "state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "container set-up: ErrImagePull",
            id="init container",
        ),
        pytest.param(
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ]
            },
            "Unschedulable: 0/3 nodes",
            id="no room",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            "Evicted: low on memory",
            id="evicted",
        ),
    ],
)
def test_the_words_are_those_of_the_scheduler_and_the_kubelet(status: dict[str, Any], message: str) -> None:
    assert pod_message(status) == message


def test_of_a_long_log_the_end_is_reported() -> None:
    message = pod_message(waiting("CrashLoopBackOff", "x" * 5000 + " the end"))
    assert len(message) < 400
    assert message.endswith("the end")
