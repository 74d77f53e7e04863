from dataclasses import replace
from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.decide import decide, remember
from tests.unit.core.build import ago, app, free, observe, past


def settle(
    load: float,
    current: int,
    behavior: dict[str, Any],
    recommended: dict[float, int] | None = None,
    scaled: dict[float, int] | None = None,
) -> tuple[int, str]:
    """Replicas and reason for `load` requests/s in all, at 50 a replica, with the given past."""
    spec = app(behavior=behavior)
    decision = decide(spec, observe(current=current, RequestsPerSecond=load / current), past(recommended, scaled))
    return decision.replicas_to, decision.reason


@pytest.mark.parametrize(
    ("recommended", "wanted", "reason"),
    [
        pytest.param({}, 4, Reason.DESIRED_WITHIN_RANGE, id="nothing in the window"),
        pytest.param({299: 9}, 9, Reason.SCALE_DOWN_STABILIZED, id="current was recommended"),
        pytest.param({300: 9}, 4, Reason.DESIRED_WITHIN_RANGE, id="its window has just passed"),
        pytest.param({200: 7, 100: 5}, 7, Reason.SCALE_DOWN_STABILIZED, id="down to the highest in the window"),
        pytest.param({200: 20}, 9, Reason.SCALE_DOWN_STABILIZED, id="a higher one never scales up"),
        pytest.param({200: 2}, 4, Reason.DESIRED_WITHIN_RANGE, id="a lower one holds nothing"),
    ],
)
def test_scale_down_window(recommended: dict[float, int], wanted: int, reason: Reason) -> None:
    # 200 requests/s are 4 replicas of 9
    assert settle(200, 9, free(down={"stabilizationWindowSeconds": 300}), recommended) == (wanted, reason)


@pytest.mark.parametrize(
    ("recommended", "wanted", "reason"),
    [
        pytest.param({}, 12, Reason.DESIRED_WITHIN_RANGE, id="nothing in the window"),
        pytest.param({59: 9}, 9, Reason.SCALE_UP_STABILIZED, id="current was recommended"),
        pytest.param({60: 9}, 12, Reason.DESIRED_WITHIN_RANGE, id="its window has just passed"),
        pytest.param({40: 10, 20: 11}, 10, Reason.SCALE_UP_STABILIZED, id="up to the lowest in the window"),
        pytest.param({40: 3}, 9, Reason.SCALE_UP_STABILIZED, id="a lower one never scales down"),
    ],
)
def test_scale_up_window(recommended: dict[float, int], wanted: int, reason: Reason) -> None:
    assert settle(600, 9, free(up={"stabilizationWindowSeconds": 60}), recommended) == (wanted, reason)


PODS_4 = {"type": "Pods", "value": 4, "periodSeconds": 60}
PERCENT_50 = {"type": "Percent", "value": 50, "periodSeconds": 60}


@pytest.mark.parametrize(
    ("rules", "current", "scaled", "wanted"),
    [
        pytest.param({"policies": [PODS_4]}, 10, {}, 14, id="pods"),
        pytest.param({"policies": [PERCENT_50]}, 10, {}, 15, id="percent"),
        pytest.param({"policies": [PERCENT_50]}, 1, {}, 2, id="percent rounds up, so that 1 can become 2"),
        pytest.param({"policies": [PERCENT_50]}, 5, {}, 8, id="percent of 5 rounds up"),
        pytest.param({"policies": [PODS_4, PERCENT_50]}, 10, {}, 15, id="Max is the default"),
        pytest.param({"policies": [PODS_4, PERCENT_50], "selectPolicy": "Min"}, 10, {}, 14, id="Min"),
        pytest.param({"policies": [PODS_4]}, 10, {30: 3}, 11, id="what the period has used up counts"),
        pytest.param({"policies": [PODS_4]}, 10, {60: 3}, 14, id="what came before the period does not"),
        pytest.param({"policies": [PODS_4]}, 10, {30: 6}, 10, id="nothing is left, and nothing is taken back"),
        pytest.param({"policies": [PODS_4]}, 10, {30: 4, 20: -3}, 13, id="what went down in between gives room"),
        pytest.param({"policies": [PERCENT_50]}, 12, {30: 4}, 12, id="percent is of the period's start: 8"),
        pytest.param({"selectPolicy": "Disabled"}, 10, {}, 10, id="Disabled"),
    ],
)
def test_scale_up_policies(rules: dict[str, Any], current: int, scaled: dict[float, int], wanted: int) -> None:
    assert settle(50 * 60, current, free(up=rules), scaled=scaled) == (wanted, Reason.SCALE_UP_LIMIT)


