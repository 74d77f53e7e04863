"""The way down waits for the window that rates were really taken over."""

from dataclasses import replace

import pytest

from scalableapp.core.decide import decide
from tests.unit.core.build import app, free, observe, past, per_pod


@pytest.mark.parametrize(
    ("window", "cut_ago", "to"),
    [
        pytest.param(None, 20, 4, id="30 s at the least"),
        pytest.param(None, 40, 2, id="30 s have passed"),
        pytest.param(120.0, 40, 4, id="scrapes of 30 s: not yet"),
        pytest.param(120.0, 130, 2, id="scrapes of 30 s: two minutes have passed"),
    ],
)
def test_no_cut_within_one_window_of_the_last_one(window: float | None, cut_ago: float, to: int) -> None:
    reading = replace(per_pod(25, 25, 25, 25), window_seconds=window)
    decision = decide(app(behavior=free()), observe(current=4, RequestsPerSecond=reading), past(scaled={cut_ago: -2}))
    assert decision.replicas_to == to
