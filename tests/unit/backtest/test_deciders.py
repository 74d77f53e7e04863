"""Which metric decided, and at which load per pod the other policies are compared."""

from typing import Any

import numpy as np
import pytest

from scalableapp.backtest.assumptions import assume
from scalableapp.backtest.deciders import Stretch, decider_of, in_words, stretches_of
from scalableapp.backtest.load import Trace
from scalableapp.core.api.spec import parse_spec
from scalableapp.core.horizontal.decide import decide
from tests.unit.core.build import CPU, RPS, app, observe, past

TRACE = Trace("flat", np.arange(0, 600, 60.0), np.full(10, 100.0))


def target(*metrics: dict[str, Any], **horizontal: Any) -> tuple[float, str]:
    """The load per pod that all policies aim at where a pod serves 100 requests/s with one core, and the notes."""
    spec = parse_spec({"image": "app:1", "scaling": {"horizontal": {"metrics": [*metrics], **horizontal}}})
    assumed = assume(spec, TRACE, 100 * 0.7222, 15.0)
    return assumed.target, " ".join(assumed.notes)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, 30, id="the strictest"),
        pytest.param({"combine": "Min"}, 50, id="the loosest, with combine Min"),
        pytest.param({"combine": "Weighted"}, 2 / (1 / 30 + 1 / 50), id="their average, with combine Weighted"),
    ],
)
def test_other_policies_aim_at_what_all_metrics_need_together(fields: dict[str, Any], expected: float) -> None:
    aimed, notes = target(RPS, CPU, **fields)
    assert aimed == pytest.approx(expected, rel=0.01)
    assert "uses 1 core, so the target 300m of CPU stands for 30 requests/s" in notes


def test_one_metric_is_what_they_aim_at() -> None:
    assert target(RPS) == (50, "")


@pytest.mark.parametrize(
    ("rates", "cpu", "decided_by"),
    [
        pytest.param(90.0, 0.1, "RequestsPerSecond", id="the metric that needs most"),
        pytest.param(20.0, 0.6, "CPU", id="the other one"),
        pytest.param(20.0, 0.05, "RequestsPerSecond", id="the metric, though a window holds"),
    ],
)
def test_the_metric_that_asked_decided(rates: float, cpu: float, decided_by: str) -> None:
    decision = decide(app(RPS, CPU), observe(current=4, RequestsPerSecond=rates, CPU=cpu), past({60: 4}))
    assert decider_of(decision) == decided_by


def test_where_nothing_was_recommended_the_rule_that_ended_it_is_named() -> None:
    assert decider_of(decide(app(RPS, paused=True), observe(), past())) == "Paused"


def test_stretches_are_told_with_their_shares_and_times() -> None:
    stretches = stretches_of([(0, "CPU"), (900, "RequestsPerSecond"), (1200, "CPU")], 3600)
    assert stretches[1] == Stretch(900, 1200, "RequestsPerSecond")
    assert in_words(stretches, 0.0) == [
        "decided by: CPU 92%, RequestsPerSecond 8%",
        (
            "stretches: CPU 00:00:00 UTC to 00:15:00 UTC, RequestsPerSecond 00:15:00 UTC to 00:20:00 UTC, "
            "CPU 00:20:00 UTC to 01:00:00 UTC"
        ),
    ]


def test_of_many_stretches_the_longest_are_told_in_their_order() -> None:
    names = ["CPU", "RequestsPerSecond"] * 10
    stretches = stretches_of([(60 * at * at, name) for at, name in enumerate(names)], 60 * 400)
    _, told = in_words(stretches, 0.0)
    assert told.startswith("longest of 20 stretches: CPU 03:16:00 UTC to 03:45:00 UTC, RequestsPerSecond 03:45:00 UTC")


def test_a_single_decider_needs_no_times() -> None:
    assert in_words(stretches_of([(0, "CPU")], 60), 0.0) == ["decided by: CPU 100%"]
    assert in_words((), 0.0) == []
