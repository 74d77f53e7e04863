"""What an objective does in a world that it does not know, beside HPA on CPU.

    python -m benchmarks.objective [--only NAME] [--hours N] [--seeds N] [--processes N] [--without-hpa]

A line says, for a scenario and a scaler: pods before the event, fewest and most after it, at 5, 10 and 60 minutes and
at the end; pod-hours; bad minutes after the event and the longest run of them; changes a day; and what the objective
says in the end.
"""

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.objective.scalers import HpaCpu, Ours, Scaler, spec_of
from benchmarks.objective.scenarios import HOUR, Scenario, scenarios
from benchmarks.objective.scraping import Scraping
from benchmarks.objective.world import TICK_SECONDS, World

_SLOW_LIMIT = 0.05
_HPA_TARGET = 0.5
_SCALERS = ("objective", "hpa", "hpa-tuned")


@dataclass(frozen=True)
class Outcome:
    """One run: replicas at each tick, bad minutes, the first decision that named a reason and when."""

    scenario: str
    scaler: str
    seed: int
    event: float
    replicas: list[int]
    bad: list[int]
    said: str


def run(scenario: Scenario, scaler_name: str, seed: int, most_hours: float = 24.0) -> Outcome:
    """One scenario with one scaler."""
    world = World(scenario.app, scenario.load, scenario.pods, seed, _SLOW_LIMIT)
    scraping, scaler = Scraping(world, scenario.scrape_seconds), _scaler(scaler_name, scenario, world)
    replicas: list[int] = []
    while world.now < min(scenario.hours, most_hours) * HOUR:
        world.tick()
        scraping.look()
        if not world.now % scaler.interval_seconds:
            world.scale(scaler.replicas(world, scraping))
        replicas.append(len(world.pods))
    said = scaler.decision.message if scaler.decision else ""
    return Outcome(scenario.name, scaler_name, seed, scenario.event, replicas, world.bad_minutes(), said)


def _scaler(name: str, scenario: Scenario, world: World) -> Scaler:
    if name == "objective":
        return Ours(spec_of(world, scenario.fewest, scenario.most), scenario.blind_after)
    return HpaCpu(_HPA_TARGET, scenario.most, scenario.fewest, tuned=name == "hpa-tuned")


def line(found: Outcome) -> str:
    """An outcome as a line of the table."""
    tick = int(found.event / TICK_SECONDS)
    after = found.replicas[tick:]
    bad = [minute for minute in found.bad if 60 * minute >= found.event]
    changes = sum(before != now for before, now in zip(found.replicas, found.replicas[1:], strict=False))
    days = len(found.replicas) * TICK_SECONDS / 86_400
    at = " ".join(f"{after[min(int(60 * m / TICK_SECONDS), len(after)) - 1]:>3}" for m in (5, 10, 60))
    before = found.replicas[tick - 1] if tick else found.replicas[0]
    return (
        f"{found.scenario:<26}{found.scaler:<11}{found.seed:>2}{before:>5}{min(after):>5}{max(after):>5}   {at} "
        f"{after[-1]:>4}{sum(after) * TICK_SECONDS / HOUR:>9.1f}{len(bad):>6}{_longest(bad):>5}{changes / days:>8.0f}"
    )


_HEADER = (
    f"{'scenario':<26}{'scaler':<11}{'':>2}{'befor':>5}{'min':>5}{'max':>5}   {'5m':>3} {'10m':>3} {'60m':>3}"
    f" {'end':>4}{'pod-h':>9}{'bad':>6}{'run':>5}{'chg/d':>8}"
)


def _longest(minutes: Iterable[int]) -> int:
    longest = length = 0
    last = None
    for minute in minutes:
        length = length + 1 if last is not None and minute == last + 1 else 1
        longest, last = max(longest, length), minute
    return longest


def main() -> int:
    """Run and print."""
    options = _options()
    wanted = [scenario for scenario in scenarios() if options.only in scenario.name]
    names = _SCALERS[:1] if options.without_hpa else _SCALERS
    jobs = [
        (scenario.name, name, seed, options.hours)
        for scenario in wanted
        for seed in range(1, options.seeds + 1)
        for name in names
    ]
    print(_HEADER, flush=True)
    with ProcessPoolExecutor(options.processes) as pool:
        for found in pool.map(_job, jobs):
            print(line(found), flush=True)
            if options.words and found.said:
                print(f"    {found.said}", flush=True)
    return 0


def _job(job: tuple[str, str, int, float]) -> Outcome:
    name, scaler, seed, hours = job
    return run(next(scenario for scenario in scenarios() if scenario.name == name), scaler, seed, hours)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="scenarios whose names contain this")
    parser.add_argument("--hours", type=float, default=24.0, help="at most so many hours of each")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--words", action="store_true", help="print the last decision of the objective")
    parser.add_argument("--without-hpa", action="store_true", help="the objective alone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