@pytest.mark.parametrize(
    ("rules", "current", "scaled", "wanted"),
    [
        pytest.param({"policies": [PODS_4]}, 10, {}, 6, id="pods"),
        pytest.param({"policies": [PERCENT_50]}, 9, {}, 4, id="percent rounds down to what stays"),
        pytest.param({"policies": [PODS_4, PERCENT_50]}, 20, {}, 10, id="Max is the default: the largest change"),
        pytest.param({"policies": [PODS_4, PERCENT_50], "selectPolicy": "Min"}, 20, {}, 16, id="Min"),
        pytest.param({"policies": [PODS_4]}, 10, {30: -3}, 9, id="what the period has used up counts"),
        pytest.param({"policies": [PODS_4]}, 10, {60: -3}, 6, id="what came before the period does not"),
        pytest.param({"policies": [PODS_4]}, 10, {30: -6}, 10, id="nothing is left, and nothing is taken back"),
        pytest.param({"policies": [PODS_4]}, 10, {30: -4, 20: 2}, 8, id="what went up in between gives room"),
        pytest.param({"selectPolicy": "Disabled"}, 10, {}, 10, id="Disabled"),
    ],
)
def test_scale_down_policies(rules: dict[str, Any], current: int, scaled: dict[float, int], wanted: int) -> None:
    assert settle(50, current, free(down=rules), scaled=scaled) == (wanted, Reason.SCALE_DOWN_LIMIT)


def test_the_defaults_are_those_of_autoscaling_v2() -> None:
    assert settle(50 * 60, 1, {}) == (5, Reason.SCALE_UP_LIMIT)  # 4 pods or 100 % in 15 s
    assert settle(50 * 60, 10, {}) == (20, Reason.SCALE_UP_LIMIT)
    assert settle(50, 9, {}, {299: 9}) == (9, Reason.SCALE_DOWN_STABILIZED)  # 300 s
    assert settle(50, 9, {}) == (1, Reason.DESIRED_WITHIN_RANGE)  # 100 % in 15 s


NIGHT = {"name": "night", "timezone": "UTC", "start": "8 12 * * *", "end": "0 18 * * *", "minReplicas": 5}


@pytest.mark.parametrize(
    ("load", "current", "fields", "held", "expected"),
    [
        pytest.param(
            0, 9, {"minReplicas": 3}, 9, "then 3 (minReplicas) unless more are needed", id="not below minReplicas"
        ),
        pytest.param(0, 3, {"minReplicas": 3}, 3, "then minReplicas 3 applies", id="the minimum stays"),
        pytest.param(0, 9, {}, 9, "then 1 (minReplicas) unless more are needed", id="at least 1 without activation"),
        pytest.param(
            200,
            9,
            {"schedules": [NIGHT]},
            9,
            "then 5 (minReplicas of schedule night) unless more are needed",
            id="the bounds of that time",
        ),
    ],
)
def test_a_number_that_the_bounds_forbid_is_not_announced(
    load: float, current: int, fields: dict[str, Any], held: int, expected: str
) -> None:
    observation = observe(current=current, RequestsPerSecond=load / current)
    step = decide(app(**fields), observation, past({200: current}, {})).steps[-1]
    assert step.message == (
        f"the stabilisation window holds {held} until 12:08:15 UTC, because {held} were recommended at 12:03:15 UTC; "
        f"{expected}"
    )


