"""The policies that are compared, each with its one knob."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from scalableapp.backtest.baselines import Hpa, Kpa, Static, cpu, request_rate
from scalableapp.backtest.ours import Ours
from scalableapp.backtest.service import Service
from scalableapp.backtest.session import tuned_hpa
from scalableapp.backtest.simulator import Policy
from scalableapp.core.api.spec import parse_spec

# What every policy but the objective is told of a pod: the rate it serves at most.
NOMINAL = Service()
_UTILISATIONS = (0.4, 0.46, 0.52, 0.58, 0.64)
_BUDGETS = (0.002, 0.005, 0.01, 0.02)


class Contender(NamedTuple):
    """How to make the policy for a knob and a start-up time, and the knob's range."""

    make: Callable[[float, float], Policy]
    knobs: tuple[float, ...]
    headline_only: bool = False


def _ours(utilisation: float, _startup: float) -> Policy:
    target = str(round(utilisation * NOMINAL.rate, 3))
    metrics = [{"type": "RequestsPerSecond", "target": target}]
    return Ours(
        parse_spec(
            {
                "image": "benchmark",
                "scaling": {"horizontal": {"minReplicas": 2, "maxReplicas": 100, "metrics": metrics}},
            }
        )
    )


def _objective(budget: float, _startup: float, *, predicted: bool = False) -> Policy:
    seconds = NOMINAL.wait_limit_seconds + NOMINAL.service_seconds
    objective = {"latency": {"quantile": 1 - NOMINAL.slow_limit, "seconds": seconds}, "badMinutesPercent": 100 * budget}
    horizontal = {"minReplicas": 2, "maxReplicas": 100, "objective": objective, "prediction": {"enabled": predicted}}
    return Ours(parse_spec({"image": "benchmark", "scaling": {"horizontal": horizontal}}))


def _tuned_cpu(utilisation: float) -> Policy:
    """HPA on CPU at its best: a loop of 5 s, tolerance 5 %, down after 120 s, no limit up."""
    return Hpa(
        "hpa-cpu-5s", cpu(utilisation), interval_seconds=5, tolerance=0.05, down_window_seconds=120, limited=False
    )


POLICIES: dict[str, Contender] = {
    "hpa": Contender(lambda knob, _: Hpa("hpa", cpu(knob)), _UTILISATIONS),
    "hpa-cpu-5s": Contender(lambda knob, _: _tuned_cpu(knob), _UTILISATIONS),
    "keda": Contender(lambda knob, _: Hpa("keda", request_rate(knob * NOMINAL.rate, 60)), _UTILISATIONS, True),
    "hpa-tuned": Contender(lambda knob, _: tuned_hpa(knob * NOMINAL.rate, 15), _UTILISATIONS, True),
    "hpa-tuned-5s": Contender(lambda knob, _: tuned_hpa(knob * NOMINAL.rate, 5), _UTILISATIONS),
    "kpa": Contender(lambda knob, _: Kpa("kpa", knob * NOMINAL.rate), _UTILISATIONS),
    "kpa-300s": Contender(lambda knob, _: Kpa("kpa-300s", knob * NOMINAL.rate, delay_seconds=300), _UTILISATIONS, True),
    "static": Contender(lambda knob, _: Static("static", round(knob)), (16, 20, 24, 30, 40, 60), True),
    "metrics": Contender(_ours, (0.46, 0.52, 0.58), True),
    "objective": Contender(_objective, _BUDGETS),
    "objective-predicted": Contender(partial(_objective, predicted=True), (0.005,), True),
}
