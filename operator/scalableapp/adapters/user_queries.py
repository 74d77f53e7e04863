"""Users' own queries: each brings one number, or why there is none. A slow one delays those of its namespace."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from scalableapp.adapters.prometheus_answers import UNREADABLE, Answer
from scalableapp.adapters.turns import Turns, fairly
from scalableapp.core.api.promql import plain_selector
from scalableapp.core.model import DataProblem
from scalableapp.ports import QueryAnswer

log = logging.getLogger(__name__)

MOST_QUERIES = 500
QUERIES_IN_FLIGHT = 8
# One number is a hundred bytes; the rest is for messages on queries that return many.
_LARGEST_ANSWER_BYTES = 256 * 2**10
# A sample may be 3 scrapes old, and in any case this old.
FRESH_SECONDS = 60.0
_LATEST_SCRAPES = 3
_LOOKBACK_SECONDS = 300.0
_NOT_OF_THE_QUERY = {DataProblem.UNREACHABLE, DataProblem.UNAUTHORIZED, DataProblem.REDIRECTED}

Ask = Callable[..., Answer]


class UserQueries:
    """Asks them in threads of their own. `ask` asks Prometheus: a query, `ends` (monotonic time), `most_bytes`."""

    def __init__(self, ask: Ask, timeout_seconds: float, too_late: str) -> None:
        self._ask = partial(ask, most_bytes=_LARGEST_ANSWER_BYTES)
        self._timeout = timeout_seconds
        self._late = QueryAnswer(None, DataProblem.QUERY_FAILED, too_late)
        self._threads = ThreadPoolExecutor(QUERIES_IN_FLIGHT, "prometheus-query")
        self._turns = Turns()

    def close(self) -> None:
        """Let go of the threads; what is under way ends by its time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def collect(self, queries: Mapping[str, str], grace_seconds: float) -> dict[str, QueryAnswer]:
        """Answers to queries, which map to their namespaces, within the time-out; those left out say so."""
        chosen = fairly(queries, MOST_QUERIES)
        answers = dict.fromkeys(queries, _TOO_MANY) | dict.fromkeys(chosen, self._late)
        if not chosen:
            return answers
        self._turns.begin({query: queries[query] for query in chosen})
        ends = time.monotonic() + self._timeout
        workers = [asyncio.create_task(self._work(answers, ends)) for _ in range(min(QUERIES_IN_FLIGHT, len(chosen)))]
        await asyncio.wait(workers, timeout=self._timeout + grace_seconds)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return answers

    async def _work(self, answers: dict[str, QueryAnswer], ends: float) -> None:
        run = asyncio.get_running_loop().run_in_executor
        while time.monotonic() < ends and (query := self._turns.next()) is not None:
            try:
                answers[query] = await run(self._threads, self.ask, query, ends)
            except Exception:
                log.exception("Internal error while reading the answer to %s", query)
                answers[query] = QueryAnswer(None, DataProblem.WRONG_TYPE, f"the answer to {query} cannot be read")
            self._turns.ended(query)

    def ask(self, query: str, ends: float) -> QueryAnswer:
        """One query, in the calling thread."""
        answer = self._ask(query, ends=ends)
        problem = answer.problem, with_query(answer, query)
        if answer.problem is DataProblem.TOO_MANY_SERIES:
            problem = answer.problem, f"{answer.message}: {query}; it must return one number: use sum(...) or max(...)"
        if answer.problem is None:
            problem = _not_one_number(answer, query)
        if problem[0] is not None:
            return QueryAnswer(None, *problem)
        selector, value = plain_selector(query), answer.samples[0].value
        return self._with_age(query, selector, value, ends) if selector else QueryAnswer(value)

    def _with_age(self, query: str, selector: str, value: float, ends: float) -> QueryAnswer:
        """The value, unless its newest sample is too old or its age cannot be read: it may not be of now."""
        answer = self._ask(f"time() - timestamp({selector})", ends=ends)
        if answer.problem:
            return QueryAnswer(None, answer.problem, f"the age of its samples cannot be read: {answer.message}")
        age = _only_value(answer)
        if age is None:
            message = f"the age of its samples cannot be read: Prometheus has no single time for {query}"
            return QueryAnswer(None, DataProblem.STALE, message)
        if not self._too_old(selector, age, ends):
            return QueryAnswer(value, age=age)
        message = f"the newest sample of {query} is {age:.0f} s old; is its target still scraped?"
        return QueryAnswer(None, DataProblem.STALE, message)

    def _too_old(self, selector: str, age: float, ends: float) -> bool:
        if age <= FRESH_SECONDS:
            return False
        query = f"count_over_time({selector}[{_LOOKBACK_SECONDS:.0f}s])"
        scrapes = _only_value(self._ask(query, ends=ends))
        return not scrapes or age > _LATEST_SCRAPES * _LOOKBACK_SECONDS / scrapes


_TOO_MANY = QueryAnswer(
    None,
    DataProblem.QUERY_FAILED,
    f"the operator runs at most {MOST_QUERIES} different user queries at a time, in turn one of each namespace, and "
    "this one exceeds the limit; use RequestsPerSecond or CPU, which need one query for all apps",
)


def with_query(answer: Answer, query: str) -> str:
    """The message with the query, unless Prometheus was not reached: then the query is not to blame."""
    return answer.message if answer.problem in _NOT_OF_THE_QUERY else f"{answer.message}; the query is {query}"


def _only_value(answer: Answer) -> float | None:
    """The value of the only series, if that is a number."""
    value = answer.samples[0].value if len(answer.samples) == 1 else math.nan
    return value if math.isfinite(value) else None


def _not_one_number(answer: Answer, query: str) -> tuple[DataProblem | None, str]:
    if answer.unreadable:
        return DataProblem.WRONG_TYPE, f"{UNREADABLE}; the query is {query}"
    if not answer.samples:
        return DataProblem.EMPTY, f"the query returns nothing: {query}; do its metrics exist, with these labels?"
    if len(answer.samples) > 1:
        count = len(answer.samples)
        return DataProblem.WRONG_TYPE, f"the query returns {count} series: {query}; wrap it in sum(...) or max(...)"
    value = answer.samples[0].value
    if math.isnan(value):
        return DataProblem.NOT_A_NUMBER, f"the query returns NaN: {query}; it divides 0 by 0, or a quantile has no data"
    if math.isinf(value):
        return DataProblem.INFINITE, f"the query returns {value:+}: {query}; it divides by 0"
    return None, ""
