"""A discrete world: every request is drawn, queues at a pod, and is counted when it is answered.

It shares no formula with what learns from it: service times are log-normal, pods serve first come, first served, and
what comes out is counted. Time passes in ticks of 5 s; within a tick each request has its own moments.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TICK_SECONDS = 5
_MOST_PODS_EVER = 50_000


@dataclass(frozen=True)
class App:
    """What serves the requests.

    A pod has `workers` of one request each; a service takes `seconds` in the mean with this coefficient of variation,
    and `slower(now)` times as long; it uses CPU for `cpu_share` of that time, and the pod's limit is `cores`. Some
    requests wait for something that no pod mends: `delayed` of them for `delay_seconds` more; `failing` of them are
    answered with 5xx. With `connections` each request needs one of the shared database for `database_seconds`, and
    `per_pod_seconds` more for each pod. The first pod is `first_pod_slower` than the others.
    """

    seconds: float = 0.05
    variation: float = 1.0
    workers: int = 2
    cores: float = 1.0
    cpu_share: float = 1.0
    limit_seconds: float = 0.5
    patience_seconds: float = 10.0
    retried: float = 0.0
    delayed: float = 0.0
    delay_seconds: float = 1.0
    failing: float = 0.0
    connections: int = 0
    database_seconds: float = 0.0
    per_pod_seconds: float = 0.0
    first_pod_slower: float = 1.0
    slower: Callable[[float], float] = lambda _: 1.0
    least_connections: bool = False
    startup_seconds: float = 15.0
    warmup_seconds: float = 0.0
    warmup_slower: float = 2.0
    startup_cpu_seconds: float = 5.0


@dataclass
class Pod:
    """One pod: when it was created, when it is ready, when each of its workers is free."""

    number: int
    born: float
    ready_at: float
    free: list[float]
    waiting: int = 0


@dataclass
class Answers:
    """Requests that have been drawn, until their answers have been counted."""

    done: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    pod: list[int] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class Counters:
    """What each pod has counted since its start: requests, slow ones, failed ones, CPU seconds."""

    def __init__(self) -> None:
        self.requests, self.slow, self.failed, self.cpu = (np.zeros(_MOST_PODS_EVER) for _ in range(4))

    def copy(self, most: int) -> tuple[Floats, Floats, Floats, Floats]:
        """As a scrape sees them, of the first `most` pods."""
        return tuple(array[:most].copy() for array in (self.requests, self.slow, self.failed, self.cpu))  # type: ignore[return-value]


class World:
    """The app's pods under load. `load(now)` is requests per second; the seed draws everything."""

    def __init__(self, app: App, load: Callable[[float], float], pods: int, seed: int, objective_limit: float) -> None:
        self.app, self.now = app, 0.0
        self.counters = Counters()
        self.minutes: dict[int, list[int]] = {}
        self._load = load
        self._slow_limit = objective_limit
        self._random = np.random.default_rng(seed)
        self._answers = Answers()
        self._retries: list[float] = []
        self._database = [0.0] * app.connections
        self._departures: list[tuple[float, int]] = []
        self._born = 0
        self.pods: list[Pod] = []
        self.gone: list[tuple[Pod, float]] = []
        self._add(pods, ready=True)

    def scale(self, replicas: int) -> None:
        """Create pods, or delete the youngest ones; their queues are still served."""
        if replicas > len(self.pods):
            self._add(replicas - len(self.pods), ready=False)
        self.gone = [(pod, at) for pod, at in self.gone if at > self.now - 120]
        self.gone += [(pod, self.now) for pod in self.pods[replicas:]]
        self.pods = self.pods[:replicas]

    def tick(self) -> None:
        """Let 5 s pass."""
        arrivals = self._arrivals()
        ready = [pod for pod in self.pods if pod.ready_at <= self.now]
        if ready:
            self._serve(arrivals, ready)
        else:
            for at in arrivals:
                self._answered(at, at, 0, 0.0, failed=True)
        self.now += TICK_SECONDS
        self._count()

    def bad_minutes(self, start: float = 0.0, end: float = math.inf, least: int = 20) -> list[int]:
        """Minutes with more slow or failed requests than the objective allows, of those with `least` requests."""
        return [
            minute
            for minute, (count, slow) in sorted(self.minutes.items())
            if start <= 60 * minute < end and count >= least and slow > self._slow_limit * count
        ]

    @property
    def born(self) -> int:
        """Pods there have ever been."""
        return self._born

    def _add(self, number: int, *, ready: bool) -> None:
        for _ in range(number):
            takes = 0.0 if ready else self.app.startup_seconds * float(self._random.uniform(0.85, 1.3))
            ready_at = self.now + takes
            self.counters.cpu[self._born] = 0.0 if ready else self.app.startup_cpu_seconds
            self.pods.append(Pod(self._born, self.now - 3600 * ready, ready_at, [ready_at] * self.app.workers))
            self._born += 1

    def _arrivals(self) -> list[float]:
        number = self._random.poisson(self._load(self.now) * TICK_SECONDS)
        fresh = self.now + TICK_SECONDS * self._random.random(number)
        due = [at for at in self._retries if at < self.now + TICK_SECONDS]
        self._retries = [at for at in self._retries if at >= self.now + TICK_SECONDS]
        return sorted([*fresh.tolist(), *due])

    def _serve(self, arrivals: list[float], ready: list[Pod]) -> None:
        app, count = self.app, len(arrivals)
        spread = math.sqrt(math.log1p(app.variation**2))
        services = self._random.lognormal(math.log(app.seconds) - spread**2 / 2, spread, count)
        services = (services * app.slower(self.now)).tolist()
        delayed = (self._random.random(count) < app.delayed).tolist()
        failing = (self._random.random(count) < app.failing).tolist()
        choices = self._random.integers(0, len(ready), (count, 2)).tolist()
        for at, service, late, fails, choice in zip(arrivals, services, delayed, failing, choices, strict=True):
            pod = self._chosen(ready, choice, at)
            takes = service * self._factor(pod)
            start = max(at, pod.free[0])
            if start - at > app.patience_seconds:
                self._give_up(at, pod)
                continue
            ends = self._through_database(start + takes, len(self.pods))
            heapq.heapreplace(pod.free, ends)
            if app.least_connections:
                pod.waiting += 1
                heapq.heappush(self._departures, (ends, pod.number))
            extra = app.delay_seconds if late else 0.0
            self._answered(ends + extra, at, pod.number, takes, failed=fails)

    def _chosen(self, ready: list[Pod], choice: list[int], at: float) -> Pod:
        """One of the ready pods: any, or the one of two with fewer requests under way (Envoy's LEAST_REQUEST)."""
        first = ready[choice[0]]
        if not self.app.least_connections:
            return first
        known = {pod.number: pod for pod in ready} if self._departures and self._departures[0][0] <= at else {}
        while self._departures and self._departures[0][0] <= at:
            _, number = heapq.heappop(self._departures)
            if number in known:
                known[number].waiting -= 1
        second = ready[choice[1]]
        return second if second.waiting < first.waiting else first

    def _factor(self, pod: Pod) -> float:
        app = self.app
        slower = app.first_pod_slower if pod.number == 0 else 1.0
        return slower * (app.warmup_slower if self.now - pod.ready_at < app.warmup_seconds else 1.0)

    def _through_database(self, at: float, pods: int) -> float:
        if not self._database:
            return at
        ends = max(at, self._database[0]) + self.app.database_seconds + self.app.per_pod_seconds * pods
        heapq.heapreplace(self._database, ends)
        return ends

    def _give_up(self, at: float, pod: Pod) -> None:
        ends = at + self.app.patience_seconds
        self._answered(ends, at, pod.number, 0.0, failed=True)
        if self.app.retried and self._random.random() < self.app.retried:
            self._retries.append(ends + 1.0)

    def _answered(self, done: float, at: float, pod: int, busy: float, *, failed: bool) -> None:
        answers, app = self._answers, self.app
        answers.done.append(done)
        answers.arrived.append(at)
        answers.pod.append(pod)
        answers.failed.append(failed)
        answers.cpu.append(busy * app.cpu_share * app.cores / app.workers)
        tally = self.minutes.setdefault(int(at // 60), [0, 0])
        tally[0] += 1
        tally[1] += failed or done - at > app.limit_seconds

    def _count(self) -> None:
        """Count what has been answered by now; the rest waits."""
        known = self._answers
        done, arrived, failed, cpu = (
            np.asarray(x, dtype=float) for x in (known.done, known.arrived, known.failed, known.cpu)
        )
        pod = np.asarray(known.pod, dtype=np.int64)
        out = done <= self.now
        slow = (done - arrived > self.app.limit_seconds).astype(float)
        for array, values in (
            (self.counters.requests, None),
            (self.counters.slow, slow),
            (self.counters.failed, failed),
            (self.counters.cpu, cpu),
        ):
            weights = None if values is None else values[out]
            array[: self._born] += np.bincount(pod[out], weights, self._born)
        rest = ~out
        self._answers = Answers(
            done[rest].tolist(),
            arrived[rest].tolist(),
            pod[rest].tolist(),
            (failed[rest] > 0).tolist(),
            cpu[rest].tolist(),
        )
