"""The objective's rule by itself, without the operator's other rules around it."""

from scalableapp.backtest.signals import Signals
from scalableapp.core.objective import Learned, Objective, Sample, Surplus, learn, plan, without_haste


class ByObjective:
    """core/objective.py driven by simulated metrics."""

    def __init__(
        self,
        objective: Objective,
        startup_seconds: float,
        *,
        name: str = "objective",
        interval_seconds: int = 5,
        scrape_seconds: int | None = 5,
        window_seconds: int = 20,
        most: int = 100,
    ) -> None:
        self.name = name
        self.interval_seconds = interval_seconds
        self.scrape_seconds = scrape_seconds
        self.learned = Learned()
        self._objective = objective
        self._window = window_seconds
        self._reaction = startup_seconds + interval_seconds + window_seconds / 2
        self._most = most
        self._surplus = Surplus()

    def replicas(self, signals: Signals) -> int:
        """Learn from the moment, plan, and don't hurry down."""
        load, current = signals.rate(self._window), signals.fleet.replicas
        if load is None:
            return current
        sample = Sample(signals.now, load, signals.fleet.ready, signals.slow_share(60), signals.utilisation(60))
        self.learned = learn(self.learned, sample, self._objective, self._reaction)
        best = plan(self.learned, load, current, self._objective, self._most)
        if best is None:
            return current
        number, self._surplus = without_haste(self._surplus, best.replicas, current, self.interval_seconds)
        return number
