"""How pods serve requests: the share of slow ones by utilisation, and the queue that overload leaves behind."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The table of slow shares is this fine; between its entries the share moves by less than 0.3 points.
TABLE_SIZE = 4096


@dataclass(frozen=True)
class Service:
    """One pod as a queue of M/M/k kind: `workers` serve at once, each request takes `service_seconds` in the mean.

    A request is slow when it waits longer than `wait_limit_seconds`; a minute, or any other span, is bad when more
    than `slow_limit` of its requests are slow. Requests that would wait longer than `patience_seconds` fail.
    """

    workers: int = 4
    service_seconds: float = 0.1
    wait_limit_seconds: float = 0.2
    slow_limit: float = 0.05
    patience_seconds: float = 5.0

    @cached_property
    def rate(self) -> float:
        """Requests per second that one pod can serve at most."""
        return self.workers / self.service_seconds

    @cached_property
    def capacity(self) -> float:
        """Requests per second of one pod at which just `slow_limit` of them are slow."""
        return self.rate * self._highest_utilisation()

    def slow_share(self, utilisation: float) -> float:
        """Share of requests that wait too long in the steady state.

        P(W > w) = C(k, k*rho) * exp(-(1 - rho) * mu * w) with Erlang's C for k workers, mu requests per second of
        the whole pod (Kleinrock, Queueing Systems 1, 1975, section 3.5; Erlang 1917); 1 from rho = 1 on.
        """
        if utilisation >= 1:
            return 1.0
        return self.waiting_share(utilisation) * math.exp(-(1 - utilisation) * self.rate * self.wait_limit_seconds)

    def waiting_share(self, utilisation: float) -> float:
        """Share of requests that wait at all (Erlang's C)."""
        return erlang_c(self.workers, self.workers * utilisation) if utilisation < 1 else 1.0

    @cached_property
    def table(self) -> list[float]:
        """`slow_share` at utilisations 0, 1/size, ... 1."""
        return [self.slow_share(step / TABLE_SIZE) for step in range(TABLE_SIZE + 1)]

    def with_capacity(self, capacity: float) -> "Service":
        """The same pod, faster or slower: utilisations keep their slow shares, `capacity` becomes the given one."""
        scale = self.capacity / capacity
        return Service(
            self.workers,
            self.service_seconds * scale,
            self.wait_limit_seconds * scale,
            self.slow_limit,
            self.patience_seconds,
        )

    def _highest_utilisation(self) -> float:
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self.slow_share(middle) <= self.slow_limit else (low, middle)
        return low


def erlang_c(workers: int, offered: float) -> float:
    """Probability that a request must wait, of `offered` Erlangs on `workers` servers (offered < workers)."""
    blocked = 1.0
    for servers in range(1, workers + 1):  # Erlang B by its recursion, stable for any number of servers
        blocked = offered * blocked / (servers + offered * blocked)
    return blocked / (1 - offered / workers * (1 - blocked))


class Queue:
    """Serves per-second `arrivals` in order of time with as many ready pods as it is told.

    `backlog[t]` requests wait at the end of second t; `behind[t]` is how many have not been served by then, those
    that failed included.
    """

    def __init__(self, arrivals: list[float], service: Service) -> None:
        self._arrivals = arrivals
        self._service = service
        self._waiting = 0.0
        self._failed = 0.0
        self.backlog = [0.0] * len(arrivals)
        self.behind = [0.0] * len(arrivals)

    def serve(self, start: int, end: int, ready: int) -> None:
        """Let the seconds start..end-1 pass with `ready` pods."""
        capacity = ready * self._service.rate
        if not self._waiting and max(self._arrivals[start:end], default=0.0) <= capacity:
            if self._failed:
                self.behind[start:end] = [self._failed] * (end - start)
            return
        longest = capacity * self._service.patience_seconds
        for second in range(start, end):
            waiting = max(0.0, self._waiting + self._arrivals[second] - capacity)
            self._failed += max(0.0, waiting - longest)
            self._waiting = self.backlog[second] = min(waiting, longest)
            self.behind[second] = self._failed + self._waiting


def slow_requests(arrivals: Floats, backlog: Floats, ready: Ints, service: Service) -> Floats:
    """Slow or failed requests of each second.

    All of a second are slow while the queue is longer than the wait limit allows; else the steady state's share.
    """
    capacity = ready * service.rate
    utilisation = np.divide(arrivals, capacity, out=np.ones_like(arrivals), where=capacity > 0)
    index = np.minimum(utilisation * TABLE_SIZE, TABLE_SIZE).astype(np.int64)
    share = np.asarray(service.table)[index]
    share[backlog > capacity * service.wait_limit_seconds] = 1.0
    slow: Floats = arrivals * share
    return slow
