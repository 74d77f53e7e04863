"""Runs as they could have been recorded, made second by second."""

import pytest

from demo.plan import Plan, five_stages
from demo.recording import AppState, Decision, LoadSample, Recording

PLAN = five_stages(calm=15, high=75, seconds=(20, 10, 40, 10, 60))


def steady(plan: Plan) -> list[LoadSample]:
    """The plan's load, sent as planned, all answered within 10 to 30 ms."""
    return [
        LoadSample(float(second), round(rate), tuple(10 + 20 * i / rate for i in range(round(rate))))
        for second in range(1, int(plan.seconds))
        if (rate := plan.rate_at(second))
    ]


def decision(at: float, before: int, after: int) -> Decision:
    minute, second = divmod(int(at), 60)
    time = f"2026-01-05T10:{minute:02d}:{second:02d}.000000Z"
    return Decision(at, time, before, after, "AboveTarget" if after > before else "BelowTarget", f"{before} to {after}")


@pytest.fixture
def plan() -> Plan:
    return PLAN


@pytest.fixture
def good_run() -> Recording:
    """Replicas go 1 -> 3 -> 5 with the load and back to 1."""
    changes = [(-0.5, 1, 1), (28.0, 3, 1), (32.0, 3, 3), (34.0, 5, 3), (39.0, 5, 5), (115.0, 1, 5), (116.0, 1, 1)]
    return Recording(
        started="2026-01-05T10:00:00+00:00",
        bounds=(1, 6),
        load=steady(PLAN),
        states=[AppState(at, wanted, ready, "RequestsPerSecond", 15.0, 16.0) for at, wanted, ready in changes],
        decisions=[decision(1.0, 1, 1), decision(28.0, 1, 3), decision(34.0, 3, 5), decision(115.0, 5, 1)],
    )
