from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.horizontal.bounds import bounds_at
from scalableapp.core.horizontal.decide import decide
from scalableapp.core.model import DataProblem, Decision, History, Reading
from tests.unit.core.build import app, free, observe

OFFICE = {
    "name": "office",
    "start": "0 8 * * MON-FRI",
    "end": "0 18 * * MON-FRI",
    "timezone": "Europe/Paris",
    "minReplicas": 5,
    "maxReplicas": 20,
}
NIGHT = {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *", "maxReplicas": 4}
SALE = {"name": "sale", "start": "0 0 23 11 *", "end": "0 0 24 11 *", "minReplicas": 8, "maxReplicas": 12}
MONDAY_NOON, MONDAY_NIGHT, SUNDAY = (
    datetime(2026, 11, day, hour, 6, 35, tzinfo=UTC) for day, hour in ((23, 12), (23, 23), (22, 12))
)


def at(now: datetime, load: float, current: int, *schedules: dict[str, Any], **horizontal: Any) -> Decision:
    """The decision for `load` requests/s in all, at 50 a replica, between 2 and 10 replicas but for the schedules."""
    spec = app(minReplicas=2, maxReplicas=10, schedules=list(schedules), **{"behavior": free(), **horizontal})
    return decide(spec, replace(observe(current=current, RequestsPerSecond=load / current), now=now), History())


@pytest.mark.parametrize(
    ("now", "schedules", "least", "most"),
    [
        pytest.param(MONDAY_NOON, [OFFICE], 5, 20, id="active"),
        pytest.param(SUNDAY, [OFFICE], 2, 10, id="not active"),
        pytest.param(MONDAY_NIGHT, [NIGHT], 2, 4, id="only a cap, over midnight"),
        pytest.param(MONDAY_NOON, [NIGHT | {"minReplicas": 1}], 2, 10, id="a lower floor, not active"),
        pytest.param(MONDAY_NIGHT, [NIGHT | {"minReplicas": 1}], 1, 4, id="a lower floor"),
        pytest.param(MONDAY_NOON, [OFFICE, SALE], 8, 12, id="two: the highest floor and the lowest cap"),
        pytest.param(MONDAY_NIGHT, [SALE, NIGHT], 8, 8, id="two that cross: the floor wins"),
    ],
)
def test_bounds_at_a_moment(now: datetime, schedules: list[dict[str, Any]], least: int, most: int) -> None:
    bounds = bounds_at(app(minReplicas=2, maxReplicas=10, schedules=schedules).scaling.horizontal, now)
    assert (bounds.least.value, bounds.most.value) == (least, most)


@pytest.mark.parametrize(
    ("clock", "least"), [("06:59:59", 2), ("07:00:00", 5), ("16:59:59", 5), ("17:00:00", 2)], ids=str
)
def test_a_schedule_begins_and_ends_to_the_second(clock: str, least: int) -> None:
    now = datetime.fromisoformat(f"2026-11-23T{clock}+00:00")
    assert bounds_at(app(minReplicas=2, schedules=[OFFICE]).scaling.horizontal, now).least.value == least


def test_a_floor_is_reached_at_once_and_its_end_is_reported() -> None:
    decision = at(MONDAY_NOON, 50, 3, OFFICE)
    assert (decision.replicas_to, decision.reason) == (5, Reason.TOO_FEW_REPLICAS)
    assert decision.message == (
        "schedule office sets minReplicas 5 and maxReplicas 20 until 2026-11-23 18:00 Europe/Paris; "
        "3 replicas are below minReplicas 5 of schedule office: scales up to 5 at once"
    )


@pytest.mark.parametrize(
    ("now", "load", "current", "to", "limit"),
    [
        pytest.param(MONDAY_NOON, 100, 6, 5, "raised to 5 by minReplicas of schedule office", id="floor"),
        pytest.param(MONDAY_NOON, 2000, 9, 20, "limited to 20 by maxReplicas of schedule office", id="cap"),
        pytest.param(SUNDAY, 2000, 9, 10, "limited to 10 by maxReplicas", id="not active"),
    ],
)
def test_metrics_move_between_the_schedules_bounds(
    now: datetime, load: float, current: int, to: int, limit: str
) -> None:
    decision = at(now, load, current, OFFICE)
    assert (decision.replicas_to, decision.limited) == (to, True)
    assert decision.message.endswith(limit)


def test_when_none_is_active_the_next_one_is_reported() -> None:
    decision = at(SUNDAY, 150, 3, OFFICE, NIGHT)
    assert decision.message.startswith(
        "no schedule is active; night starts at 2026-11-22 22:00 UTC with maxReplicas 4; RequestsPerSecond is 50"
    )
    assert decision.steps[0].rule == "Schedule"


def test_a_schedule_needs_no_metrics() -> None:
    spec = app(schedules=[OFFICE])
    down = Reading(problem=DataProblem.UNREACHABLE)
    assert decide(spec, replace(observe(RequestsPerSecond=down), now=MONDAY_NOON), History()).replicas_to == 5


@pytest.mark.parametrize(
    ("current", "to", "reason"),
    [
        pytest.param(3, 4, Reason.SCALE_UP_LIMIT, id="up"),
        pytest.param(23, 21, Reason.SCALE_DOWN_LIMIT, id="down"),
        pytest.param(4, 5, Reason.TOO_FEW_REPLICAS, id="the last step"),
    ],
)
def test_behavior_slows_the_way_into_the_bounds_when_it_applies_to_them(current: int, to: int, reason: Reason) -> None:
    up, down = ({"policies": [{"type": "Pods", "value": pods, "periodSeconds": 60}]} for pods in (1, 2))
    behavior = {**free(up, down), "appliesToBounds": True}
    decision = at(MONDAY_NOON, 600, current, OFFICE, behavior=behavior)
    assert (decision.replicas_to, decision.reason, decision.limited) == (to, reason, True)
    assert "as fast as behavior allows" in decision.message
    assert decision.recommendation is None
