"""What deciding costs: decisions per second, and one tick's CPU time and memory for thousands of apps.

python -m benchmarks.core
"""

import gc
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.horizontal.decide import decide, first_seen, remember
from scalableapp.core.model import History, Observation, PodState, Reading, ServiceLevel

_PODS = 5
_SIZES = (1_000, 5_000)
_TICKS = 5
_INTERVAL = timedelta(seconds=5)
_START = datetime(2026, 1, 1, tzinfo=UTC)
_AIM = "aim: 5,000 apps in under 0.25 CPU seconds"


def main() -> int:
    """Measure and print."""
    print(f"{'what':<34}{'apps':>6}{'CPU s a tick':>14}{'us a decision':>15}{'decisions/s':>13}{'RSS MiB':>9}")
    for name, make in (("decide (RequestsPerSecond, CPU)", _Metrics), ("decide (objective)", _ByObjective)):
        for apps in _SIZES:
            _measure(name, apps, make(apps).tick)
    print(_AIM)
    return 0


def _measure(name: str, apps: int, tick: Callable[[int], None]) -> None:
    tick(0)
    gc.collect()
    started = time.process_time()
    for number in range(1, _TICKS + 1):
        tick(number)
    seconds = (time.process_time() - started) / _TICKS
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = 1e6 * seconds / apps
    print(f"{name:<34}{apps:>6}{seconds:>14.3f}{each:>15.1f}{apps / seconds:>13,.0f}{mebibytes:>9.0f}", flush=True)


class _Metrics:
    """Apps that scale on two metrics of five pods, each with its own load and history."""

    def __init__(self, apps: int) -> None:
        self._spec = _spec()
        self._pods = [_pods(app) for app in range(apps)]
        self._histories: list[History | None] = [None] * apps

    def tick(self, number: int) -> None:
        """One decision for every app."""
        now = _START + number * _INTERVAL
        for app, pods in enumerate(self._pods):
            observation = Observation(now, _PODS, pods, _readings(app, number, pods))
            history = self._histories[app] or first_seen(observation)
            decision = decide(self._spec, observation, history)
            self._histories[app] = remember(history, decision, self._spec)


class _ByObjective:
    """Apps with an objective and five pods, that have been seen for two minutes."""

    def __init__(self, apps: int) -> None:
        objective = {"latency": {"quantile": 0.95, "seconds": 0.25}}
        horizontal = {"maxReplicas": 50, "objective": objective}
        self._spec = parse_spec({"image": "benchmark", "scaling": {"horizontal": horizontal}})
        self._pods = [_pods(app) for app in range(apps)]
        self._histories: list[History] = [History()] * apps
        for number in range(-24, 0):
            self.tick(number)

    def tick(self, number: int) -> None:
        """One decision for every app."""
        now = _START + number * _INTERVAL
        for app, pods in enumerate(self._pods):
            load = {pod.name: 20.0 + (app * 7 + number * 13) % 8 for pod in pods}
            cores = dict.fromkeys(load, 0.4)
            level = ServiceLevel(Reading(per_pod=load), Reading(0.004), Reading(per_pod=cores))
            observation = Observation(now, _PODS, pods, service_level=level)
            decision = decide(self._spec, observation, self._histories[app])
            self._histories[app] = remember(self._histories[app], decision, self._spec)


def _spec() -> ScalableAppSpec:
    metrics = [{"type": "RequestsPerSecond", "target": "25"}, {"type": "CPU", "target": "300m"}]
    return parse_spec({"image": "benchmark", "scaling": {"horizontal": {"maxReplicas": 50, "metrics": metrics}}})


def _pods(app: int) -> tuple[PodState, ...]:
    since = _START - timedelta(hours=1)
    return tuple(PodState(f"app-{app}-{pod}", "Running", True, False, since, since) for pod in range(_PODS))


def _readings(app: int, number: int, pods: tuple[PodState, ...]) -> dict[str, Reading]:
    rate = 15.0 + (app * 7 + number * 13) % 20
    rates = {pod.name: rate for pod in pods}
    cores = {pod.name: rate / 100 for pod in pods}
    return {
        "RequestsPerSecond": Reading(rate * _PODS, rates),
        "CPU": Reading(rate * _PODS / 100, cores),
    }


if __name__ == "__main__":
    sys.exit(main())
