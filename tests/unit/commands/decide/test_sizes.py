"""What `scalableapp decide` answers about sizes."""

import json
from typing import Any

import pytest

from tests.unit.commands.decide.test_lines import SPEC, pod, situation

GROWN: dict[str, Any] = {"cpu": {"request": "200m", "limit": "400m"}, "memory": {"request": "256Mi", "limit": "512Mi"}}


def sized(mode: str = "Vertical", cpu: float = 0.5, memory: float = 220 * 2**20, **observed: Any) -> dict[str, Any]:
    history = {"cpu": [[60 * i, cpu] for i in range(61)], "memory": [[60 * i, memory] for i in range(61)]}
    spec = SPEC | {"scaling": SPEC["scaling"] | {"mode": mode}}
    return situation(observed={"resources": GROWN, "usageHistory": history, **observed}) | {"spec": spec}


def test_a_size_is_answered_beside_the_replicas(ask: Any) -> None:
    status, (answer,) = ask(sized())
    assert status == 0
    assert answer["replicas"] == 3
    assert answer["reason"] == "RequestsRaised"
    assert answer["resources"]["memory"] == GROWN["memory"]
    assert answer["resources"]["cpu"] == {"request": "600m", "limit": "1200m"}
    assert [step["rule"] for step in answer["steps"]] == ["Mode", "CPURequest", "Pace", "MemoryRequest", "Pace", "Cost"]


def test_replicas_alone_are_answered_in_mode_horizontal(ask: Any) -> None:
    _, (answer,) = ask(sized("Horizontal"))
    assert "resources" not in answer


@pytest.mark.parametrize(
    ("observed", "reason", "resource", "amount"),
    [
        ({"oomKills": 1}, "OOMKilled", "memory", {"request": "308Mi", "limit": "616Mi"}),
        ({"throttledRatio": 0.5}, "CPUPressure", "cpu", {"request": "300m", "limit": "600m"}),
        ({"usageHistory": {}}, "NoData", "cpu", GROWN["cpu"]),
        ({"rollout": True}, "PodsUnsettled", "cpu", GROWN["cpu"]),
    ],
    ids=["a kill", "throttled", "no usage", "a rollout"],
)
def test_what_happens_to_pods_counts(
    ask: Any, observed: dict[str, Any], reason: str, resource: str, amount: dict[str, str]
) -> None:
    _, (answer,) = ask(sized(cpu=0.16, **observed))
    assert answer["reason"] == reason
    assert answer["resources"][resource] == amount


NOT_USAGE = [
    ({"CPU": float("nan"), "Memory": 1e8}, "NotANumber", "the cpu usage of a pod is nan"),
    ({"CPU": float("inf"), "Memory": 1e8}, "Infinite", "the cpu usage of a pod is inf"),
    ({"CPU": 0.1, "Memory": float("nan")}, "NotANumber", "the memory usage of a pod is nan"),
    ({"CPU": 0.1, "Memory": -5}, "NegativeValue", "the memory usage of a pod is -5"),
]


@pytest.mark.parametrize(("usage", "reason", "message"), NOT_USAGE, ids=[row[2] for row in NOT_USAGE])
def test_usage_of_a_pod_that_is_none_is_named_and_changes_no_size(
    ask: Any, usage: dict[str, float], reason: str, message: str
) -> None:
    _, (answer,) = ask(sized(pods=[pod(0, usage=usage)]))
    assert answer["reason"] == reason
    assert message in answer["message"]
    assert answer["resources"] == GROWN


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_past_usage_that_is_none_is_named(ask: Any, value: str) -> None:
    line = json.dumps(sized()).replace('"cpu": [[0, 0.5]', f'"cpu": [[0, {value}]')
    assert value in line
    _, (answer,) = ask(line)
    assert "observed.usageHistory.cpu[0][1]" in answer["error"]
    assert "is not a usage" in answer["error"]


def test_pods_that_use_nothing_are_measured(ask: Any) -> None:
    _, (answer,) = ask(sized(usageHistory={}, pods=[pod(0, usage={"CPU": 0, "Memory": 0})]))
    assert answer["reason"] != "NoData"
    assert "cpu usage is 0" in answer["message"] + str(answer["steps"])


def test_both_directions_are_decided_at_once(ask: Any) -> None:
    _, (answer,) = ask(sized("Combined", cpu=0.16, totals={"RequestsPerSecond": 400}))
    assert answer["replicas"] == 7
    assert answer["resources"] == GROWN


def test_following_one_app_kills_are_a_counter_and_sizes_are_kept(ask: Any) -> None:
    lines = []
    for tick in range(3):
        line = sized(oomKills=1, usageHistory={}) | {"now": f"2026-11-23T12:06:{35 + 5 * tick}Z"}
        if tick:
            del line["observed"]["resources"]
        lines.append(line)
    _, answers = ask(*lines, options=("--follow",))
    assert [answer["resources"]["memory"]["limit"] for answer in answers] == ["616Mi"] * 3


def test_usage_of_the_pods_is_learned_from_tick_to_tick(ask: Any) -> None:
    lines = []
    for tick in range(8):
        usage = {"CPU": "800m", "Memory": "220Mi"}
        pods = [pod(number, usage=usage) for number in range(3)]
        line = sized(usageHistory={}, pods=pods) | {"now": f"2026-11-23T12:{tick // 4:02}:{tick % 4 * 15:02}Z"}
        lines.append(line)
    _, answers = ask(*lines, options=("--follow",))
    requests = [answer["resources"]["cpu"]["request"] for answer in answers]
    assert requests[0] == "200m"
    assert set(requests) == {"200m", "800m"}


def test_stale_usage_holds(ask: Any) -> None:
    line = sized()
    line["observed"]["usageHistory"]["cpu"] = [[900 + 60 * i, 2.0] for i in range(60)]
    _, (answer,) = ask(line)
    assert answer["reason"] == "StaleData"
    assert answer["resources"] == GROWN


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ({"resources": {"cpu": {"request": "much"}}}, "observed.resources.cpu.request"),
        ({"resources": {"gpu": {"request": "1"}}}, "observed.resources.gpu"),
        ({"usageHistory": {"cpu": [[60, -1]]}}, "observed.usageHistory.cpu[0][1]"),
        ({"throttledRatio": 2}, "observed.throttledRatio"),
        ({"oomKills": -1}, "observed.oomKills"),
    ],
    ids=["no quantity", "no such resource", "negative", "more than all", "less than none"],
)
def test_wrong_sizes_are_refused_by_name(ask: Any, observed: dict[str, Any], expected: str) -> None:
    status, (answer,) = ask(sized(**observed))
    assert status == 2
    assert expected in answer["error"]