def test_no_more_than_max_replicas_are_announced() -> None:
    behavior = {"scaleUp": {"stabilizationWindowSeconds": 300}}
    observation = observe(current=9, RequestsPerSecond=5000 / 9)
    decision = decide(app(behavior=behavior, maxReplicas=20), observation, past({200: 1}, {}))
    assert decision.steps[-1].message == (
        "the stabilisation window holds 9 until 12:08:15 UTC, because 1 was recommended at 12:03:15 UTC; "
        "then 20 (maxReplicas) if still needed"
    )


@pytest.mark.parametrize(
    ("load", "behavior", "recommended", "scaled", "expected"),
    [
        pytest.param(
            200,
            {},
            {200: 9},
            {},
            "needs 4 replicas; the stabilisation window holds 9 until 12:08:15 UTC, because 9 were recommended at "
            "12:03:15 UTC; then 4 unless more are needed",
            id="window",
        ),
        pytest.param(
            200,
            {},
            {250: 9, 200: 7},
            {},
            "the stabilisation window holds 9 until 12:07:25 UTC, because 9 were recommended at 12:02:25 UTC; "
            "then 7 unless more are needed",
            id="the first change comes when the highest has passed",
        ),
        pytest.param(
            200,
            {},
            {200: 7},
            {},
            "the stabilisation window holds 7 until 12:08:15 UTC, because 7 were recommended at 12:03:15 UTC; "
            "then 4 unless more are needed",
            id="window half way",
        ),
        pytest.param(
            3000,
            free(up={"policies": [PODS_4]}),
            {},
            {},
            "needs 60 replicas; behavior.scaleUp limits it to 13 until 12:07:35 UTC (4 pods per 1 m)",
            id="policy",
        ),
        pytest.param(
            3000,
            free(up={"policies": [PODS_4]}),
            {},
            {50: 2, 20: 2},
            "needs 60 replicas; behavior.scaleUp limits it to 9 until 12:06:45 UTC (4 pods per 1 m)",
            id="policy used up",
        ),
        pytest.param(
            200,
            free(down={"selectPolicy": "Disabled"}),
            {},
            {},
            "scale-down to 4 is disabled by behavior.scaleDown.selectPolicy",
            id="disabled",
        ),
    ],
)
def test_what_holds_a_change_is_reported_with_what_comes_next(
    load: float, behavior: dict[str, Any], recommended: dict[float, int], scaled: dict[float, int], expected: str
) -> None:
    observation = observe(current=9, RequestsPerSecond=load / 9)
    assert decide(app(behavior=behavior), observation, past(recommended, scaled)).message.endswith(expected)


def test_what_lies_in_the_future_holds_up_no_scale_up() -> None:
    hour = -3600.0  # before now: in an hour
    slow = {"policies": [PODS_4], "stabilizationWindowSeconds": 60}
    assert settle(600, 8, free(up=slow), {hour: 8}, {hour: 4}) == (12, Reason.DESIRED_WITHIN_RANGE)


def test_what_lies_in_the_future_still_holds_up_a_scale_down() -> None:
    slow = {"policies": [PODS_4], "stabilizationWindowSeconds": 60}
    assert settle(50, 8, free(down=slow), {-3600.0: 8}) == (8, Reason.SCALE_DOWN_STABILIZED)
    assert settle(50, 8, free(down=slow | {"stabilizationWindowSeconds": 0}), {}, {-3600.0: -4})[0] == 8


def test_what_lies_in_the_future_counts_for_no_longer_than_what_was_just_now() -> None:
    spec = app(behavior=free(down={"stabilizationWindowSeconds": 60}))
    history = past({-3600.0: 8})
    for second in range(0, 70, 5):
        seen = replace(observe(current=8, RequestsPerSecond=5), now=ago(-second))
        decision = decide(spec, seen, history)
        history = remember(history, decision, spec)
        assert decision.replicas_to == (8 if second < 60 else 1)
