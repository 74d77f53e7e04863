"""What Prometheus would show of the simulated app: only what the last scrape has seen."""

from collections.abc import Callable
from dataclasses import dataclass, field

from scalableapp.backtest.fleet import Fleet
from scalableapp.backtest.service import TABLE_SIZE, Queue, Service


@dataclass(frozen=True)
class Scraping:
    """How the app is measured: every `seconds`, first at `phase`. `gaps` are spans without any scrape."""

    seconds: int = 15
    phase: int = 0
    gaps: tuple[tuple[int, int], ...] = ()

    def last(self, now: int) -> int:
        """Time of the last scrape at or before `now`, at least 0."""
        at = now - (now - self.phase) % self.seconds
        for start, end in self.gaps:
            if start <= at < end:
                at = start - 1 - (start - 1 - self.phase) % self.seconds
        return max(0, at)


@dataclass
class Signals:
    """Counters of the app over time, and what rate() makes of them.

    `counts_served`: the app counts requests when they are answered, so that overload hides the demand beyond
    what is served; else when they arrive.
    """

    arrived: list[float]  # arrived[t]: requests before second t
    arrivals: list[float]
    service: Service
    queue: Queue
    fleet: Fleet
    scraping: Scraping
    counts_served: bool = True
    now: int = 0
    _slow: list[float] = field(default_factory=lambda: [0.0])

    def rate(self, window_seconds: int) -> float | None:
        """Requests per second as PromQL shows them for a window: over the whole scrape intervals in it."""
        end = self.scraping.last(self.now)
        span = max(window_seconds // self.scraping.seconds - 1, 1) * self.scraping.seconds
        return self._per_second(self._counted, end, span)

    def arrival_rate(self, window_seconds: int) -> float:
        """Requests per second that arrived in the window before now, as a proxy in front of the pods sees them."""
        start = max(0, self.now - window_seconds)
        return (self.arrived[self.now] - self.arrived[start]) / max(self.now - start, 1)

    def utilisation(self, window_seconds: int) -> float | None:
        """Share of a ready pod's time that was busy, mean over the window: 1 is as far as CPU can show."""
        end = self.scraping.last(self.now)
        start = max(0, end - window_seconds)
        if start >= end:
            return None
        return sum(self._busy(first, last, ready) for first, last, ready in self.fleet.spans(start, end)) / (
            end - start
        )

    def per_pod(self, window_seconds: int) -> dict[int, float]:
        """Requests per second served by each pod that has been scraped twice, as rate()[window] shows them."""
        end = self.scraping.last(self.now)
        start = max(0, end - max(window_seconds // self.scraping.seconds - 1, 1) * self.scraping.seconds)
        if start >= end:
            return {}
        steady = self.fleet.steady_since
        if steady is not None and steady <= start:
            rate = (self._served(end) - self._served(start)) / (end - start) / max(self.fleet.ready, 1)
            return dict.fromkeys(self.fleet.names, rate)
        return self._per_changing_pod(start, end)

    def _per_changing_pod(self, start: int, end: int) -> dict[int, float]:
        spans = [
            (at, self._served(until) - self._served(at), ready) for at, until, ready in self.fleet.spans(start, end)
        ]
        by_age: dict[int, float] = {}
        rates = {}
        for name, _, ready_at in self.fleet.pods:
            if ready_at > end - self.scraping.seconds:
                continue
            if ready_at not in by_age:
                served = sum(share / ready for at, share, ready in spans if at >= ready_at and ready)
                by_age[ready_at] = served / (end - start)
            rates[name] = by_age[ready_at]
        return rates

    def slow_share(self, window_seconds: int) -> float | None:
        """Share of slow or failed requests, as the app's latency histogram shows it over the window."""
        end = self.scraping.last(self.now)
        start = max(0, end - window_seconds)
        self._count_slow(end)
        total = self.arrived[end] - self.arrived[start]
        return (self._slow[end] - self._slow[start]) / total if total else None

    def _per_second(self, counter: Callable[[int], float], end: int, span: int) -> float | None:
        start = max(0, end - span)
        return (counter(end) - counter(start)) / (end - start) if end > start else None

    def _counted(self, second: int) -> float:
        return self._served(second) if self.counts_served else self.arrived[second]

    def _served(self, second: int) -> float:
        return self.arrived[second] - (self.queue.behind[second - 1] if second else 0.0)

    def _busy(self, start: int, end: int, ready: int) -> float:
        return (self._served(end) - self._served(start)) / (ready * self.service.rate) if ready else 0.0

    def _count_slow(self, until: int) -> None:
        table, slow = self.service.table, self._slow
        for start, end, ready in self.fleet.spans(len(slow) - 1, until):
            capacity = ready * self.service.rate
            scale = TABLE_SIZE / capacity if ready else float("inf")
            limit = capacity * self.service.wait_limit_seconds
            for second in range(start, end):
                arrived = self.arrivals[second]
                late = self.queue.backlog[second] > limit or arrived >= capacity
                slow.append(slow[-1] + arrived * (1.0 if late else table[int(arrived * scale)]))
