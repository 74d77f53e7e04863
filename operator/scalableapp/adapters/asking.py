"""Questions to Prometheus that are asked at the same time, in threads of their own, and end with the time-out."""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.core.model import DataProblem
from scalableapp.ports import LatencyAnswer, PodAnswer, QueryAnswer

# A query that times out should be able to report that itself.
GRACE_SECONDS = 0.2

Key = TypeVar("Key", bound=Hashable)
Answered = TypeVar("Answered", PodAnswer, LatencyAnswer, QueryAnswer)
# Asks Prometheus until a monotonic time, in a thread.
Job = Callable[[float], Answered]
Observe = Callable[[str, float], None]

log = logging.getLogger(__name__)


class Asking:
    """Asks `prometheus` in `threads` threads. `observe` is told metric type and seconds of each query."""

    def __init__(self, prometheus: Queries, threads: int, name: str, timeout_seconds: float, observe: Observe) -> None:
        self._prometheus = prometheus
        self._threads = ThreadPoolExecutor(threads, name)
        self._timeout = timeout_seconds
        self._observe = observe

    def close(self) -> None:
        """Let go of the threads; what is under way ends by its time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def within_time(self, jobs: Mapping[Key, Job[Answered]], late: Answered) -> dict[Key, Answered]:
        """What the jobs found, `late` for those that have not ended in time."""
        if not jobs:
            return {}
        ends, run = time.monotonic() + self._timeout, asyncio.get_running_loop().run_in_executor
        futures = {key: run(self._threads, job, ends) for key, job in jobs.items()}
        _, pending = await asyncio.wait(futures.values(), timeout=self._timeout + GRACE_SECONDS)
        for future in pending:
            future.cancel()
        return {key: late if future in pending else _result(future, late) for key, future in futures.items()}

    def ask(self, what: str, query: str, **bounds: Any) -> Answer:
        """The answer to a query, and how long it took is told."""
        started = time.monotonic()
        answer = self._prometheus.ask(query, **bounds)
        self._observe(what, time.monotonic() - started)
        return answer

    def ask_for(self, what: str, query: str, take: Callable[[Answer], Answered], **bounds: Any) -> Answered:
        """What `take` makes of the answer to a query, and how long both took is told."""
        started = time.monotonic()
        found = self._prometheus.ask_for(query, take, **bounds)
        self._observe(what, time.monotonic() - started)
        return found

    def too_late(self) -> str:
        """What there is to say of an answer that has not come."""
        return (
            f"Prometheus at {self._prometheus.url} did not answer within {self._timeout:g} s; "
            "check its load and look for slow queries"
        )


def _result(future: asyncio.Future[Answered], late: Answered) -> Answered:
    """What a job found. An internal error in one costs its own answer, never the look."""
    error = future.exception()
    if error is None:
        return future.result()
    log.error("Internal error while reading an answer of Prometheus", exc_info=error)
    message = f"the answer of Prometheus cannot be read ({error!r}); this is a bug of the operator"
    return replace(late, problem=DataProblem.WRONG_TYPE, message=message[:300])
