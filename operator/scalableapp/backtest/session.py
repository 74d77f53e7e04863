"""A whole back-test: the app's own policy and the baselines' on one load, side by side, on all cores."""

import functools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from scalableapp.backtest.assumptions import Assumed
from scalableapp.backtest.baselines import Hpa, Kpa, Static, cpu, request_rate
from scalableapp.backtest.deciders import Stretch, stretches_of
from scalableapp.backtest.errors import OptionError
from scalableapp.backtest.load import Noise, Trace, arrivals
from scalableapp.backtest.oracle import oracle
from scalableapp.backtest.ours import Ours
from scalableapp.backtest.score import Score, score
from scalableapp.backtest.service import Floats
from scalableapp.backtest.simulator import Policy, Run, simulate
from scalableapp.core.api.spec import ScalableAppSpec

BASELINES = ("hpa", "hpa-tuned", "keda", "kpa", "static", "oracle")
OURS = "scalableapp"
# The oracle's quality: at most this share of minutes bad; half a percent is what research compares at.
ORACLE_BAD_PERCENT = 0.5
_ORACLE_MARGINS = (0.94, 0.97, 1.0, 1.03, 1.06, 1.1, 1.15, 1.2)
_POLL_SECONDS = 0.2

Progress = Callable[[float], None]  # share of the work that is done, 0..1


@dataclass(frozen=True)
class Result:
    """One policy's run and its score; of our own also which metric decided when."""

    run: Run
    score: Score
    stretches: tuple[Stretch, ...] = ()


@dataclass(frozen=True)
class Case:
    """What is tried: an app's spec on a trace, with the assumptions."""

    spec: ScalableAppSpec
    trace: Trace
    assumed: Assumed

    @functools.cached_property
    def arrivals(self) -> Floats:
        """Requests of each second: the trace with what its averages hide."""
        return arrivals(self.trace.per_second(), Noise())


def compare(case: Case, policies: Sequence[str], progress: Progress) -> dict[str, Result]:
    """Every policy on the same arrivals, in the order given. Raises OptionError for a name nobody knows."""
    unknown = [name for name in policies if name not in (OURS, *BASELINES)]
    if unknown:
        raise OptionError(f"unknown policy {', '.join(unknown)}; choose from {', '.join((OURS, *BASELINES))}")
    seconds = multiprocessing.Array("d", len(policies), lock=False)
    workers = min(os.cpu_count() or 1, len(policies))
    with ProcessPoolExecutor(workers, initializer=_share, initargs=(seconds,)) as pool:
        futures = [pool.submit(_result, case, name, index) for index, name in enumerate(policies)]
        try:
            for _ in _until_done(futures):
                progress(sum(seconds) / (len(policies) * case.trace.duration))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        progress(1.0)
        return {name: future.result() for name, future in zip(policies, futures, strict=True)}


def policy_of(name: str, case: Case) -> Policy:
    """The policy of that name, with its defaults, aiming at the same load per pod as the app's own metrics together."""
    target, rate = case.assumed.target, case.assumed.world.service.rate
    peak = float(case.trace.rates.max()) / case.assumed.world.service.capacity
    makers: dict[str, Callable[[], Policy]] = {
        OURS: lambda: Ours(case.spec, case.trace.started_at),
        "hpa": lambda: Hpa("hpa", cpu(target / rate)),
        "hpa-tuned": lambda: tuned_hpa(target, 5),
        "keda": lambda: Hpa("keda", request_rate(target, 60)),
        "kpa": lambda: Kpa("kpa", target),
        "static": lambda: Static("static", round(peak + 0.5)),
    }
    return makers[name]()


def tuned_hpa(target: float, seconds: int) -> Hpa:
    """An HPA as its best friends set it: request rate of a short window, tolerance 5 %, down after 120 s, no limit up.

    `seconds` is the interval of its loop, and of the scrapes.
    """
    return Hpa(
        "hpa-tuned",
        request_rate(target, max(4 * seconds, 30)),
        interval_seconds=seconds,
        scrape_seconds=seconds,
        tolerance=0.05,
        down_window_seconds=120,
        limited=False,
    )


def best_oracle(loads: Floats, case: Case) -> Run:
    """The cheapest perfect-foresight plan with at most ORACLE_BAD_PERCENT bad minutes; else the safest."""
    world = case.assumed.world
    for margin in _ORACLE_MARGINS:
        run = oracle(loads, world, margin)
        if score(run, world.service.slow_limit).bad_percent <= ORACLE_BAD_PERCENT:
            break
    return run


_seconds_done: "Sequence[float] | None" = None


def _share(seconds: "Sequence[float]") -> None:
    global _seconds_done  # noqa: PLW0603 - how a process of a pool gets what can't be pickled
    _seconds_done = seconds


def _result(case: Case, name: str, index: int) -> Result:
    def tick(second: int) -> None:
        if _seconds_done is not None:
            _seconds_done[index] = second  # type: ignore[index]  # a shared array, which has no name to annotate

    world = case.assumed.world
    stretches: tuple[Stretch, ...] = ()
    if name == "oracle":
        run = best_oracle(case.arrivals, case)
        tick(case.trace.duration)
    else:
        policy = policy_of(name, case)
        run = simulate(case.arrivals, policy, world, tick)
        stretches = stretches_of(policy.deciders, len(case.arrivals)) if isinstance(policy, Ours) else ()
    return Result(run, score(run, world.service.slow_limit), stretches)


def _until_done(futures: "list[Future[Result]]") -> Iterator[None]:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()  # a failure ends the back-test now, not after the others
        yield
