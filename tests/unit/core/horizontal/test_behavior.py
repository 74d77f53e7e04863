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


@pytest.mark.parametrize(
    ("load", "behavior", "recommended", "scaled", "expected"),
    [
        pytest.param(
            200,
            {},
            {200: 9},
            {},
            "scale-down to 4 held 1 m 40 s longer by the stabilisation window: 9 was recommended at 12:03:15 UTC; "
            "4 from 12:08:15 UTC on, unless more is asked for",
            id="window",
        ),
        pytest.param(
            200,
            {},
            {250: 9, 200: 7},
            {},
            "scale-down to 4 held 50 s longer by the stabilisation window: 9 was recommended at 12:02:25 UTC; "
            "7 from 12:07:25 UTC on, unless more is asked for",
            id="the first change comes when the highest has passed",
        ),
        pytest.param(
            200,
            {},
            {200: 7},
            {},
            "scale-down to 4 held at 7 for 1 m 40 s longer by the stabilisation window: 7 was recommended at 12:03:15 "
            "UTC; 4 from 12:08:15 UTC on, unless more is asked for",
            id="window half way",
        ),
        pytest.param(
            3000,
            free(up={"policies": [PODS_4]}),
            {},
            {},
            "scale-up to 60 limited to 13 by the policy of 4 pods per 1 m; more in 1 m (12:07:35 UTC)",
            id="policy",
        ),
        pytest.param(
            3000,
            free(up={"policies": [PODS_4]}),
            {},
            {50: 2, 20: 2},
            "scale-up to 60 limited to 9 by the policy of 4 pods per 1 m; more in 10 s (12:06:45 UTC)",
            id="policy used up",
        ),
        pytest.param(
            200,
            free(down={"selectPolicy": "Disabled"}),
            {},
            {},
            "scale-down to 4 is switched off by behavior.scaleDown.selectPolicy Disabled",
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
