"""A Latency metric in a closed loop of constant load: alone it swings, beside a metric of load it settles.

The latency of a pod is that of one server with a queue, S / (1 - utilisation), and what its client waits at most in
overload.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scalableapp.core.horizontal.decide import decide, first_seen, record_scale, remember
from scalableapp.core.model import Reading
from tests.unit.core.build import NOW, app, observe, per_pod

LATENCY = {"type": "Latency", "target": "500ms"}
REQUESTS = {"type": "RequestsPerSecond", "target": "30"}
LOAD, MOST_PER_POD, SECONDS, PATIENCE = 200.0, 50.0, 0.08, 5.0


def replicas_over(minutes: int, *metrics: dict[str, Any], start: int = 12) -> list[int]:
    """Replicas at each decision, under constant load."""
    spec, replicas, now = app(*metrics, maxReplicas=50), start, NOW
    history, numbers = None, []
    for _ in range(12 * minutes):
        room = 1 - LOAD / replicas / MOST_PER_POD
        latency = min(SECONDS / room, PATIENCE) if room > 0 else PATIENCE
        requests = per_pod(*[LOAD / replicas] * replicas)
        seen = observe(current=replicas, RequestsPerSecond=requests, Latency=Reading(latency))
        observation = replace(seen, now=now)
        history = history or first_seen(observation)
        decision = decide(spec, observation, history)
        history = remember(history, decision, spec)
        if decision.changes:
            history = record_scale(history, now, decision.replicas_to - replicas, spec)
        replicas, now = decision.replicas_to, now + timedelta(seconds=5)
        numbers.append(replicas)
    return numbers


@pytest.mark.parametrize("start", [4, 12, 50])
def test_beside_a_metric_of_load_a_latency_settles(start: int) -> None:
    numbers = replicas_over(30, REQUESTS, LATENCY, start=start)
    assert set(numbers[-12 * 10 :]) == {7}


def test_alone_a_latency_swings_as_its_description_says() -> None:
    numbers = replicas_over(60, LATENCY)
    assert (min(numbers[240:]), max(numbers[240:])) == (3, 40)
