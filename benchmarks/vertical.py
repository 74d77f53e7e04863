"""`make bench-vertical`: sizes over usage as people have it, ours and VPA's; how long they take to follow a step; cost.

python -m benchmarks.vertical [--days 9] [steps] [shapes] [cost]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from benchmarks.usage_shapes import DAYS, SHAPES, usage
from scalableapp.backtest.sizes import Ours, Policy, Static, Vpa, replay, start_of
from scalableapp.backtest.usagetrace import Moment, UsageTrace
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.explain import duration
from scalableapp.core.model import History, Observation, PodState, Reading
from scalableapp.core.size import Resource, Size
from scalableapp.core.vertical.combined import decide_both
from scalableapp.core.vertical.peaks import Sample
from scalableapp.core.vertical.usage import SizeHistory, Usage, sampled

MIB = 2**20
DAY = 86_400.0
LOW, HIGH = 0.2, 1.0
APPS = 5_000
TICKS = 12


def app(mode: str) -> ScalableAppSpec:
    """An app with room: its limits are ten times its requests, so that usage shows what is wanted."""
    resources = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "2500m", "memory": "1Gi"}}
    metrics = [{"type": "RequestsPerSecond", "target": "50"}]
    scaling = {"mode": mode, "horizontal": {"maxReplicas": 20, "metrics": metrics}}
    return parse_spec({"image": "app:1", "resources": resources, "scaling": scaling})


def seconds_until_there(policy: Policy, before: float, after: float, start: Size) -> float | None:
    """From the step, after 8 flat days, until the pod's request is within a quarter above what is needed."""
    flat, left = 8 * DAY, 6 * DAY
    moments = (Moment(1e9, before, 200.0 * MIB), Moment(1e9 + flat, after, 200.0 * MIB))
    trace = UsageTrace("step", (*moments, Moment(1e9 + flat + left, after, 200.0 * MIB)))
    there: list[float] = []

    def watch(seconds: float, size: Size) -> None:
        request = size.cpu.request or 0.0
        if seconds >= flat and not there and after <= request <= 1.45 * after:
            there.append(seconds - flat)

    replay(trace, policy, start, 15.0, watch)
    return there[0] if there else None


def steps(_days: float) -> None:
    """Time to target after a step up and down, on the same series."""
    spec = app("Vertical")
    print(f"time from a step of CPU until the pod's request is within 1.0 to 1.45 of it ({LOW:g} and {HIGH:g} cores)")
    print(f"{'policy':<12} {'up':>14} {'down':>14}")
    makers: dict[str, Callable[[], Policy]] = {
        "scalableapp": lambda: Ours(spec),
        "vpa": lambda: Vpa(start_of(spec)),
        "static": Static,
    }
    for name, make in makers.items():
        times = [seconds_until_there(make(), *step, start_of(spec)) for step in ((LOW, HIGH), (HIGH, LOW))]
        shown = ["never" if seconds is None else duration(seconds) for seconds in times]
        print(f"{name:<12} {shown[0]:>14} {shown[1]:>14}")


def sized_app(strategy: str) -> ScalableAppSpec:
    """An app that has as much as it needs most of the time, and limits of twice that."""
    resources = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}
    scaling = {"mode": "Vertical", "vertical": {"updateStrategy": strategy}}
    return parse_spec({"image": "app:1", "resources": resources, "scaling": scaling})


def shapes(days: float) -> None:
    """The table of docs/vertical.md."""
    print(f"ours in place / ours by rollout / VPA, over {days:g} days of one pod\n")
    print("| usage | changes | CPU slack | memory slack | throttled minutes | OOM minutes |")
    print("|---|---|---|---|---|---|")
    start = start_of(sized_app("Auto"))
    for shape in SHAPES:
        trace = usage(shape, days)
        policies: tuple[Policy, ...] = (Ours(sized_app("Auto")), Ours(sized_app("Rollout")), Vpa(start))
        scores = [replay(trace, policy, start, 15.0) for policy in policies]
        cells = (
            [str(score.changes) for score in scores],
            [f"{score.cpu_slack:.0%}" for score in scores],
            [f"{score.memory_slack:.0%}" for score in scores],
            [str(score.throttled_minutes) for score in scores],
            [str(score.oom_minutes) for score in scores],
        )
        print(f"| {shape.name} | {' | '.join(' / '.join(cell) for cell in cells)} |", flush=True)


def a_tick_of(mode: str) -> float:
    """CPU seconds of deciding on 5,000 apps of three pods, without I/O, averaged over ticks of 5 s."""
    spec, now = app(mode), datetime(2026, 1, 5, tzinfo=UTC)
    size = start_of(spec)
    since = now - timedelta(hours=1)
    pods = tuple(PodState(f"pod-{n}", "Running", True, False, since, since, since, size) for n in range(3))
    histories = {number: filled(spec, now) for number in range(APPS)}
    started = time.process_time()
    for tick in range(TICKS):
        at = now + timedelta(seconds=5 * (tick + 1))
        readings = {"RequestsPerSecond": Reading(150.0, {pod.name: 50.0 for pod in pods})}
        seen = Observation(at, 3, pods, readings)
        for number, history in histories.items():
            cores = 0.2 + (number + tick) % 7 / 100
            usage = Usage(size, {Resource.CPU: (cores,) * 3, Resource.MEMORY: (200.0 * MIB + number,) * 3})
            histories[number] = decide_both(spec, seen, History(), usage, history)[1]
    return (time.process_time() - started) / TICKS


def filled(spec: ScalableAppSpec, now: datetime) -> SizeHistory:
    """Two hours of usage that moves."""
    history = SizeHistory.blank(spec.scaling.vertical)
    learned = dict(history.learned)
    for minute in range(120, 0, -1):
        at = now - timedelta(minutes=minute)
        for resource, value in ((Resource.CPU, 0.6 + minute % 9 / 30), (Resource.MEMORY, (180.0 + minute % 5) * MIB)):
            learned[resource] = sampled(learned[resource], resource, Sample(at, value))
    return replace(history, learned=learned)


def cost(_days: float) -> None:
    """What deciding costs, by mode."""
    print(f"CPU seconds of one tick over {APPS} apps of 3 pods, without I/O")
    for mode in ("Horizontal", "Vertical", "Combined"):
        print(f"{mode:<12} {a_tick_of(mode):>8.3f}")


def main() -> None:
    """Print what is asked for, or all."""
    parts = {"steps": steps, "shapes": shapes, "cost": cost}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=DAYS, help="how long each shape of usage lasts")
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="what to measure; all, if none is named")
    options = parser.parse_args()
    for name in options.parts or parts:
        parts[name](options.days)
        print()


if __name__ == "__main__":
    main()
