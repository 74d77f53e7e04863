"""The baselines' policies, reimplemented from their sources with their defaults (docs/backtest.md names them)."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from scalableapp.backtest.signals import Signals

_METRICS_SERVER_SECONDS = 15


class Largest:
    """The largest of what was put in during the last `window_seconds`."""

    def __init__(self, window_seconds: int) -> None:
        self._window = window_seconds
        self._kept: deque[tuple[int, int]] = deque()

    def put(self, now: int, value: int) -> int:
        """Put `value` in; the largest of the window, this one included."""
        while self._kept and self._kept[-1][1] <= value:
            self._kept.pop()
        self._kept.append((now, value))
        while self._kept[0][0] <= now - self._window and len(self._kept) > 1:
            self._kept.popleft()
        return self._kept[0][1]


class UpLimit:
    """HPA's default policies for scaling up: the larger of +4 pods and +100 % per 15 s."""

    def __init__(self, pods: int = 4, percent: int = 100, period_seconds: int = 15) -> None:
        self._pods, self._percent, self._period = pods, percent, period_seconds
        self._changes: deque[tuple[int, int]] = deque()

    def limit(self, now: int, current: int, wanted: int) -> int:
        """`wanted`, or as much of it as the policies allow now."""
        while self._changes and self._changes[0][0] <= now - self._period:
            self._changes.popleft()
        start = current - sum(change for _, change in self._changes)
        most = max(start + self._pods, math.ceil(start * (1 + self._percent / 100)), current)
        allowed = min(wanted, most)
        if allowed != current:
            self._changes.append((now, allowed - current))
        return allowed


Proposal = Callable[[Signals, float], int]


@dataclass
class Hpa:
    """autoscaling/v2 of Kubernetes 1.36 on one metric, whose `proposal` is given the tolerance."""

    name: str
    proposal: Proposal
    interval_seconds: int = 15
    scrape_seconds: int | None = None
    tolerance: float = 0.1
    down_window_seconds: int = 300
    limited: bool = True
    _recommended: Largest = field(init=False)
    _up: UpLimit = field(default_factory=UpLimit)

    def __post_init__(self) -> None:
        self._recommended = Largest(self.down_window_seconds)

    def replicas(self, signals: Signals) -> int:
        """HPA's order: metric, stabilisation, rate of change."""
        now, current = signals.now, signals.fleet.replicas
        proposed = self.proposal(signals, self.tolerance)
        highest = self._recommended.put(now, proposed)
        wanted = proposed if proposed > current else min(current, highest)
        return self._up.limit(now, current, wanted) if self.limited else wanted


def cpu(target: float) -> Proposal:
    """HPA's Resource metric: CPU utilisation in whole percent, pods that are not ready (yet) set aside."""
    percent = target * 100

    def proposal(signals: Signals, tolerance: float) -> int:
        current = signals.fleet.replicas
        used = signals.utilisation(_METRICS_SERVER_SECONDS)
        if used is None:
            return current
        sampled = signals.fleet.ready_for(_METRICS_SERVER_SECONDS, signals.now)
        ratio = int(used * 100) / percent
        if current > sampled and ratio > 1:
            return _with_unready(used, percent, sampled, current, tolerance)
        return current if _holds(ratio, tolerance) else math.ceil(ratio * sampled)

    return proposal


def _with_unready(used: float, percent: float, sampled: int, current: int, tolerance: float) -> int:
    """Scaling up with pods that are not ready: they count as idle; what turns the direction changes nothing."""
    ratio = int(used * 100 * sampled / current) / percent
    if ratio < 1 or _holds(ratio, tolerance):
        return current
    return max(current, math.ceil(ratio * current))


def request_rate(target: float, window_seconds: int) -> Proposal:
    """HPA's External metric of type AverageValue, on rate(...[window]): requests per second and pod."""

    def proposal(signals: Signals, tolerance: float) -> int:
        current = signals.fleet.replicas
        rate = signals.rate(window_seconds)
        if rate is None or _holds(rate / (target * max(current, 1)), tolerance):
            return current
        return math.ceil(rate / target)

    return proposal


def _holds(ratio: float, tolerance: float) -> bool:
    return abs(ratio - 1) <= tolerance + 1e-9


@dataclass
class Kpa:
    """Knative's autoscaler on requests per second, seen at the pods' queue-proxies every second."""

    name: str
    target: float
    delay_seconds: int = 0
    interval_seconds: int = 2
    scrape_seconds: int | None = 1
    stable_seconds: int = 60
    panic_seconds: int = 6
    _panic_since: int | None = None
    _panic_most: int = 0
    _delayed: Largest = field(init=False)

    def __post_init__(self) -> None:
        self._delayed = Largest(max(self.delay_seconds, 1))

    def replicas(self, signals: Signals) -> int:
        """The stable window's number; in panic the larger of both windows', and never less than before."""
        now, ready = signals.now, max(signals.fleet.ready, 1)
        stable = self._desired(signals, self.stable_seconds, ready)
        panic = self._desired(signals, self.panic_seconds, ready)
        if panic / ready >= 2:
            self._panic_since = now
        elif self._panic_since is not None and now - self._panic_since > self.stable_seconds:
            self._panic_since, self._panic_most = None, 0
        wanted = stable
        if self._panic_since is not None:
            wanted = self._panic_most = max(stable, panic, self._panic_most)
        return self._delayed.put(now, wanted)

    def _desired(self, signals: Signals, window: int, ready: int) -> int:
        wanted = math.ceil(signals.arrival_rate(window) / self.target)
        return min(max(wanted, ready // 2), 1000 * ready)


@dataclass
class Static:
    """Always the same number."""

    name: str
    number: int
    interval_seconds: int = 60
    scrape_seconds: int | None = None

    def replicas(self, signals: Signals) -> int:  # noqa: ARG002 - a policy is asked with the signals
        """The number."""
        return self.number
